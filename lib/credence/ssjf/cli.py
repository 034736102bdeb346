"""``credence ssjf``: scheduling, prediction and a real engine on one's own data."""

from pathlib import Path
from typing import Annotated

import typer

from credence.bench.errors import InputError, choose
from credence.bench.tables import check_target, write_csv
from credence.ssjf.cli_predict import predict
from credence.ssjf.cli_serve import serve_trace
from credence.ssjf.cli_summary import show_summary

# Imports of numba and pandas stand inside the commands, so that `credence --help` need not wait for them.
app = typer.Typer(help="SSJF on your own data.", no_args_is_help=True)


app.command()(predict)
app.command("serve-trace")(serve_trace)


@app.callback()
def _ssjf() -> None:
    """SSJF on your own data."""


@app.command()
def simulate(
    requests: Annotated[
        Path,
        typer.Argument(
            metavar="REQUESTS.csv",
            help="Columns arrival_s (seconds, in order), prompt_tokens, output_tokens, optional predicted.",
        ),
    ],
    policy: Annotated[
        str, typer.Option(help="fcfs, sjf (knows the length), ssjf, srpt (knows it), psrpt, mlfq or random.")
    ] = "fcfs",
    batching: Annotated[str, typer.Option(help="none (slots are servers), dynamic or continuous.")] = "none",
    slots: Annotated[int, typer.Option(help="Servers, or the largest batch.")] = 1,
    profile: Annotated[str, typer.Option(help="Engine profile, see data/ssjf/profiles.toml.")] = "ssjf-paper",
    aging: Annotated[
        float, typer.Option(help="A request that has waited this many seconds goes first; 0: no aging.")
    ] = 0.0,
    predictor_latency: Annotated[
        float, typer.Option(help="Seconds that the predictor takes for each request (ssjf and psrpt only).")
    ] = 0.0,
    batch_timeout: Annotated[float, typer.Option(help="Dynamic batching: seconds to hold out for a full batch.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the random order.")] = 0,
    out: Annotated[Path | None, typer.Option(help="CSV file to write: request, start_s, first_token_s, end_s.")] = None,
) -> None:
    """Serve a list of requests on a modelled engine and show what it was worth."""
    from credence.bench.seeds import generator
    from credence.ssjf import infer, model, world
    from credence.ssjf.data.requests import read_requests
    from credence.ssjf.evaluate.metrics import summary

    rule = infer.policy(policy)
    engine = model.profile(profile)
    choose(batching, world.BATCHING, "batching")
    if seed < 0:
        raise InputError(f"--seed is {seed}; allowed: an integer >= 0")
    if out is not None:
        check_target(out, requests)
    frame = read_requests(requests)
    if rule.uses_prediction and "predicted" not in frame:
        raise InputError(
            f"{requests}: missing column 'predicted', which policy {rule.name!r} orders by; "
            f"allowed: add it, or --policy {', '.join(n for n, p in infer.POLICIES.items() if not p.uses_prediction)}"
        )
    schedule = world.simulate(
        frame,
        policy=rule,
        batching=batching,
        slots=slots,
        profile=engine,
        aging=aging,
        predictor_latency=predictor_latency,
        batch_timeout=batch_timeout,
        rng=generator(seed, "order"),
    )
    if out is not None:
        write_csv(schedule, out)
    title = f"{requests.name}: {rule.name}, batching {batching}, {slots} slot{'s'[: slots > 1]}, {engine.name}"
    show_summary(title, summary(frame, schedule, profile=engine), schedule.attrs["preemptions"])
    if out is not None:
        typer.echo(f"wrote {len(schedule)} rows to {out}")
