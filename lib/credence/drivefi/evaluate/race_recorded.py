"""The judged race, recorded: ``python -m credence.drivefi.evaluate.race_recorded --out FOLDER [--gather]``.

One parquet file a seed and selector, written as soon as it is done, so that the command can be stopped and started;
``--gather`` writes ``data/drivefi/recorded-race-{rows,curves}.parquet`` and prints their entries for the catalogue.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue, catalogue_entries, paths
from credence.bench.errors import InputError
from credence.bench.seeds import generator
from credence.bench.tables import write_parquet
from credence.drivefi.data.variables import fault_types
from credence.drivefi.evaluate import race
from credence.drivefi.infer.critical import critical, scores
from credence.drivefi.select import forecasts, table
from credence.drivefi.select.gp_selector import spread
from credence.drivefi.select.pool import Purse

FIRST = ("gp", "random", "tbn", "tbn-rolling", "tbn-regimes", "size", "srmf", "taliro", "tpe", "verifai")
THEN = (
    "gp-plain",
    "gp-lcb",
    "tpe-size",
    "taliro-size",
    "verifai-size",
    "gp-diverse",
    "gp-impatient",
    "gp-ei",
    "gp-straddle",
    "gp-mean",
    "gp-refit",
)
FREE = {"tbn": 110, "tbn-rolling": 110, "gp": 30}
TRAINING = 110  # of the 3-TBN, a quarter of the budget
HORIZONS = {"one slice (paper)": 1, "15 slices": 15, "15 slices, regimes": 15}
SHARES = {
    "share_throttle": ("throttle",),
    "share_pid_input": ("pid_measured_value",),
    "share_fused_class": ("fused_obstacle_class",),
}
NAMES = {kind: f"drivefi-race-{kind}" for kind in ("rows", "curves", "engine", "first")}
FILES = {kind: f"recorded-race-{kind}.parquet" for kind in NAMES}


def given_training(name: str):
    """Return a selector whose training runs are given to it, and how many those are."""
    free = FREE[name]
    if name == "gp":
        return table.SELECTORS["gp"], free
    share = free / (round(race.BUDGET * 55350) + free)
    return partial(table.three_slices, train=share, horizon=1 if name == "tbn" else table.ROLLING_SLICES), free


def engine(pool: race.Pool) -> pd.DataFrame:
    """Return what the paper's criterion selects of a pool, by forecast: one row a variant.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``seed``, ``size`` (of F_crit), ``found``, ``precision``, ``recall``, ``f1``, ``share`` (of the
        pool), ``critical_scenes`` (scenes with a hazard found, of all), ``random_found`` (hazards among as many faults
        at random), and the shares of F_crit of `SHARES` [1].
    """
    rng = generator(pool.seed, "engine")
    purse = Purse(pool.simulate, TRAINING, pool.logs)
    chosen = spread(pool.view, TRAINING, rng, pool.view.active)
    variables = np.array([item.variable for item in fault_types()])[pool.view.type]
    rows = []
    for name, horizon in HORIZONS.items():
        cpds = forecasts.train(pool.view, purse, chosen, by_regime="regimes" in name)
        golden, predicted = forecasts.delta(pool.view, cpds, horizon)
        picked = critical(golden, predicted) & pool.view.active
        hits = picked & pool.critical
        row = {"variant": name, "seed": pool.seed, **scores(picked, pool.critical), "share": picked.mean()}
        row["critical_scenes"] = len(np.unique(pool.view.scene[hits])) / len(pool.view.scene_features)
        row["random_found"] = pool.critical.mean() * row["size"]
        row |= {k: np.isin(variables[picked], v).mean() if picked.any() else 0.0 for k, v in SHARES.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def jobs(seeds: Sequence[int]) -> list[tuple[int, str, str]]:
    """Return (seed, kind, selector) of every run, those of all seeds that matter most first.

    The paper's criterion is judged on the seeds of the first race, selectors on those of the second.
    """
    engines = [(seed, "engine", "all") for seed in seeds if seed in race.FIRST_SEEDS]
    seeds = [seed for seed in seeds if seed not in race.FIRST_SEEDS]
    first = engines + [(seed, "paid", name) for seed in seeds for name in FIRST]
    free = [(seed, "free", name) for seed in seeds for name in FREE]
    return first + [(seed, "paid", name) for name in THEN for seed in seeds] + free


def make(pool: race.Pool, kind: str, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run one job; return its rows and its curve (empty for ``engine``)."""
    if kind == "engine":
        return engine(pool), pd.DataFrame()
    selector, free = given_training(name) if kind == "free" else (table.SELECTORS[name], 0)
    row, order = race.run(pool, name, selector, free=free)
    labels = {"training": kind, "selector": name, "seed": pool.seed}
    return pd.DataFrame([row]).assign(**labels), race.curve(pool, order).assign(**labels)


def gather(folder: Path) -> dict[str, pd.DataFrame]:
    """Return rows, curves and engine of all files of a folder, in a fixed order.

    Raises
    ------
    InputError
        If there are none.
    """
    found = {}
    for kind, pattern in {"rows": "row-*", "curves": "curve-*", "engine": "engine-*"}.items():
        files = sorted(Path(folder).glob(f"{pattern}.parquet"))
        if not files:
            raise InputError(f"{folder}: no {pattern}.parquet; allowed: a folder that this command has written")
        frame = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
        first = [c for c in ("training", "variant", "selector", "seed", "simulations") if c in frame]
        frame = frame[[*first, *(c for c in frame if c not in first)]]
        found[kind] = frame.sort_values(first, ignore_index=True)
    return found


COLUMNS = {
    "training": "paid: training runs are paid out of the budget; free: they are given [name]",
    "variant": "slices forecast; conditionals by regime or not [name]",
    "selector": "who chooses [name]",
    "seed": "scenario seed [1]",
    "simulations": "simulations made [1]",
    "seconds": "wall time on a shared machine, simulations looked up [s]",
    "hazards": "critical faults found [1]",
    "critical": "critical faults in the pool [1]",
    "recall": "critical faults found, of all [1]",
    "precision": "critical faults of those simulated or selected [1]",
    "scenes": "scenes with a critical fault found [1]",
    "types": "fault types with a critical fault found [1]",
    "types_often": "those of types_to_find found [1]",
    "types_to_find": "fault types with five or more critical faults [1]",
    "scenarios": "scenarios with a critical fault found [1]",
    "modelled_hours": "simulations at the paper's 9 minutes a run [h]",
    "size": "faults selected by eq. 1 [1]",
    "found": "critical faults among them [1]",
    "f1": "harmonic mean of precision and recall [1]",
    "share": "faults selected, of the pool [1]",
    "critical_scenes": "scenes with a critical fault found, of all scenes [1]",
    "random_found": "critical faults expected among as many random faults [1]",
    "share_throttle": "throttle faults among those selected [1]",
    "share_pid_input": "faults of the PID controller's measured value among those selected [1]",
    "share_fused_class": "faults of the fused obstacle class among those selected [1]",
}
TITLES = {
    "rows": "The simulated race of fault selectors on ten judging seeds, run by run (second race, seeds 200 to 209)",
    "curves": "The simulated race of fault selectors: hazards found over simulations",
    "engine": "What the paper's criterion selects on ten simulated judging seeds, by forecast",
}


def enter(kind: str, path: Path, day: str) -> str:
    """Enter a recorded table into the catalogue; return the entry."""
    fields = {
        "name": NAMES[kind],
        "title": TITLES[kind],
        "paper": "drivefi",
        "kind": "simulated",
        "generator": "credence.drivefi.evaluate.race_recorded:make",
        "seed": 0,
        "note": f"generated, not measured. Recorded {day} with: python -m credence.drivefi.evaluate.race_recorded "
        "--out FOLDER --gather.",
    }
    return catalogue_entries.enter(path, fields, COLUMNS)


def read(kind: str) -> pd.DataFrame:
    """Return ``"rows"``, ``"curves"``, ``"engine"``, or ``"first"`` (rows of the first race, whose frozen selector was
    "many and diverse" without patience) as recorded, through the catalogue.
    """
    return catalogue.frame(NAMES[kind])


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that are not there yet, and gather them."""
    parser = argparse.ArgumentParser(prog="python -m credence.drivefi.evaluate.race_recorded", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*race.FIRST_SEEDS, *race.JUDGING_SEEDS])
    parser.add_argument(
        "--gather", action="store_true", help="only write the tables of the checkout from what is there"
    )
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    pool_of = cache(race.declared_pool)
    try:
        for seed, kind, name in [] if given.gather else jobs(given.seeds):
            path = given.out / ("engine" if kind == "engine" else "row")
            path = path.with_name(f"{path.name}-{kind}-{name}-{seed}.parquet")
            if path.exists():
                continue
            rows, curve = make(pool_of(seed), kind, name)
            if len(curve):
                write_parquet(curve, given.out / f"curve-{kind}-{name}-{seed}.parquet")
            write_parquet(rows, path)
            print(path.stem, file=sys.stderr, flush=True)
        if given.gather:
            for kind, frame in gather(given.out).items():
                path = paths.data_dir() / "drivefi" / FILES[kind]
                write_parquet(frame, path, compression="zstd", compression_level=19)
                print(enter(kind, path, f"{datetime.now(UTC):%Y-%m-%d}"))
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
