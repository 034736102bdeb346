"""``credence drivefi``: mine scenarios for critical faults, and replay one of them."""

import typer

from credence.drivefi.cli_mine import mine
from credence.drivefi.cli_replay import replay

# Imports of numba and pandas stand inside the commands, so that `credence --help` need not wait for them.
app = typer.Typer(help="DriveFI on your own scenarios.", no_args_is_help=True)


app.command()(mine)
app.command()(replay)


@app.callback()
def _drivefi() -> None:
    """DriveFI on your own scenarios."""
