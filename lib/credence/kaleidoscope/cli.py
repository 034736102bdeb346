"""``credence kaleidoscope``: localise failures in one's own probe logs, and watch them as they come."""

import typer

from credence.kaleidoscope.cli_localise import localise
from credence.kaleidoscope.cli_testbed import testbed_app
from credence.kaleidoscope.cli_watch import watch

# Imports of numba and pandas stand inside the commands, so that `credence --help` need not wait for them.
app = typer.Typer(help="Kaleidoscope on your own probes.", no_args_is_help=True)

app.command()(localise)
app.command()(watch)
app.add_typer(testbed_app, name="testbed")


@app.callback()
def _kaleidoscope() -> None:
    """Kaleidoscope on your own probes."""
