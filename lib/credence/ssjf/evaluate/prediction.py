"""How good the length predictions are: accuracy, F1, rank correlation, and what they cost.

Pure functions of lengths and predicted classes; tests compare them with scikit-learn, which is slower to import
than the scoring. Draws are bootstrap resamples of prompts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.stats.contingency import crosstab

from credence.bench.errors import InputError


def length_class(tokens: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """Return the class of each length.

    Parameters
    ----------
    tokens [requests]
        Lengths [tokens].
    ends [classes]
        Upper end of each class [tokens], ascending; a length equal to an end belongs below it, and the last class
        takes whatever is longer (the released eval_prediction.py compares with ``<=``).

    Returns
    -------
    numpy.ndarray [requests]
        Classes from 0.
    """
    inner = np.asarray(ends, dtype=float)[:-1]
    if len(inner) == 0 or (np.diff(inner) <= 0).any():
        raise InputError(f"class ends {tuple(ends)}: at least two, ascending, are needed")
    return np.searchsorted(inner, np.asarray(tokens, dtype=float), side="left")


def confusion(tokens: np.ndarray, predicted: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """Return counts [true class, predicted class] for lengths and predicted classes, both [requests].

    Raises
    ------
    InputError
        If the two differ in length, are empty, or a predicted class does not exist.
    """
    predicted = np.asarray(predicted)
    if len(tokens) == 0 or len(tokens) != len(predicted):
        raise InputError(
            f"{len(tokens)} lengths and {len(predicted)} classes: as many of each are needed, at least one"
        )
    if predicted.min() < 0 or predicted.max() >= len(ends):
        raise InputError(f"predicted classes {predicted.min()}..{predicted.max()}: 0..{len(ends) - 1} are allowed")
    classes = list(range(len(ends)))
    return crosstab(length_class(tokens, ends), predicted, levels=(classes, classes)).count


def table_scores(table: np.ndarray) -> dict[str, np.ndarray | float]:
    r"""Return accuracy and F1 of a confusion table.

    With :math:`n_{ij}` requests of class i called j: accuracy :math:`\sum_i n_{ii} / n`; for each class
    :math:`F_i = 2 n_{ii} / (n_{i\cdot} + n_{\cdot i})`, whose plain mean is macro-F1.

    Parameters
    ----------
    table [..., classes, classes]
        Counts [true, predicted]; leading axes are kept.

    Returns
    -------
    dict
        ``accuracy`` and ``macro_f1`` [...], ``f1`` [..., classes] (0 for a class that neither occurs nor is called).
    """
    table = np.asarray(table, dtype=float)
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    both = table.sum(axis=-1) + table.sum(axis=-2)
    f1 = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
    return {"accuracy": hits.sum(-1) / table.sum((-2, -1)), "macro_f1": f1.mean(-1), "f1": f1}


def scores(tokens: np.ndarray, predicted: np.ndarray, ends: Sequence[int]) -> dict:
    """Return accuracy, macro-F1, F1 by class and Kendall's tau-b of class against length.

    Parameters
    ----------
    tokens, predicted [requests]
        Lengths [tokens] and predicted classes.
    ends [classes]
        Upper ends of the classes [tokens].

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1``, ``tau`` (numbers) and ``f1`` [classes].
    """
    found = table_scores(confusion(tokens, predicted, ends))
    return {**found, "tau": float(stats.kendalltau(tokens, predicted).statistic)}


def score_draws(
    tokens: np.ndarray, predicted: np.ndarray, ends: Sequence[int], draws: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return bootstrap draws over prompts of the scores.

    Returns
    -------
    dict of str to numpy.ndarray
        ``accuracy``, ``macro_f1`` and ``tau`` [draws], ``f1`` [draws, classes].
    """
    table = confusion(tokens, predicted, ends)
    total = int(table.sum())
    # resampling prompts changes the table as a multinomial does
    tables = rng.multinomial(total, table.ravel() / total, size=draws).reshape(draws, *table.shape)
    return {**table_scores(tables), "tau": _tau_draws(tokens, predicted, draws, rng)}


def _tau_draws(tokens, predicted, draws, rng):
    tokens, predicted = np.asarray(tokens), np.asarray(predicted)
    rows = (rng.integers(0, len(tokens), len(tokens)) for _ in range(draws))
    return np.array([stats.kendalltau(tokens[row], predicted[row]).statistic for row in rows])


def mean_draws(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return bootstrap draws [draws] of the mean of `values` [requests], in their unit."""
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise InputError("no values to resample")
    return np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)])
