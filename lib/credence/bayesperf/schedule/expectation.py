"""What error to expect of a schedule before anything is measured: the posterior variance depends on no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from credence.bayesperf.infer import bursts, chain
from credence.bayesperf.infer.posterior import rows
from credence.bayesperf.infer.prior import component_moments
from credence.bayesperf.infer.settings import Settings
from credence.bayesperf.schedule.variance import smoothed_variance
from credence.bench.errors import InputError

# How far an event's level over the run is from what the smoother takes it for, in logarithms: it has to be learned in
# the slices in which the event is on a counter, and a run is not endless (the decay stands for some hundred slices).
# Without it a schedule trusts correlations that nobody has seen yet. Chosen on the training programs.
LEVEL, LEVEL_DECAY = 0.5, 0.99
# Standard deviation of a measured count of a slice, in shares of the event's mean: 0.5 % read noise and 2 % skid.
READ_SD = 0.0045
# Standard deviation that every direction has at least, in logarithms: no direction is taken for certain.
LEAST = 0.03
# Mean absolute deviation of a normal variable in standard deviations.
ABSOLUTE = float(np.sqrt(2 / np.pi))


@dataclass(frozen=True)
class Case:
    """A program as the scheduler imagines it: a stationary chain of logarithms of the counts of a basis of events.

    It is the chain of the smoother (`infer.bursts`) to first order around the mean counts.

    Attributes
    ----------
    events : tuple of str
    expansion : array [events, rank]
        Relative counts (1 = the event's mean) that a basis event's change by its own mean brings.
    decays : array [components]
    covariances : array [components, rank, rank]
        Stationary covariance of each component.
    noise : array [events]
        Variance of a measured relative count of a slice.
    """

    events: tuple[str, ...]
    expansion: np.ndarray
    decays: np.ndarray
    covariances: np.ndarray
    noise: np.ndarray

    @property
    def rank(self) -> int:
        """Dimensions that the identities leave open."""
        return self.expansion.shape[1]

    @property
    def outputs(self) -> np.ndarray:
        """Rows that take the stacked state to relative counts [events, states]."""
        return np.ascontiguousarray(np.tile(self.expansion, self.decays.size))

    @property
    def transition(self) -> np.ndarray:
        """Diagonal of the transition of the stacked state [states]."""
        return np.repeat(self.decays, self.rank)

    @property
    def stationary(self) -> np.ndarray:
        """Covariance of the stacked state before anything is measured [states, states]."""
        states = self.rank * self.decays.size
        whole = np.zeros((states, states))
        for index, covariance in enumerate(self.covariances):
            part = slice(index * self.rank, (index + 1) * self.rank)
            whole[part, part] = covariance
        return whole


def coordinates(events: Sequence[str], relations, scale: np.ndarray) -> chain.Coordinates:
    """Return what the identities leave open around the mean counts `scale` [events]; zeros are lifted a little."""
    scale = np.asarray(scale, float)
    return chain.coordinates(events, np.maximum(scale, 1e-9 * scale.max()), *rows(relations, events, "eq"))


def case(
    covariances: np.ndarray,
    events: Sequence[str],
    relations,
    scale: np.ndarray,
    decays: Sequence[float] | None = None,
    read_sd: float = READ_SD,
    level: float = LEVEL,
) -> Case:
    """Return a program with given covariances.

    Parameters
    ----------
    covariances : array [components, events, events]
        Of logarithms of relative counts, as in `infer.learn.Prior`.
    events : sequence of str
        Fixed events included.
    relations : sequence of Relation
        Those of kind "eq" whose events are all listed are used (`model.relations.eliminated` first).
    scale : array [events]
        Mean count of a slice; only ratios matter, by way of the identities.
    decays : sequence of float [components], optional
        Those of the smoother's settings if not given.
    read_sd : float
        Standard deviation of a measured relative count.
    level : float
        Standard deviation of each event's own level, a slow component besides those given; 0 = levels are known.
    """
    decays = np.asarray(Settings().decays if decays is None else decays, float)
    if len(covariances) != decays.size or not read_sd > 0:
        found = f"{len(covariances)} covariances, {decays.size} decays, read_sd {read_sd!r}"
        raise InputError(f"{found}; allowed: as many of one as of the other, and above 0")
    place = coordinates(events, relations, scale)
    chosen = bursts.choose_basis(place, np.ones(len(place.events)))
    expansion = place.basis @ np.linalg.inv(place.basis[chosen])
    expansion[np.abs(expansion) < 1e-9] = 0.0
    inside = np.asarray(covariances)[:, chosen][:, :, chosen] + LEAST**2 * np.eye(chosen.size)
    if level > 0:
        decays = np.append(decays, LEVEL_DECAY)
        inside = np.concatenate([inside, level**2 * np.eye(chosen.size)[None]])
    return Case(place.events, expansion, decays, inside, np.full(len(place.events), read_sd**2))


def case_of(counts: np.ndarray, events: Sequence[str], relations, level: float = LEVEL) -> Case:
    """Return the case that the counts of a program make [slices, events]: of a training program, or of a first pass."""
    settings, counts = Settings(), np.asarray(counts, float)
    moments = component_moments(counts, settings.decays, settings.shift)
    return case(moments, events, relations, counts.mean(axis=0), settings.decays, level=level)


def expected_sd(found: Case, schedule: np.ndarray, warm_up: int = 12) -> np.ndarray:
    """Return the smoother's standard deviation of relative counts in one period of a long run [period, events].

    Parameters
    ----------
    found : Case
    schedule : bool array [period, events]
    warm_up : int
        Slices before and after the period, at least; whole periods are taken.
    """
    schedule = np.ascontiguousarray(schedule, bool)
    if schedule.ndim != 2 or schedule.shape[1] != len(found.events) or len(schedule) == 0:
        raise InputError(f"schedule has the shape {schedule.shape}; allowed: [period, {len(found.events)} events]")
    around = -(-warm_up // len(schedule))
    chained = found.transition, found.stationary, found.outputs, found.noise
    return np.sqrt(smoothed_variance(*chained, schedule, around))


def expected_error(cases: Case | Sequence[Case], schedule: np.ndarray, warm_up: int = 12) -> np.ndarray:
    """Return the expected absolute error of each event in shares of its mean count [events], mean over `cases`.

    It is what `evaluate.metrics.wape` would be if counts were normal and the case the truth.
    """
    several = [cases] if isinstance(cases, Case) else list(cases)
    return np.mean([ABSOLUTE * expected_sd(one, schedule, warm_up).mean(axis=0) for one in several], axis=0)
