"""The posterior of a run over logarithms of a basis of events: learned, smoothed, turned back into counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bayesperf.infer import chain, kalman, sites
from credence.bayesperf.infer.bursts import (
    EventBasis,
    basis_block,
    first_guess,
    other_block,
    soft_block,
)
from credence.bayesperf.infer.learn import Prior, in_states
from credence.bayesperf.infer.settings import Settings

LEAST = 1e-3  # standard deviation of a logarithm that every event has at least


@dataclass(frozen=True)
class LearnedBursts:
    """A chain over logarithms, ready to be filtered.

    Attributes
    ----------
    basis : EventBasis
    components : Components
        Covariances of z.
    at : array [slices, rank]
        z around which measured events outside the basis are linearised: the last estimate.
    log_likelihoods : tuple of float
        One per step of learning [nats].
    """

    basis: EventBasis
    components: chain.Components
    at: np.ndarray
    log_likelihoods: tuple[float, ...]


def anchor(basis: EventBasis, prior: Prior, settings: Settings) -> chain.Components:
    """Return the prior's covariances over a basis, with the run's own variations where it has measured them."""
    covariances = prior.restricted([basis.events[i] for i in basis.chosen])
    common = np.maximum(np.sqrt(np.einsum("cii->i", covariances)), LEAST)
    trust = basis.times / (basis.times + settings.variation_strength)
    own = np.where(basis.times > 0, np.maximum(np.nan_to_num(basis.variation), LEAST), common)
    own = np.exp(trust * np.log(own) + (1 - trust) * np.log(common))
    floor = np.diag((settings.least_variation * own) ** 2)
    inside = covariances * np.outer(own / common, own / common) + floor
    level = np.diag((0.5 * own) ** 2 + 1e-4)
    return chain.Components(np.asarray(prior.decays, float), inside, level)


def step(components: chain.Components, held: np.ndarray, score: np.ndarray, slices: int, settings: Settings):
    """Return the components after one step of expectation maximisation.

    Correlations are shrunk to the prior's with `strength` slices of evidence, variances with `variance_strength` only:
    how fast an event changes is the run's own, and it shows in every single event's counts.

    Parameters
    ----------
    components : Components
        Now.
    held : array [components, rank, rank]
        Stationary covariances of the prior.
    score : array [states, states]
        As of `kalman.run`.
    slices : int
    settings : Settings
    """
    rank, steps = held.shape[1], max(slices - 1, 1)
    new = np.empty_like(held)
    for c, left in enumerate(1 - components.decays**2):
        part = slice(c * rank, (c + 1) * rank)
        now, wanted = components.covariances[c] * left, held[c] * left
        moved = now + now @ score[part, part] @ now / steps
        seen = np.maximum(np.diag(moved), 1e-12)
        variance = (steps * seen + settings.variance_strength * np.diag(wanted)) / (steps + settings.variance_strength)
        # expectation maximisation is slow where little is measured: go a little further than it says
        sd = np.sqrt(np.diag(now)) * (variance / np.diag(now)) ** (settings.stride / 2)
        alike = moved / np.sqrt(np.outer(seen, seen))
        expected = wanted / np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
        correlation = (steps * alike + settings.strength * expected) / (steps + settings.strength)
        new[c] = np.outer(sd, sd) * (correlation + correlation.T) / 2 / left
    return chain.Components(components.decays, new, components.level)


def blocks_at(basis: EventBasis, mean: np.ndarray, at: np.ndarray, soft: tuple, settings: Settings) -> list[tuple]:
    """Return all blocks of sites, linearised at z [slices, rank]."""
    blocks = [basis_block(basis, mean, settings)]
    others = other_block(basis, mean, at, settings)
    if others[1].size:
        blocks.append(others)
    if len(soft[0]):
        blocks.append(soft_block(basis, *soft, at, settings.softness))
    return blocks


def learn_bursts(basis: EventBasis, mean: np.ndarray, prior: Prior, settings: Settings, soft: tuple) -> LearnedBursts:
    """Learn the covariances of a run from its measured counts.

    Parameters
    ----------
    basis : EventBasis
    mean : array [slices, events]
        Measured counts; NaN = not measured.
    prior : Prior
        Of logarithms (`prior.pool`).
    settings : Settings
    soft : tuple of arrays [relations, events], [relations]
        Identities over counts that hold only nearly.
    """
    components = anchor(basis, prior, settings)
    held, at, trail = components.covariances, first_guess(basis, mean), []
    for _ in range(settings.iterations):
        done = _smooth(basis, components, mean, at, soft, settings)
        trail.append(done.log_likelihood)
        components = step(components, held, done.score, len(mean), settings)
        at = basis.bounded(done.mean)
    return LearnedBursts(basis, components, at, tuple(trail))


def _smooth(basis, components, mean, at, soft, settings, covariance=False) -> kalman.Smoothed:
    count = components.decays.size
    blocks = [in_states(block, count) for block in blocks_at(basis, mean, at, soft, settings)]
    together, _ = sites.join(len(mean), *blocks)
    outputs = chain.design(np.eye(basis.rank), count)
    return kalman.run(chain.dynamics(components), together, len(mean), outputs, covariance)


def estimate(learned: LearnedBursts, mean: np.ndarray, settings: Settings, soft: tuple) -> tuple:
    """Return centre, standard deviation, covariance and log-likelihood of the counts of a run.

    The centre maps the medians of the basis events through the identities, which it therefore satisfies, except where
    an event outside the basis would fall below 0. The median, not the mean, since a skewed posterior's mean lies where
    few slices are. Standard deviations are those of the logarithms carried over at the centre.

    Returns
    -------
    mean, sd : arrays [slices, events]
    covariance : array [slices, events, events]
    log_likelihood : float
    """
    basis = learned.basis
    at = learned.at if len(learned.at) == len(mean) else first_guess(basis, mean)
    done = _smooth(basis, learned.components, mean, at, soft, settings, covariance=True)
    z = basis.bounded(done.mean)
    slope = np.exp(basis.centre + z)
    below = np.maximum(slope - basis.shift, 0)
    centre = np.maximum(basis.offset + below @ basis.expansion.T, 0) * basis.scale
    spread = done.covariance * slope[:, :, None] * slope[:, None, :]
    rows = basis.expansion * basis.scale[:, None]
    covariance = rows @ spread @ rows.T
    sd = np.sqrt(np.maximum(np.einsum("tee->te", covariance), 0))
    return centre, sd, covariance, done.log_likelihood
