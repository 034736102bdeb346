"""A peer after SRMF (Mei et al. 2024): the matrix fault type × scene, completed by smooth low-rank factors.

Their code is not published; this is ours: alternating least squares, factors of neighbouring scenes of a run held
together, the lowest completed margins simulated next, batch by batch.
"""

from __future__ import annotations

import numpy as np

from credence.drivefi.select.gp_selector import LEAST_UNIT_M, spread
from credence.drivefi.select.pool import PoolView, Purse


def complete(
    scene: np.ndarray,
    kind: np.ndarray,
    values: np.ndarray,
    run: np.ndarray,
    types: int,
    rank: int = 4,
    smooth: float = 1.0,
    ridge: float = 0.1,
    rounds: int = 4,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Complete a matrix of scenes × types from some of its entries.

    Parameters
    ----------
    scene, kind : array of int [n]
        Rows and columns of the entries known.
    values : array [n]
        Their values; what is unknown tends to 0.
    run : array of int [scenes]
        Run of each scene: factors are smooth along a run, not across runs.
    types, rank, rounds : int
        Columns; rank; alternations.
    smooth, ridge : float
        Weights of the difference of neighbouring scenes' factors, and of factors' size.
    rng : numpy.random.Generator, optional
        Of the first factors.

    Returns
    -------
    array [scenes, types]
    """
    rng = rng or np.random.default_rng(0)
    left = rng.normal(0, 0.1, (len(run), rank))
    right = rng.normal(0, 1.0, (types, rank))
    for _ in range(rounds):
        for one in np.unique(run):
            rows = np.flatnonzero(run == one)
            left[rows] = _scenes(rows, scene, kind, values, right, smooth, ridge)
        for column in np.unique(kind):
            seen = left[scene[kind == column]]
            gram = seen.T @ seen + ridge * np.eye(rank)
            right[column] = np.linalg.solve(gram, seen.T @ values[kind == column] + ridge * right.mean(axis=0))
    return left @ right.T


def _scenes(rows, scene, kind, values, right, smooth, ridge) -> np.ndarray:
    """Return the factors of one run's scenes: a banded least-squares problem, solved as such."""
    from scipy.linalg import solveh_banded

    rank, size = right.shape[1], len(rows)
    inside = (scene >= rows[0]) & (scene <= rows[-1])
    blocks = np.zeros((size, rank, rank))
    load = np.zeros((size, rank))
    at = scene[inside] - rows[0]
    np.add.at(blocks, at, right[kind[inside], :, None] * right[kind[inside], None, :])
    np.add.at(load, at, right[kind[inside]] * values[inside, None])
    ends = np.full(size, 2.0)
    ends[[0, -1]] = 1.0
    blocks += (ridge + smooth * ends)[:, None, None] * np.eye(rank)
    band = np.zeros((rank + 1, size * rank))
    for upper in range(rank):  # band[offset, column] = A[column + offset, column]
        for lower in range(upper, rank):
            band[lower - upper, upper::rank] = blocks[:, lower, upper]
    band[rank, : (size - 1) * rank] = -smooth
    return solveh_banded(band, load.ravel(), lower=True).reshape(size, rank)


def srmf(
    pool: PoolView, purse: Purse, rng: np.random.Generator, batch: int = 20, first: float = 0.25, **settings
) -> None:
    """Simulate at random, complete, simulate the lowest completed margins, and so on until the budget is spent.

    Parameters
    ----------
    pool, purse, rng
        As for every selector.
    batch : int
        Faults a batch.
    first : float
        Share of the budget that is drawn at random first.
    **settings
        For `complete`.
    """
    start = spread(pool, min(purse.left, max(1, int(first * purse.budget))), rng, pool.active)
    unit = np.maximum(np.minimum(pool.golden, 10.0), LEAST_UNIT_M)[pool.run[pool.scene]]
    purse.parts(start)
    while purse.left:
        rows = np.array(purse.order, int)
        # share of the golden margin lost, in the part that lost most; a fault that does nothing is 0
        values = np.clip(purse.parts(rows) / unit[rows] - 1.0, -1.5, 0.2).min(axis=1)
        found = complete(
            pool.scene[rows], pool.type[rows], values, pool.run, len(pool.fault_embedding), rng=rng, **settings
        )
        order = np.argsort(found[pool.scene, pool.type] + 1e-9 * rng.random(len(pool)))
        fresh = order[pool.active[order] & ~np.isin(order, rows)]
        if not len(fresh):
            break
        purse.parts(fresh[: min(batch, purse.left)])
