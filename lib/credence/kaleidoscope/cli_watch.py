"""``credence kaleidoscope watch``: the same judgement window by window, over a log that may still grow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from credence.kaleidoscope.cli_localise import LNET, MISSING, PRIOR, PROBES, TOPOLOGY, priors_of, tell

MOST_SHOWN = 20


def watch(
    probes: PROBES,
    topology: TOPOLOGY,
    window: Annotated[float, typer.Option(help="Length of a window [s].")] = 300.0,
    follow: Annotated[
        bool, typer.Option("--follow", help="At the end of the log wait for more, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(help="With --follow: look for new lines every so many seconds.")] = 2.0,
    out: Annotated[Path | None, typer.Option(help="CSV with every component's health in the last window.")] = None,
    events: Annotated[Path | None, typer.Option(help="CSV with what was not up, from when to when.")] = None,
    lnet: LNET = "or",
    missing: MISSING = "missing",
    prior: PRIOR = None,
) -> None:
    """Judge a probe log window by window; with --follow, as it grows. Files are whole at any time."""
    import time

    from credence.bench.errors import InputError
    from credence.bench.tables import check_target, write_csv
    from credence.kaleidoscope.data.follow import Follower
    from credence.kaleidoscope.data.topology import topology as known_topology
    from credence.kaleidoscope.evaluate.health import health
    from credence.kaleidoscope.evaluate.spells import Spells
    from credence.kaleidoscope.model.variants import Variant

    for target in (out, events):
        if target is not None:
            check_target(target, probes)
    if out is not None and out == events:
        raise InputError(f"--events {events}: is the file of --out; allowed: another path")
    if not 0.05 <= every <= 3600:
        raise InputError(f"--every {every:g}; allowed: 0.05 to 3600 s")
    system, priors, variant = known_topology(topology), priors_of(prior), Variant(lnet=lnet, missing=missing)
    follower, spells = Follower(probes, system, window), Spells()
    typer.echo(f"priors: {priors}")
    stopped = False
    with _screen(window) as show:
        try:
            while True:
                complete = follower.poll()
                if not follow:
                    complete += follower.rest()
                for each in complete:
                    found = health(system, each, priors, variant)
                    spells.add(each.start_s, each.start_s + window, found.suspects)
                    if out is not None:
                        write_csv(found.table.assign(start_s=each.start_s), out)
                    if events is not None:
                        write_csv(spells.table(), events)
                    show(found, each, spells)
                if not follow:
                    break
                time.sleep(every)
        except KeyboardInterrupt:  # the way to end --follow: no fault
            stopped = True
    late = f", {follower.late} rows came too late for their window" if follower.late else ""
    typer.echo(f"{'stopped: ' if stopped else ''}{spells.windows} windows, {len(spells.table())} spells{late}")


class _screen:
    """A table that renews itself in a terminal; elsewhere a few lines for every window."""

    def __init__(self, window_s: float):
        self.window_s = window_s
        self.live = None

    def __enter__(self):
        from rich.console import Console

        console = Console()
        if not console.is_terminal:
            return lambda found, window, spells: tell(found, window)
        from rich.live import Live

        self.live = Live(console=console, auto_refresh=False)
        self.live.__enter__()
        return lambda found, window, spells: self.live.update(panel(found, window, spells, self.window_s), refresh=True)

    def __exit__(self, *error):
        if self.live is not None:
            self.live.__exit__(*error)


def panel(found, window, spells, window_s: float):
    """Return the table of a window for a terminal: what is not up now, and since when."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    sent, failed, missing = int(window.sent.sum()), int(window.failed.sum()), int(window.missing.sum())
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"from {window.start_s:g} s for {window_s:g} s: {sent} probes, {failed} failed, {missing} missing",
        caption=f"{spells.windows} windows, {len(spells.table())} spells so far; Ctrl-C ends",
    )
    for name in ("component", "kind", "state", "P(up)", "success rate [90 %]", "set", "since [s]"):
        table.add_column(name, justify="right" if name in ("P(up)", "since [s]") else "left")
    suspects = found.suspects
    for row in suspects.head(MOST_SHOWN).itertuples():
        colour = "red" if row.state == "down" else "yellow"
        cells = (
            row.component,
            row.kind,
            row.state,
            f"{row.p_healthy:.3g}",
            f"{row.rate:.2f} [{row.lo90:.2f}, {row.hi90:.2f}]",
            row.set,
            f"{spells.since(row.component):g}",
        )
        table.add_row(*(Text(cell) for cell in cells), style=colour)
    if suspects.empty:
        table.add_row(Text("all that can be told is up"), *[""] * 6, style="green")
    elif len(suspects) > MOST_SHOWN:
        table.add_row(Text(f"and {len(suspects) - MOST_SHOWN} more"), *[""] * 6)
    return table
