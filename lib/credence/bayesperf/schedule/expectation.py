"""What error to expect of a schedule before anything is measured: the posterior variance depends on no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from credence.bayesperf.infer import chain, kalman
from credence.bayesperf.infer.learn import Prior, start
from credence.bayesperf.infer.posterior import rows
from credence.bayesperf.infer.settings import Settings
from credence.bench.errors import InputError

# Mean absolute deviation of a normal variable in standard deviations.
ABSOLUTE = np.sqrt(2 / np.pi)


@dataclass(frozen=True)
class Case:
    """A program as the scheduler imagines it: a stationary chain of relative counts.

    Attributes
    ----------
    events : tuple of str
    basis : array [events, rank]
        What the identities leave open, in relative counts (1 = the event's mean).
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


def case(prior: Prior, events: Sequence[str], relations, scale: np.ndarray, settings: Settings | None = None) -> Case:
    """Return what a prior says about a program whose events have the mean counts `scale` [events].

    Parameters
    ----------
    prior : Prior
    events : sequence of str
        Fixed events included.
    relations : sequence of Relation
        Those of kind "eq" whose events are all listed are used (`model.relations.eliminated` first).
    scale : array [events]
        Mean count of a slice; only ratios matter, by way of the identities.
    settings : Settings, optional
        For the noise of a measured count.
    """
    settings = settings or Settings()
    place = chain.coordinates(events, np.maximum(scale, 1e-9 * np.max(scale)), *rows(relations, events, "eq"))
    components = start(place, prior, settings)
    noise = np.full(len(place.events), settings.read_noise**2 + settings.noise_floor**2)
    return Case(place.events, place.basis, components.decays, components.covariances, noise)


def expected_sd(found: Case, schedule: np.ndarray, warm_up: int = 24) -> np.ndarray:
    """Return the smoother's standard deviation of relative counts in one period of a long run [period, events].

    Parameters
    ----------
    found : Case
    schedule : bool array [period, events]
    warm_up : int
        Slices before and after the period, at least; whole periods are taken.
    """
    period = len(schedule)
    if schedule.ndim != 2 or schedule.shape[1] != len(found.events) or period == 0:
        raise InputError(f"schedule has the shape {schedule.shape}; allowed: [period, {len(found.events)} events]")
    around = -(-warm_up // period)
    on = np.tile(schedule, (2 * around + 1, 1))
    slot, event = np.nonzero(on)
    sites = kalman.Sites(found.outputs, slot, event, np.zeros(slot.size), found.noise[event])
    transition, stationary = found.transition, found.stationary
    innovation = stationary * (1 - np.outer(transition, transition))
    dynamics = kalman.Dynamics(transition, innovation, np.zeros(transition.size), stationary)
    done = kalman.run(dynamics, sites, len(on), found.outputs)
    return np.sqrt(done.variance[around * period : (around + 1) * period])


def expected_error(cases: Case | Sequence[Case], schedule: np.ndarray, warm_up: int = 24) -> np.ndarray:
    """Return the expected absolute error of each event in shares of its mean count [events], mean over `cases`.

    It is what `evaluate.metrics.wape` would be if counts were normal and the case the truth.
    """
    several = [cases] if isinstance(cases, Case) else list(cases)
    return np.mean([ABSOLUTE * expected_sd(one, schedule, warm_up).mean(axis=0) for one in several], axis=0)
