"""``credence kaleidoscope testbed``: a real file system with real faults in it, found and explained while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

testbed_app = typer.Typer(
    help="A real MooseFS in network namespaces of this machine (root, Debian packages), with faults to put in.",
    no_args_is_help=True,
)

KIND = Annotated[str, typer.Argument(metavar="KIND", help="Kind of fault; `testbed faults` lists them.")]
AT = Annotated[str | None, typer.Option(help="Component it is put in; the first possible if not given.")]
LIFETIME = Annotated[int, typer.Option(help="The cluster ends by itself after so many seconds.")]


@testbed_app.command()
def faults() -> None:
    """List the kinds of faults, where they can be put in, and what is done."""
    from credence.kaleidoscope.testbed.faults import KINDS

    for kind in KINDS.values():
        typer.echo(f"{kind.name:<15}{kind.cause:<13}at {', '.join(kind.components)}: {kind.what}")


@testbed_app.command()
def up(lifetime: LIFETIME = 3600) -> None:
    """Bring the cluster up: 4 servers, 1 metadata server, 2 routers, 2 clients. It stays until `down`."""
    from credence.kaleidoscope.testbed import cluster

    _allowed(lifetime)
    with _orderly():
        cluster.up(lifetime_s=lifetime, say=typer.echo)
    typer.echo(
        "next: credence kaleidoscope testbed run --fault server-hang; at the end: credence kaleidoscope testbed down"
    )


@testbed_app.command()
def down() -> None:
    """Take the cluster away, and whatever an interrupted one may have left."""
    from credence.kaleidoscope.testbed import cluster, requirements

    requirements.require()
    cluster.down()
    typer.echo("down: no process, mount, namespace or control group of the testbed is left")


@testbed_app.command()
def fault(kind: KIND, at: AT = None, seconds: Annotated[float, typer.Option(help="How long.")] = 20.0) -> None:
    """Put a fault into the cluster that is up, and take it back after a time, or at Ctrl-C."""
    import time

    from credence.bench.errors import InputError
    from credence.kaleidoscope.testbed import cluster, requirements
    from credence.kaleidoscope.testbed import faults as kinds

    _seconds(seconds, "--seconds", 600)
    found, component = kinds.check(kind, at)
    requirements.require()
    here = cluster.current()
    if here is None:
        raise InputError("no testbed is up; allowed: after `credence kaleidoscope testbed up`")
    with _orderly(), kinds.injected(kind, component, here) as steps:
        typer.echo(f"{found.what}, at {component} for {seconds:g} s: " + "; ".join(str(step) for step in steps))
        time.sleep(seconds)
    typer.echo("taken back")


@testbed_app.command()
def run(
    kind: Annotated[str, typer.Option("--fault", help="Kind of fault, or none.")] = "none",
    at: AT = None,
    during: Annotated[float, typer.Option(help="Seconds with the fault.")] = 15.0,
    after: Annotated[float, typer.Option(help="Seconds after it.")] = 6.0,
    calibrate: Annotated[
        float, typer.Option(help="Seconds without it before, which set time limits and rates.")
    ] = 20.0,
    every: Annotated[float, typer.Option(help="Judge every so many seconds.")] = 1.0,
    window: Annotated[float, typer.Option(help="By the pings answered in the last so many seconds.")] = 5.0,
    out: Annotated[Path | None, typer.Option(help="Folder for the probes, telemetry and messages as CSV.")] = None,
    lifetime: LIFETIME = 3600,
) -> None:
    """Probe, put a fault in, and detect, localise and diagnose it live; a cluster that isn't up is made for it."""
    from credence.bench.errors import InputError
    from credence.kaleidoscope.testbed import cluster
    from credence.kaleidoscope.testbed import faults as kinds

    component = kinds.check(kind, at)[1] if kind != "none" else ""
    for value, name, most in ((during, "--during", 300), (after, "--after", 300), (calibrate, "--calibrate", 300)):
        _seconds(value, name, most)
    if not 0.2 <= every <= 60 or not every <= window <= 60:
        raise InputError(f"--every {every:g}, --window {window:g}; allowed: 0.2 <= every <= window <= 60")
    if calibrate < 2 * window:
        raise InputError(f"--calibrate {calibrate:g}; allowed: at least two windows, {2 * window:g}")
    if out is not None and not out.is_dir():
        raise InputError(f"--out {out}; allowed: an existing folder")
    _allowed(lifetime)
    with _orderly():
        here = cluster.current()
        made = here is None
        try:
            here = here or cluster.up(lifetime_s=lifetime, say=typer.echo)
            tables = _loop(here, kind, component, (calibrate, during, after), every, window)
        finally:
            if made:
                cluster.down()
                typer.echo("down: the cluster made for this run is taken away")
    if out is not None:
        from credence.bench.tables import write_csv

        for name, table in tables.items():
            write_csv(table, out / f"{name}.csv")
        typer.echo(f"wrote {', '.join(tables)} to {out}")


def _loop(here, kind: str, component: str, spans: tuple[float, float, float], every: float, window: float):
    from credence.kaleidoscope.testbed import faults as kinds
    from credence.kaleidoscope.testbed import measure

    before, during = spans[:2]
    total = sum(spans)
    with (
        measure.recording(here, total, measure.INTERVAL_S, measure.TIME_LIMIT_S) as now,
        contextlib.ExitStack() as stack,
    ):
        typer.echo(f"probing for {before:g} s to set time limits …")
        now.sleep_until(before)
        judge = _judge(now, window)
        due, put = before, False
        while now.now() < total:
            if kind != "none" and not put and now.now() >= before:
                stack.enter_context(kinds.injected(kind, component, here))
                put = True
                typer.echo(f"{now.now():6.1f} s  >>> {kind} put in at {component}")
            if put and now.now() >= before + during:
                stack.close()
                typer.echo(f"{now.now():6.1f} s  <<< taken back")
                put, kind = False, "none"
            due += every
            now.sleep_until(min(due, total))
            typer.echo(judge(now))
        pings, rates, lines = now.tables()
    return {"probes": pings, "telemetry": rates, "messages": lines}


def _judge(now, window: float):
    """Return what turns the last window of a recording into a line; limits are those of the pings up to here."""
    from credence.kaleidoscope.data.testbed import pings as judged_pings
    from credence.kaleidoscope.data.topology import topology
    from credence.kaleidoscope.evaluate import testbed as judging

    known = judging.calibrate(now.tables()[0].assign(run=0))
    system = topology("moosefs")
    limits = ", ".join(f"{name} {1e3 * value:.0f} ms" for name, value in known.slo_s.items())
    typer.echo(f"time limits: {limits}; success rate of a working path {known.priors.up_rate:.4f}")

    def line(now) -> str:
        end = now.now()
        pings, rates, lines = now.tables()
        blamed = judging.localise(judged_pings(pings, known.slo_s), end - window, end, known, system)
        text = f"{end:6.1f} s  " + ("; ".join(map(str, blamed)) or "all up")
        if blamed:
            for name, settings in judging.SETTINGS.items():
                found = judging.explain(rates, lines, blamed[0].components, end - window, end, settings)
                text += f"\n{'':10}{name}: {found.cause}" + (f" – {found.evidence[0][:90]}" if found.evidence else "")
        return text

    return line


def _allowed(lifetime: int) -> None:
    from credence.bench.errors import InputError
    from credence.kaleidoscope.testbed import requirements

    if not 60 <= lifetime <= 86_400:
        raise InputError(f"--lifetime {lifetime}; allowed: 60 to 86400 s")
    requirements.require()
    typer.echo(requirements.AS_ROOT)


def _seconds(value: float, name: str, most: float) -> None:
    from credence.bench.errors import InputError

    if not 0 < value <= most:
        raise InputError(f"{name} {value:g}; allowed: above 0, up to {most:g} s")


@contextlib.contextmanager
def _orderly() -> Iterator[None]:
    """Let a hang-up or SIGTERM end the block as Ctrl-C does, so that faults are taken back and clusters away."""
    import signal

    def stop(*_):
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped: all that was put in is taken back", err=True)
        raise typer.Exit(1) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
