"""The smoother's variance under a periodic schedule, fast: what a search for schedules calls thousands of times.

It is `infer.kalman.run` without the counts (a variance depends on none), without learning, for the middle period only.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def smoothed_variance(decays, stationary, rows, noise, schedule, around):
    """Return the variance of every row times the state in the middle period [period, rows].

    Parameters
    ----------
    decays : array [states]
        Diagonal of the transition.
    stationary : array [states, states]
        Covariance of the state before anything is measured; the innovation keeps it so.
    rows : array [rows, states]
        A measurement sees one row of the state; all rows are reported.
    noise : array [rows]
        Variance of a measurement, above 0.
    schedule : bool array [period, rows]
    around : int
        Periods before and after the middle one.

    Returns
    -------
    array [period, rows]
    """
    period, count = schedule.shape
    states = decays.size
    slices = (2 * around + 1) * period
    first, last = around * period, (around + 1) * period
    per_slice = schedule.sum(axis=1).max()
    gains = np.zeros((slices, per_slice, states))
    spreads = np.zeros((slices, per_slice))
    predicted = np.zeros((period, states, states))
    covariance = stationary.copy()
    for t in range(slices):
        if t > 0:
            for i in range(states):
                for j in range(states):
                    kept = decays[i] * decays[j]
                    covariance[i, j] = kept * covariance[i, j] + (1 - kept) * stationary[i, j]
        if first <= t < last:
            predicted[t - first] = covariance
        k = 0
        for row in range(count):
            if schedule[t % period, row]:
                gain = gains[t, k]
                seen = noise[row]
                for i in range(states):
                    total = 0.0
                    for j in range(states):
                        total += covariance[i, j] * rows[row, j]
                    gain[i] = total
                    seen += rows[row, i] * total
                spreads[t, k] = seen
                for i in range(states):
                    share = gain[i] / seen
                    for j in range(states):
                        covariance[i, j] -= share * gain[j]
                for i in range(states):
                    gain[i] /= seen
                k += 1
    # backward: the precision that later measurements add (de Jong 1989)
    later = np.zeros((states, states))
    through = np.empty(states)
    variance = np.empty((period, count))
    for t in range(slices - 1, first - 1, -1):
        if t < slices - 1:
            for i in range(states):
                for j in range(states):
                    later[i, j] *= decays[i] * decays[j]
        k = schedule[t % period].sum() - 1
        for row in range(count - 1, -1, -1):
            if schedule[t % period, row]:
                gain = gains[t, k]
                weight = 1.0 / spreads[t, k]
                for i in range(states):
                    total = 0.0
                    for j in range(states):
                        total += later[i, j] * gain[j]
                    through[i] = total
                    weight += gain[i] * total
                for i in range(states):
                    for j in range(states):
                        later[i, j] += (
                            weight * rows[row, i] * rows[row, j] - rows[row, i] * through[j] - through[i] * rows[row, j]
                        )
                k -= 1
        if t < last:
            seen_by = rows @ predicted[t - first]
            inner = seen_by @ later
            for row in range(count):
                total = 0.0
                for i in range(states):
                    total += seen_by[row, i] * (rows[row, i] - inner[row, i])
                variance[t - first, row] = max(total, 0.0)
    return variance
