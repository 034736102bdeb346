"""Coordinates for counts that come in bursts: the logarithm of the counts of a basis of events.

Most events of a program happen in bursts: a slice may hold a hundred times the mean. To a Gaussian chain over counts
such a slice is an accident of all others; over ``z = log(u + shift)``, u = count / mean, it is one more value, counts
stay above ``-shift``, and the posterior is skewed as the counts are. Identities are linear in counts and not in
logarithms, so the logarithms are taken of as many events as the identities leave open (a basis), and all others follow
from these: ``u = offset + expansion @ (exp(centre + z) - shift)``. What is measured of the others is linearised around
the estimate, which is repeated with learning (an iterated extended smoother).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bayesperf.infer import chain, sites
from credence.bayesperf.infer.settings import Settings

# Weight of an event that was never measured, as a basis event: only if nothing else sees its direction, but an event
# that hardly varies (slots in a fixed time). That is a sum: its parts are above 0 and vary, which a basis should say.
UNSEEN, CONSTANT = 1e-3, 1e-6
HARDLY = 0.02  # standard deviation of a logarithm below which an event hardly varies
# A linearised value may be off by as many logarithms before the estimate is bounded: beyond what was ever measured.
REACH = 0.1


@dataclass(frozen=True)
class EventBasis:
    """A basis of events, and how all counts follow from it.

    Attributes
    ----------
    events : tuple of str
    scale : array [events]
        Counts per slice of a relative count of 1.
    chosen : int array [rank]
        The basis: places in `events`.
    expansion, offset : arrays [events, rank], [events]
        ``u = offset + expansion @ u[chosen]``.
    centre : array [rank]
        Mean of ``log(u + shift)`` over the slices in which the event was measured.
    variation : array [rank]
        Its standard deviation there; NaN where never measured.
    times : int array [rank]
        Slices in which it was measured.
    ceiling : array [rank]
        Largest z to be believed.
    shift : float
    """

    events: tuple[str, ...]
    scale: np.ndarray
    chosen: np.ndarray
    expansion: np.ndarray
    offset: np.ndarray
    centre: np.ndarray
    variation: np.ndarray
    times: np.ndarray
    ceiling: np.ndarray
    shift: float

    @property
    def rank(self) -> int:
        """Number of basis events."""
        return self.chosen.size

    def bounded(self, z: np.ndarray) -> np.ndarray:
        """Return z [..., rank] within what counts can be: from 0 to a little above the largest one measured."""
        return np.clip(z, np.log(self.shift) - self.centre, self.ceiling)

    def relative(self, z: np.ndarray) -> np.ndarray:
        """Return relative counts [..., events] at z [..., rank]."""
        return self.offset + (np.exp(self.centre + z) - self.shift) @ self.expansion.T


def choose_basis(place: chain.Coordinates, mean: np.ndarray, sums: bool = False) -> np.ndarray:
    """Return basis events, most often measured and most independent first [rank].

    Parameters
    ----------
    place : Coordinates
    mean : array [slices, events]
        Measured counts; NaN = not measured.
    sums : bool
        Let events that hardly vary in, like any other.
    """
    rows, seen = place.basis.copy(), np.isfinite(mean)
    moves = np.where(seen, mean / place.scale - 1, 0.0)
    varies = np.sqrt((moves**2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
    weight = np.where(seen.any(axis=0), np.where(sums | (varies > HARDLY), 0.02 + seen.mean(axis=0), CONSTANT), UNSEEN)
    chosen: list[int] = []
    for _ in range(place.rank):
        size = np.linalg.norm(rows, axis=1) * weight
        size[chosen] = -1
        pick = int(np.argmax(size))
        chosen.append(pick)
        direction = rows[pick] / np.linalg.norm(rows[pick])
        for _ in range(2):  # twice: rounding of the first projection
            rows = rows - np.outer(rows @ direction, direction)
    return np.array(chosen, int)


def event_basis(place: chain.Coordinates, mean: np.ndarray, shift: float, sums: bool = False) -> EventBasis:
    """Choose a basis of events for a run.

    Parameters
    ----------
    place : Coordinates
        What the identities leave open.
    mean : array [slices, events]
        Measured counts; NaN = not measured.
    shift : float
        Relative count added before the logarithm.
    sums : bool
        See `choose_basis`.
    """
    seen = np.isfinite(mean)
    chosen = choose_basis(place, mean, sums)
    expansion = place.basis @ np.linalg.inv(place.basis[chosen])
    expansion[np.abs(expansion) < 1e-9] = 0.0
    here = seen[:, chosen]
    logs = np.where(here, np.log(np.maximum(np.where(here, mean[:, chosen], 0) / place.scale[chosen], 0) + shift), 0)
    times = here.sum(axis=0)
    centre = logs.sum(axis=0) / np.maximum(times, 1)
    spread = np.sqrt(np.where(here, (logs - centre) ** 2, 0).sum(axis=0) / np.maximum(times, 1))
    top = np.where(times > 0, np.where(here, logs, -np.inf).max(axis=0, initial=-np.inf) - centre, 3.0)
    return EventBasis(
        place.events,
        place.scale,
        chosen,
        expansion,
        place.offset - expansion @ place.offset[chosen],
        centre,
        np.where(times > 0, spread, np.nan),
        times,
        top + REACH,
        shift,
    )


def first_guess(basis: EventBasis, mean: np.ndarray) -> np.ndarray:
    """Return z [slices, rank] interpolated between measured slices, to linearise around."""
    guess, slots = np.zeros((len(mean), basis.rank)), np.arange(len(mean))
    for k, event in enumerate(basis.chosen):
        known = np.flatnonzero(np.isfinite(mean[:, event]))
        if known.size:
            value = np.log(mean[known, event] / basis.scale[event] + basis.shift) - basis.centre[k]
            guess[:, k] = np.interp(slots, known, value)
    return guess


def basis_block(basis: EventBasis, mean: np.ndarray, settings: Settings) -> tuple:
    """Return the sites of measured basis events (see `sites.join`)."""
    slot, row = sites.cells(mean[:, basis.chosen])
    event = basis.chosen[row]
    value = mean[slot, event]
    relative = value / basis.scale[event] + basis.shift
    variance = sites.read_variance(value, basis.scale[event], settings.read_noise, settings.noise_floor) / relative**2
    return np.eye(basis.rank), slot, row, np.log(relative) - basis.centre[row], variance


def linearised(basis: EventBasis, rows: np.ndarray, at: np.ndarray, value: np.ndarray) -> tuple:
    """Return rows and values of sites ``rows @ u = value`` linearised at z.

    Parameters
    ----------
    basis : EventBasis
    rows : array [sites, events]
    at : array [sites, rank]
        z of each site's slice.
    value : array [sites]

    Returns
    -------
    design : array [sites, rank]
    value : array [sites]
    """
    slope = (rows @ basis.expansion) * np.exp(basis.centre + at)
    here = np.einsum("se,se->s", rows, basis.relative(at))
    return slope, value - here + np.einsum("sr,sr->s", slope, at)


def other_block(basis: EventBasis, mean: np.ndarray, at: np.ndarray, settings: Settings) -> tuple:
    """Return the sites of measured events that are not in the basis, linearised at z [slices, rank]."""
    masked = mean.copy()
    masked[:, basis.chosen] = np.nan
    slot, event = sites.cells(masked)
    value = mean[slot, event]
    variance = sites.read_variance(value, basis.scale[event], settings.read_noise, settings.noise_floor)
    rows = np.zeros((slot.size, len(basis.events)))
    rows[np.arange(slot.size), event] = 1.0
    design, target = linearised(basis, rows, at[slot], value / basis.scale[event])
    return design, slot, np.arange(slot.size), target, variance


def soft_block(basis: EventBasis, matrix: np.ndarray, right: np.ndarray, at: np.ndarray, softness: float) -> tuple:
    """Return relations ``matrix @ x = right`` that hold only nearly, in every slice, linearised at z [slices, rank]."""
    rows = matrix * basis.scale
    size = np.abs(rows).max(axis=1)
    slot = np.repeat(np.arange(len(at)), len(matrix))
    row = np.tile(np.arange(len(matrix)), len(at))
    design, target = linearised(basis, (rows / size[:, None])[row], at[slot], (right / size)[row])
    return design, slot, np.arange(slot.size), target, np.full(slot.size, softness**2)
