"""Which faults to simulate next, from means and deviations of their margins: acquisitions and picks of a batch."""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtr

from credence.bench.errors import choose

ACQUISITIONS = ("ei", "straddle", "pfail", "lcb", "diverse")


def score(name: str, mean: np.ndarray, deviation: np.ndarray, best: float, kappa: float) -> np.ndarray:
    """Return how much each fault is worth simulating [faults]; more is better.

    Parameters
    ----------
    name : str
        ``ei``: expected improvement on the lowest margin so far; ``straddle``: on the boundary of the critical set and
        unsure; ``pfail``: probability that a part of the margin is at most 0; ``lcb``: lower confidence bound;
        ``diverse``: as ``lcb`` (its caps are in `batch`).
    mean, deviation : array [faults, parts]
        Posterior of the margin's parts [m].
    best : float
        Lowest margin found so far [m].
    kappa : float
        Deviations that a bound lies below the mean.
    """
    choose(name, ACQUISITIONS, "acquisition")
    if name == "pfail":
        # of independent parts, 1 - prod(1 - p); logarithms keep the order of what is far from failing
        return -log_ndtr(mean / deviation).sum(axis=1)
    if name == "diverse":
        # deviations between the bound and failure: a part that is nearly critical for certain is no find
        return (kappa - mean / deviation).max(axis=1) if kappa <= 0 else (-mean / (deviation + kappa)).max(axis=1)
    low = np.argmin(mean - kappa * deviation, axis=1)
    at = np.arange(len(mean))
    mean, deviation = mean[at, low], deviation[at, low]
    if name == "straddle":
        return kappa * deviation - np.abs(mean)
    if name == "ei":
        z = (best - mean) / deviation
        return (best - mean) * ndtr(z) + deviation * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return kappa * deviation - mean


def worth_more(arm: np.ndarray, known: np.ndarray, hazard: np.ndarray, patience: int) -> np.ndarray:
    """Return which faults belong to an arm that is not given up: bool [faults].

    An arm is one fault type in one scenario. It is given up once its simulations without a hazard outnumber those that
    its hazards have bought, `patience` each, by `patience`: what comes close to critical again and again, and never is,
    would otherwise be taken for the most promising.

    Parameters
    ----------
    arm : array of int [faults]
    known : array of int [n]
        Faults simulated.
    hazard : array of bool [n]
        Those that were critical.
    patience : int
        0: no arm is ever given up.
    """
    if not patience:
        return np.ones(len(arm), bool)
    arms = int(arm.max()) + 1
    tried = np.bincount(arm[known], minlength=arms)
    hits = np.bincount(arm[known][hazard], minlength=arms)
    return (tried - hits < patience * (1 + hits))[arm]


def batch(
    scores: np.ndarray,
    open_: np.ndarray,
    size: int,
    groups: np.ndarray,
    cap: int,
    scene: np.ndarray | None = None,
    scene_cap: int = 0,
) -> np.ndarray:
    """Pick the best open faults, with at most `cap` of a fault type and `scene_cap` of a scene.

    Parameters
    ----------
    scores : array [faults]
    open_ : array of bool [faults]
        Those that may be picked.
    size : int
        Faults wanted; fewer come back where caps or the pool leave no more.
    groups, scene : array of int [faults]
        Fault type and scene.
    cap, scene_cap : int
        0: no cap.

    Returns
    -------
    array of int
    """
    candidates = np.flatnonzero(open_)
    # a part of the pool is enough unless caps are tight; then all of it is gone through
    order = candidates[np.argsort(-scores[candidates], kind="stable")]
    if not cap and not scene_cap:
        return order[:size]
    picked, by_type, by_scene = [], {}, {}
    for fault in order:
        kind, place = int(groups[fault]), int(scene[fault]) if scene is not None else -1
        if (cap and by_type.get(kind, 0) >= cap) or (scene_cap and by_scene.get(place, 0) >= scene_cap):
            continue
        picked.append(fault)
        by_type[kind] = by_type.get(kind, 0) + 1
        by_scene[place] = by_scene.get(place, 0) + 1
        if len(picked) == size:
            break
    return np.array(picked, dtype=int)
