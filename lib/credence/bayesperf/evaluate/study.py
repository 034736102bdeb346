"""The study behind the error figures: programs × events × counters × schedules × methods, on one and the same replay.

A *part* is one replayed run: a program, an event list, a number of counters and a schedule. All methods see the same
observations. Finished parts are files, so that a study that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from credence.bayesperf import baselines, schedule
from credence.bayesperf.baselines.counterminer import TUNED
from credence.bayesperf.data import traces
from credence.bayesperf.data.observations import Observations
from credence.bayesperf.data.pmu import Pmu, event_list
from credence.bayesperf.data.pmu import pmu as find_pmu
from credence.bayesperf.evaluate import metrics, oracle, planned
from credence.bayesperf.infer import Posterior, Prior, Settings, smooth, trained_prior
from credence.bayesperf.model.relations import constants, eliminated, known_relations, matrix
from credence.bayesperf.world.replay import distort, replay
from credence.bench import seeds
from credence.bench.errors import InputError, choose
from credence.bench.progress import track
from credence.bench.tables import write_parquet

# Quantiles that a posterior's CRPS is computed from.
CRPS_LEVELS = (np.arange(40) + 0.5) / 40
SCHEDULES = ("linux", "overlap", "optimal")


@dataclass(frozen=True)
class Part:
    """One replayed run.

    Attributes
    ----------
    machine, program : str
    n, counters : int
        Programmable events listed, programmable counters.
    schedule : str
        One of `SCHEDULES`.
    kind : str
        Of `data.pmu.event_list`.
    seed : int
        Of the replay.
    read_noise, skid : float
        Of the replay; the judged case has 0.5 % and 2 %.
    dropped : int
        Identities that the methods are not told, the last ones of the list.
    """

    machine: str
    program: str
    n: int
    counters: int
    schedule: str = "optimal"
    kind: str = "vendor"
    seed: int = 0
    read_noise: float = 0.005
    skid: float = 0.02
    dropped: int = 0


@dataclass(frozen=True)
class Run:
    """What the methods are given, and the truth that only oracles look at.

    Attributes
    ----------
    part : Part
    pmu : Pmu
    observations : Observations
    relations : tuple of Relation
        Consequences of the known relations on the listed events, without those dropped.
    prior : Prior
        Of the training programs; of a training program, the others.
    truth : array [slices, events]
        Exact counts.
    """

    part: Part
    pmu: Pmu
    observations: Observations
    relations: tuple
    prior: Prior
    truth: np.ndarray


class Estimate(NamedTuple):
    """What a method says: ``mean`` and, where it has one, ``sd`` [slices, events], or a whole ``posterior``."""

    mean: np.ndarray
    sd: np.ndarray | None = None
    posterior: Posterior | None = None

    def quantile(self, probability: float) -> np.ndarray:
        """Return a quantile of each count [slices, events]; normal unless there is a posterior."""
        if self.posterior is not None:
            return self.posterior.quantile(probability)
        return np.maximum(self.mean + norm.ppf(probability) * self.sd, 0.0)


Method = Callable[[Run], Estimate]


def _whole(found: Posterior) -> Estimate:
    return Estimate(found.mean, found.sd, found)


METHODS: dict[str, Method] = {
    "Linux": lambda run: Estimate(baselines.hold(run.observations)),
    "interpolation": lambda run: Estimate(baselines.interpolate(run.observations)),
    "trapezoid": lambda run: Estimate(*baselines.trapezoid(run.observations)),
    "CounterMiner": lambda run: Estimate(baselines.counterminer(run.observations)),
    "CounterMiner, tuned": lambda run: Estimate(baselines.counterminer(run.observations, TUNED)),
    "plain Kalman": lambda run: Estimate(*baselines.plain_kalman(run.observations)),
    "joint posterior": lambda run: _whole(smooth(run.observations, run.relations, Settings(), run.prior)),
    "oracle covariance": lambda run: _whole(oracle.knowing_covariance(run.observations, run.truth, run.relations)),
    "oracle VAR(1)": lambda run: Estimate(*oracle.knowing_transition(run.observations, run.truth, run.relations)),
}
BASELINES = tuple(METHODS)[:6]


@cache
def listed(machine: str, n: int, counters: int, kind: str = "vendor") -> tuple[Pmu, tuple[str, ...], tuple]:
    """Return the PMU, the events (fixed ones first) and what the known relations say about them."""
    pmu = find_pmu(machine, counters)
    events = (*pmu.fixed, *event_list(pmu, n, kind))
    return pmu, events, tuple(eliminated(known_relations(machine), events))


@cache
def training_counts(machine: str, events: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return exact counts [slices, events] of the training programs by name."""
    names = traces.programs(machine, "train")
    return {name: traces.slice_counts(traces.trace(machine, name), events).sum(axis=1) for name in names}


@cache
def find_schedule(machine: str, n: int, counters: int, name: str, kind: str = "vendor") -> np.ndarray:
    """Return a schedule [period, events] of `listed` events by its name.

    ``optimal`` is the one recorded for the list; where none is, the rotation over a basis, which takes no search.
    """
    choose(name, SCHEDULES, "schedule")
    pmu, events, relations = listed(machine, n, counters, kind)
    if name == "linux":
        return schedule.linux_round_robin(events, pmu)
    if name == "overlap":
        return schedule.markov_blanket(events, pmu, known_relations(machine))
    groups = planned.recorded(machine, n, counters, kind)
    if groups is not None:
        return planned.planned(machine, events, pmu, groups)
    counts = list(training_counts(machine, events).values())
    return planned.candidate("rotation", counts, events, relations, pmu, (machine, n, counters))


def prepare(part: Part) -> Run:
    """Replay one part.

    Raises
    ------
    InputError
        For an unknown machine, program, schedule or list.
    """
    pmu, events, relations = listed(part.machine, part.n, part.counters, part.kind)
    if not 0 <= part.dropped <= sum(relation.kind == "eq" for relation in relations):
        raise InputError(f"dropped is {part.dropped!r}; allowed: from 0 to the number of identities")
    readings = traces.slice_counts(traces.trace(part.machine, part.program), events)
    tested = part.program if part.program in traces.programs(part.machine, "train") else ""
    laid = find_schedule(part.machine, part.n, part.counters, part.schedule, part.kind)
    # the same noise for every schedule and number of counters: the run is one and the same
    rng = seeds.generator(part.seed, "replay", part.machine, part.program, part.n)
    on = schedule.repeat(laid, len(readings))
    observations = replay(events, readings, on, rng, part.read_noise, part.skid)
    identities = [relation for relation in relations if relation.kind == "eq"]
    kept = identities[: len(identities) - part.dropped] + [r for r in relations if r.kind != "eq"]
    prior = trained_prior(part.machine, events, tested)
    return Run(part, pmu, observations, tuple(kept), prior, readings.sum(axis=1))


def polled_again(part: Part, events: Sequence[str]) -> np.ndarray:
    """Return a second polled run of the program [slices, events]: begun half a slice later, with noise of its own."""
    trace = traces.trace(part.machine, part.program)
    counts = traces.columns(trace, events)[traces.READINGS // 2 :]
    whole = counts[: len(counts) // traces.READINGS * traces.READINGS].reshape(-1, traces.READINGS, len(events))
    rng = seeds.generator(part.seed, "polled again", part.machine, part.program, part.n)
    return distort(whole, part.read_noise, part.skid, rng).sum(axis=1)


def score(run: Run, found_by: Estimate) -> dict[str, float]:
    """Return the metrics of one estimate, over the programmable events.

    Returns
    -------
    dict
        ``wape``, ``dtw``, ``dtw_paper`` and ``crps`` in shares (means over events), ``violated``; ``judged`` cells and
        over them ``coverage_50`` … ``width_95``, ``coverage_90_`` by rarity with ``cells_``. NaN without sd.
    """
    mean, sd = found_by.mean, found_by.sd
    columns = [place for place, event in enumerate(run.observations.events) if event not in run.pmu.fixed]
    mean = np.maximum(mean, 0.0)
    orders = matrix(run.relations, run.observations.events, "le")
    found = {"violated": metrics.violated_orders(mean, orders, constants(run.relations, run.observations.events, "le"))}
    truth, estimate = run.truth[:, columns], np.ascontiguousarray(mean[:, columns])
    again = polled_again(run.part, [run.observations.events[place] for place in columns])
    every = {
        "wape": metrics.wape(estimate, truth),
        "dtw": metrics.dtw_error(estimate, truth),
        "dtw_paper": metrics.dtw_error_of_paper(estimate, truth, again),
    }
    if sd is not None:
        spread = sd[:, columns]
        quantiles = np.stack([found_by.quantile(level)[:, columns] for level in CRPS_LEVELS])
        every["crps"] = metrics.relative_crps(metrics.crps_quantiles(quantiles, CRPS_LEVELS, truth), truth)
        level = truth.mean(axis=0)
        cells = metrics.judged_cells(run.observations.on[:, columns], spread, level) & (level > 0)
        found["judged"] = int(cells.sum())
        for probability in metrics.LEVELS:
            low, high = (found_by.quantile(0.5 + side * probability / 2)[:, columns] for side in (-1, 1))
            if probability == 0.9:
                by_rarity = metrics.coverage_by_rarity(low, high, truth, cells)
            found[f"coverage_{round(100 * probability)}"] = metrics.coverage(low, high, truth, cells)
            found[f"width_{round(100 * probability)}"] = metrics.width(low, high, level, cells)
        for name, (share, count) in by_rarity.items():
            found[f"coverage_90_{name}"], found[f"cells_{name}"] = share, count
    return {name: float(np.nanmean(values)) for name, values in every.items()} | found


def evaluate(part: Part, methods: Iterable[str] | None = None) -> pd.DataFrame:
    """Return one row per method for a part: the part's own fields, ``split``, ``method``, `score` and ``seconds``."""
    run, rows = prepare(part), []
    split = "train" if part.program in traces.programs(part.machine, "train") else "test"
    for name in METHODS if methods is None else methods:
        begin = time.perf_counter()
        estimate = METHODS[choose(name, METHODS, "method")](run)
        seconds = time.perf_counter() - begin
        rows.append(asdict(part) | {"split": split, "method": name} | score(run, estimate) | {"seconds": seconds})
    return pd.DataFrame(rows)


def _file(folder: Path, part: Part, methods: Sequence[str], version: str) -> Path:
    words = repr((sorted(asdict(part).items()), tuple(methods), version))
    digest = hashlib.sha256(words.encode()).hexdigest()[:12]
    return folder / f"{part.machine}-{part.program}-{part.n}-{part.counters}-{part.schedule}-{digest}.parquet"


def study(parts: Iterable[Part], folder: Path, methods: Iterable[str] | None = None, version: str = "") -> pd.DataFrame:
    """Evaluate parts, each finished one kept in `folder`; a second call does only what is missing.

    Parameters
    ----------
    parts : iterable of Part
    folder : Path
        Made if it does not exist.
    methods : iterable of str, optional
        Of `METHODS`; all of them if not given.
    version : str
        Part of the files' names: another one does everything anew (say, the settings that were used).

    Returns
    -------
    pandas.DataFrame
        As of `evaluate`, in the order of the parts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = tuple(METHODS if methods is None else methods)
    frames = []
    for part in track(list(parts), "parts"):
        path = _file(folder, part, names, version)
        if not path.exists():
            write_parquet(evaluate(part, names), path)
        frames.append(pd.read_parquet(path))
    return pd.concat(frames, ignore_index=True)


def judged_parts(machine: str, sizes: Mapping[int, Sequence[int]], split: str = "test", **fields) -> list[Part]:
    """Return the parts of a machine: every program of a split × the list sizes of each number of counters.

    Parameters
    ----------
    machine : str
    sizes : mapping of int to sequence of int
        Counters -> list sizes: ``{4: (10, 20), 8: (10, 15, 20)}`` are the goals of the judged case.
    split : str
        ``test`` to report, ``train`` to choose.
    **fields
        Other fields of `Part`.
    """
    return [
        Part(machine, program, n, counters, **fields)
        for counters, several in sizes.items()
        for n in several
        for program in traces.programs(machine, split)
    ]


def summary(frame: pd.DataFrame, value: str = "wape") -> pd.DataFrame:
    """Return the mean of a metric over programs: one row per counters, n and schedule, one column per method."""
    index = ["machine", "counters", "n", "schedule"]
    table = frame.pivot_table(index=index, columns="method", values=value, aggfunc="mean", sort=False)
    return table.reset_index()
