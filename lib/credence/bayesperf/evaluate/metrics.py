"""How far an estimate is from the truth, and how well it knows.

Arrays are [slices, events] counts of a slice. Everything here is a pure function of arrays. An event that never happens
in a trace has no relative error; it is NaN and left out of means (`numpy.nanmean`).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.stats import norm

from credence.bench.errors import InputError

LEVELS = (0.50, 0.90, 0.95)
# A cell is judged for coverage only if its posterior leaves something open: sd above this share of the event's mean.
DETERMINED = 0.001
# Upper ends of the classes of rarity [mean count of a slice, 4 M cycles]; the last class is open.
RARITY = (1e2, 1e4, 1e6)
RARITY_NAMES = ("below 100", "100 to 10 k", "10 k to 1 M", "above 1 M")


def _same_shape(truth: np.ndarray, **others) -> None:
    for name, values in others.items():
        if np.shape(values) != truth.shape:
            raise InputError(f"{name} has the shape {np.shape(values)}; allowed: that of the truth, {truth.shape}")


def _relative(loss: np.ndarray, truth: np.ndarray) -> np.ndarray:
    total = truth.sum(axis=0)
    return np.divide(loss.sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0)


def wape(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the weighted absolute error of each event, sum |estimate − truth| / sum truth [events].

    Parameters
    ----------
    estimate, truth : arrays [slices, events]

    Raises
    ------
    InputError
        For shapes that differ, or an estimate that is not finite.
    """
    truth = np.asarray(truth, float)
    _same_shape(truth, estimate=estimate)
    if not np.isfinite(estimate).all():
        raise InputError("estimate has a value that is not finite; allowed: one finite count per slice and event")
    return _relative(np.abs(estimate - truth), truth)


@njit(cache=True)
def _dtw(first, second, window):
    rows, columns = first.size, second.size
    before, now = np.full(columns + 1, np.inf), np.full(columns + 1, np.inf)
    before[0] = 0.0
    for i in range(1, rows + 1):
        now[:] = np.inf
        for j in range(max(1, i - window), min(columns, i + window) + 1):
            best = min(before[j], before[j - 1], now[j - 1])
            now[j] = abs(first[i - 1] - second[j - 1]) + best
        before, now = now, before
    return before[columns]


def dtw_distance(first: np.ndarray, second: np.ndarray, window: int | None = None) -> float:
    """Return the cost of the best alignment of two series, the sum of |difference| along it.

    Parameters
    ----------
    first, second : arrays [n], [m]
    window : int or None
        Steps that the alignment may leave the diagonal by; None = any.
    """
    first, second = np.ascontiguousarray(first, float), np.ascontiguousarray(second, float)
    widest = max(first.size, second.size)
    window = widest if window is None else window
    if not abs(first.size - second.size) <= window:
        raise InputError(
            f"window is {window!r} for {first.size} and {second.size} values; allowed: their difference on"
        )
    return float(_dtw(first, second, min(window, widest)))


def dtw_error(estimate: np.ndarray, truth: np.ndarray, window: int | None = None) -> np.ndarray:
    """Return each event's error after alignment in time: DTW distance / sum truth [events].

    Never above `wape`: it forgives an estimate that is late, and so ranks methods differently.
    """
    truth = np.asarray(truth, float)
    _same_shape(truth, estimate=estimate)
    total = truth.sum(axis=0)
    found = [dtw_distance(estimate[:, e], truth[:, e], window) if total[e] > 0 else np.nan for e in range(total.size)]
    return np.divide(found, total, out=np.full(total.shape, np.nan), where=total > 0)


def dtw_error_of_paper(
    estimate: np.ndarray, polled: np.ndarray, polled_again: np.ndarray, window: int | None = None
) -> np.ndarray:
    """Return the error as BayesPerf and CounterMiner state it: |d − d_ref| / d_ref [events].

    d is the DTW distance of the estimate and a run in which the event was polled, d_ref that of two polled runs of the
    program (BayesPerf sections 2 and 6.1; the formula is CounterMiner's). It depends as much on how far two runs differ
    as on the estimate. NaN where the two polled runs are the same.

    Parameters
    ----------
    estimate, polled, polled_again : arrays [slices, events]
        The second polled run may have another number of slices.
    """
    polled = np.asarray(polled, float)
    _same_shape(polled, estimate=estimate)
    error = np.full(polled.shape[1], np.nan)
    for e in range(error.size):
        reference = dtw_distance(polled_again[:, e], polled[:, e], window)
        if reference > 0:
            error[e] = abs(dtw_distance(estimate[:, e], polled[:, e], window) - reference) / reference
    return error


def crps(mean: np.ndarray, sd: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score of normal posteriors [slices, events], in counts.

    Closed form (Gneiting and Raftery 2007, equation 21); where sd = 0 it is |mean − truth|.
    """
    truth = np.asarray(truth, float)
    _same_shape(truth, mean=mean, sd=sd)
    error, positive = np.abs(truth - mean), sd > 0
    z = np.divide(error, sd, out=np.zeros(truth.shape), where=positive)
    score = sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    return np.where(positive, score, error)


def crps_quantiles(quantiles: np.ndarray, levels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the CRPS of posteriors given by quantiles [slices, events], in counts.

    Twice the mean pinball loss: exact as the levels (k − 1/2)/K grow dense.

    Parameters
    ----------
    quantiles : array [levels, slices, events]
    levels : array [levels]
        Between 0 and 1, evenly spread.
    truth : array [slices, events]
    """
    levels = np.asarray(levels, float)[:, None, None]
    gap = np.asarray(truth, float)[None] - quantiles
    return 2 * np.maximum(levels * gap, (levels - 1) * gap).mean(axis=0)


def relative_crps(score: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the score of each event in units of `wape`: sum of scores / sum of counts [events]."""
    return _relative(np.asarray(score, float), np.asarray(truth, float))


def interval(mean: np.ndarray, sd: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the central interval of normal posteriors, cut at 0 since counts are not negative."""
    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; allowed: between 0 and 1")
    half = norm.ppf((1 + level) / 2) * np.asarray(sd, float)
    return np.maximum(mean - half, 0.0), np.maximum(mean + half, 0.0)


def judged_cells(on: np.ndarray, sd: np.ndarray, event_mean: np.ndarray) -> np.ndarray:
    """Return the cells in which coverage means anything [slices, events].

    Those neither measured nor determined by the identities: posterior sd above 0.1 % of the event's mean.

    Parameters
    ----------
    on : bool array [slices, events]
    sd : array [slices, events]
    event_mean : array [events]
        Mean count of a slice over the run (the estimate's own will do).
    """
    return ~np.asarray(on, bool) & (np.asarray(sd) > DETERMINED * np.asarray(event_mean))


def coverage(low: np.ndarray, high: np.ndarray, truth: np.ndarray, cells: np.ndarray | None = None) -> float:
    """Return the share of the cells whose truth lies within [low, high]; NaN if there are none.

    A rounding error of 1e-9 of the truth is forgiven, so that a value that is known exactly is covered.
    """
    truth = np.asarray(truth, float)
    _same_shape(truth, low=low, high=high)
    slack = 1e-9 * np.maximum(np.abs(truth), 1.0)
    inside = (truth >= low - slack) & (truth <= high + slack)
    inside = inside[cells] if cells is not None else inside.ravel()
    return float(inside.mean()) if inside.size else float("nan")


def width(low: np.ndarray, high: np.ndarray, event_mean: np.ndarray, cells: np.ndarray | None = None) -> float:
    """Return the mean width of intervals in shares of their event's mean count; NaN if there are no cells."""
    event_mean = np.broadcast_to(np.asarray(event_mean, float), np.shape(low))
    cells = event_mean > 0 if cells is None else cells & (event_mean > 0)
    found = (high - low)[cells] / event_mean[cells]
    return float(found.mean()) if found.size else float("nan")


def rarity(event_mean: np.ndarray) -> np.ndarray:
    """Return each event's class of rarity [events], an index of `RARITY_NAMES`."""
    return np.searchsorted(RARITY, np.asarray(event_mean, float), side="right")


def coverage_by_rarity(low, high, truth, cells) -> dict[str, tuple[float, int]]:
    """Return the coverage of each class of rarity and the number of cells it rests on, rarest first."""
    classes = np.broadcast_to(rarity(np.asarray(truth).mean(axis=0)), np.shape(truth))
    found = {}
    for index, name in enumerate(RARITY_NAMES):
        part = cells & (classes == index)
        found[name] = (coverage(low, high, truth, part), int(part.sum()))
    return found


def violated_orders(
    estimate: np.ndarray, coefficients: np.ndarray, constants: np.ndarray | float = 0.0, tolerance: float = 1e-6
) -> float:
    """Return the share of slices × orders in which an estimate breaks a physical order.

    Parameters
    ----------
    estimate : array [slices, events]
    coefficients : array [orders, events]
        An order is sum(coefficients · counts) ≤ constant.
    constants : array [orders] or float
    tolerance : float
        Share of the order's absolute terms that counts as rounding.

    Returns
    -------
    float
        NaN without orders.
    """
    coefficients = np.asarray(coefficients, float)
    if coefficients.shape[0] == 0 or len(estimate) == 0:
        return float("nan")
    if coefficients.shape[1] != np.shape(estimate)[1]:
        raise InputError(f"coefficients have {coefficients.shape[1]} events; allowed: {np.shape(estimate)[1]}")
    excess = estimate @ coefficients.T - constants
    scale = np.abs(estimate) @ np.abs(coefficients).T
    return float((excess > tolerance * np.maximum(scale, 1.0)).mean())
