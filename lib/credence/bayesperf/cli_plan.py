"""``credence bayesperf plan``: before the run, what can be known with so many counters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from credence.bench.errors import InputError


def plan(
    events: Annotated[str, typer.Argument(help="Events to know, separated by commas; vendor:20 = our list of 20.")],
    counters: Annotated[int | None, typer.Option(help="Programmable counters; the CPU's own number, else 4.")] = None,
    cpu: Annotated[
        str, typer.Option(help="qemu-x86, qemu-ppc64, skylakex, icelakex, broadwellx, zen3 or power9; '' = any.")
    ] = "qemu-x86",
    identities: Annotated[Path | None, typer.Option(help="TOML with relations, instead of the CPU's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the plan as JSON, for `record --plan`.")] = False,
) -> None:
    """Say how many of the events are free, which are exact, what to count together, and the error to expect."""
    import json
    from dataclasses import asdict

    from credence.bayesperf.data.pmu import event_list
    from credence.bayesperf.data.pmu import pmu as find_pmu
    from credence.bayesperf.data.record import split_events
    from credence.bayesperf.model.relations import read_relations
    from credence.bayesperf.schedule.planner import plan as make

    if events.startswith("vendor:"):
        if not events[7:].isdigit():
            raise InputError(f"EVENTS is {events!r}; allowed: vendor:N with a number, or events separated by commas")
        wanted = list(event_list(find_pmu(cpu), int(events[7:])))
    else:
        wanted = split_events(events)
    made = make(wanted, counters, cpu, None if identities is None else read_relations(identities))
    if as_json:
        typer.echo(json.dumps(asdict(made), indent=2))
        return
    for line in told(made):
        typer.echo(line)


def told(made) -> list[str]:
    """Return a plan as lines of text."""
    listed = len(made.expected_error) - len(made.fixed)
    lines = [f"{listed} events on {made.counters} counters, {made.rank} of them open: the rest follows from"]
    lines += [f"  {identity}" for identity in made.identities] or ["  (no identities)"]
    shown = ", ".join(made.exact) or "none"
    lines.append(f"known in every slice, but for the noise of reading: {shown}")
    lines.append("count together, one slice after another:")
    lines += [f"  {number}. {', '.join(group)}" for number, group in enumerate(made.groups, 1)]
    lines.append("expected error of a slice's count, in % of the event's mean:")
    width = max(map(len, made.expected_error))
    for event, error in sorted(made.expected_error.items(), key=lambda pair: -pair[1]):
        lines.append(f"  {event:<{width}}  {100 * error:6.1f}")
    programmable = [error for event, error in made.expected_error.items() if event not in made.fixed]
    lines.append(f"mean over the events: {100 * sum(programmable) / max(len(programmable), 1):.1f} %")
    lines.append(f"rests on {made.basis}")
    return lines
