"""The two-year replay: tuned on training months, judged on 24 others, written down.

``python -m credence.kaleidoscope.evaluate.production --out FOLDER`` runs it (a quarter of an hour on one core) and
writes

* ``recorded-production-tuning.parquet``: every setting tried, on three months of another draw of the world,
* ``recorded-production-issues.parquet``: 843 issues, and which method localised each, and when,
* ``recorded-production-quiet.parquet``: alarms that began in 2,000 windows without an issue, by method,
* ``recorded-production-months.parquet``: alarms of ours by month in the full replay, by variant.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.bench.progress import track
from credence.bench.tables import write_parquet
from credence.kaleidoscope import baselines
from credence.kaleidoscope.data.topology import topology
from credence.kaleidoscope.evaluate import contest, localising, scoring
from credence.kaleidoscope.evaluate.localising import Ours
from credence.kaleidoscope.world import issues, windows
from credence.kaleidoscope.world.windows import Breaks

SEED, TRAINING_SEED, TRAINING_MONTHS = 1, 1001, 3
TRAINING_SAMPLED = 400


@dataclass(frozen=True, eq=False)
class Scene:
    """Topologies and plan that all parts share."""

    full: object
    small: object
    what: windows.Plan


def scene() -> Scene:
    """Return Blue Waters with its routers (the world), without (the model), and the plan of probes."""
    full = topology("bluewaters-lnet")
    return Scene(full, topology("bluewaters"), windows.plan(full))


def tuning(here: Scene, months: int = TRAINING_MONTHS, sampled: int = TRAINING_SAMPLED, settings=None) -> pd.DataFrame:
    """Judge all settings on the training months; see :func:`~credence.kaleidoscope.evaluate.contest.tune`."""
    events = contest.timetable(here.full, TRAINING_SEED, months)
    data = contest.sample(here.full, here.what, events, months, TRAINING_SEED, sampled=sampled)
    return contest.tune(here.small, here.what, data, settings)


def variants(tuned: Ours) -> dict[str, tuple[str, Ours]]:
    """Return what is replayed in full: name -> topology of the model (small or full) and settings."""
    ours = replace(tuned, temporal=True)
    return {
        "ours": ("small", ours),
        "no temporal prior": ("small", replace(ours, temporal=False)),
        "no pairs": ("small", replace(ours, pair=False, temporal=False)),
        "missing is failed": ("small", replace(ours, missing="failed", temporal=False)),
        "untuned priors": ("small", Ours()),
        # with the tuned rate of a failed path (83 % of its probes get through) a dead router would hardly lose any
        "routers: or": ("full", Ours(lnet="or")),
        "routers: mixture": ("full", Ours(lnet="mixture")),
    }


class Replay:
    """Collects, month by month, what every variant blames."""

    def __init__(self, here: Scene, chosen: dict[str, tuple[str, Ours]]):
        self.here, self.chosen = here, chosen
        self.blames: dict[str, list[pd.DataFrame]] = {name: [] for name in chosen}
        self.prepared, self.strain = {}, []
        for name, (which, settings) in chosen.items():
            system = getattr(here, which)
            paths = system.paths(here.what.client, here.what.target, here.what.operation)
            self.prepared[name] = localising.prepare(paths, here.what.sent, settings)

    def month(self, number: int, succeeded: np.ndarray, missing: np.ndarray, strain: np.ndarray) -> None:
        """Localise one month in every variant."""
        self.strain.append(contest.strained(self.here.full, strain, number * issues.MONTH))
        for name, (_, settings) in track(self.chosen.items(), f"month {number + 1}"):
            found = localising.blamed(self.prepared[name], self.here.what.sent, succeeded, missing, settings)
            self.blames[name].append(found.assign(window=found["window"] + number * issues.MONTH))

    def all(self, name: str) -> pd.DataFrame:
        """Return the blames of a variant over all months."""
        return pd.concat(self.blames[name], ignore_index=True)


def thinned(front: list[int], points: int = 6) -> list[int]:
    """Return at most so many points of a front, its ends among them."""
    if len(front) <= points:
        return front
    return [front[k] for k in np.unique(np.linspace(0, len(front) - 1, points).round().astype(int))]


def entrants(table: pd.DataFrame) -> dict[str, tuple[str, object]]:
    """Return who takes part on the sampled windows: label -> method and settings; ``#`` marks points of a front."""
    settings, best = contest.tried(), contest.best(table)
    found: dict[str, tuple[str, object]] = {}
    for name in settings:
        if name != "ours":
            found[f"{name}, as published"] = (name, baselines.METHODS[name][1])
        found[f"{name}, tuned"] = (name, settings[name][best[name]])
        for number in thinned(contest.front(table, name)):
            found[f"{name} #{number}"] = (name, settings[name][number])
    return found


def by_month(blames: pd.DataFrame, events: pd.DataFrame, strain, months: int) -> pd.DataFrame:
    """Return alarms a month: all, of an event, of nothing; and those over half an hour, all and of nothing."""
    found = scoring.alarms(blames, events, strain)
    found["month"] = found["first"] // issues.MONTH
    found["long"] = found["last"] - found["first"] > scoring.JUDGED
    groups = found.assign(false=~found["true"], long_false=found["long"] & ~found["true"]).groupby("month")
    counts = groups.agg(
        alarms=("true", "size"),
        event=("event", "sum"),
        false=("false", "sum"),
        long=("long", "sum"),
        long_false=("long_false", "sum"),
    )
    return counts.reindex(range(months)).fillna(0).astype(int).reset_index()


def only_routers(here: Scene, known: pd.DataFrame) -> pd.DataFrame:
    """Return the issues of routers, with the routers of the group as the only answers."""
    rows = known[known["fault"] == "router"].copy()
    routers = set(here.full.of_kind("router").tolist())
    rows["answers"] = [tuple(c for c in each if c in routers) for each in rows["answers"]]
    return rows


def judged(here: Scene, table: pd.DataFrame, months: int, sampled: int = contest.SAMPLED, seed: int = SEED,
           breaks: Breaks | None = None, keep=None) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Replay the judged months.

    Parameters
    ----------
    here : Scene
    table : pandas.DataFrame
        From :func:`tuning`.
    months, sampled, seed, breaks
        Of the world.
    keep : collection of str, optional
        Labels of entrants to run; all by default.

    Returns
    -------
    dict
        ``issues``, ``quiet``, ``months``: see the top of the module.
    """
    events = contest.timetable(here.full, seed, months)
    settings = contest.tried()["ours"][contest.best(table)["ours"]]
    replay = Replay(here, variants(settings))
    data = contest.sample(here.full, here.what, events, months, seed, breaks, sampled, replay.month)
    rows, quiet, counts = [], [], []
    strain = np.concatenate(replay.strain)
    for name in replay.chosen:
        blames = replay.all(name)
        rows.append(scoring.hits(data.known, blames).assign(method=name))
        if replay.chosen[name][0] == "full":
            rows.append(scoring.hits(only_routers(here, data.known), blames).assign(method=f"{name}, group named"))
        counts.append(by_month(blames, events, strain, months).assign(method=name))
    for label, (name, setting) in track(entrants(table).items(), "methods"):
        if keep is not None and label not in keep:
            continue
        hit, calm = contest.judge(contest.blames_of(name, setting, here.small, here.what, data), data)
        rows.append(hit.assign(method=label))
        quiet.append(calm.assign(method=label, weight=data.weight))
    told = data.known[["event", "cause", "fault", "culprit", "first", "last", "loss", "load", "month"]]
    return {
        "issues": pd.concat(rows, ignore_index=True).merge(told, on="event"),
        "quiet": pd.concat(quiet, ignore_index=True),
        "months": pd.concat(counts, ignore_index=True),
    }


def again(
    here: Scene, table: pd.DataFrame, event: int, labels: list[str], seed: int = SEED, months: int = issues.MONTHS
):
    """Compute the row of one issue anew for methods that look at single windows; columns as in :func:`scoring.hits`.

    The month is simulated up to the issue's first half hour, from the same stream.
    """
    events = contest.timetable(here.full, seed, months)
    row = events[events["event"] == event]
    first, last = int(row["first"].iloc[0]), int(row["last"].iloc[0])
    last = min(last, first + scoring.JUDGED)
    parts = []
    for number in range(first // issues.MONTH, (last - 1) // issues.MONTH + 1):
        start = number * issues.MONTH
        counts = windows.month(here.full, here.what, events, number, seed, windows=min(last - start, issues.MONTH))
        span = slice(max(first - start, 0), None)
        parts.append((counts[0][span], counts[1][span]))
    succeeded, missing = (np.concatenate([each[k] for each in parts]) for k in (0, 1))
    data = contest.Sample(
        np.arange(first, last), succeeded, missing, row, events, np.zeros(0, int), 1.0, np.zeros(0, int)
    )
    known = entrants(table)
    found = []
    for label in labels:
        name, setting = known[label]
        blames = contest.blames_of(name, setting, here.small, here.what, data)
        found.append(scoring.hits(row, blames).assign(method=label))
    return pd.concat(found, ignore_index=True)


def main(arguments: list[str] | None = None) -> None:
    """Run all of it and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the parquet files")
    parser.add_argument("--months", type=int, default=issues.MONTHS)
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    here = scene()
    target = asked.out / "recorded-production-tuning.parquet"
    table = pd.read_parquet(target) if target.exists() else tuning(here)
    write_parquet(table, target)
    for name, frame in judged(here, table, asked.months).items():
        write_parquet(frame, asked.out / f"recorded-production-{name}.parquet", compression="zstd")


def draws_of_ratio(above, below, rng: np.random.Generator, draws: int = 2000) -> np.ndarray:
    """Return draws of a ratio of two counts over the same windows, resampling windows [draws].

    Half a count is added to both, so that a method without any alarm has a finite ratio.
    """
    above, below = np.asarray(above, float), np.asarray(below, float)
    weight = rng.multinomial(len(above), np.full(len(above), 1 / len(above)), draws)
    return (weight @ above + 0.5) / (weight @ below + 0.5)


def generator(name: str) -> np.random.Generator:
    """Return the stream of draws for one metric."""
    return seeds.generator(SEED, "kaleidoscope draws", name)


if __name__ == "__main__":
    main()
