"""References that know the truth: how much of an error is the schedule's, and how much is not knowing the program.

Both use the smoother that is judged, with what it would have to learn replaced by estimates from exact counts of the
very run it is tested on. They are references and no limits: a nonlinear method, or a lucky one, may do better.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from credence.bayesperf.infer import kalman, smooth
from credence.bayesperf.infer.prior import pool
from credence.bayesperf.infer.settings import Settings
from credence.bayesperf.infer.sites import cells, read_variance
from credence.bayesperf.schedule.expectation import coordinates

# Slices of evidence that nothing learned from the run itself outweighs.
CERTAIN = 1e9
# Standard deviation that every direction has at least, in relative counts.
LEAST = 0.01
# Share of the diagonal added to the lag-0 covariance before the transition is solved for: short runs have few slices.
RIDGE = 0.01


def knowing_covariance(observations, counts: np.ndarray, relations, settings: Settings | None = None):
    """Return the posterior of the judged smoother with covariances taken from the exact counts.

    Parameters
    ----------
    observations : Observations
    counts : array [slices, events]
        Exact counts of the same run.
    relations : sequence of Relation
        Identities between the listed events.
    settings : Settings, optional

    Returns
    -------
    infer.Posterior
    """
    settings = replace(settings or Settings(), strength=CERTAIN, variance_strength=CERTAIN, iterations=1)
    shift = settings.shift if settings.scale == "log" else None
    prior = pool([counts], observations.events, settings.decays, CERTAIN, "the run itself", shift)
    return smooth(observations, relations, settings, prior)


def knowing_transition(observations, counts: np.ndarray, relations, settings: Settings | None = None):
    """Return mean and standard deviation [slices, events] under a VAR(1) fitted to the exact counts.

    In coordinates z of what the identities leave open: F = C₁ C₀⁻¹ with a ridge, shrunk until it is stable, and the
    innovation covariance that keeps C₀ stationary.

    Parameters
    ----------
    observations, counts, relations, settings
        As for `knowing_covariance`.
    """
    settings = settings or Settings()
    place = coordinates(observations.events, relations, counts.mean(axis=0))
    moves = (counts / place.scale - place.offset) @ place.basis
    now = moves.T @ moves / len(moves) + LEAST**2 * np.eye(place.rank)
    following = moves[1:].T @ moves[:-1] / max(len(moves) - 1, 1)
    transition = following @ np.linalg.inv(now + RIDGE * np.diag(np.diag(now)))
    innovation = now - transition @ now @ transition.T
    for _ in range(200):
        if np.linalg.eigvalsh(innovation).min() > 0:
            break
        transition = 0.97 * transition
        innovation = now - transition @ now @ transition.T
    slot, event = cells(observations.mean)
    value = observations.mean[slot, event]
    variance = read_variance(value, place.scale[event], settings.read_noise, settings.noise_floor)
    sites = kalman.Sites(place.basis, slot, event, value / place.scale[event] - place.offset[event], variance)
    dynamics = kalman.Dynamics(transition, innovation, np.zeros(place.rank), now)
    done = kalman.run(dynamics, sites, len(counts), place.basis)
    return (done.mean + place.offset) * place.scale, np.sqrt(done.variance) * place.scale
