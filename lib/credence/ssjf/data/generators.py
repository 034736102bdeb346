"""Simulated request sets: generated, not measured.

They let every notebook run with nothing but the project itself, and they are always labelled simulated. Each
generator takes a random generator and returns the whole set; the parquet files in ``data/ssjf/`` are what
:func:`generate` made, and a test makes them anew and compares the content.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from credence.bench import seeds

# Quantiles of the answer lengths in the SSJF authors' released test set [tokens]; the ends are its extremes.
VICUNA_LEVELS = (0.0, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0)
VICUNA_LENGTHS = (2, 41, 140, 294, 397, 447, 502, 511)

# The authors' five classes are cut here [tokens] (preprocess_dataset.py, single round).
FIVE_CLASS_CUTS = (42, 141, 294, 503)

# P(predicted class | true class), rows summing to 1: the confusion of the authors' five-class proxy to two digits.
FIVE_CLASS_CONFUSION = (
    (0.80, 0.15, 0.03, 0.02, 0.00),
    (0.15, 0.57, 0.20, 0.07, 0.01),
    (0.03, 0.22, 0.45, 0.28, 0.02),
    (0.01, 0.07, 0.26, 0.59, 0.07),
    (0.02, 0.05, 0.16, 0.53, 0.24),
)

# P(class of the "binary" proxy | class of the five-class proxy). It has three classes, cut at 141 and 503 tokens.
BINARY_GIVEN_FIVE = (
    (0.99, 0.01, 0.00),
    (0.87, 0.13, 0.00),
    (0.12, 0.88, 0.00),
    (0.02, 0.95, 0.03),
    (0.01, 0.42, 0.57),
)

CHAT_SAMPLES = 10
HOUR = 3600  # [s]


def simulated_vicuna(rng: np.random.Generator, rows: int = 20_000) -> pd.DataFrame:
    """Stand in for the authors' predictions: the same columns, published quantiles, published accuracy.

    Lengths follow the piecewise quantile function through ``VICUNA_LEVELS`` (logarithmic below the first quartile,
    linear above) and so keep the authors' cut at 511 tokens. Predicted classes follow ``FIVE_CLASS_CONFUSION``; inside
    a true class, a longer answer tends to the higher prediction (a Gaussian copula, its strength set so that the rank
    correlations of prediction and length come out as in the authors' file).

    Returns
    -------
    pandas.DataFrame [rows, 5]
        ``output_token_length`` [tokens], ``pred_binary_cls``, ``pred_multi_cls`` [class], ``latency_ms_binary``,
        ``latency_ms_multi`` [ms].
    """
    level = (rng.permutation(rows) + rng.random(rows)) / rows  # one draw in each 1/rows: quantiles come out exact
    short = np.exp(np.interp(level, VICUNA_LEVELS[:2], np.log(VICUNA_LENGTHS[:2])))
    length = np.where(level < VICUNA_LEVELS[1], short, np.interp(level, VICUNA_LEVELS, VICUNA_LENGTHS))
    length = np.rint(length).astype(np.int64)
    five = _draw_classes(np.digitize(length, FIVE_CLASS_CUTS), level, FIVE_CLASS_CONFUSION, 0.27, rng)
    binary = _draw_classes(five, level, BINARY_GIVEN_FIVE, 0.37, rng)
    base = rng.normal(7.73, 0.15, rows)
    slow = np.where(rng.random(rows) < 0.006, rng.uniform(1.6, 2.6, rows), 0.0)
    return pd.DataFrame(
        {
            "output_token_length": length,
            "pred_binary_cls": binary,
            "pred_multi_cls": five,
            "latency_ms_binary": np.round(base + slow, 3),
            "latency_ms_multi": np.round(base + slow + np.abs(rng.normal(0.14, 0.08, rows)), 3),
        }
    )


def simulated_chat(rng: np.random.Generator, rows: int = 6_000) -> pd.DataFrame:
    """Chat prompts with ten sampled answer lengths each, heavy-tailed and not cut at 512 tokens.

    A prompt has a typical length (log-normal, median 260 tokens) and a spread of its own; its samples are log-t with
    4 degrees of freedom around it, so that two prompts of the same typical length can differ in risk. One sample in
    500 runs away by a Pareto factor. The point prediction sees the typical length through noise, and never the spread.

    Returns
    -------
    pandas.DataFrame [rows, 12]
        ``prompt_tokens``, ``predicted_tokens`` and ``output_tokens_0`` … ``output_tokens_9`` [tokens].
    """
    typical = np.log(260) + 0.85 * rng.standard_normal(rows)
    spread = np.exp(np.log(0.17) + 0.55 * rng.standard_normal(rows))
    samples = typical[:, None] + spread[:, None] * rng.standard_t(4, (rows, CHAT_SAMPLES))
    runaway = rng.random((rows, CHAT_SAMPLES)) < 1 / 500
    samples += np.where(runaway, np.log(4) + rng.exponential(1 / 1.8, (rows, CHAT_SAMPLES)), 0.0)
    lengths = np.clip(np.rint(np.exp(samples)), 1, 8192).astype(np.int64)
    # Next to nothing about the answer can be told from the length of the prompt (CASTILLO: tau -0.14 to 0.03).
    prompt = np.clip(np.rint(np.exp(rng.normal(np.log(45), 0.9, rows))), 4, 4096).astype(np.int64)
    predicted = np.exp(typical + 0.65 * rng.standard_normal(rows))
    columns = {"prompt_tokens": prompt, "predicted_tokens": np.rint(np.maximum(predicted, 1)).astype(np.int64)}
    return pd.DataFrame(columns | {f"output_tokens_{k}": lengths[:, k] for k in range(CHAT_SAMPLES)})


def simulated_bursty(rng: np.random.Generator, mean_rate: float = 2.4) -> pd.DataFrame:
    """An hour of requests to a code assistant: long prompts, mostly short answers, arrivals in bursts.

    Arrivals are a Cox process, drawn second by second: a slow swell over the hour, times spells of work and of
    silence (geometric, mean 30 s and 45 s), times a gamma factor per second. Prompt and answer lengths are
    independent; one answer in eight is a long one.

    Parameters
    ----------
    mean_rate
        Requests per second over the hour, on average [1/s].

    Returns
    -------
    pandas.DataFrame [requests, 3]
        A request frame: ``arrival_s`` [s], ``prompt_tokens``, ``output_tokens`` [tokens].
    """
    second = np.arange(HOUR)
    swell = 1.0 - 0.6 * np.cos(2 * np.pi * second / HOUR)
    active = _spells(rng, mean_on=30, mean_off=45)
    rate = swell * np.where(active, 1.0, 0.005) * rng.gamma(0.5, 2.0, HOUR)
    counts = rng.poisson(rate * (mean_rate * HOUR / rate.sum()))
    arrival = np.sort(np.repeat(second, counts) + rng.random(counts.sum()))
    requests = len(arrival)
    prompt = np.exp(rng.normal(np.log(1450), 1.0, requests))
    long = rng.random(requests) < 1 / 8
    output = np.exp(np.where(long, rng.normal(np.log(75), 0.9, requests), rng.normal(np.log(12), 0.45, requests)))
    return pd.DataFrame(
        {
            "arrival_s": np.round(arrival - arrival[0], 6),
            "prompt_tokens": np.clip(np.rint(prompt), 3, 7500).astype(np.int64),
            "output_tokens": np.clip(np.rint(output), 1, 2000).astype(np.int64),
        }
    )


GENERATORS: dict[str, Callable[[np.random.Generator], pd.DataFrame]] = {
    "ssjf-simulated-vicuna": simulated_vicuna,
    "ssjf-simulated-chat": simulated_chat,
    "ssjf-simulated-bursty": simulated_bursty,
}


def generate(name: str, seed: int) -> pd.DataFrame:
    """Make a simulated set of the catalogue anew, from its name and seed."""
    return GENERATORS[name](seeds.generator(seed, name))


def _draw_classes(
    given: np.ndarray,
    level: np.ndarray,
    table: tuple[tuple[float, ...], ...],
    pull: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw a class [rows] from the row of the table that each given class [rows] selects.

    Rows of one given class keep exactly that row's probabilities; `pull` in [0, 1) correlates the draw with the
    rank of `level` [rows] among them.
    """
    cumulative = np.cumsum(np.array(table), axis=1)
    ranked = pd.Series(level).groupby(given)
    rank = (ranked.rank() - 0.5) / ranked.transform("size")
    draw = ndtr(pull * ndtri(rank.to_numpy()) + np.sqrt(1 - pull**2) * rng.standard_normal(len(given)))
    return (draw[:, None] > cumulative[given, :-1]).sum(axis=1)


def _spells(rng: np.random.Generator, mean_on: float, mean_off: float) -> np.ndarray:
    """Whether each second of the hour [HOUR] lies in a spell of work, in turn with spells of silence."""
    lengths = np.empty(2 * HOUR, dtype=np.int64)
    lengths[0::2] = rng.geometric(1 / mean_on, HOUR)
    lengths[1::2] = rng.geometric(1 / mean_off, HOUR)
    starts = np.cumsum(lengths)
    return np.searchsorted(starts, np.arange(HOUR), side="right") % 2 == 0
