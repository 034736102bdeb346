"""From events and identities to the chain that is filtered: relative counts, coordinates, components in time.

Counts x of a slice are taken relative to the mean of their event over the run, ``u = x / scale``, because events differ
by six orders of magnitude and their innovations are alike only in relative terms. Exact identities are solved once:
``u = offset + basis z`` spans exactly what they leave open, which is the limit of pseudo-observations without noise, at
the cost of the rank instead of the number of events. In time z is a sum of components, each a stationary first-order
autoregression with one decay per slice and a covariance of its own: a decay near 1 is a phase of the program, 0 is what
changes in every slice; each reverts to the level of the run, which is itself unknown within `level`. The paper leaves
its transition model unspecified (section 4.2 has only Pr(e_b^t | e_b^(t-1), e_a^t)); this is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bayesperf.infer.kalman import Dynamics
from credence.bench.errors import InputError

# An identity whose residual stays below this share of its largest term repeats the ones before it.
REPEATED = 1e-9


@dataclass(frozen=True)
class Coordinates:
    """What exact identities leave open.

    Attributes
    ----------
    events : tuple of str
    scale : array [events]
        Counts per slice that a relative count of 1 stands for.
    offset : array [events]
        Relative counts at z = 0: the run's mean, moved as little as the identities ask for.
    basis : array [events, rank]
        Orthonormal columns: the directions in which relative counts can move.
    """

    events: tuple[str, ...]
    scale: np.ndarray
    offset: np.ndarray
    basis: np.ndarray

    @property
    def rank(self) -> int:
        """Number of dimensions that the identities leave open."""
        return self.basis.shape[1]


def coordinates(events, scale: np.ndarray, equal: np.ndarray, equal_to: np.ndarray) -> Coordinates:
    """Solve the exact identities ``equal @ x = equal_to`` for the events.

    Parameters
    ----------
    events : sequence of str
    scale : array [events]
        Typical count of each event per slice, above 0.
    equal, equal_to : arrays [identities, events], [identities]
        In counts per slice.

    Raises
    ------
    InputError
        If the identities contradict each other, or a scale is not above 0.
    """
    events, scale = tuple(events), np.asarray(scale, float)
    if not np.all(scale > 0) or not np.all(np.isfinite(scale)):
        name = events[int(np.flatnonzero(~(scale > 0) | ~np.isfinite(scale))[0])]
        raise InputError(f"the scale of {name} is {scale[events.index(name)]}; allowed: a finite count above 0")
    rows = np.asarray(equal, float).reshape(-1, len(events)) * scale
    right = np.asarray(equal_to, float).ravel()
    size = np.abs(rows).max(axis=1, initial=0)
    rows, right = rows[size > 0] / size[size > 0, None], right[size > 0] / size[size > 0]
    left, values, turned = np.linalg.svd(rows, full_matrices=True)
    rank = int(np.sum(values > REPEATED * values.max(initial=1.0)))
    one = np.ones(len(events))
    step = left[:, :rank].T @ (right - rows @ one) / values[:rank]
    offset = one + turned[:rank].T @ step
    if np.abs(rows @ offset - right).max(initial=0) > 1e-6 * (1 + np.abs(right).max(initial=0)):
        raise InputError(f"the {len(rows)} identities contradict each other: no counts satisfy all of them")
    return Coordinates(events, scale, offset, np.ascontiguousarray(turned[rank:].T))


def run_scale(mean: np.ndarray, equal: np.ndarray, equal_to: np.ndarray) -> np.ndarray:
    """Return a typical count per slice for every event, from the slices in which it was measured.

    An event that was never on a counter gets what the identities say about the means of the others.

    Parameters
    ----------
    mean : array [slices, events]
        Counts; NaN = not measured.
    equal, equal_to : arrays [identities, events], [identities]
    """
    seen = np.isfinite(mean)
    times = seen.sum(axis=0)
    # an event that was never seen to happen is taken to happen once in as many slices again
    floor = 1 / (times + 1)
    scale = np.maximum(np.where(seen, mean, 0).sum(axis=0) / np.maximum(times, 1), floor)
    known, equal = times > 0, np.asarray(equal, float).reshape(-1, mean.shape[1])
    if known.all() or not known.any() or not len(equal):
        return scale
    unit = np.where(known, scale, np.median(scale[known]))
    for _ in range(4):  # the unit in which an unseen event is solved for is the solution of the step before
        rows = equal * unit
        size = np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.abs(equal_to).reshape(-1, 1))
        rows, right = rows / np.where(size > 0, size, 1), equal_to / np.where(size[:, 0] > 0, size[:, 0], 1)
        _, values, turned = np.linalg.svd(rows)
        rank = int(np.sum(values > REPEATED * values.max(initial=1.0)))
        free = turned[rank:].T
        fixed = np.linalg.lstsq(rows, right, rcond=REPEATED)[0]
        step = np.linalg.lstsq(free[known], (scale / unit - fixed)[known], rcond=1e-7)[0]
        solved = np.abs(fixed + free @ step) * unit
        unit = np.where(known, scale, np.maximum(solved, 1e-9 * scale.max()))
    return np.maximum(unit, floor)


@dataclass(frozen=True)
class Components:
    """Covariances of the components in time.

    Attributes
    ----------
    decays : array [components]
        Share of a deviation left after one slice, in [0, 1).
    covariances : array [components, rank, rank]
        Stationary covariance of each component, in coordinates z.
    level : array [rank, rank]
        How far the level of the run may lie from z = 0.
    """

    decays: np.ndarray
    covariances: np.ndarray
    level: np.ndarray


def dynamics(components: Components, volatility: np.ndarray | None = None) -> Dynamics:
    """Stack the components, and the constant level as the last of them, into one state.

    Parameters
    ----------
    components : Components
    volatility : array [slices, components] or None
        Factor on the innovation of each component in each slice.
    """
    decays, rank = components.decays, components.level.shape[0]
    count = decays.size
    states = (count + 1) * rank
    innovation, start = np.zeros((states, states)), np.zeros((states, states))
    for c in range(count):
        part = slice(c * rank, (c + 1) * rank)
        innovation[part, part] = components.covariances[c] * (1 - decays[c] ** 2)
        start[part, part] = components.covariances[c]
    start[count * rank :, count * rank :] = components.level
    factors = None
    if volatility is not None:
        factors = np.repeat(np.column_stack([volatility, np.ones(len(volatility))]), rank, axis=1)
    return Dynamics(np.repeat(np.append(decays, 1.0), rank), innovation, np.zeros(states), start, factors)


def design(rows: np.ndarray, components: int) -> np.ndarray:
    """Rows over coordinates z as rows over the stacked state, which sums the components and the level."""
    return np.ascontiguousarray(np.tile(rows, components + 1))
