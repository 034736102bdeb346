"""A textbook Kalman smoother, one event at a time: no identities, no correlation between events."""

from __future__ import annotations

import numpy as np

from credence.bayesperf.data.observations import Observations
from credence.bayesperf.infer import kalman

# Signal-to-noise ratios tried: variance of a slice's step over variance of a measured count. Ratios below 100 let
# bursts pass for noise and cost up to 20 points on the training programs.
RATIOS = np.logspace(2, 6, 9)


def plain_kalman(observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each count under independent random walks [slices, events].

    x_t = x_(t−1) + w_t, w ~ N(0, q), a measured count is x_t + e_t, e ~ N(0, r); q and r of each event maximise its
    likelihood: r in closed form, q/r over `RATIOS`. The start is diffuse. An event measured less than three times is
    held, with the standard deviation of its counts.

    Parameters
    ----------
    observations : Observations
    """
    slices, events = observations.mean.shape
    mean, sd = np.zeros((slices, events)), np.zeros((slices, events))
    for event in range(events):
        column = observations.mean[:, event]
        seen = np.flatnonzero(~np.isnan(column))
        if seen.size == 0:
            continue
        values = column[seen]
        if seen.size < 3 or np.ptp(values) == 0:
            nearest = np.abs(np.arange(slices)[:, None] - seen[None]).argmin(axis=1)
            mean[:, event] = values[nearest]
            sd[:, event] = np.where(np.isnan(column), values.std(), 0.0)
            continue
        mean[:, event], sd[:, event] = _one(seen, values, slices)
    return np.maximum(mean, 0.0), sd


def _one(seen: np.ndarray, values: np.ndarray, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth one event with the most likely ratio."""
    unit = values.std()
    relative = (values - values[0]) / unit
    best, found = -np.inf, None
    sites = kalman.Sites(np.ones((1, 1)), seen, np.zeros(seen.size, int), relative, np.ones(seen.size))
    for ratio in RATIOS:
        # diffuse in the units of a measured count's variance, which is 1 here and scaled back below
        start = 1e6 * (1 + ratio)
        chain = kalman.Dynamics(np.ones(1), np.array([[ratio]]), np.zeros(1), np.array([[start]]))
        done = kalman.run(chain, sites, slices)
        # with r = 1, log L = −(sum log 2πf + sum e²/f)/2; the best r is (sum e²/f) / (n − 1): the first
        # count only sets the level
        squares = _squares(ratio, start, seen, relative)
        count = seen.size - 1
        noise = max(squares / count, 1e-300)
        score = done.log_likelihood + squares / 2 - count / 2 * (np.log(noise) + 1)
        if score > best:
            best, found = score, (done.mean[:, 0], np.sqrt(done.variance[:, 0] * noise))
    return values[0] + unit * found[0], unit * found[1]


def _squares(ratio: float, start: float, seen: np.ndarray, values: np.ndarray) -> float:
    """Return the sum of squared prediction errors over their variances, for r = 1."""
    level, variance, previous, total = 0.0, start, seen[0], 0.0
    for slot, value in zip(seen, values, strict=True):
        variance += ratio * (slot - previous)
        previous = slot
        spread = variance + 1
        total += (value - level) ** 2 / spread
        level += variance / spread * (value - level)
        variance -= variance**2 / spread
    return total
