"""Fit engine profiles to measurements of others, on one part, and judge them on the rest.

Two kinds of measurement, one idea: the time of an iteration is a sum of costs that can't be negative, so each fit is
a non-negative least squares problem in *relative* errors,

    minimise  sum over rows r of (sum over terms k of x_rk c_k / y_r - 1)^2   with every c_k >= 0,

with y the measured seconds. The splitwise table times whole phases at given sizes; the vLLM runs give the instants of
300 requests, from which the iterations that each request shared with others are rebuilt (``shared_work``).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from credence.bench import catalogue, seeds
from credence.bench.errors import choose
from credence.ssjf import data
from credence.ssjf.infer.shared_work import LEAST_SHARE, shared_work
from credence.ssjf.model.profiles import EngineProfile, decode_s, prefill_s

PREFILL_KNOTS = (512, 2048, 8192)  # total prompt tokens [tokens] where a further token may become dearer
DECODE_KNOT = 16  # batch size [requests] where a further request may become dearer
LARGEST_PREFILL, LARGEST_BATCH = 32768, 64  # the largest sizes measured: the tables end there

# The costs of a vLLM iteration, in the order of the profile's fields.
VLLM_TERMS = {
    "prefills": "prefill_base_s",
    "prefill_tokens": "prefill_per_token_s",
    "iterations": "decode_base_s",
    "batch_sum": "decode_per_sequence_s",
    "context_sum": "decode_per_context_token_s",
}

# Fitted profiles by name: the set-up in the splitwise table (8 GPUs each), or in the vLLM runs.
SPLITWISE_PROFILES = {
    "splitwise-llama2-70b-a100": ("llama2-70b", "a100-80gb", 8),
    "splitwise-llama2-70b-h100": ("llama2-70b", "h100-80gb", 8),
    "splitwise-bloom-176b-a100": ("bloom-176b", "a100-80gb", 8),
    "splitwise-bloom-176b-h100": ("bloom-176b", "h100-80gb", 8),
}
VLLM_PROFILES = {
    "vllm-rtx4090-llama3-8b": "rtx4090-llama3.1-8b",
    "vllm-rtxpro6000-llama3-8b": "rtxpro6000-llama3.1-8b",
    "vllm-rtxpro6000-qwen3-30b": "rtxpro6000-qwen3-30b-a3b",
    "vllm-rtxpro6000-qwen3-32b": "rtxpro6000-qwen3-32b",
}

BOOTSTRAP_DRAWS = 2000


@dataclass(frozen=True)
class Fit:
    """A fitted profile with the errors it was judged by.

    Attributes
    ----------
    profile : EngineProfile
        Its ``fit`` field holds a summary of the held-out errors for each quantity.
    rows : pandas.DataFrame [rows, ...]
        Every measurement: its labels, ``quantity``, ``part`` ("fit" or "held out"), ``measured_s``, ``predicted_s``
        [s], and ``error``, the relative error predicted / measured - 1.
    """

    profile: EngineProfile
    rows: pd.DataFrame


def non_negative_fit(terms: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the costs [terms] >= 0 that minimise the sum of squared relative errors.

    Parameters
    ----------
    terms [rows, terms]
        How often each cost is paid.
    seconds [rows]
        Measured times, all > 0.

    Returns
    -------
    numpy.ndarray [terms]
        Costs [s], rounded to five significant digits: what a profile file holds is what was judged.
    """
    relative = terms / seconds[:, None]
    scale = np.abs(relative).max(axis=0)  # counts of tokens and of prompts differ by a factor of a million
    scale[scale == 0] = 1.0
    costs, _ = nnls(relative / scale, np.ones(len(seconds)))
    return np.array([_rounded(cost) for cost in costs / scale])


def error_summary(errors: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Summarise relative errors [units]: mean absolute error with its 95 % bootstrap interval, p95, and mean error."""
    absolute = np.abs(errors)
    draws = rng.choice(absolute, (BOOTSTRAP_DRAWS, len(absolute))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "units": len(absolute),
        "mean_abs": float(absolute.mean()),
        "mean_abs_lo": float(low),
        "mean_abs_hi": float(high),
        "p95_abs": float(np.quantile(absolute, 0.95)),
        "bias": float(np.mean(errors)),
    }


def fit_splitwise(
    table: pd.DataFrame, model: str, gpu: str, tensor_parallel: int, name: str, rng: np.random.Generator
) -> Fit:
    """Fit a profile to one set-up of the splitwise performance table.

    Repeated measurements of one configuration are replaced by their medians. The fit sees every second size of each
    sweep (prompt size, batch size, output limit), from the smallest on; a configuration with any other size is held
    out. Prefill is convex and piecewise linear in the total of prompt tokens; a decode iteration is convex and
    piecewise linear in the batch size, plus linear in the total context, taken midway through the generation.

    Parameters
    ----------
    table
        As :func:`credence.ssjf.data.splitwise` returns it.
    model, gpu, tensor_parallel
        The set-up, by its values in the table.
    name
        For the profile.
    rng
        For the bootstrap of the error summaries.

    Raises
    ------
    InputError
        When the table has no such set-up.
    """
    setup = table["model"] + "/" + table["gpu"] + "/" + table["tensor_parallel"].astype(str)
    wanted = choose(f"{model}/{gpu}/{tensor_parallel}", sorted(setup.unique()), "splitwise set-up")
    sizes, times = ["prompt_tokens", "batch", "output_limit"], ["prompt_s", "token_s", "generated_tokens"]
    rows = table[setup == wanted].groupby(sizes, as_index=False)[times].median()
    fitted = np.ones(len(rows), dtype=bool)
    for size in sizes:
        fitted &= rows[size].isin(sorted(rows[size].unique())[::2]).to_numpy()
    batch = rows["batch"].to_numpy(dtype=float)
    tokens = rows["prompt_tokens"].to_numpy() * batch
    context = tokens + batch * rows["generated_tokens"].to_numpy() / 2

    prefill = non_negative_fit(_prefill_terms(tokens[fitted]), rows["prompt_s"].to_numpy()[fitted])
    terms = np.column_stack([_decode_terms(batch), context])
    *decode, per_context = non_negative_fit(terms[fitted], rows["token_s"].to_numpy()[fitted])
    prefill_sizes = np.array([1.0, *PREFILL_KNOTS, LARGEST_PREFILL])
    decode_sizes = np.array([1.0, DECODE_KNOT, LARGEST_BATCH])
    profile = EngineProfile(
        name=name,
        kind="third party",
        prefill_table=_table(prefill_sizes, _prefill_terms(prefill_sizes) @ prefill),
        decode_table=_table(decode_sizes, _decode_terms(decode_sizes) @ decode),
        decode_per_context_token_s=float(per_context),
    )
    labels = rows[sizes].assign(part=np.where(fitted, "fit", "held out"))
    judged = pd.concat(
        [
            _judge(labels, "prefill", rows["prompt_s"], list(map(partial(prefill_s, profile), tokens))),
            _judge(
                labels,
                "decode",
                rows["token_s"],
                [decode_s(profile, b, c) for b, c in zip(batch, context, strict=True)],
            ),
        ],
        ignore_index=True,
    )
    return _summed_up(profile, judged, rng)


def fit_vllm(run: pd.DataFrame, name: str, rng: np.random.Generator, kv_tokens: int | None = None) -> Fit:
    """Fit a profile to one measured vLLM run.

    The rows are the decode lives of the requests (first token to end); the terms are the iterations they lived
    through, the batch and the context in them, and the prompts processed meanwhile. The fit sees the requests with an
    even number, without those that were preempted; the odd ones are held out. ``decode`` judges the decode life,
    ``service`` the time from the measured start to the end, which is what replaying the measured admissions predicts
    (prefill of the own prompt, then the decode life).

    Parameters
    ----------
    run [requests]
        One set-up of :func:`credence.ssjf.data.vllm_runs`.
    name
        For the profile.
    rng
        For the bootstrap of the error summaries.
    kv_tokens
        Capacity of the KV cache [tokens] where the origin tells it.
    """
    run = run.reset_index(drop=True)
    work = shared_work(run)
    even = (run["request"] % 2 == 0).to_numpy()
    preempted = (work["share"] < LEAST_SHARE).to_numpy()
    terms, seconds = work[list(VLLM_TERMS)].to_numpy(), work["decode_s"]
    chosen = even & ~preempted
    costs = non_negative_fit(terms[chosen], seconds.to_numpy()[chosen])
    fields = dict(zip(VLLM_TERMS.values(), map(float, costs), strict=True))
    profile = EngineProfile(name=name, kind="third party", kv_tokens=kv_tokens, **fields)

    decode = terms @ costs
    prefill = np.array([prefill_s(profile, tokens) for tokens in run["prompt_tokens"]])
    labels = run[["request"]].assign(preempted=preempted, part=np.where(even, "fit", "held out"))
    judged = pd.concat(
        [
            _judge(labels, "decode", seconds, decode),
            _judge(labels, "service", run["end_s"] - run["start_s"], prefill + decode),
        ],
        ignore_index=True,
    )
    return _summed_up(profile, judged, rng)


def judge_by_simulation(
    run: pd.DataFrame, profile: EngineProfile, slots: int, simulate: Callable[..., pd.DataFrame]
) -> dict[str, float]:
    """Serve a measured run's requests in the simulator, first come first served, and compare.

    Only arrivals and lengths are taken from the run; when a request starts is the simulator's own doing.

    Parameters
    ----------
    run [requests]
        One set-up of :func:`credence.ssjf.data.vllm_runs`.
    profile
        The engine.
    slots
        The engine's limit of running requests.
    simulate
        :func:`credence.ssjf.world.simulate`, given as an argument since this room comes before that one.

    Returns
    -------
    dict
        Over the held-out requests (odd numbers), for the mean ``jct`` and ``ttft``: ``<word>_measured_s`` [s] and
        ``<word>_error``, the relative error of the simulation; ``jct_mean_abs_error``, request by request; and
        ``makespan_measured_s``, ``makespan_error`` for the last end of all requests.
    """
    run = run.sort_values(["arrival_s", "request"], ignore_index=True)
    requests = run[["arrival_s", "prompt_tokens", "output_tokens"]]
    schedule = simulate(requests, policy="fcfs", batching="continuous", slots=slots, profile=profile)
    odd = (run["request"] % 2 == 1).to_numpy()
    result = {}
    for word, instant in (("jct", "end_s"), ("ttft", "first_token_s")):
        measured = (run[instant] - run["arrival_s"]).to_numpy()[odd]
        simulated = (schedule[instant] - run["arrival_s"]).to_numpy()[odd]
        result |= {f"{word}_measured_s": float(measured.mean())}
        result |= {f"{word}_error": float(simulated.mean() / measured.mean() - 1)}
        if word == "jct":
            result |= {"jct_mean_abs_error": float(np.abs(simulated / measured - 1).mean())}
    measured, simulated = (last - run["arrival_s"].iloc[0] for last in (run["end_s"].max(), schedule["end_s"].max()))
    return result | {"makespan_measured_s": float(measured), "makespan_error": float(simulated / measured - 1)}


def refit(name: str) -> Fit:
    """Fit a profile of ``data/ssjf/profiles.toml`` anew from the third-party measurements.

    Parameters
    ----------
    name
        One of ``SPLITWISE_PROFILES`` or ``VLLM_PROFILES``.

    Raises
    ------
    InputError
        For another name, or when the measurements are not here.
    """
    choose(name, [*SPLITWISE_PROFILES, *VLLM_PROFILES], "fitted profile")
    rng = seeds.generator(0, "profile fit", name)
    if name in SPLITWISE_PROFILES:
        model, gpu, gpus = SPLITWISE_PROFILES[name]
        fit = fit_splitwise(data.splitwise(), model, gpu, gpus, name, rng)
        return _described(
            fit,
            "splitwise-performance",
            f"{model} on {gpus} x {gpu}, fitted to the splitwise-sim table",
            "fit: every second size of each sweep; judged: the other sizes (unit: configuration, median of repeats)",
            "No memory limit (the table gives none). Beyond 32,768 prompt tokens and 64 requests: extrapolated.",
        )
    setup = VLLM_PROFILES[name]
    facts = data.VLLM_SETUPS.loc[setup]
    runs = data.vllm_runs()
    kv_tokens = None if math.isnan(facts["kv_tokens"]) else int(facts["kv_tokens"])
    fit = fit_vllm(runs[runs["setup"] == setup], name, rng, kv_tokens)
    slots = int(facts["max_num_seqs"] * facts["data_parallel"])
    gpus = facts["tensor_parallel"] * facts["data_parallel"]
    note = f"Simulate with {slots} slots, as measured. "
    note += "" if kv_tokens else "The origin doesn't tell the KV capacity: unlimited here. "
    note += "vLLM mixes prefill into decode iterations; here a prefill stalls them and costs what it added to theirs."
    if facts["data_parallel"] > 1:
        note += " Two engines of 128 slots served the run; here they are one of 256, so a batch is the sum of theirs."
    fit.profile.fit["slots"] = slots
    return _described(
        fit,
        "llmservingsim-vllm-runs",
        f"{facts['model']} in vLLM 0.19 on {gpus} x {facts['gpu']}, fitted to LLMServingSim's measured run",
        "fit: requests with an even number that were not preempted; judged: the odd ones (unit: request)",
        note,
    )


def as_toml(profile: EngineProfile) -> str:
    """Write a profile as a table for ``data/ssjf/profiles.toml``: fields that differ from their defaults."""
    lines = ["[[profile]]"]
    for item in dataclasses.fields(profile):
        value = getattr(profile, item.name)
        if item.name != "fit" and (item.default is dataclasses.MISSING or value != item.default):
            lines.append(f"{item.name} = {_toml_value(value)}")
    nested = {key: value for key, value in profile.fit.items() if isinstance(value, Mapping)}
    lines += ["", "[profile.fit]"]
    lines += [f"{key} = {_toml_value(value)}" for key, value in profile.fit.items() if key not in nested]
    lines += [
        f"{key} = {{ {', '.join(f'{k} = {_toml_value(_short(v))}' for k, v in value.items())} }}"
        for key, value in nested.items()
    ]
    return "\n".join(lines) + "\n"


def _described(fit: Fit, source: str, title: str, rule: str, note: str) -> Fit:
    item = catalogue.entry(source)
    profile = dataclasses.replace(
        fit.profile,
        title=title,
        source=f"data set {source} ({item.origin['repository']}, commit {item.origin['commit'][:8]}); {rule}",
        licence=item.licence,
        note=note,
    )
    return Fit(profile, fit.rows)


def _judge(labels: pd.DataFrame, quantity: str, measured: pd.Series, predicted) -> pd.DataFrame:
    rows = labels.reset_index(drop=True).assign(quantity=quantity)
    rows["measured_s"], rows["predicted_s"] = measured.to_numpy(), np.asarray(predicted, dtype=float)
    return rows.assign(error=rows["predicted_s"] / rows["measured_s"] - 1)


def _summed_up(profile: EngineProfile, rows: pd.DataFrame, rng: np.random.Generator) -> Fit:
    """Put the summaries of the held-out errors into a copy of the profile."""
    found = {}
    held_out = rows[rows["part"] == "held out"]
    for quantity, group in held_out.groupby("quantity", sort=False):
        found[quantity] = error_summary(group["error"].to_numpy(), rng)
        if "preempted" in group and group["preempted"].any():
            steady = group[~group["preempted"]]
            found[f"{quantity}_not_preempted"] = error_summary(steady["error"].to_numpy(), rng)
    return Fit(dataclasses.replace(profile, fit=found), rows)


def _prefill_terms(tokens: np.ndarray) -> np.ndarray:
    """Terms [sizes, 5] of prefill in total prompt tokens [sizes]: constant, slope, a further slope from each knot."""
    return np.column_stack([np.ones_like(tokens), tokens, *(np.maximum(tokens - knot, 0) for knot in PREFILL_KNOTS)])


def _decode_terms(batch: np.ndarray) -> np.ndarray:
    """Terms [sizes, 3] of a decode iteration in the batch size [sizes]."""
    return np.column_stack([np.ones_like(batch), batch, np.maximum(batch - DECODE_KNOT, 0)])


def _table(sizes: np.ndarray, seconds: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(size), _rounded(value)) for size, value in zip(sizes, seconds, strict=True))


def _rounded(value: float) -> float:
    return float(f"{value:.4e}")


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _toml_value(value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)  # strings, integers, floats and booleans are spelt alike in both
