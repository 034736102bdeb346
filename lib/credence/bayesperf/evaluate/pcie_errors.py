"""The counters' errors that the case study is fed with, measured on real programs under the simulated PMU.

``python -m credence.bayesperf.evaluate.pcie_errors --out FOLDER`` replays every test program, one file a program, so
that it can be stopped and started. It writes ``data/bayesperf/counter-errors.parquet`` and enters that into the
catalogue.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue_entries, paths
from credence.bench.errors import InputError
from credence.bench.tables import write_parquet

MACHINE, EVENTS, COUNTERS = "qemu-x86", 30, 4  # of the study's lists the one nearest to the schedulers' 32 events
# system: schedule and method of the study
SOURCES = {
    "Linux": ("linux", "Linux"),
    "CounterMiner": ("linux", "CounterMiner"),
    "BayesPerf": ("optimal", "joint posterior"),
}
FILE = "counter-errors.parquet"
COLUMNS = {
    "program": "test program [name]",
    "system": "who estimates the counts [name]",
    "mean_error": "mean over events of sum |estimate - truth| / sum truth, slice by slice [1]",
    "bias": "mean over events of |sum (estimate - truth)| / sum truth [1]",
    "autocorrelation": "of the error less its mean, from one slice to the next; mean over events [1]",
}


def error_figures(estimate: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return mean error, bias and autocorrelation of estimates, means over the events that happen at all.

    Parameters
    ----------
    estimate, truth : array [slices, events]
        Counts.

    Returns
    -------
    dict
        ``mean_error``, ``bias`` [1] as shares of an event's total, and ``autocorrelation`` [1] at one slice; an event
        whose error does not vary has none and is left out there.

    Raises
    ------
    InputError
        For unequal shapes, fewer than three slices, or no event that happens.
    """
    if estimate.shape != truth.shape or truth.ndim != 2 or len(truth) < 3:
        raise InputError(
            f"shapes {estimate.shape} and {truth.shape}; allowed: [slices, events] twice, three slices or more"
        )
    total = truth.sum(axis=0)
    if not (total > 0).any():
        raise InputError("no event happens; allowed: one or more")
    error = (estimate - truth)[:, total > 0] / truth.mean(axis=0)[total > 0]
    rest = error - error.mean(axis=0)
    power = (rest**2).sum(axis=0)
    varies = power > 1e-12 * len(rest)
    memory = (rest[1:] * rest[:-1]).sum(axis=0)[varies] / power[varies]
    return {
        "mean_error": float(np.abs(error).mean()),
        "bias": float(np.abs(error.mean(axis=0)).mean()),
        "autocorrelation": float(memory.mean()) if memory.size else 0.0,
    }


def program_errors(
    program: str, machine: str = MACHINE, events: int = EVENTS, counters: int = COUNTERS
) -> pd.DataFrame:
    """Return `error_figures` of every system for one program: ``program``, ``system`` and the three figures."""
    from credence.bayesperf.evaluate import study

    rows = []
    for system, (schedule, method) in SOURCES.items():
        run = study.prepare(study.Part(machine, program, events, counters, schedule))
        estimate = np.maximum(study.METHODS[method](run).mean, 0.0)
        mine = [place for place, event in enumerate(run.observations.events) if event not in run.pmu.fixed]
        rows.append({"program": program, "system": system} | error_figures(estimate[:, mine], run.truth[:, mine]))
    return pd.DataFrame(rows)


def pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the table that the case study reads: means over programs, a row a system."""
    return rows.groupby("system", sort=False)[["mean_error", "bias", "autocorrelation"]].mean().reset_index()


def enter(path: Path, day: str) -> str:
    """Enter the table into the catalogue; return the entry."""
    fields = {
        "name": "bayesperf-counter-errors",
        "title": f"Errors of counts of {EVENTS} events on {COUNTERS} counters; real programs, simulated PMU",
        "paper": "bayesperf",
        "kind": "measured-here",
        "generator": "python -m credence.bayesperf.evaluate.pcie_errors --out FOLDER",
        "note": f"Recorded {day}. Test programs only, x86; 0.5 % read noise, 2 % skid. For the case study.",
    }
    return catalogue_entries.enter(path, fields, COLUMNS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the counter errors of every test program and write the table."""
    parser = argparse.ArgumentParser(prog="python -m credence.bayesperf.evaluate.pcie_errors", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished programs")
    given = parser.parse_args(arguments)
    from credence.bayesperf.data import traces

    try:
        files = []
        for program in traces.programs(MACHINE, "test"):
            files.append(given.out / f"{MACHINE}-{program}-{EVENTS}-{COUNTERS}.parquet")
            if not files[-1].exists():
                write_parquet(program_errors(program), files[-1])
                print(program, file=sys.stderr, flush=True)
        path = paths.data_dir() / "bayesperf" / FILE
        write_parquet(pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)[list(COLUMNS)], path)
        print(enter(path, f"{datetime.now(UTC):%Y-%m-%d}"))
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
