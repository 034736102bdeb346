"""Schedules for the event lists of the study, chosen by replaying the training programs, and kept in git.

A candidate is `schedule.a_optimal` with one choice of what theory leaves open; which one is taken is decided by the
smoother's own error on replays of the training programs (test programs are never looked at). That takes minutes, so the
result is a file: ``python -m credence.bayesperf.evaluate.planned --out FILE`` makes it again, or goes on with it.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from credence.bayesperf import schedule
from credence.bayesperf.data import traces
from credence.bayesperf.data.pmu import Pmu
from credence.bayesperf.evaluate import metrics
from credence.bayesperf.infer import Prior, Settings, smooth, trained_prior
from credence.bayesperf.schedule.constraints import as_groups, as_schedule, fits
from credence.bayesperf.schedule.expectation import case_of, coordinates
from credence.bayesperf.world.replay import replay
from credence.bench import paths, seeds
from credence.bench.errors import InputError
from credence.bench.record import write_atomic

FILE = "schedules.toml"
# Level's standard deviation, periods of the default, and whether the first slice is set apart; None = no optimum, but
# the rotation over a basis, as it is or with the exchanges of an optimum.
CANDIDATES = {
    "rotation": None,
    "known": (0.2, 1.0, False),
    "long": (1.5, 1.5, True),
    "improved": None,
}
# Exchanges after the greedy step; more lower the expected error by less than 1 % per hundred.
TRIES = 60
# Slices of each program that candidates are replayed on.
LONGEST = 300


def candidate(
    name: str, counts: Sequence[np.ndarray], events: Sequence[str], relations, pmu: Pmu, axes: tuple
) -> np.ndarray:
    """Return one candidate schedule [period, events].

    Parameters
    ----------
    name : str
        Of `CANDIDATES`.
    counts : sequence of arrays [slices, events]
        Exact counts of training programs.
    events, relations, pmu
        What is scheduled.
    axes : tuple
        Of the seed.
    """
    if CANDIDATES[name] is None:
        scale = np.exp(np.mean([np.log(np.maximum(one.mean(axis=0), 1e-3)) for one in counts], axis=0))
        found = schedule.basis_rotation(events, pmu, coordinates(events, relations, scale).basis)
        if name == "rotation":
            return found
        cases = [case_of(one, events, relations, 1.5) for one in counts]
        weights = np.array([event not in pmu.fixed for event in events], float)
        rng = seeds.generator(0, "schedule", name, *axes)
        return schedule.improve(np.tile(found, (2, 1)), cases, pmu, weights / weights.sum(), TRIES, rng)
    level, periods, opens = CANDIDATES[name]
    cases = [case_of(one, events, relations, level) for one in counts]
    period = max(2, round(periods * schedule.default_period(cases, pmu)))
    opening = schedule.opening_group(counts, events, pmu) if opens else None
    rng = seeds.generator(0, "schedule", name, *axes)
    return schedule.a_optimal(cases, pmu, period, TRIES, rng, opening)


def replayed_error(
    found: np.ndarray, readings: dict[str, np.ndarray], events, relations, priors: dict[str, Prior], pmu: Pmu
) -> float:
    """Return the geometric mean over programs of the joint posterior's WAPE under a schedule.

    Geometric, so that one short and bursty program does not outvote all others.
    """
    columns = [place for place, event in enumerate(events) if event not in pmu.fixed]
    errors = []
    for program, exact in readings.items():
        rng, exact = seeds.generator(0, "choosing schedules", program), exact[:LONGEST]
        observed = replay(events, exact, schedule.repeat(found, len(exact)), rng)
        mean = smooth(observed, relations, Settings(), priors[program]).mean
        errors.append(np.nanmean(metrics.wape(np.maximum(mean, 0), exact.sum(axis=1))[columns]))
    return float(np.exp(np.mean(np.log(errors))))


def refined(found: np.ndarray, events: Sequence[str], pmu: Pmu, error, tries: int, rng: np.random.Generator):
    """Return a schedule after `tries` exchanges of one event, each kept if the replayed error falls, and that error.

    Parameters
    ----------
    found : bool array [period, events]
    events, pmu
        What is scheduled.
    error : callable
        Of a schedule.
    tries : int
    rng : numpy.random.Generator
    """
    free = np.array([event not in pmu.fixed for event in events])
    best = error(found)
    for _ in range(tries):
        row = int(rng.integers(len(found)))
        trial = found.copy()
        trial[row, rng.choice(np.flatnonzero(found[row] & free))] = False
        trial[row, rng.choice(np.flatnonzero(~found[row] & free))] = True
        if (
            fits(pmu, [event for event, on in zip(events, trial[row], strict=True) if on])
            and (now := error(trial)) < best
        ):
            found, best = trial, now
    return found, best


@cache
def recorded(machine: str, n: int, counters: int, kind: str = "vendor") -> tuple[tuple[str, ...], ...] | None:
    """Return the groups of the recorded schedule, or None where none is recorded."""
    path = paths.data_dir() / "bayesperf" / FILE
    if not path.exists():
        return None
    table = tomllib.loads(path.read_text(encoding="utf-8")).get(key(machine, n, counters, kind))
    return None if table is None else tuple(tuple(group) for group in table["groups"])


def key(machine: str, n: int, counters: int, kind: str = "vendor") -> str:
    """Return the name of a recorded schedule."""
    return f"{machine}-{kind}-{n}-{counters}"


def entry(machine: str, n: int, counters: int, chosen: str, errors: dict[str, float], groups) -> str:
    """Return the text of one recorded schedule."""
    lines = [f'["{key(machine, n, counters)}"]', f'candidate = "{chosen}"']
    told = ", ".join(f"{name} = {100 * error:.2f}" for name, error in errors.items())
    lines += [f"training_error_percent = {{ {told} }}", "groups = ["]
    lines += ["  [" + ", ".join(f'"{event}"' for event in group) + "]," for group in groups]
    return "\n".join([*lines, "]", ""])


def choose(machine: str, n: int, counters: int, names: Sequence[str] = tuple(CANDIDATES), tries: int = 0) -> str:
    """Make and compare the candidates for one list; return the entry of the best, refined by `tries` exchanges."""
    from credence.bayesperf.evaluate import study

    pmu, events, relations = study.listed(machine, n, counters)
    counts = study.training_counts(machine, events)
    readings = {name: traces.slice_counts(traces.trace(machine, name), events) for name in counts}
    priors = {name: trained_prior(machine, events, name) for name in counts}
    made, errors = {}, {}
    for name in names:
        made[name] = candidate(name, list(counts.values()), events, relations, pmu, (machine, n, counters))
        errors[name] = replayed_error(made[name], readings, events, relations, priors, pmu)
    best = min(errors, key=errors.get)
    if tries:
        rng = seeds.generator(0, "refining schedules", machine, n, counters)
        judge = partial(replayed_error, readings=readings, events=events, relations=relations, priors=priors, pmu=pmu)
        made["refined"], errors["refined"] = refined(made[best], events, pmu, judge, tries, rng)
        best = "refined"
    return entry(machine, n, counters, best, errors, as_groups(made[best], events, pmu))


def planned(machine: str, events: Sequence[str], pmu: Pmu, groups) -> np.ndarray:
    """Return recorded groups as a schedule [period, events].

    Raises
    ------
    InputError
        If they name an event that is not listed: the list has changed since.
    """
    if unknown := sorted({event for group in groups for event in group} - set(events)):
        raise InputError(f"{FILE} for {machine} counts {unknown[0]}; allowed: the listed events")
    return as_schedule(groups, events, pmu)


HEAD = """# Schedules of the study's event lists: groups of events to count together, one slice after another.
# Chosen on the training programs alone; `training_error_percent` says what was tried and how well it did there.
# Made by `python -m credence.bayesperf.evaluate.planned --out FILE --only KEY`, that of 20 events on 8 counters with
# --tries, in several runs whose candidates differed (longer: a longer period).
# Taken into the study after its first run on the test programs, under plain rotations, had been seen.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m credence.bayesperf.evaluate.planned", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write, or to go on with")
    parser.add_argument("--only", nargs="*", default=[], help="keys such as qemu-x86-vendor-10-4; all if not given")
    parser.add_argument("--tries", type=int, default=0, help="exchanges judged by replay")
    options = parser.parse_args(arguments)
    from credence.bayesperf.data.pmu import LIST_SIZES

    done = options.out.read_text(encoding="utf-8") if options.out.exists() else HEAD
    for machine, several in (("qemu-x86", (4, 8)), ("qemu-ppc64", (4, 8))):
        for n in LIST_SIZES:
            for counters in several:
                name = key(machine, n, counters)
                if f'["{name}"]' in done or (options.only and name not in options.only):
                    continue
                done += "\n" + choose(machine, n, counters, tries=options.tries)
                write_atomic(options.out, done)
                print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
