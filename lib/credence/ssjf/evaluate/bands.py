r"""Bands around predicted lengths that hold what they promise: out-of-fold residuals, conformalised.

Every prompt with a known length is predicted by a model that has not seen it. With :math:`\hat y` the predicted and y
the true log-length, scores :math:`s = (y - \hat y) / \sigma(\hat y)` of n such prompts give the band

.. math:: [\hat y + s_{(\lfloor (n+1) \alpha / 2 \rfloor)} \sigma(\hat y),\;
           \hat y + s_{(\lceil (n+1)(1 - \alpha / 2) \rceil)} \sigma(\hat y)],

whose coverage is at least :math:`1 - \alpha` for a new prompt from the same source, whatever the model (Vovk's
cross-conformal predictor; its guarantee is nearly that of a split, and holds in the tests here). :math:`\sigma` is a
straight line through the absolute residuals, so that a band may be wider for long answers than for short ones.

An engine with a limit ends its answers there: the length that it *produces* is what bands are about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from credence.bench.errors import InputError

LEVEL = 0.90
LEAST = 40  # prompts with lengths: below 39 the 95 % quantile of the scores would be the largest one or none


@dataclass(frozen=True)
class Band:
    """What turns a predicted log-length into a band.

    Attributes
    ----------
    intercept, slope, floor : float
        Spread of the residuals: intercept + slope · prediction, at least floor [log tokens].
    low, high : float
        Scores at the two ends.
    limit : float
        Length at which the engine stops [tokens]; inf for none.
    """

    intercept: float
    slope: float
    floor: float
    low: float
    high: float
    limit: float = np.inf

    def spread(self, predicted: np.ndarray) -> np.ndarray:
        """Return the spread [prompts] at predicted log-lengths [prompts]."""
        return np.maximum(self.intercept + self.slope * np.asarray(predicted, dtype=float), self.floor)

    def ends(self, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends [prompts] in tokens, between 1 and the limit."""
        predicted = np.asarray(predicted, dtype=float)
        spread = self.spread(predicted)
        with np.errstate(over="ignore"):
            low, high = np.exp(predicted + self.low * spread), np.exp(predicted + self.high * spread)
        return np.clip(low, 1.0, self.limit), np.clip(high, 1.0, self.limit)


def fit_band(predicted: np.ndarray, tokens: np.ndarray, limit: float = np.inf, level: float = LEVEL) -> Band:
    """Return the band of out-of-fold predictions.

    Parameters
    ----------
    predicted [prompts]
        Log-lengths predicted by models that have not seen the prompt.
    tokens [prompts]
        Lengths that were produced [tokens]; the limit where an answer was cut off.
    limit : float
        Where the engine stops [tokens].
    level : float
        Share of lengths to lie inside.

    Raises
    ------
    InputError
        For fewer than `LEAST` prompts, or a level that so few cannot give.
    """
    predicted, truth = np.asarray(predicted, dtype=float), np.log(np.maximum(np.asarray(tokens, dtype=float), 1.0))
    count = truth.size
    if count < LEAST:
        raise InputError(f"{count} prompts with known lengths; allowed: at least {LEAST} for a band")
    if not 0 < level < 1 or (count + 1) * (1 - level) / 2 < 1:
        raise InputError(f"level is {level!r} with {count} prompts; allowed: up to {1 - 2 / (count + 1):.3f}")
    residual = truth - predicted
    size = np.abs(residual - np.median(residual))
    if np.ptp(predicted) > 1e-6:
        slope, intercept = np.polyfit(predicted, size, 1)
    else:
        slope, intercept = 0.0, float(size.mean())
    floor = max(0.3 * float(np.median(size)), 1e-3)
    plain = Band(float(intercept), float(slope), floor, 0.0, 0.0, limit)
    scores = np.sort(residual / plain.spread(predicted))
    tail = (1 - level) / 2
    low = scores[int(np.floor((count + 1) * tail)) - 1]
    high = scores[int(np.ceil((count + 1) * (1 - tail))) - 1]
    return Band(plain.intercept, plain.slope, floor, float(low), float(high), limit)


@dataclass(frozen=True)
class CrossFit:
    """Models of all folds, with what each predicts for the prompts it has not seen.

    Attributes
    ----------
    models : tuple of callable
        From prompts (list of str) to log-lengths [prompts].
    fold [prompts]
        Fold of each prompt with a known length.
    predicted [prompts]
        Out-of-fold log-lengths.
    """

    models: tuple[Callable, ...]
    fold: np.ndarray
    predicted: np.ndarray

    def predict(self, prompts: list[str]) -> np.ndarray:
        """Return the mean over models of the log-lengths [prompts] of new prompts."""
        return np.mean([model(prompts) for model in self.models], axis=0)


def cross_fit(fit: Callable[[np.ndarray], Callable], prompts: list[str], fold: np.ndarray) -> CrossFit:
    """Fit one model for each fold on the other folds.

    Parameters
    ----------
    fit : callable
        From rows to learn from (positions, int array) to a model: prompts (list of str) to log-lengths.
    prompts [prompts]
        Texts.
    fold [prompts]
        Fold of each prompt; same texts in the same fold.
    """
    fold = np.asarray(fold)
    predicted, models = np.full(len(prompts), np.nan), []
    for number in np.unique(fold):
        model = fit(np.flatnonzero(fold != number))
        rows = np.flatnonzero(fold == number)
        predicted[rows] = model([prompts[row] for row in rows])
        models.append(model)
    return CrossFit(tuple(models), fold, predicted)


def coverage(tokens, low, high, predicted, groups: int = 5) -> pd.DataFrame:
    """Return how many true lengths lie in their bands, over groups of prompts of rising prediction.

    Parameters
    ----------
    tokens, low, high, predicted [prompts]
        Lengths produced, ends of the bands and point predictions, all [tokens].
    groups : int
        Groups of equal size.

    Returns
    -------
    pandas.DataFrame
        A row a group: ``predicted`` (median [tokens]), ``covered`` [share], ``lo``, ``hi`` (90 % Wilson interval),
        ``prompts``.
    """
    tokens, low, high, predicted = (np.asarray(values, dtype=float) for values in (tokens, low, high, predicted))
    inside = (tokens >= low - 1e-9) & (tokens <= high + 1e-9)
    rows = []
    for part in np.array_split(np.argsort(predicted, kind="stable"), groups):
        share, count, z = inside[part].mean(), part.size, 1.6449
        middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
        rows.append((np.median(predicted[part]), share, middle - half, middle + half, count))
    return pd.DataFrame(rows, columns=["predicted", "covered", "lo", "hi", "prompts"])
