"""The recorded runs: every kind of fault at several places, and runs without one.

``sudo .venv/bin/python -m credence.kaleidoscope.testbed.campaign --out FOLDER`` brings the cluster up, makes every run
that is not in the folder yet, and takes the cluster down; with ``--enter`` the gathered tables go into the project.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from credence.bench import catalogue_entries, paths
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.tables import write_parquet
from credence.kaleidoscope.testbed import cluster, faults, measure, overhead, requirements

REPEATS = 3
BASE_RUNS = 7
SETTLE_S = 4.0
TABLES = ("runs", "probes", "telemetry", "messages", "overhead")

_RUN = "number of the run, as in the table of runs [index]"
_TIME = "since the start of the run [s]"
COLUMNS = {
    "runs": {
        "run": "number of the run [index]",
        "fault": "kind of fault, none without one [name]",
        "component": "where it was put in [name]",
        "cause": "what a diagnosis should say: reliability, overload, none [name]",
        "repeat": "number of the run of that kind [index]",
        "began_s": "when the fault was put in, since the start of the run [s]",
        "ended_s": "when it was taken back [s]",
        "steps": "what was done [text]",
        "date": "day of the run [date]",
    },
    "probes": {
        "run": _RUN,
        "time_s": f"launch, {_TIME}",
        "client": "probing client [name]",
        "target": "storage target that the file is pinned to [name]",
        "operation": "crwr, wrex or rmex [name]",
        "latency_s": "until the answer; the time limit where there was none [s]",
        "errno": "error number of the answer; 0: none [1]",
        "outcome": "done, timeout (1 s) or missing (never launched: the one before was still under way) [name]",
    },
    "telemetry": {"run": _RUN, "time_s": _TIME, "component": "what is looked at [name]"},
    "messages": {
        "run": _RUN,
        "time_s": _TIME,
        "source": "who wrote it: a component, or the kernel [name]",
        "about": "which component it speaks of [name]",
        "line": "what was written [text]",
    },
    "overhead": overhead.COLUMNS,
}
TITLES = {
    "runs": "Runs on a MooseFS cluster in network namespaces, with and without a fault, measured here",
    "probes": "Probes of the runs on the MooseFS cluster, ping by ping, measured here",
    "telemetry": "Telemetry of the runs on the MooseFS cluster, a row a component and second, measured here",
    "messages": "Messages of the servers and the kernel during the runs on the MooseFS cluster, measured here",
    "overhead": "What probing costs a write load on the MooseFS cluster, measured here",
}
NOTE = (
    "MooseFS 3.0 (Debian), 2 probing clients, 2 routers, 1 metadata server, 4 chunk servers in namespaces of one "
    "two-core virtual machine that did other work too (at lower priority); each server capped at 20 % of a processor "
    "and 2 MB/s of disk. Faults are real: a stopped process, dropped packets, a throttled disk or interface, writers."
)


def planned(repeats: int = REPEATS, base_runs: int = BASE_RUNS) -> list[tuple[str, str, int]]:
    """Return fault, place and repeat of every run: base runs first and between, faults at place after place."""
    runs = []
    for repeat in range(max(repeats, base_runs)):
        if repeat < base_runs:
            runs.append(("none", "", repeat))
        if repeat < repeats:
            runs += [
                (kind.name, kind.components[repeat % len(kind.components)], repeat) for kind in faults.KINDS.values()
            ]
    return runs


def one(found: cluster.Cluster, folder: Path, number: int, fault: str, component: str, repeat: int) -> None:
    """Make one run and write its tables to `folder`; the table of the run itself comes last, so that it is whole."""
    run = measure.measure(found, fault, component or None)
    for name in ("probes", "telemetry", "messages"):
        write_parquet(getattr(run, name).assign(run=number), folder / f"{name}-{number:03}.parquet")
    row = {
        "run": number,
        "fault": fault,
        "component": component,
        "cause": faults.KINDS[fault].cause if fault in faults.KINDS else "none",
        "repeat": repeat,
        "began_s": run.began_s,
        "ended_s": run.ended_s,
        "steps": run.steps,
        "date": datetime.now(UTC).date().isoformat(),
    }
    write_parquet(pd.DataFrame([row]), folder / f"runs-{number:03}.parquet")


def gather(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of all finished runs in a folder, columns in order."""
    tables = {}
    for name in TABLES:
        parts = [pd.read_parquet(path) for path in sorted(folder.glob(f"{name}-*.parquet"))]
        if not parts:
            raise InputError(f"{folder}: no table of {name}; allowed: a folder with finished runs")
        table = pd.concat(parts, ignore_index=True)
        table = table[["run", *[column for column in table if column != "run"]]]
        floats = list(table.select_dtypes("float64"))
        tables[name] = table.assign(**{column: table[column].round(6) for column in floats})
    return tables


def enter(tables: dict[str, pd.DataFrame]) -> None:
    """Put tables into ``data/kaleidoscope`` and the catalogue."""
    from credence.kaleidoscope.testbed.telemetry import METRICS

    for name, table in tables.items():
        path = paths.data_dir() / "kaleidoscope" / f"testbed-{name}.parquet"
        write_parquet(table, path, compression="zstd")
        columns = COLUMNS[name] | (METRICS if name == "telemetry" else {})
        fields = {
            "name": f"kaleidoscope-testbed-{name}",
            "title": TITLES[name],
            "paper": "kaleidoscope",
            "kind": "measured-here",
            "generator": "python -m credence.kaleidoscope.testbed.campaign --out FOLDER --enter",
            "note": f"Recorded {tables['runs']['date'].max()}. {NOTE}",
        }
        catalogue_entries.enter(path, fields, columns)


def main(arguments: list[str] | None = None) -> None:
    """Make the runs that are not there yet."""
    parser = argparse.ArgumentParser(prog="python -m credence.kaleidoscope.testbed.campaign", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished runs")
    parser.add_argument("--enter", action="store_true", help="put the gathered tables into the project")
    given = parser.parse_args(arguments)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        todo = [
            (number, *run)
            for number, run in enumerate(planned())
            if not (given.out / f"runs-{number:03}.parquet").exists()
        ]
        loads = given.out / "overhead-000.parquet"
        if todo or not loads.exists():
            requirements.require()
            print(requirements.AS_ROOT, file=sys.stderr)
            try:
                found = cluster.up()
                for number, *run in track(todo, "runs"):
                    one(found, given.out, number, *run)
                    time.sleep(SETTLE_S)
                if not loads.exists():
                    write_parquet(overhead.measure(found), loads)
            finally:
                cluster.down()
        if given.enter:
            enter(gather(given.out))
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
