"""Readers of the catalogue's SSJF sets: one tidy frame each, lengths in tokens and times in seconds."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.bench.errors import InputError, choose
from credence.ssjf.data.requests import validate_requests

AZURE_KINDS = ("conv", "code")
SAMPLES = 10

# CASTILLO stopped every generation here [tokens]; an answer of this length ran away, its true length is unknown.
CASTILLO_CAP = 15_001

# The four set-ups of LLMServingSim's vLLM runs: what the meta.json beside each run says (commit 5daddb21, MIT).
# kv_tokens is written down for the RTX 4090 only; NaN elsewhere.
VLLM_SETUPS = pd.DataFrame(
    [
        ("rtx4090-llama3.1-8b", "RTX4090", "Llama-3.1-8B", 1, 1, 256, 2048, 41408.0),
        ("rtxpro6000-llama3.1-8b", "RTXPRO6000", "Llama-3.1-8B", 1, 1, 128, 2048, np.nan),
        ("rtxpro6000-qwen3-30b-a3b", "RTXPRO6000", "Qwen3-30B-A3B-Instruct-2507", 1, 2, 128, 2048, np.nan),
        ("rtxpro6000-qwen3-32b", "RTXPRO6000", "Qwen3-32B", 2, 1, 128, 2048, np.nan),
    ],
    columns=[
        "setup",
        "gpu",
        "model",
        "tensor_parallel",
        "data_parallel",
        "max_num_seqs",
        "max_num_batched_tokens",
        "kv_tokens",
    ],
).set_index("setup")


def vicuna_predictions(name: str = "ssjf-vicuna13b-predictions") -> pd.DataFrame:
    """Read the SSJF authors' predictions, or the simulated stand-in with the same columns.

    Parameters
    ----------
    name
        ``"ssjf-vicuna13b-predictions"`` (third party) or ``"ssjf-simulated-vicuna"`` (in git).

    Returns
    -------
    pandas.DataFrame [requests, 5]
        ``output_token_length`` [tokens], ``pred_binary_cls`` and ``pred_multi_cls`` [class],
        ``latency_ms_binary`` and ``latency_ms_multi`` [ms].

    Raises
    ------
    InputError
        If the set is neither of the two, or not to be had.
    """
    return catalogue.frame(choose(name, ("ssjf-vicuna13b-predictions", "ssjf-simulated-vicuna"), "set of predictions"))


def azure(kind: str = "conv") -> pd.DataFrame:
    """Read an Azure LLM inference trace (``"conv"`` or ``"code"``) as a request frame, in true seconds."""
    name = f"azure-llm-2023-{choose(kind, AZURE_KINDS, 'Azure trace')}"
    return validate_requests(catalogue.frame(name), name)


def mooncake() -> pd.DataFrame:
    """Read the Mooncake conversation trace as a request frame, in true seconds."""
    return validate_requests(catalogue.frame("mooncake-conversation"), "mooncake-conversation")


def simulated_bursty() -> pd.DataFrame:
    """Read the simulated hour of bursty code requests as a request frame."""
    return validate_requests(catalogue.frame("ssjf-simulated-bursty"), "ssjf-simulated-bursty")


def splitwise() -> pd.DataFrame:
    """Read the splitwise-sim performance table.

    Returns
    -------
    pandas.DataFrame [measurements, 10]
        ``model``, ``gpu``, ``tensor_parallel`` [GPUs], ``prompt_tokens`` [tokens, each request], ``batch`` [requests],
        ``output_limit`` [tokens, each request], ``prompt_s`` [s, the whole batch], ``token_s`` [s, one iteration],
        ``e2e_s`` [s], and ``generated_tokens`` [tokens, each request]: generation often ended before its limit, so the
        number is recovered from e2e = prompt + (generated - 1) token, and kept within 1 … limit.
    """
    raw = catalogue.frame("splitwise-performance")
    generated = np.rint((raw["e2e_time"] - raw["prompt_time"]) / raw["token_time"] + 1)
    return pd.DataFrame(
        {
            "model": raw["model"],
            "gpu": raw["hardware"],
            "tensor_parallel": raw["tensor_parallel"],
            "prompt_tokens": raw["prompt_size"],
            "batch": raw["batch_size"],
            "output_limit": raw["token_size"],
            "prompt_s": raw["prompt_time"] / 1000,
            "token_s": raw["token_time"] / 1000,
            "e2e_s": raw["e2e_time"] / 1000,
            "generated_tokens": generated.clip(1, raw["token_size"]).astype(np.int64),
        }
    )


def vllm_runs() -> pd.DataFrame:
    """Read LLMServingSim's measured vLLM runs.

    Returns
    -------
    pandas.DataFrame [1200, 8]
        ``setup`` (index of :data:`VLLM_SETUPS`), ``request`` (0 … 299 in order of arrival within the set-up),
        ``prompt_tokens``, ``output_tokens`` [tokens], and the measured instants of the run's own clock ``arrival_s``,
        ``start_s`` (first scheduled), ``first_token_s``, ``end_s`` [s].
    """
    raw = catalogue.frame("llmservingsim-vllm-runs")
    setups = VLLM_SETUPS.reset_index()[["setup", "gpu", "model"]]
    raw = raw.merge(setups, on=["gpu", "model"], how="left", validate="many_to_one")
    if raw["setup"].isna().any():
        raise InputError("llmservingsim-vllm-runs: a set-up is none of VLLM_SETUPS")
    tidy = pd.DataFrame(
        {
            "setup": raw["setup"],
            "request": raw["request_id"].str.removeprefix("bench-").astype(np.int64),
            "prompt_tokens": raw["input_tokens"],
            "output_tokens": raw["output_tokens"],
            "arrival_s": raw["arrival_s"],
            "start_s": raw["arrival_s"] + raw["queue_wait_s"],
            "first_token_s": raw["arrival_s"] + raw["ttft_s"],
            "end_s": raw["arrival_s"] + raw["e2e_s"],
        }
    )
    return tidy.sort_values(["setup", "request"], ignore_index=True)


def castillo(
    models: Collection[str] | None = None,
    datasets: Collection[str] | None = None,
    drop_runaway: bool = True,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read CASTILLO: prompts with ten sampled answer lengths for each language model.

    Parameters
    ----------
    models, datasets
        Which ones to keep (all by default), by the names in the columns ``model`` and ``dataset``.
    drop_runaway
        Leave out every (prompt, model) pair one of whose samples reached the cap of 15,001 tokens.

    Returns
    -------
    rows : pandas.DataFrame [pairs, 9]
        ``dataset``, ``split``, ``prompt_id``, ``model``, ``input_tokens`` [tokens], the sampling parameters, and
        ``gen_time_s`` [s].
    samples : numpy.ndarray [pairs, 10]
        Sampled answer lengths [tokens], int64.

    Raises
    ------
    InputError
        For a model or data set that isn't in the table, naming those that are.
    """
    frame = catalogue.frame("castillo-lengths")
    for column, chosen in (("model", models), ("dataset", datasets)):
        if chosen is not None:
            known = sorted(frame[column].unique())
            wanted = [choose(name, known, f"CASTILLO {column}") for name in _listed(chosen)]
            frame = frame[frame[column].isin(wanted)]
    rows, samples = _split_samples(frame)
    if drop_runaway:
        keep = (samples < CASTILLO_CAP).all(axis=1)
        rows, samples = rows[keep].reset_index(drop=True), samples[keep]
    return rows, samples


def simulated_chat() -> tuple[pd.DataFrame, np.ndarray]:
    """Read the simulated chat prompts.

    Returns
    -------
    rows : pandas.DataFrame [prompts, 2]
        ``prompt_tokens`` and ``predicted_tokens`` (a simulated proxy's point prediction) [tokens].
    samples : numpy.ndarray [prompts, 10]
        Sampled answer lengths [tokens], int64.
    """
    return _split_samples(catalogue.frame("ssjf-simulated-chat"))


def _split_samples(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    columns = [f"output_tokens_{k}" for k in range(SAMPLES)]
    return frame.drop(columns=columns).reset_index(drop=True), frame[columns].to_numpy(dtype=np.int64)


def _listed(names: Collection[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
