"""Sites of the chain: measured cells, soft identities, and the Gaussians of expectation propagation, in slice order."""

from __future__ import annotations

import itertools

import numpy as np

from credence.bayesperf.infer.chain import Coordinates
from credence.bayesperf.infer.kalman import Sites


def cells(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slices and events of the measured cells (not NaN), by slice."""
    return np.nonzero(np.isfinite(mean))


def read_variance(value: np.ndarray, scale: np.ndarray, relative: float, floor: float) -> np.ndarray:
    """Return the variance of measured relative counts: read noise grows with the count, rounding and skid do not.

    Parameters
    ----------
    value : array
        Measured counts.
    scale : array
        Scale of each one's event.
    relative : float
        Standard deviation of the read noise as a share of the count.
    floor : float
        Standard deviation that is there even at a count of 0, as a share of the event's scale.
    """
    return (relative * value / scale) ** 2 + floor**2


def join(slices: int, *blocks: tuple) -> tuple[Sites, list[np.ndarray]]:
    """Put blocks of sites into slice order.

    Parameters
    ----------
    slices : int
        Length of the chain.
    *blocks : tuples (design, slice, row, value, variance)
        As in `Sites`, each with rows of its own.

    Returns
    -------
    sites : Sites
    places : list of int arrays
        Where each block's sites went.
    """
    shift = np.cumsum([0] + [len(block[0]) for block in blocks])
    slot = np.concatenate([block[1] for block in blocks]).astype(np.int64)
    row = np.concatenate([block[2] + shift[i] for i, block in enumerate(blocks)]).astype(np.int64)
    value = np.concatenate([block[3] for block in blocks]).astype(float)
    variance = np.concatenate([block[4] for block in blocks]).astype(float)
    order = np.argsort(slot, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    ends = np.cumsum([0] + [len(block[1]) for block in blocks])
    design = np.concatenate([block[0] for block in blocks])
    sites = Sites(design, slot[order], row[order], value[order], variance[order])
    return sites, [place[a:b] for a, b in itertools.pairwise(ends)]


def soft_rows(place: Coordinates, rows: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return relations over counts as rows over coordinates, with right-hand sides and the size of their terms.

    ``rows @ x = right`` becomes ``(rows * scale) @ basis z = right - (rows * scale) @ offset``, divided by the size
    (the largest term at the run's mean), so that a softness of 0.01 means 1 % of that term.
    """
    scaled = np.asarray(rows, float).reshape(-1, len(place.events)) * place.scale
    size = np.maximum(np.abs(scaled).max(axis=1, initial=0), 1e-30)
    return scaled @ place.basis / size[:, None], (right - scaled @ place.offset) / size, size
