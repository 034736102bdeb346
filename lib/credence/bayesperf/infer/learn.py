"""Learn the covariances of the chain from the multiplexed counts of one run, by expectation maximisation.

"Training is not required: theta inferred with the events" (section 4.3): nothing but the run's own measured counts goes
in here. They say little about two events that were never on counters together, so the covariances are shrunk towards
those of a prior (an inverse Wishart worth `strength` slices), which `prior` learns on the training programs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from credence.bayesperf.infer import chain, kalman, sites
from credence.bayesperf.infer.settings import Settings


@dataclass(frozen=True)
class Prior:
    """Covariances of relative counts that programs have in common.

    Attributes
    ----------
    events : tuple of str
    decays : array [components]
    covariances : array [components, events, events]
        Stationary covariance of each component, in relative counts.
    strength : float
        Slices of evidence it stands for.
    source : str
        Where it comes from, for reports.
    """

    events: tuple[str, ...]
    decays: np.ndarray
    covariances: np.ndarray
    strength: float
    source: str

    def restricted(self, events) -> np.ndarray:
        """Return the covariances [components, events, events] of some of the events; unknown ones are independent."""
        place = [self.events.index(e) if e in self.events else -1 for e in events]
        known = np.array([p >= 0 for p in place])
        out = np.zeros((len(self.decays), len(place), len(place)))
        picked = np.array([p for p in place if p >= 0], int)
        typical = np.median(np.einsum("cii->ci", self.covariances), axis=1)
        for c in range(len(self.decays)):
            out[c][np.ix_(known, known)] = self.covariances[c][np.ix_(picked, picked)]
            out[c][~known, ~known] = typical[c]
        return out


def plain_prior(events, settings: Settings) -> Prior:
    """Return a prior that knows nothing about the events: each varies by `variation`, half of it in common."""
    count = len(events)
    one = settings.variation**2 * (0.5 * np.eye(count) + 0.5) / len(settings.decays)
    return Prior(
        tuple(events), np.array(settings.decays), np.tile(one, (len(settings.decays), 1, 1)), settings.strength, "none"
    )


@dataclass(frozen=True)
class Learned:
    """A chain ready to be filtered.

    Attributes
    ----------
    place : Coordinates
    components : Components
    read_noise : float
        Standard deviation of a measured count of a slice, as a share of it.
    log_likelihoods : tuple of float
        One per step of expectation maximisation [nats].
    volatility : array [slices, components] or None
    """

    place: chain.Coordinates
    components: chain.Components
    read_noise: float
    log_likelihoods: tuple[float, ...] = field(default=())
    volatility: np.ndarray | None = None


def own_variation(place: chain.Coordinates, mean: np.ndarray, common: np.ndarray, settings: Settings) -> np.ndarray:
    """Return how much each event varies in this run [events]: its own measured counts, shrunk to the prior's.

    Parameters
    ----------
    place : Coordinates
    mean : array [slices, events]
        Measured counts; NaN = not measured.
    common : array [events]
        Standard deviations of relative counts in the prior.
    settings : Settings
    """
    seen = np.isfinite(mean)
    count = seen.sum(axis=0)
    moves = np.where(seen, mean / place.scale - 1, 0)
    own = np.sqrt((moves**2).sum(axis=0) / np.maximum(count, 1))
    trust = count / (count + settings.variation_strength)
    floor = settings.least_variation
    return np.exp(trust * np.log(np.maximum(own, floor)) + (1 - trust) * np.log(np.maximum(common, floor)))


def start(place: chain.Coordinates, mean: np.ndarray, prior: Prior, settings: Settings) -> chain.Components:
    """Bring a prior's covariances into the coordinates of a run, with the run's own variations.

    Correlations are the prior's, variations the run's. The projection goes by the events that were measured: what the
    identities then say about the others follows.
    """
    covariances = prior.restricted(place.events)
    common = np.sqrt(np.einsum("cii->i", covariances))
    factor = own_variation(place, mean, common, settings) / np.maximum(common, settings.least_variation)
    weight = np.where(np.isfinite(mean).any(axis=0), 1.0, settings.unmeasured_weight)
    project = np.linalg.pinv(place.basis * weight[:, None]) * (weight * factor)
    floor = settings.least_variation**2 * np.eye(place.rank)
    inside = np.stack([project @ c @ project.T + floor for c in covariances])
    return chain.Components(np.asarray(prior.decays, float), inside, settings.level**2 * np.eye(place.rank))


def measured(place: chain.Coordinates, mean: np.ndarray, read_noise: float, settings: Settings) -> tuple:
    """Return the block of sites (see `sites.join`) of the measured cells, in coordinates."""
    slot, event = sites.cells(mean)
    value = mean[slot, event]
    variance = sites.read_variance(value, place.scale[event], read_noise, settings.noise_floor)
    return place.basis, slot, event, value / place.scale[event] - place.offset[event], variance


def in_states(block: tuple, components: int) -> tuple:
    """Give a block with rows over coordinates rows over the stacked state."""
    return (chain.design(block[0], components), *block[1:])


def learn(place: chain.Coordinates, mean: np.ndarray, prior: Prior, settings: Settings, extra: tuple = ()) -> Learned:
    """Learn covariances by expectation maximisation with an inverse-Wishart prior.

    Parameters
    ----------
    place : Coordinates
    mean : array [slices, events]
        Measured counts per slice; NaN = not on a counter.
    prior : Prior
    settings : Settings
    extra : tuple of blocks
        Further sites over coordinates: soft identities.
    """
    slices = mean.shape[0]
    components = start(place, mean, prior, settings)
    anchor, count = components.covariances, components.decays.size
    blocks = [in_states(b, count) for b in (measured(place, mean, settings.read_noise, settings), *extra)]
    together, _ = sites.join(slices, *blocks)
    rank, steps, trail = place.rank, max(slices - 1, 1), []
    left = 1 - components.decays**2
    precision, degrees = np.ones(slices), settings.innovation_degrees
    for _ in range(settings.iterations):
        volatility = spread_out(precision, count, degrees)
        smoothed = kalman.run(
            chain.dynamics(components, volatility), together, slices, np.zeros((1, rank * (count + 1)))
        )
        trail.append(smoothed.log_likelihood)
        if degrees is not None:
            moved = (smoothed.surprise + rank * count) / precision
            precision = (degrees + rank * count) / (degrees + moved)
            precision[0] = 1.0
        new = np.empty_like(components.covariances)
        for c in range(count):
            part = slice(c * rank, (c + 1) * rank)
            innovation = components.covariances[c] * left[c]
            moved = innovation + innovation @ smoothed.score[part, part] @ innovation / steps
            total = (steps * moved + prior.strength * anchor[c] * left[c]) / (steps + prior.strength)
            new[c] = (total + total.T) / (2 * left[c])
        components = chain.Components(components.decays, new, components.level)
    return Learned(
        place, components, settings.read_noise, tuple(trail), spread_out(precision, count, settings.innovation_degrees)
    )


def spread_out(precision: np.ndarray, components: int, degrees: float | None) -> np.ndarray | None:
    """Return the factor on each component's innovation in each slice, from the precisions of the slices."""
    return None if degrees is None else np.tile(1 / np.sqrt(precision)[:, None], components)
