"""``credence bayesperf``: correct, plan, record and trace counters of one's own."""

import typer

from credence.bayesperf.cli_correct import correct
from credence.bayesperf.cli_plan import plan
from credence.bayesperf.cli_record import record
from credence.bayesperf.cli_trace import trace

# Imports of numba and pandas stand inside the commands, so that `credence --help` need not wait for them.
app = typer.Typer(help="BayesPerf on your own counters.", no_args_is_help=True)


app.command()(correct)
app.command()(plan)
app.command(context_settings={"allow_interspersed_args": False})(record)
app.command(context_settings={"allow_interspersed_args": False})(trace)


@app.callback()
def _bayesperf() -> None:
    """BayesPerf on your own counters."""
