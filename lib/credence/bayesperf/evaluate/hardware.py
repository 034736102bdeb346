"""Real hardware without a truth: are estimates possible at all, and do they foretell what was held out?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from credence.bayesperf import baselines
from credence.bayesperf.data import real_hardware
from credence.bayesperf.data.log_cells import Log
from credence.bayesperf.data.observations import Observations, from_readings
from credence.bayesperf.evaluate import metrics
from credence.bayesperf.evaluate.correction import correct
from credence.bayesperf.infer import smooth
from credence.bench import seeds

# perf's round robin had twenty events on four counters beside the fixed ones.
RUNNING = 4 / 20
LEVELS = (0.5, 0.9, 0.95)
HELD = 0.5  # share of a group's turns that is hidden


def as_log(run: real_hardware.RoundRobin, slices: int) -> Log:
    """Return the first slices of a round-robin series as a log; what went below 0 counts as not counted."""
    counts = run.counts[:slices]
    counts = np.where(counts >= 0, counts, np.nan)
    times = real_hardware.INTERVAL_S * np.arange(1, len(counts) + 1)
    shares = np.where(np.isfinite(counts), RUNNING, 0.0)
    shown = tuple(f"{time:.1f}" for time in times)
    return Log(f"{real_hardware.ROUND_ROBIN}/{run.program}", "perf", shown, times, run.events, counts, shares)


def violations(counts: np.ndarray, events) -> dict[str, float]:
    """Return, for each physical order between listed events, the share of slices that break it."""
    place = {event: column for column, event in enumerate(events)}
    return {
        f"{fewer} ≤ {more}": float((counts[:, place[fewer]] > counts[:, place[more]]).mean())
        for fewer, more in real_hardware.ORDERS
        if fewer in place and more in place
    }


def orders(programs: Iterable[str], slices: int) -> pd.DataFrame:
    """Compare how often the log and the posterior made from it break physical orders, which neither was told.

    Parameters
    ----------
    programs : iterable of str
        Of ``real_hardware.round_robin_programs``.
    slices : int
        Slices of 0.1 s from the beginning.

    Returns
    -------
    pandas.DataFrame
        ``program``, ``order``, ``log``, ``posterior``: shares of slices.
    """
    rows = []
    for program in programs:
        run = real_hardware.round_robin(program)
        log = as_log(run, slices)
        table = correct(log).estimates.pivot(index="time_s", columns="event", values="mean")
        found = table.loc[list(log.times), list(log.events)].to_numpy()
        before, after = violations(run.counts[:slices], log.events), violations(found, log.events)
        rows += [{"program": program, "order": name, "log": before[name], "posterior": after[name]} for name in before]
    return pd.DataFrame(rows)


def hidden(log: Log, group: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """Return which slices of a group's turns are hidden [slices]: half of them, at random."""
    turns = log.counted[:, [log.events.index(event) for event in group]].all(axis=1)
    # a slice in which more is counted than this group is another group's turn
    turns &= log.counted.sum(axis=1) == len(group)
    rows = np.flatnonzero(turns)
    chosen = np.zeros(len(turns), bool)
    chosen[rng.permutation(rows)[: round(HELD * len(rows))]] = True
    return chosen


def held_out(programs: Iterable[str], slices: int, seed: int = 0) -> pd.DataFrame:
    """Hide half of the turns of one EMON group after the other, and predict them.

    Parameters
    ----------
    programs : iterable of str
        Of ``real_hardware.emon_programs``.
    slices : int
        Slices of 0.1 s from the beginning.
    seed : int
        Of what is hidden.

    Returns
    -------
    pandas.DataFrame
        A row a program and group: ``program``, ``group`` [index], ``cells``; ``coverage_50``, ``coverage_90``,
        ``coverage_95`` of the posterior's intervals; ``wape`` of its mean, ``hold`` and ``interpolation`` of two
        baselines (means over the group's events that occur).
    """
    rows = []
    for program in programs:
        log = real_hardware.emon(program)
        log = replace(
            log,
            times=log.times[:slices],
            time_s=log.time_s[:slices],
            count=log.count[:slices],
            running_fraction=log.running_fraction[:slices],
        )
        for number, group in enumerate(real_hardware.emon_groups(log)):
            rng = seeds.generator(seed, "held out", program, number)
            rows.append({"program": program, "group": number} | _predicted(log, group, hidden(log, group, rng)))
    return pd.DataFrame(rows)


def _predicted(log: Log, group: tuple[str, ...], away: np.ndarray) -> dict[str, float]:
    columns = np.array([log.events.index(event) for event in group])
    counts = log.count.copy()
    counts[np.ix_(away, columns)] = np.nan
    on = np.isfinite(counts)
    observations: Observations = from_readings(log.events, np.where(on, counts, 0.0)[:, None, :], on)
    truth = log.count[np.ix_(away, columns)]
    occur = truth.sum(axis=0) > 0
    found = smooth(observations)
    result = {"cells": int(away.sum() * occur.sum())}
    for level in LEVELS:
        low, high = (ends[np.ix_(away, columns)][:, occur] for ends in found.interval(level))
        result[f"coverage_{round(100 * level)}"] = metrics.coverage(low, high, truth[:, occur])
    guesses = {"wape": found.mean, "hold": baselines.hold(observations)}
    guesses["interpolation"] = baselines.interpolate(observations)
    for name, guess in guesses.items():
        part = np.ascontiguousarray(guess[np.ix_(away, columns)][:, occur])
        result[name] = float(np.mean(metrics.wape(part, np.ascontiguousarray(truth[:, occur]))))
    return result


def claim_metrics(
    broken: pd.DataFrame, predicted: pd.DataFrame, draws: int = 1000, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return the metrics of the claims, draws over workloads [draws]: points of slices, and coverage."""
    rng = seeds.generator(seed, "workloads")
    change = 100 * (broken["log"] - broken["posterior"])
    saved = change.groupby(broken["program"]).mean().to_numpy()
    weight = predicted["cells"] / predicted.groupby("program")["cells"].transform("sum")
    covered = (weight * predicted["coverage_90"]).groupby(predicted["program"]).sum().to_numpy()
    return {
        name: values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)
        for name, values in {"order_cut": saved, "emon_coverage90": covered}.items()
    }


def stand_in(slices: int, seed: int) -> Log:
    """Return a simulated log with the shape of an EMON series: ten events in five groups of two, in turn."""
    rng = seeds.generator(seed, "stand-in")
    level = np.cumsum(rng.normal(0, 0.1, (slices, 2)), axis=0)
    mix = rng.normal(0, 0.7, (2, 10))
    counts = np.exp(12 + level @ mix + 0.1 * rng.normal(size=(slices, 10)))
    on = (np.arange(10)[None, :] // 2) == (np.arange(slices)[:, None] % 5)
    times = real_hardware.INTERVAL_S * np.arange(1, slices + 1)
    events = tuple(f"SIMULATED_{place}" for place in range(10))
    shown = tuple(f"{time:.1f}" for time in times)
    return Log("simulated", "emon", shown, times, events, np.where(on, counts, np.nan), on.astype(float))


def stand_in_held_out(slices: int, seed: int) -> pd.DataFrame:
    """Return what `held_out` gives, for the simulated stand-in."""
    log, rows = stand_in(slices, seed), []
    for number, group in enumerate(real_hardware.emon_groups(log)):
        away = hidden(log, group, seeds.generator(seed, "held out", "simulated", number))
        rows.append({"program": "simulated", "group": number} | _predicted(log, group, away))
    return pd.DataFrame(rows)


def stand_in_orders(slices: int, seed: int) -> pd.DataFrame:
    """Return what `orders` gives, for a simulated pair of events of which one is part of the other."""
    rng = seeds.generator(seed, "stand-in orders")
    part = np.exp(10 + np.cumsum(rng.normal(0, 0.1, slices)))
    truth = np.column_stack([part, part * (1 + 0.1 * rng.random(slices))])
    seen = truth * np.exp(0.05 * rng.normal(size=truth.shape))
    times = real_hardware.INTERVAL_S * np.arange(1, slices + 1)
    shown = tuple(f"{time:.1f}" for time in times)
    log = Log("simulated", "perf", shown, times, ("PART", "WHOLE"), seen, np.full(truth.shape, RUNNING))
    table = correct(log).estimates.pivot(index="time_s", columns="event", values="mean").loc[list(shown)]
    after = float((table["PART"] > table["WHOLE"]).mean())
    before = float((seen[:, 0] > seen[:, 1]).mean())
    return pd.DataFrame([{"program": "simulated", "order": "PART ≤ WHOLE", "log": before, "posterior": after}])
