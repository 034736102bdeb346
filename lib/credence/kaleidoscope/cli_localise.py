"""``credence kaleidoscope localise``: the health of every component, from one's own probe log."""

from pathlib import Path
from typing import Annotated

import typer

PROBES = Annotated[
    Path,
    typer.Argument(
        metavar="PROBES.csv", help="client, target, operation (crwr, wrex, rmex), sent, succeeded, missing; time_s."
    ),
]
TOPOLOGY = Annotated[
    str, typer.Option(metavar="T", help="bluewaters, bluewaters-lnet, moosefs, or a .toml file of your own.")
]
LNET = Annotated[str, typer.Option(help="Routers of a group: 'or' take over for each other; 'mixture' take turns.")]
MISSING = Annotated[str, typer.Option(help="Probes that never ran: 'missing' say nothing; 'failed' count as failed.")]
PRIOR = Annotated[
    list[str] | None, typer.Option(metavar="KIND=P", help="P(up) of a kind of component, such as target=0.999.")
]


def localise(
    probes: PROBES,
    topology: TOPOLOGY,
    out: Annotated[Path, typer.Option(help="CSV to write: one row a component (and window).")],
    window: Annotated[float | None, typer.Option(help="Split by time_s into windows of so many seconds.")] = None,
    lnet: LNET = "or",
    missing: MISSING = "missing",
    prior: PRIOR = None,
) -> None:
    """Say of every component how likely it is up, and which ones the probes cannot tell apart."""
    import pandas as pd

    from credence.bench.progress import track
    from credence.bench.tables import check_target, write_csv
    from credence.kaleidoscope.data.probes import read_probes
    from credence.kaleidoscope.data.topology import topology as known_topology
    from credence.kaleidoscope.evaluate.health import health
    from credence.kaleidoscope.model.variants import Variant

    check_target(out, probes)
    system = known_topology(topology)
    priors, variant = priors_of(prior), Variant(lnet=lnet, missing=missing)
    windows = read_probes(probes, system, window)
    typer.echo(f"priors: {priors}")
    tables = []
    for each in track(windows, "windows"):
        found = health(system, each, priors, variant)
        tell(found, each)
        times = {} if window is None else {"start_s": each.start_s}
        tables.append(found.table.assign(**times)[[*times, *found.table.columns]])
    table = pd.concat(tables, ignore_index=True)
    write_csv(table, out)
    typer.echo(f"wrote {len(table)} rows to {out}")


def priors_of(texts: list[str] | None):
    """Return the default priors with some P(up) by kind replaced: texts such as ``"target=0.99"``.

    Raises
    ------
    InputError
        For a text that is none, an unknown kind, or a number out of bounds.
    """
    from credence.bench.errors import InputError, choose
    from credence.kaleidoscope.data.topology import KINDS
    from credence.kaleidoscope.model.variants import Priors

    chosen = {}
    for text in texts or ():
        kind, _, value = text.partition("=")
        choose(kind, KINDS, "kind in --prior")
        try:
            chosen[kind] = float(value)
        except ValueError:
            raise InputError(f"--prior {text!r}; allowed: KIND=P with a number between 0 and 1") from None
    return Priors(p_up=chosen) if chosen else Priors()


def tell(found, window, most: int = 12) -> None:
    """Say what a window showed, in a few lines."""
    when = "" if window.start_s != window.start_s else f"{window.start_s:g} s: "
    failed, missing, sent = int(window.failed.sum()), int(window.missing.sum()), int(window.sent.sum())
    suspects = found.suspects
    typer.echo(
        f"{when}{sent} probes in {window.cells} cells, {failed} failed, {missing} missing; "
        + (f"{len(suspects)} components not up" if len(suspects) else "all that can be told is up")
        + (f"; of {found.hidden} behind them nothing can be told" if found.hidden else "")
    )
    for row in suspects.head(most).itertuples():
        group = f", set {row.set}" if row.set else ""
        typer.echo(
            f"  {row.component}: {row.state}, P(up) = {row.p_healthy:.3g}, "
            f"success rate {row.rate:.2f} [{row.lo90:.2f}, {row.hi90:.2f}]{group}"
        )
    if len(suspects) > most:
        typer.echo(f"  and {len(suspects) - most} more")
    for row in found.dead_routers[found.dead_routers["dead"] > 0.5].itertuples():
        typer.echo(f"  {row.group}: {row.dead:.1f} of {row.members} routers dead")
