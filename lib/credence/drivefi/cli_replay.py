"""``credence drivefi replay``: run one fault again and show where it went."""

from pathlib import Path
from typing import Annotated

import typer

from credence.bench.tables import check_target


def replay(
    line: Annotated[
        str,
        typer.Argument(
            metavar="LINE",
            help="As in a mined table: 'scenario=DS5 seed=0 scene=106 variable=throttle value=max duration=1'.",
        ),
    ],
    html: Annotated[Path | None, typer.Option(help="HTML page to write: golden against faulty traces.")] = None,
) -> None:
    """Replay one faulty run, bit for bit, and say what came of it."""
    from credence.drivefi.world.simulate import golden, traced
    from credence.drivefi.world.token import parse

    run = parse(line)
    if html is not None:
        check_target(html, Path(run.scenario) if Path(run.scenario).is_file() else None)
    plain = golden(run.scenario, run.seed, run.stack)
    faulty = traced(run.scenario, run.seed, run.fault, run.scene, run.duration, run.stack)
    typer.echo(run.line())
    for name, one in (("golden", plain), ("faulty", faulty)):
        typer.echo(
            f"{name}: margin {one.margin_m:.6f} m, closest approach {one.cipo_m.min():.6f} m, "
            f"off the lane's centre {one.lane_offset_m.max():.6f} m, "
            f"delta {min(one.delta_along_m.min(), one.delta_across_m.min()):.6f} m"
        )
    typer.echo("critical" if faulty.margin_m <= 0 else "not critical")
    if html is not None:
        from credence.bench.record import write_atomic
        from credence.drivefi.data.scenarios import scenario
        from credence.drivefi.figures.replay import page

        write_atomic(html, page(run, plain, faulty, scenario(run.scenario, run.seed)))
        typer.echo(f"wrote {html}")
