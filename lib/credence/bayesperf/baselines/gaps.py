"""Estimators that look at one event alone and bridge the slices in which it was on no counter.

Each takes counts of slices and returns one number for every slice and event; measured slices keep their count. An event
that was never on a counter is reported as 0, as perf's ``<not counted>`` would be summed.
"""

from __future__ import annotations

import numpy as np

from credence.bayesperf.data.observations import Observations


def _neighbours(on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each cell the slice of the last measured count up to it and of the next from it on; −1 = none."""
    slices = on.shape[0]
    here = np.arange(slices)[:, None]
    last = np.maximum.accumulate(np.where(on, here, -1), axis=0)
    following = np.minimum.accumulate(np.where(on, here, slices)[::-1], axis=0)[::-1]
    return last, np.where(following == slices, -1, following)


def _ends(observations: Observations) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return slices and counts of both ends of the gap around each cell; a run's rim has the same end twice."""
    on = observations.on
    last, following = _neighbours(on)
    last, following = np.where(last < 0, following, last), np.where(following < 0, last, following)
    column = np.arange(on.shape[1])
    known = np.where(on, observations.mean, 0.0)
    never = last < 0
    left, right = (np.where(never, 0.0, known[np.maximum(end, 0), column]) for end in (last, following))
    return last, following, left, right


def hold(observations: Observations) -> np.ndarray:
    """Return what Linux's scaling amounts to per slice: the last measured rate holds until the next [slices, events].

    Linux multiplies a count by enabled/running time (BayesPerf section 2), that is, it takes the rate outside the
    counted time for that inside. Slices before the first count get the first one.
    """
    return _ends(observations)[2]


def interpolate(observations: Observations) -> np.ndarray:
    """Return linear interpolation in time between measured slices (Mathur and Cook 2005) [slices, events].

    It needs the next count and is an offline method. Before the first and after the last count, that count holds.
    """
    last, following, left, right = _ends(observations)
    length = np.maximum(following - last, 1)
    share = (np.arange(last.shape[0])[:, None] - last) / length
    return left + (right - left) * np.where(following > last, share, 0.0)


def trapezoid(observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Return Tintin's estimate and the uncertainty it reports (Li et al., OSDI 2025) [slices, events], both in counts.

    While an event is off, the area of the trapezoid between its rates before and after is taken for its count. We give
    every slice of the gap the same share of that area, the mean of both ends: the method has no opinion about where in
    the gap it lies. Its uncertainty is the variance of the rates seen so far, updated by Welford's recurrence; here the
    standard deviation over all measured slices up to the end of the gap, 0 where measured.
    """
    _, following, left, right = _ends(observations)
    estimate = np.where(observations.on, left, (left + right) / 2)
    count, mean, squares = (np.zeros(observations.on.shape[1]) for _ in range(3))
    spread = np.zeros(observations.on.shape)
    for t, row in enumerate(observations.mean):
        seen = ~np.isnan(row)
        count = count + seen
        step = np.where(seen, row - mean, 0.0)
        mean = mean + step / np.maximum(count, 1)
        squares = squares + step * np.where(seen, row - mean, 0.0)
        spread[t] = np.sqrt(squares / np.maximum(count - 1, 1))
    at_end = spread[np.maximum(following, 0), np.arange(spread.shape[1])]
    return estimate, np.where(observations.on, 0.0, at_end)
