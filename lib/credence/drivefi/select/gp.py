"""An exact Gaussian process over a whole pool that grows by a batch at a time.

The posterior of every fault of the pool is kept: with `L` the Cholesky factor of the simulated faults' covariance, the
rows ``V = L^-1 K(simulated, pool)`` give mean and variance by sums. A batch adds rows to `L` and `V`; nothing is
computed again until the hyper-parameters change. Pool-sized arrays are float32, the small factor is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from credence.drivefi.select.pool import PoolView

JITTER = 1e-6


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters of the covariance of two faults, the sum of three products.

    Attributes
    ----------
    scene, embedding, pair : array
        Length scales of scene features, fault embedding and pair features [their units].
    along : float
        Length scale along a run [scenes].
    weight : array [3]
        Variances: of what is alike in like scenes anywhere, of what belongs to one stretch of one run, and of what is
        common to all faults of a stretch [target units squared].
    noise : float
        Variance that no term explains.
    shared : float
        Correlation of two fault types that have nothing in common but their pair features, 0 to 1.
    """

    scene: np.ndarray
    embedding: np.ndarray
    pair: np.ndarray
    along: float
    weight: np.ndarray
    noise: float
    shared: float = 0.0


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared distances [rows of a, rows of b], float32."""
    found = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2.0 * (a @ b.T)
    return np.maximum(found, 0.0, out=found)


def _matern(squares: np.ndarray) -> np.ndarray:
    """Return the Matérn 3/2 correlation of squared scaled distances, in place."""
    root = np.sqrt(3.0 * squares)
    return (1.0 + root) * np.exp(-root)


def covariance(
    pool: PoolView,
    hyper: Hyper,
    rows: np.ndarray,
    columns: np.ndarray | None = None,
    amplitude: np.ndarray | None = None,
) -> np.ndarray:
    """Return the covariance of faults `rows` with faults `columns` (default: the whole pool), noise left out.

    Scenes and types are combined from tables of their own, so that the cost of a pool-sized block is that of its pair
    features.

    Parameters
    ----------
    pool, hyper
        Faults, and what makes two of them alike.
    rows, columns : array of int
        Faults.
    amplitude : array [faults], optional
        Size of the effect that is expected of each fault of the pool, a factor of the covariance (default 1).

    Returns
    -------
    array [rows, columns]
        float32.
    """
    row_scene, row_type = pool.scene[rows], pool.type[rows]
    scene, kind = (pool.scene, pool.type) if columns is None else (pool.scene[columns], pool.type[columns])
    inputs = (pool.scene_features / hyper.scene).astype(np.float32)
    like = _matern(_squares(inputs[row_scene], inputs))
    apart = (pool.position[row_scene][:, None] - pool.position[None]) / np.float32(hyper.along)
    near = _matern((apart * apart).astype(np.float32))
    near *= pool.run[row_scene][:, None] == pool.run[None]
    points = (pool.fault_embedding / hyper.embedding).astype(np.float32)
    alike = np.exp(-0.5 * _squares(points[row_type], points))
    alike = np.float32(hyper.shared) + np.float32(1.0 - hyper.shared) * alike
    found = np.float32(hyper.weight[0]) * like + np.float32(hyper.weight[1]) * near
    found = found[:, scene] * alike[:, kind]
    if pool.pair_features.shape[1]:
        pairs = (pool.pair_features / hyper.pair).astype(np.float32)
        found *= np.exp(-0.5 * _squares(pairs[rows], pairs if columns is None else pairs[columns]))
    if hyper.weight[2]:
        found += (np.float32(hyper.weight[2]) * near)[:, scene]
    if amplitude is not None:
        found *= amplitude[rows, None] * (amplitude if columns is None else amplitude[columns])[None]
    return found


def prior_variance(hyper: Hyper, amplitude: np.ndarray | None = None) -> np.ndarray | float:
    """Return the variance of faults' targets before anything is simulated (a number, or one a fault)."""
    return float(np.sum(hyper.weight)) * (1.0 if amplitude is None else amplitude**2)


class PoolProcess:
    """Posterior of a Gaussian process with mean zero at every fault of a pool, for one or more targets.

    Attributes
    ----------
    rows : array of int [n]
        Faults that are known.
    mean : array [faults, targets]
        Posterior means (float32).
    variance : array [faults]
        Posterior variances of the noise-free target, the same for all targets (float32).
    """

    def __init__(self, pool: PoolView, hyper: Hyper, targets: int = 1, amplitude: np.ndarray | None = None):
        self.pool, self.hyper = pool, hyper
        self.amplitude = None if amplitude is None else np.asarray(amplitude, np.float32)
        self.rows = np.empty(0, int)
        self.factor = np.empty((0, 0))
        self.whitened = np.empty((0, targets))
        self._blocks = np.empty((64, len(pool)), np.float32)
        self.mean = np.zeros((len(pool), targets), np.float32)
        self.variance = np.broadcast_to(prior_variance(hyper, self.amplitude), len(pool)).astype(np.float32)

    def add(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Condition on further faults.

        Parameters
        ----------
        rows : array of int [b]
            New ones; none may be known already.
        values : array [b, targets]
            What was found.
        """
        rows, size, batch = np.asarray(rows), len(self.rows), len(rows)
        block = covariance(self.pool, self.hyper, rows, None, self.amplitude)
        inner = block[:, rows].astype(float) + (self.hyper.noise + JITTER) * np.eye(batch)
        cross = solve_triangular(self.factor, block[:, self.rows].T.astype(float), lower=True) if size else None
        if size:
            inner -= cross.T @ cross
            block -= cross.T.astype(np.float32) @ self._blocks[:size]
        corner = np.linalg.cholesky(inner)
        block = np.linalg.inv(corner).astype(np.float32) @ block
        grown = np.zeros((size + batch, size + batch))
        grown[:size, :size] = self.factor
        grown[size:, size:] = corner
        left = np.array(values, dtype=float)
        if size:
            grown[size:, :size] = cross.T
            left -= cross.T @ self.whitened
        whitened = solve_triangular(corner, left, lower=True)
        self.factor, self.whitened = grown, np.vstack([self.whitened, whitened])
        self.rows = np.concatenate([self.rows, rows])
        if size + batch > len(self._blocks):
            room = np.empty((2 * (size + batch), len(self.pool)), np.float32)
            room[:size] = self._blocks[:size]
            self._blocks = room
        self._blocks[size : size + batch] = block
        self.mean += block.T @ whitened.astype(np.float32)
        self.variance = np.maximum(self.variance - np.einsum("ij,ij->j", block, block), 1e-9)
