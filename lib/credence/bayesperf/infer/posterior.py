"""The posterior of a run: counts of every event in every slice, with standard deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from credence.bayesperf.infer import chain, kalman, sites
from credence.bayesperf.infer.burst_posterior import LearnedBursts, estimate, learn_bursts
from credence.bayesperf.infer.bursts import event_basis
from credence.bayesperf.infer.learn import Learned, Prior, in_states, learn, measured, plain_prior
from credence.bayesperf.infer.mixture import mixture
from credence.bayesperf.infer.propagation import Below, StudentCells, propagate
from credence.bayesperf.infer.settings import Settings
from credence.bench.errors import InputError, choose

# A rare event that is the difference of frequent ones has a standard deviation far above its mean, where a normal in
# logarithms would end at astronomical counts. Chosen on the training programs: 90 % intervals cover 0.911 of the counts
# for 0.912 without it, and the widest of a part shrinks from 1e18 to 2 times the event's mean.
REACH = 2.0
SWEEPS = 50  # of expectation propagation, at most


@dataclass(frozen=True)
class Posterior:
    """What is known about the counts of a run.

    Attributes
    ----------
    events : tuple of str
    mean, sd : arrays [slices, events]
        Counts per slice.
    covariance : array [slices, events, events] or None
        Of the counts within a slice.
    log_likelihood : float
        Of the measured counts in relative units [nats].
    learned : Learned or LearnedBursts
        The chain it was computed with.
    shift : array [events] or None
        Counts added before the logarithm where the posterior is normal in logarithms; None = normal in counts.
    """

    events: tuple[str, ...]
    mean: np.ndarray
    sd: np.ndarray
    covariance: np.ndarray | None
    log_likelihood: float
    learned: Learned | LearnedBursts
    shift: np.ndarray | None = None

    def quantile(self, probability: float) -> np.ndarray:
        """Return a quantile of every count [slices, events]; counts are never below 0.

        Normal in logarithms where there is a shift, but no further above the mean than `REACH` times as far as a normal
        in counts goes.
        """
        reach = norm.ppf(probability)
        straight = self.mean + reach * self.sd
        if self.shift is None:
            return np.maximum(straight, 0)
        above = self.mean + self.shift
        curved = above * np.exp(np.clip(reach * self.sd / above, -50, 50)) - self.shift
        if reach > 0:
            curved = np.minimum(curved, self.mean + REACH * reach * self.sd)
        return np.maximum(curved, 0)

    def interval(self, probability: float) -> tuple[np.ndarray, np.ndarray]:
        """Return both ends of the central interval [slices, events]."""
        return self.quantile(0.5 - probability / 2), self.quantile(0.5 + probability / 2)


def rows(relations, events, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients [relations, events] and right-hand sides of the relations of one kind.

    A relation with an event that is not listed is left out: eliminate such events first (`model.relations`).
    """
    place = {e: i for i, e in enumerate(events)}
    chosen = [r for r in relations if r.kind == kind and all(e in place for e in r.coefficients)]
    matrix = np.zeros((len(chosen), len(place)))
    for i, relation in enumerate(chosen):
        for event, coefficient in relation.coefficients.items():
            matrix[i, place[event]] = coefficient
    return matrix, np.array([float(r.constant) for r in chosen])


def place_of(observations, relations) -> chain.Coordinates:
    """Return the coordinates of a run: scales from its measured counts, exact identities solved."""
    mean = np.asarray(observations.mean, float)
    if mean.ndim != 2 or mean.shape[1] != len(observations.events):
        raise InputError(f"counts have the shape {mean.shape}; allowed: [slices, {len(observations.events)} events]")
    if np.isinf(mean).any() or np.nanmin(mean, initial=0) < 0:
        slot, event = (int(i[0]) for i in np.nonzero(np.isinf(mean) | (mean < 0)))
        raise InputError(
            f"slice {slot}, {observations.events[event]}: count {mean[slot, event]}; allowed: finite, from 0, or NaN"
        )
    equal, equal_to = rows(relations, observations.events, "eq")
    return chain.coordinates(observations.events, chain.run_scale(mean, equal, equal_to), equal, equal_to)


def smooth(
    observations,
    relations=(),
    settings: Settings | None = None,
    prior: Prior | None = None,
    learned: Learned | LearnedBursts | None = None,
    soft=(),
    covariance: bool = False,
    rng: np.random.Generator | None = None,
) -> Posterior:
    """Compute the posterior of all counts of a run from those measured.

    Parameters
    ----------
    observations : Observations
        Needs `events` and `mean` [slices, events] (count of the slice; NaN = not measured); with `settings.student`
        `readings` and `variance_of_mean` too.
    relations : sequence of Relation
        Exact identities (kind "eq") between counts; inequalities (kind "le") are used with `settings.orders`.
    settings : Settings, optional
        Its `scale` says over what the chain runs.
    prior : Prior, optional
        Covariances learned on training programs; without one, events are taken as half correlated.
    learned : Learned or LearnedBursts, optional
        A chain learned before (whichever it is decides the scale); otherwise it is learned here from the same
        observations.
    soft : sequence of Relation
        Identities that hold only within `settings.softness` of their largest term.
    covariance : bool
        Also return the covariance of the counts within each slice.
    rng : numpy.random.Generator, optional
        With `settings.student`, without `settings.orders`: the posterior by `mixture`, which samples with it, in place
        of expectation propagation; exact, some hundred times slower, and without covariance or likelihood.

    Raises
    ------
    InputError
        For counts below 0 or infinite, for identities that contradict each other, and for `settings.student` or
        `settings.orders` on logarithms.
    """
    settings = settings or Settings()
    choose(settings.scale, ("log", "linear"), "scale")
    mean = np.asarray(observations.mean, float)
    if rng is not None and (not settings.student or settings.orders or covariance):
        raise InputError("rng is given; allowed: only with student, and without orders and covariance")
    if isinstance(learned, LearnedBursts) or (learned is None and settings.scale == "log"):
        if settings.student or settings.orders:
            raise InputError("student and orders are for counts, not for their logarithms; allowed: scale 'linear'")
        return _smooth_bursts(observations, relations, settings, prior, learned, soft, covariance)
    place = learned.place if learned else place_of(observations, relations)
    extra = soft_blocks(place, soft, mean.shape[0], settings)
    if learned is None:
        learned = learn(place, mean, prior or plain_prior(place.events, settings), settings, extra)
    count, slices = learned.components.decays.size, mean.shape[0]
    moving = chain.dynamics(learned.components, learned.volatility)
    outputs = chain.design(place.basis, count)
    blocks, student, below = [in_states(b, count) for b in extra], None, None
    if settings.student:
        slot, event = sites.cells(mean)
        value = mean[slot, event] / place.scale[event] - place.offset[event]
        spread, degrees = student_noise(observations, slot, event, place.scale, settings)
        student = StudentCells(outputs, slot, event, value, spread, degrees)
    else:
        blocks.insert(0, in_states(measured(place, mean, learned.read_noise, settings), count))
    if settings.orders:
        below = below_sites(*order_rows(relations, place.events, place.scale, True), place.basis, place.offset, count)
    if student is not None and below is None and rng is not None:
        centre, variance = mixture(moving, slices, tuple(blocks), outputs, student, rng)
        return Posterior(
            place.events,
            (centre + place.offset) * place.scale,
            np.sqrt(variance) * place.scale * settings.widen,
            None,
            float("nan"),
            learned,
        )
    if student is None and below is None:
        together, _ = sites.join(slices, *blocks)
        done = kalman.run(moving, together, slices, outputs, covariance)
    else:
        done = propagate(moving, slices, tuple(blocks), outputs, student, below, SWEEPS, covariance=covariance)
    return posterior(place, learned, done, settings)


def student_noise(observations, slot, event, scale: np.ndarray, settings: Settings) -> tuple[np.ndarray, float]:
    """Return scale [cells] and degrees of freedom of measured relative counts in the paper's error model (section 4.2).

    Parameters
    ----------
    observations : Observations
    slot, event : int arrays [cells]
    scale : array [events]
        Counts per slice of a relative count of 1.
    settings : Settings

    Raises
    ------
    InputError
        For too few readings a slice: the Student-t has one degree of freedom less than these.
    """
    if observations.readings < 3:
        raise InputError(f"{observations.readings} readings a slice; allowed for Student-t noise: 3 or more")
    within = observations.variance_of_mean[slot, event] / scale[event] ** 2
    # readings that happen to be alike do not make a count exact
    return np.sqrt(within + settings.noise_floor**2), float(observations.readings - 1)


def order_rows(relations, events, scale: np.ndarray, nonnegative: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return inequalities between relative counts, ``rows u <= bound``, in units of each one's largest term.

    Parameters
    ----------
    relations : sequence of Relation
        Those of kind "le" are used.
    events : sequence of str
    scale : array [events]
        Counts per slice of a relative count of 1.
    nonnegative : bool
        Add ``count >= 0`` for every event.

    Returns
    -------
    rows : array [inequalities, events]
    bound : array [inequalities]
    """
    matrix, right = rows(relations, events, "le")
    if nonnegative:
        matrix = np.vstack([matrix, -np.eye(len(events))])
        right = np.append(right, np.zeros(len(events)))
    scaled = matrix * scale
    size = np.abs(scaled).max(axis=1, initial=0)
    return scaled / size[:, None], right / size


def below_sites(matrix: np.ndarray, bound: np.ndarray, basis: np.ndarray, offset: np.ndarray, count: int) -> Below:
    """Return inequalities over relative counts as those over states, without those that identities fix."""
    free = np.abs(matrix @ basis).max(axis=1, initial=0) > 1e-12
    return Below(chain.design(matrix @ basis, count)[free], (bound - matrix @ offset)[free])


def _smooth_bursts(observations, relations, settings, prior, learned, soft, covariance) -> Posterior:
    mean = np.asarray(observations.mean, float)
    softly = rows(soft, observations.events, "eq")
    if learned is None:
        basis = event_basis(place_of(observations, relations), mean, settings.shift, settings.sums)
        learned = learn_bursts(basis, mean, prior or plain_prior(basis.events, settings), settings, softly)
    centre, sd, whole, log_likelihood = estimate(learned, mean, settings, softly)
    basis = learned.basis
    return Posterior(
        basis.events,
        centre,
        sd * settings.widen,
        whole * settings.widen**2 if covariance else None,
        log_likelihood,
        learned,
        basis.shift * basis.scale,
    )


def soft_blocks(place: chain.Coordinates, soft, slices: int, settings: Settings) -> tuple:
    """Return soft identities as sites in every slice (a tuple of none or one block, see `sites.join`)."""
    matrix, right = rows(soft, place.events, "eq")
    if not len(matrix):
        return ()
    design, value, _ = sites.soft_rows(place, matrix, right)
    slot = np.repeat(np.arange(slices), len(matrix))
    row = np.tile(np.arange(len(matrix)), slices)
    return ((design, slot, row, value[row], np.full(row.size, settings.softness**2)),)


def posterior(place: chain.Coordinates, learned: Learned, done: kalman.Smoothed, settings: Settings) -> Posterior:
    """Turn smoothed relative counts into counts."""
    mean = (done.mean + place.offset) * place.scale
    sd = np.sqrt(done.variance) * place.scale * settings.widen
    covariance = None
    if done.covariance is not None:
        covariance = done.covariance * np.outer(place.scale, place.scale) * settings.widen**2
    return Posterior(place.events, mean, sd, covariance, done.log_likelihood, learned)
