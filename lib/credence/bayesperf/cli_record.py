"""``credence bayesperf record``: count a program with perf, by a schedule made for the relations of its events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from credence.bench.errors import InputError

# What is counted if nothing is named on a machine without a PMU.
SOFTWARE_EVENTS = (
    "page-faults,minor-faults,major-faults,context-switches,sched:sched_switch,cpu-migrations,"
    "raw_syscalls:sys_enter,raw_syscalls:sys_exit"
)


def record(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="Program and its arguments.")],
    out: Annotated[Path, typer.Option(help="CSV to write: time_s, event, count, running_fraction.")] = Path("log.csv"),
    events: Annotated[
        str, typer.Option(help="Events as perf stat -e takes them, separated by commas; software events if none.")
    ] = "",
    counters: Annotated[int | None, typer.Option(help="Programmable counters; the CPU's own, else 4.")] = None,
    cpu: Annotated[str, typer.Option(help="CPU whose relations and fixed counters are used, see `plan --cpu`.")] = "",
    identities: Annotated[Path | None, typer.Option(help="TOML with relations, instead of a CPU's.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="JSON that `credence bayesperf plan --json` wrote: its groups are run.")
    ] = None,
    slice: Annotated[int, typer.Option(help="Milliseconds that a group of events is on; it is read four times.")] = 200,
) -> None:
    """Run a program under perf, one group of events after the other; `correct` makes the most of what it wrote.

    Without hardware counters (in most virtual machines) software events and tracepoints are counted by the same
    schedule, as if there were only so many counters for them.
    """
    from credence.bayesperf.data import record as recorder
    from credence.bench.tables import check_target, write_csv

    check_target(out)
    if plan is not None and (events or counters is not None or cpu or identities is not None):
        raise InputError("--plan says what --events, --counters, --cpu and --identities do; allowed: one or the other")
    if identities is not None and cpu:
        raise InputError("--identities and --cpu are both given; allowed: one of them, or none")
    if plan is not None:
        always, groups, derived = recorder.read_plan(plan)
    else:
        if not events and recorder.has_pmu():
            raise InputError("--events is empty; allowed: events that perf list shows, separated by commas")
        always, groups, derived = _planned(recorder.split_events(events or SOFTWARE_EVENTS), counters, cpu, identities)
    done = recorder.record(command, groups, always, slice, derived)
    for message in done.messages:
        typer.echo(message)
    write_csv(done.table, out)
    slices = done.table["time_s"].nunique() // recorder.READINGS
    if derived:
        typer.echo(f"not counted, since relations give them (`correct` needs the same ones): {', '.join(derived)}")
    shown = " | ".join(" ".join(group) for group in groups)
    typer.echo(f"{len(groups)} groups in turn: {shown}")
    typer.echo(f"wrote {len(done.table)} rows ({slices} slices) to {out}; next: credence bayesperf correct {out}")


def _planned(
    events: list[str], counters: int | None, cpu: str, identities: Path | None
) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the events that are always on, the groups of others, as `plan` recommends, and those not counted."""
    from credence.bayesperf.model.relations import read_relations
    from credence.bayesperf.schedule.planner import plan

    if counters is not None and counters < 1:
        raise InputError(f"--counters is {counters}; allowed: an integer >= 1")
    made = plan(events, counters, cpu, None if identities is None else read_relations(identities))
    fixed = [event for event in made.fixed if event in events]
    groups = [list(group) for group in made.groups if group] or [fixed]
    return fixed, groups, [event for event in events if not any(event in group for group in (fixed, *groups))]
