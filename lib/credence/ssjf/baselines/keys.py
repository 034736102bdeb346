"""What SSJF is compared with: policies that predict nothing, oracles, and predictors of a chosen quality."""

import numpy as np
import pandas as pd

from credence.bench.errors import InputError

# Need no prediction, so they bound what a predictor is worth from below …
UNINFORMED = ("fcfs", "random", "mlfq")
# … and these from above: they read the true output length.
ORACLES = ("sjf", "srpt")

# Percentiles 25, 50, 75 and 99 of the training lengths: SSJF's five classes
# (repository LLM-serving-with-proxy-models, output-token-len-prediction/preprocess_dataset.py, single round).
FIVE_CLASS_EDGES = (42, 141, 294, 503)


def prompt_length_key(requests: pd.DataFrame) -> np.ndarray:
    """Return the prompt length [requests] in tokens: what the engines' own "shortest job first" patches key on."""
    return requests["prompt_tokens"].to_numpy(dtype=np.float64)


def class_key(output_tokens, edges=FIVE_CLASS_EDGES) -> np.ndarray:
    """Return the true length class [requests], 0 … len(edges): a class predictor that is never wrong."""
    return np.searchsorted(np.asarray(edges), np.asarray(output_tokens), side="right").astype(np.float64)


def noisy_key(output_tokens, tau: float, rng: np.random.Generator) -> np.ndarray:
    """Return a made-up prediction [requests] with a chosen rank agreement with the true lengths.

    The lengths are ranked (ties at random) and turned into normal scores z; the key is r z + √(1 − r²) ε with
    standard normal ε. For a bivariate normal τ = (2/π) arcsin r, so r = sin(π τ / 2) gives Kendall's `tau`
    (Greiner's relation), whatever the lengths' distribution. Ties among the lengths move tau-b a little.

    Parameters
    ----------
    output_tokens : array_like [requests]
        True lengths [tokens].
    tau : float
        Wanted Kendall rank correlation, -1..1; 0 is no information, 1 the true order.

    Returns
    -------
    ndarray [requests]
        No unit: an order only (fit for ssjf, not for psrpt).
    """
    from scipy.special import ndtri

    if not -1 <= tau <= 1:
        raise InputError(f"tau is {tau!r}; allowed: -1..1")
    lengths = np.asarray(output_tokens)
    order = np.lexsort((rng.random(lengths.size), lengths))
    score = np.empty(lengths.size)
    score[order] = ndtri((np.arange(lengths.size) + 0.5) / lengths.size)
    agreement = np.sin(np.pi * tau / 2)
    return agreement * score + np.sqrt(max(1 - agreement**2, 0.0)) * rng.standard_normal(lengths.size)


def scaled_key(output_tokens, tau: float, rng: np.random.Generator) -> np.ndarray:
    """Return `noisy_key` in tokens: its order, with the true lengths' own distribution (fit for psrpt)."""
    lengths = np.sort(np.asarray(output_tokens, dtype=np.float64))
    result = np.empty(lengths.size)
    result[np.argsort(noisy_key(output_tokens, tau, rng), kind="stable")] = lengths
    return result
