"""From one window to the next: the posterior becomes the prior, and is forgotten bit by bit.

The paper makes the posterior at t - 1 the prior at t (§V-A) and states neither how a Beta is fitted to draws nor any
forgetting. Without forgetting a component that has been up for a year could not be believed to be down today.
"""

from __future__ import annotations

import numpy as np

from credence.bench.errors import InputError

# Windows that a fault lasts on average: 98 % of the durations of Fig. 4 are below 48 minutes, overloads have a median
# of 12 minutes (§VI); windows are 5 minutes long.
MEAN_FAULT_WINDOWS = 4.0


def next_prior(p_up: np.ndarray, base: np.ndarray, fault_windows: float = MEAN_FAULT_WINDOWS) -> np.ndarray:
    """Return P(up) before the next window, from P(up) after this one.

    A component goes up with probability 1 / `fault_windows` a window, and down as often as keeps `base` the long-run
    probability of being up: ``base + (1 - up - down) (p_up - base)``.

    Parameters
    ----------
    p_up : numpy.ndarray [components]
        Posterior of this window.
    base : numpy.ndarray [components]
        Prior of a first window.
    fault_windows : float
        Mean length of a fault in windows, above 1.

    Raises
    ------
    InputError
        For faults of one window or less.
    """
    if not fault_windows > 1:
        raise InputError(f"fault_windows is {fault_windows!r}; allowed: above 1")
    base = np.asarray(base, float)
    keep = 1 - 1 / (fault_windows * base)
    return base + np.maximum(keep, 0) * (np.asarray(p_up, float) - base)


def match_beta(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Beta parameters with these moments, arrays of any shape.

    A variance of m (1 - m) or more belongs to no Beta; the pseudo-count is then kept at a thousandth.
    """
    mean = np.clip(np.asarray(mean, float), 1e-9, 1 - 1e-9)
    total = np.maximum(mean * (1 - mean) / np.maximum(np.asarray(variance, float), 1e-15) - 1, 1e-3)
    return mean * total, (1 - mean) * total


def update(draws: np.ndarray, first: tuple[float, float], keep: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
    """Return the Beta prior of the next window from draws of every component's health in this one.

    Moments are matched, then both parameters move towards those of the first window:
    ``keep * fitted + (1 - keep) * first``.

    Parameters
    ----------
    draws : numpy.ndarray [draws, components]
        Health, in [0, 1].
    first : tuple of float
        Beta(a, b) of the first window.
    keep : float
        Share that is remembered, in [0, 1]; 1 is the paper's.

    Raises
    ------
    InputError
        For `keep` outside of [0, 1].
    """
    if not 0 <= keep <= 1:
        raise InputError(f"keep is {keep!r}; allowed: from 0 to 1")
    a, b = match_beta(draws.mean(axis=0), draws.var(axis=0))
    return keep * a + (1 - keep) * first[0], keep * b + (1 - keep) * first[1]
