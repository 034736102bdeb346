"""The criterion of eq. 1: faults of which the network says that they take the safety potential from above zero to
below.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# (speed, heading, steering) -> distances until standstill, along and across the lane [m]
Stopping = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def critical(golden_delta: np.ndarray, predicted_delta: np.ndarray) -> np.ndarray:
    """Return F_crit (eq. 1) as bool [faults]: safe in the golden run, predicted unsafe under the fault.

    Parameters
    ----------
    golden_delta, predicted_delta : array [faults] or [faults, directions]
        Safety potential d_safe - d_stop [m]; with directions (along, across) the fault is unsafe if one of them is.
    """
    golden, predicted = np.asarray(golden_delta), np.asarray(predicted_delta)
    if golden.ndim == 2:
        golden, predicted = golden.min(axis=1), predicted.min(axis=1)
    return (golden > 0) & (predicted <= 0)


def predicted_delta(
    safe_distance: np.ndarray, motion: np.ndarray, stopping: Stopping, gap_change: np.ndarray | None = None
) -> np.ndarray:
    """Return the safety potential that eq. 9 predicts, along and across the lane [m].

    Parameters
    ----------
    safe_distance : array [faults, 2]
        Golden d_safe along and across, in the slice that is forecast [m].
    motion : array [faults, 3]
        Forecast speed [m/s], heading [rad] and steering [rad]; a negative speed counts as standstill.
    stopping : callable
        Of speed, heading and steering: d_stop along and across (`credence.drivefi.world.safety`).
    gap_change : array [faults, 2], optional
        By how much the car's own forecast motion has used up d_safe since the fault [m].

    Returns
    -------
    array [faults, 2]
    """
    along, across = stopping(np.maximum(motion[:, 0], 0.0), motion[:, 1], motion[:, 2])
    left = np.asarray(safe_distance, float) - np.stack([np.abs(along), np.abs(across)], axis=1)
    return left if gap_change is None else left - gap_change


def scores(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return precision, recall and F1 of a set of faults against the enumerated truth.

    Parameters
    ----------
    predicted, truth : array of bool [faults]

    Returns
    -------
    dict
        ``size`` (faults predicted), ``found``, ``precision``, ``recall``, ``f1`` [1]; 0 where there is nothing to
        divide by.
    """
    predicted, truth = np.asarray(predicted, bool), np.asarray(truth, bool)
    found, size, all_of_them = int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum())
    precision, recall = found / max(size, 1), found / max(all_of_them, 1)
    both = precision + recall
    return {
        "size": size,
        "found": found,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
    }
