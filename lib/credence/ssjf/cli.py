"""``credence ssjf``: scheduling, prediction and a real engine on one's own data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credence.bench.errors import InputError, choose
from credence.ssjf.cli_predict import predict
from credence.ssjf.cli_serve import serve_trace

if TYPE_CHECKING:
    import pandas as pd

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
        _check_target(out, requests)
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
        _write(schedule, out)
    title = f"{requests.name}: {rule.name}, batching {batching}, {slots} slot{'s'[: slots > 1]}, {engine.name}"
    _show(title, summary(frame, schedule, profile=engine), schedule.attrs["preemptions"])
    if out is not None:
        typer.echo(f"wrote {len(schedule)} rows to {out}")


def _check_target(out: Path, requests: Path) -> None:
    """Refuse a target that cannot be written, before any work is done."""
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"--out {out}: not a file in an existing folder; allowed: a path whose folder exists")
    if out.exists() and requests.exists() and out.samefile(requests):
        raise InputError(f"--out {out}: is the file of requests; allowed: another path")


def _write(schedule: "pd.DataFrame", out: Path) -> None:
    """Write the schedule whole or not at all; floats as their shortest text that reads back the same."""
    import os
    import tempfile

    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}; allowed: a folder that can be written to") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            schedule.to_csv(stream, index=False, lineterminator="\n")
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp's file is private; the result is to be like any other file
        os.replace(name, out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _show(title: str, result: dict[str, float], preemptions: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, because a file name or a unit in brackets is no markup
    table = Table(title=Text(title), title_justify="left")
    table.add_column("")
    for column in ("mean", "p50", "p95", "p99"):
        table.add_column(column, justify="right")
    rows = {"job completion [s]": "jct_s", "wait [s]": "wait_s", "first token [s]": "ttft_s", "slowdown": "slowdown"}
    for label, name in rows.items():
        table.add_row(Text(label), *(f"{result[f'{part}_{name}']:.4g}" for part in ("mean", "p50", "p95", "p99")))
    console = Console()
    console.print(table)
    done = ", ".join(f"{result[f'throughput_{share}']:.4g} at {share} %" for share in (25, 50, 75, 100))
    lines = {
        "requests": f"{result['requests']:,}, all done after {result['makespan_s']:.6g} s",
        "longest wait": f"{result['longest_wait_s']:.4g} s",
        "Jain index of slowdowns": f"{result['jain_slowdown']:.3f}",
        "preemptions": f"{preemptions:,}",
        "completions per second": done,
    }
    for label, text in lines.items():
        console.print(f"{label}: {text}", highlight=False, markup=False)
