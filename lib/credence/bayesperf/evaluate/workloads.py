"""Errors program by program, with the paper's bars beside them (Figs 6 and 7)."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from credence.bayesperf.data.paper import WORKLOADS
from credence.bayesperf.evaluate import errors
from credence.bench import paths
from credence.bench.errors import InputError
from credence.bench.progress import track

COUNTERS = 4
# What the figure calls a system, which schedule it ran under, and its column in the paper's figure, less the machine.
SYSTEMS = {
    "Linux": ("linux", "linux"),
    "CounterMiner": ("linux", "cm"),
    errors.OURS: ("optimal", "bayesperf"),
}
MACHINES = {"qemu-x86": "x86", "qemu-ppc64": "ppc64"}


def bars(frame: pd.DataFrame, paper: pd.DataFrame, events: int = 10) -> pd.DataFrame:
    """Return a row a machine, program and system.

    Parameters
    ----------
    frame : pandas.DataFrame
        Of `errors.recorded`.
    paper : pandas.DataFrame
        Fig 6: ``workload`` and ``<system>_<machine>_err_pct`` [%].
    events : int
        Listed events, on 4 counters.

    Returns
    -------
    pandas.DataFrame
        ``machine``, ``program``, ``split``, ``system``; ``wape``, ``dtw`` [%]; ``paper`` [%], NaN without a namesake.

    Raises
    ------
    InputError
        When the frame has no such rows.
    """
    namesake = {program: workload for workload, program in WORKLOADS.items()}
    printed = paper.set_index("workload")
    found = []
    for system, (schedule, short) in SYSTEMS.items():
        rows = frame[
            (frame["method"] == system)
            & (frame["schedule"] == schedule)
            & (frame["counters"] == COUNTERS)
            & (frame["n"] == events)
        ]
        if rows.empty:
            raise InputError(f"the study has no rows of {system} with {events} events; allowed: {set(frame['n'])}")
        for row in rows.itertuples():
            value = float("nan")
            if row.program in namesake and namesake[row.program] in printed.index:
                value = printed.loc[namesake[row.program], f"{short}_{MACHINES[row.machine]}_err_pct"]
            found.append((row.machine, row.program, row.split, system, 100 * row.wape, 100 * row.dtw_paper, value))
    columns = ["machine", "program", "split", "system", "wape", "dtw", "paper"]
    return pd.DataFrame(found, columns=columns)


def side(table: pd.DataFrame, machine: str, value: str) -> pd.DataFrame:
    """Return what the figure draws for one machine: Linux's largest errors first, training programs in brackets."""
    part = table[table["machine"] == machine]
    order = part[part["system"] == "Linux"].sort_values(value, ascending=False)["program"].tolist()
    part = part.sort_values(["system", "program"], key=lambda column: column.map(_place(order)))
    names = part["program"].where(part["split"] == "test", "(" + part["program"] + ")")
    return part.assign(program=names, ours=part[value])[["program", "system", "ours", "paper"]]


def _place(order: list[str]) -> dict[str, int]:
    return {name: k for k, name in enumerate([*SYSTEMS, *order])}


def again(events: int) -> pd.DataFrame:
    """Run the parts that the figures show again, in the run's folder."""
    folder = Path(os.environ.get("CREDENCE_RUN_DIR") or paths.reports_dir() / "workloads") / "errors"
    todo = [
        part
        for machine in MACHINES
        for split in ("test", "train")
        for part in errors.parts(machine, split, (events,))
        if part.counters == COUNTERS and part.schedule != "overlap"
    ]
    return pd.concat([errors.run_part(part, folder) for part in track(todo, "parts")], ignore_index=True)
