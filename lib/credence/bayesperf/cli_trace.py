"""``credence bayesperf trace``: every event of every interval of a program, on a simulated PMU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from credence.bench.errors import InputError, choose


def trace(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND", help="Program and its arguments; a script will do.")
    ] = None,
    out: Annotated[Path, typer.Option(help="CSV file to write: interval, and a column for each event.")] = Path(
        "trace.csv"
    ),
    interval: Annotated[int, typer.Option(help="Length of an interval in model cycles.")] = 1_000_000,
    rows: Annotated[int, typer.Option(help="Most intervals to record.")] = 6000,
    sysroot: Annotated[
        Path | None, typer.Option(help="Folder with the libraries of a program for another machine.")
    ] = None,
    workload: Annotated[
        str | None, typer.Option(help="Trace one of our own jobs (kmeans, wordcount, ...) instead of a command.")
    ] = None,
    scale: Annotated[float, typer.Option(help="Size of that job; the traces in git have 0.25 to 0.6.")] = 0.4,
) -> None:
    """Run a program in QEMU and write exact counts of 59 events for each interval (real program, simulated PMU).

    Needs QEMU user mode (Debian 12: apt install qemu-user) and a C compiler for the plugin. Only the process itself is
    counted, not those it starts; threads would be mixed up, so libraries are told to use one.
    """
    import sys

    import pandas as pd

    from credence.bayesperf.data import traces, tracing
    from credence.bench.tables import check_target, write_csv

    check_target(out)
    if bool(command) == bool(workload):
        raise InputError("allowed: either a command after -- or --workload NAME")
    if workload is not None:
        if not 0 < scale <= 10:
            raise InputError(f"--scale is {scale}; allowed: above 0, up to 10")
        command = [
            sys.executable,
            str(tracing.WORKLOADS),
            choose(workload, tracing.workloads(), "workload"),
            f"{scale}",
        ]
    done = tracing.record_trace(command, interval, rows, sysroot)
    found = done.trace
    frame = pd.DataFrame(found.counts, columns=list(found.events))
    frame.insert(0, "interval", range(len(frame)))
    write_csv(frame, out)
    instructions = int(frame["INST"].sum())
    cycles = frame["SLOTS"].sum() / 4
    typer.echo(
        f"{found.program} on {found.machine} ({traces.LABEL}): {len(frame)} intervals, {instructions:,} instructions, "
        f"{instructions / cycles:.2f} a cycle; wrote {out}"
    )
    if done.exit_code:
        typer.echo(f"the program ended with exit code {done.exit_code}", err=True)
        raise typer.Exit(1)
