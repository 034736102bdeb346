"""``credence drivefi mine``: simulate the faults that a selector chooses, and write them down."""

from pathlib import Path
from typing import Annotated

import typer

from credence.bench.errors import InputError
from credence.bench.tables import check_target, write_csv


def mine(
    scenario: Annotated[str, typer.Option(help="A scenario's name (DS1 … DS6), a TOML file or a CommonRoad XML file.")],
    out: Annotated[Path, typer.Option(help="CSV file to write: one row a simulated fault, in the order run.")],
    selector: Annotated[
        str,
        typer.Option(
            help="Who chooses the next fault to simulate: gp (and gp-diverse, better below some 200 simulations; "
            "gp-plain …), tbn, tbn-rolling, size, srmf, tpe, taliro, verifai, random, exhaustive; a wrong name "
            "lists all."
        ),
    ] = "gp",
    budget: Annotated[
        int,
        typer.Option(
            help="Simulations that may be made, training included; more than the pool is the pool. exhaustive goes "
            "scene by scene: below the pool's size it sees the first scenes only."
        ),
    ] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the scenario's initial conditions and of the selector.")] = 0,
    stack: Annotated[str, typer.Option(help="Driving stack: A, or D with a free-space detector.")] = "A",
) -> None:
    """Mine a scenario for critical faults: those that bring the ego within 1 m of an obstacle or 0.8 m off its lane."""
    from credence.drivefi.evaluate.mining import mine as search

    if seed < 0:
        raise InputError(f"--seed is {seed}; allowed: an integer >= 0")
    check_target(out, Path(scenario) if Path(scenario).is_file() else None)
    found = search(scenario, seed, selector, budget, stack, seed)
    write_csv(found, out)
    critical = found[found["critical"]]
    typer.echo(f"{scenario}, seed {seed}: {len(found):,} simulations, {len(critical):,} critical faults")
    if len(critical):
        worst = critical.sort_values("simulated_margin_m", kind="stable").iloc[0]
        shares = critical["variable"].value_counts()
        typer.echo("by variable: " + ", ".join(f"{name} {count}" for name, count in shares.items()))
        typer.echo(f"worst (margin {worst['simulated_margin_m']:.2f} m): {worst['replay']}")
    typer.echo(f"wrote {len(found):,} rows to {out}")
