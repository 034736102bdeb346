"""Errors over the number of events: the recorded study, and the metrics that claims are judged by.

``python -m credence.bayesperf.evaluate.errors --out FOLDER`` runs every part that is not in the folder yet and writes
``FOLDER/recorded-errors.parquet``; ``evaluate.recorded`` puts that into git.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bayesperf.data.pmu import LIST_SIZES
from credence.bayesperf.evaluate import study
from credence.bayesperf.infer import Settings
from credence.bayesperf.model.relations import matrix, rank
from credence.bench import catalogue, paths, seeds
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.tables import write_parquet

RECORDED = "bayesperf-recorded-errors"
OURS, HOLD, MINER = "joint posterior", "Linux", "CounterMiner"
COUNTERS = {"qemu-x86": (4, 8), "qemu-ppc64": (4,)}
GOALS = ((4, 10), (4, 20), (8, 10), (8, 15), (8, 20))
# What each schedule is run for: baselines have no identities to plan with, so that they get Linux's rotation.
METHODS = {
    "optimal": (OURS, "oracle covariance", "oracle VAR(1)", HOLD),
    "linux": (*study.BASELINES, OURS),
    "overlap": (OURS, HOLD),
}
KEY = ["machine", "program", "n", "counters", "schedule", "method"]
# Half-widths of the band that one program's coverage may lie in, below and above 0.9.
REACH = (0.15, 0.09)


def parts(machine: str, split: str = "test", sizes: Sequence[int] = LIST_SIZES) -> list[study.Part]:
    """Return the parts of the study for one machine: every schedule, number of counters and list size.

    The paper's overlap schedule is a side matter and runs on 4 counters; so do the training programs, which back no
    claim.
    """
    found = []
    for name in METHODS:
        counters = COUNTERS[machine] if split == "test" and name != "overlap" else (4,)
        if split == "test" or name != "overlap":
            table = {count: tuple(sizes) for count in counters}
            found += study.judged_parts(machine, table, split, schedule=name)
    return found


def run_part(part: study.Part, folder: Path) -> pd.DataFrame:
    """Evaluate one part with the methods of its schedule; what is in `folder` is read instead."""
    return study.study([part], folder, METHODS[part.schedule], version=repr(Settings()))


def recorded() -> pd.DataFrame:
    """Return the recorded study, a row a part and method: see `study.evaluate`."""
    return catalogue.frame(RECORDED)


def rank_table() -> pd.DataFrame:
    """Return, for each machine and list size, how many counts a slice the identities leave open [events]."""
    found = {}
    for machine in COUNTERS:
        column = {}
        for n in LIST_SIZES:
            known, events, relations = study.listed(machine, n, 4)
            column[n] = len(events) - rank(matrix(relations, events)) - len(known.fixed)
        found[f"{machine}: open beside the fixed counters [events]"] = column
    return pd.DataFrame(found).rename_axis("listed events").T


def again(jobs: int = 2) -> pd.DataFrame:
    """Run the whole study again, in the run's folder (about an hour on two cores), or go on with it."""
    folder = Path(os.environ.get("CREDENCE_RUN_DIR") or paths.reports_dir() / "errors") / "errors"
    return run_all(folder, jobs)


def run_all(folder: Path, jobs: int) -> pd.DataFrame:
    """Evaluate every part that is not in `folder` yet, `jobs` at a time."""
    todo = [part for machine in COUNTERS for split in ("test", "train") for part in parts(machine, split)]
    with ProcessPoolExecutor(jobs) as pool:
        done = pool.map(partial(run_part, folder=folder), todo)
        frame = pd.concat(track(done, "parts", total=len(todo)), ignore_index=True)
    return frame.sort_values(KEY, ignore_index=True)


def beside_recorded(now: pd.DataFrame, recorded: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of this run beside the recorded ones of the same parts and methods [%]."""
    keyed = [part.set_index(KEY)["wape"] * 100 for part in (now, recorded)]
    found = pd.concat(keyed, axis=1, keys=["this run", "recorded"], join="inner").reset_index()
    return found.set_index(["n", "method"])[["this run", "recorded"]]


def by_program(frame: pd.DataFrame, value: str, machine: str, method: str, schedule: str, counters: int) -> np.ndarray:
    """Return a metric [programs, list sizes], programs in alphabetical order and sizes rising.

    Raises
    ------
    InputError
        When the frame has no such rows, or not every program has every size.
    """
    wanted = {"machine": machine, "method": method, "schedule": schedule, "counters": counters}
    rows = frame[np.logical_and.reduce([frame[name] == value for name, value in wanted.items()])]
    table = rows.pivot(index="program", columns="n", values=value)
    if table.empty or table.isna().to_numpy().any():
        raise InputError(f"the study has {len(rows)} rows of {wanted}; allowed: every program with every list size")
    return table.to_numpy()


def claim_metrics(frame: pd.DataFrame, draws: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the metrics of the claims on errors, draws over test programs [draws].

    Parameters
    ----------
    frame : pandas.DataFrame
        Test programs of `recorded` or of a smaller study; metrics that it does not allow are left out.
    draws, seed : int
        Bootstrap over programs.
    """
    frame = frame[frame["split"] == "test"]
    sizes = sorted(frame["n"].unique())
    programs = {m: sorted(part["program"].unique()) for m, part in frame.groupby("machine")}
    weight = {
        machine: seeds.generator(seed, "programs", machine).multinomial(len(p), np.full(len(p), 1 / len(p)), draws)
        / len(p)
        for machine, p in programs.items()
    }

    def draw(value, machine, method, schedule, counters):
        """Means over programs [draws, sizes]."""
        return weight[machine] @ by_program(frame, value, machine, method, schedule, counters)

    found = {}
    for counters in COUNTERS["qemu-x86"]:
        ours = 100 * draw("wape", "qemu-x86", OURS, "optimal", counters)
        for place, n in enumerate(sizes):
            if (counters, n) in GOALS:
                found[f"wape_{counters}_{n}"] = ours[:, place]
        base = np.stack([100 * draw("wape", "qemu-x86", name, "linux", counters) for name in study.BASELINES])
        found[f"least_margin_{counters}"] = (base.min(axis=0) - ours).min(axis=1)
    hold = 100 * draw("wape", "qemu-x86", HOLD, "linux", 4)
    found["correct_ratio"] = (100 * draw("wape", "qemu-x86", OURS, "linux", 4)).mean(axis=1) / hold.mean(axis=1)
    if 35 in sizes and 10 in sizes:
        found["linux_wape_35"] = hold[:, sizes.index(35)]
        found["linux_rise_10_35"] = hold[:, sizes.index(35)] - hold[:, sizes.index(10)]
        found["dtw_35"] = 100 * draw("dtw_paper", "qemu-x86", OURS, "optimal", 4)[:, sizes.index(35)]
    covered = coverage_by_program(frame)
    shares = {machine: part["coverage"].to_numpy() for machine, part in covered.groupby("machine")}
    every = np.concatenate([shares[machine] for machine in programs])
    chosen = seeds.generator(seed, "coverage").integers(len(every), size=(draws, len(every)))
    found["coverage90_mean"] = every[chosen].mean(axis=1)
    found["coverage90_worst_distance"] = off_nominal(every)[chosen].max(axis=1)
    return found


def workload_metrics(frame: pd.DataFrame, n: int = 10, draws: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the metrics of the claims of Figs 6 and 7: `n` events on 4 counters, draws over test programs [draws]."""
    frame = frame[(frame["split"] == "test") & (frame["n"] == n)]
    found = {}
    for machine, short in (("qemu-x86", "x86"), ("qemu-ppc64", "ppc64")):
        count = frame.loc[frame["machine"] == machine, "program"].nunique()
        rng = seeds.generator(seed, "workloads", machine)
        weight = rng.multinomial(count, np.full(count, 1 / count), draws) / count
        mean = {
            (value, method): 100 * (weight @ by_program(frame, value, machine, method, schedule, 4))[:, 0]
            for value in ("dtw_paper", "wape")
            for method, schedule in ((OURS, "optimal"), (HOLD, "linux"), (MINER, "linux"))
        }
        found[f"dtw_bayesperf_{short}"] = mean["dtw_paper", OURS]
        found[f"dtw_linux_{short}"] = mean["dtw_paper", HOLD]
        found[f"dtw_factor_{short}"] = mean["dtw_paper", HOLD] / mean["dtw_paper", OURS]
        found[f"dtw_factor_counterminer_{short}"] = mean["dtw_paper", MINER] / mean["dtw_paper", OURS]
        found[f"wape_factor_{short}"] = mean["wape", HOLD] / mean["wape", OURS]
    return found


def coverage_by_program(frame: pd.DataFrame, level: int = 90) -> pd.DataFrame:
    """Return how much of a program's judged cells their interval holds: all list sizes and counters together.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of the joint posterior under the planned schedule are used.
    level : int
        50, 90 or 95 [%].

    Returns
    -------
    pandas.DataFrame
        ``machine``, ``program``, ``split``, ``cells``, ``coverage``.
    """
    rows = frame[(frame["method"] == OURS) & (frame["schedule"] == "optimal") & (frame["judged"] > 0)]
    held = rows[f"coverage_{level}"] * rows["judged"]
    groups = rows.assign(held=held).groupby(["machine", "program", "split"], sort=True)[["held", "judged"]].sum()
    found = groups.reset_index().rename(columns={"judged": "cells"})
    return found.assign(coverage=found["held"] / found["cells"]).drop(columns="held")


def off_nominal(coverage: np.ndarray) -> np.ndarray:
    """Return the distance from 0.9, scaled so that 0.75 and 0.99 both lie at 0.15."""
    below, above = np.maximum(0.9 - coverage, 0), np.maximum(coverage - 0.9, 0)
    return below + above * REACH[0] / REACH[1]


def over_size(frame: pd.DataFrame, value: str, chosen: Mapping[str, tuple[str, str]], draws: int = 400) -> pd.DataFrame:
    """Return a metric's mean over programs with its 90 % interval, for a figure.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of one machine and one number of counters.
    value : str
        Metric, a share.
    chosen : mapping of str to (method, schedule)
        What to show, by its name in the figure.
    draws : int
        Bootstrap over programs.

    Returns
    -------
    pandas.DataFrame
        ``system``, ``n``, ``mean``, ``lo``, ``hi`` [%].
    """
    found = []
    for name, (method, how) in chosen.items():
        rows = frame[(frame["method"] == method) & (frame["schedule"] == how)]
        table = 100 * rows.pivot(index="program", columns="n", values=value)
        rng = seeds.generator(0, "over size", name)
        some = table.to_numpy()[rng.integers(len(table), size=(draws, len(table)))].mean(axis=1)
        low, high = np.quantile(some, [0.05, 0.95], axis=0)
        columns = {"system": name, "n": table.columns, "mean": table.mean().to_numpy(), "lo": low, "hi": high}
        found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, part by part; it goes on where it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m credence.bayesperf.evaluate.errors", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished parts")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    frame = run_all(given.out, given.jobs)
    write_parquet(frame, given.out / "recorded-errors.parquet", compression="zstd")
    print(f"{len(frame)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()
