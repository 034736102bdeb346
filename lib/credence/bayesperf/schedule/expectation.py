"""What error to expect of a schedule before anything is measured: the posterior variance depends on no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from credence.bayesperf.infer import chain
from credence.bayesperf.infer.posterior import rows
from credence.bayesperf.infer.prior import LAGS, positive
from credence.bayesperf.schedule.variance import smoothed_variance
from credence.bench.errors import InputError

# Share of a deviation that each component keeps from slice to slice: phases, and what is new in every slice.
DECAYS = (0.9, 0.0)
# How far an event's mean over the run is from what the smoother takes it for, in shares of it: it has to be learned in
# the slices in which the event is on a counter, and a run is not endless (the decay stands for some hundred slices).
# Without it a schedule trusts correlations that nobody has seen yet. Chosen on the training programs.
LEVEL, LEVEL_DECAY = 0.5, 0.99
# Standard deviation of a measured count of a slice, in shares of the event's mean: 0.5 % read noise and 2 % skid.
READ_SD = 0.0045
# Standard deviation that every direction has at least, in relative counts: no direction is taken for certain.
LEAST = 0.01
# Mean absolute deviation of a normal variable in standard deviations.
ABSOLUTE = float(np.sqrt(2 / np.pi))


@dataclass(frozen=True)
class Case:
    """A program as the scheduler imagines it: a stationary chain of relative counts.

    Attributes
    ----------
    events : tuple of str
    basis : array [events, rank]
        What the identities leave open, in relative counts (1 = the event's mean); orthonormal columns.
    decays : array [components]
    covariances : array [components, rank, rank]
        Stationary covariance of each component.
    noise : array [events]
        Variance of a measured relative count of a slice.
    """

    events: tuple[str, ...]
    basis: np.ndarray
    decays: np.ndarray
    covariances: np.ndarray
    noise: np.ndarray

    @property
    def rank(self) -> int:
        """Dimensions that the identities leave open."""
        return self.basis.shape[1]

    @property
    def outputs(self) -> np.ndarray:
        """Rows that take the stacked state to relative counts [events, states]."""
        return np.ascontiguousarray(np.tile(self.basis, self.decays.size))

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
    decays: Sequence[float] = DECAYS,
    read_sd: float = READ_SD,
    level: float = LEVEL,
) -> Case:
    """Return a program with given covariances.

    Parameters
    ----------
    covariances : array [components, events, events]
        Of relative counts; what of them contradicts the identities is dropped.
    events : sequence of str
        Fixed events included.
    relations : sequence of Relation
        Those of kind "eq" whose events are all listed are used (`model.relations.eliminated` first).
    scale : array [events]
        Mean count of a slice; only ratios matter, by way of the identities.
    decays : sequence of float [components]
    read_sd : float
        Standard deviation of a measured relative count.
    level : float
        Standard deviation of each event's own level, a slow component besides those given; 0 = levels are known.
    """
    if len(covariances) != len(decays) or not read_sd > 0:
        raise InputError(
            f"{len(covariances)} covariances, {len(decays)} decays, read_sd {read_sd!r}; allowed: as many, >0"
        )
    place = coordinates(events, relations, scale)
    floor = LEAST**2 * np.eye(place.rank)
    inside = np.stack([place.basis.T @ one @ place.basis + floor for one in covariances])
    noise, decays = np.full(len(place.events), read_sd**2), np.asarray(decays, float)
    if level > 0:
        decays = np.append(decays, LEVEL_DECAY)
        inside = np.concatenate([inside, level**2 * np.eye(place.rank)[None]])
    return Case(place.events, place.basis, decays, inside, noise)


def linear_moments(counts: np.ndarray, decays: Sequence[float] = DECAYS) -> np.ndarray:
    """Return covariances [components, events, events] of relative counts in which bursts weigh by size, not its square.

    What is judged is the absolute error, and a burst of a hundred times the mean would outweigh all other slices of all
    programs in a variance. Each slice's deviations are divided by the root of their joint size before moments are
    taken; that is linear in the slices, so that identities stay as they are. The components are a least-squares fit to
    the autocovariances, as in `infer.prior`.

    Parameters
    ----------
    counts : array [slices, events]
        Exact or estimated counts of one program.
    decays : sequence of float
    """
    counts = np.asarray(counts, float)
    level = counts.mean(axis=0)
    moves = np.where(level > 0, counts / np.where(level > 0, level, 1) - 1, 0.0)
    spread = moves.std(axis=0)
    size = np.sqrt(np.mean((moves / np.where(spread > 0, spread, 1)) ** 2, axis=1))
    if size.mean() > 0:
        moves = moves / np.sqrt(np.maximum(size / size.mean(), 1e-3))[:, None]
    lags = [lag for lag in LAGS if lag < len(moves) // 4] or [0]
    auto = np.stack([moves[: len(moves) - lag].T @ moves[lag:] / (len(moves) - lag) for lag in lags])
    auto = (auto + auto.transpose(0, 2, 1)) / 2
    powers = np.asarray(decays, float)[None, :] ** np.asarray(lags, float)[:, None]
    fitted = np.einsum("cl,lij->cij", np.linalg.pinv(powers, rcond=1e-3), auto)
    fitted = np.stack([positive(one) for one in fitted])
    # cutting negative parts off adds variance: keep the total at lag 0
    total, wanted = np.sqrt(np.einsum("cii->i", fitted)), np.sqrt(np.einsum("ii->i", auto[0]))
    factor = np.where(total > 0, wanted / np.where(total > 0, total, 1), 0)
    return fitted * np.outer(factor, factor)


def case_of(
    counts: np.ndarray, events: Sequence[str], relations, decays: Sequence[float] = DECAYS, level: float = LEVEL
) -> Case:
    """Return the case that the counts of a program make [slices, events]: of a training program, or of a first pass."""
    return case(linear_moments(counts, decays), events, relations, np.mean(counts, axis=0), decays, level=level)


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
