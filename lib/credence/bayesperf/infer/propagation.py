"""Expectation propagation on the chain: Student-t cells and inequalities as Gaussian sites, refined in sweeps.

A sweep smooths the chain once; every site that stands for something not Gaussian is then replaced by the Gaussian that
gives its cavity (what all other sites say) the mean and variance of cavity times true factor. In the paper the tilted
moments come from MCMC and the global approximation is a Gaussian mean field (Algorithm 1); here both are exact in one
dimension and the global approximation keeps all covariances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bayesperf.infer import kalman, sites
from credence.bayesperf.infer.moments import below_moments, student_moments

LEAST = 1e-4  # precision of a site relative to its cavity below which it says nothing
SETTLED = 1e-3  # change of a mean, in standard deviations, below which the sweeps end


@dataclass(frozen=True)
class StudentCells:
    """Cells with Student-t noise (section 4.2): ``value = rows[row] x + scale * Student(degrees)``.

    Attributes
    ----------
    rows : array [rows, states]
    slice, row : int arrays [sites]
    value, scale : arrays [sites]
    degrees : float
    """

    rows: np.ndarray
    slice: np.ndarray
    row: np.ndarray
    value: np.ndarray
    scale: np.ndarray
    degrees: float


@dataclass(frozen=True)
class Below:
    """Inequalities ``rows x <= bound`` in every slice.

    Attributes
    ----------
    rows : array [inequalities, states]
    bound : array [inequalities]
    """

    rows: np.ndarray
    bound: np.ndarray


def _refine(precision, shift, cavity_mean, cavity_variance, mean, variance, damping):
    """Move the sites' natural parameters towards those that turn cavities into tilted moments."""
    wanted = np.maximum(1 / variance - 1 / cavity_variance, LEAST / cavity_variance)
    whole = wanted + 1 / cavity_variance
    wanted_shift = mean * whole - cavity_mean / cavity_variance
    return precision + damping * (wanted - precision), shift + damping * (wanted_shift - shift)


def propagate(
    dynamics: kalman.Dynamics,
    slices: int,
    blocks: tuple,
    outputs: np.ndarray,
    student: StudentCells | None = None,
    below: Below | None = None,
    sweeps: int = 12,
    damping: float = 0.8,
    covariance: bool = False,
) -> kalman.Smoothed:
    """Return the chain's posterior with Student-t cells and inequalities.

    Parameters
    ----------
    dynamics : Dynamics
    slices : int
    blocks : tuple of blocks
        The Gaussian sites (see `sites.join`).
    outputs : array [outputs, states]
    student : StudentCells, optional
    below : Below, optional
    sweeps : int
        At most; they end when no mean moves by more than a thousandth of its standard deviation.
    damping : float
        Share of the way that a site moves in one sweep, in (0, 1].
    covariance : bool
    """
    blocks, count = list(blocks), len(outputs)
    if student is not None:
        first = student.degrees / max(student.degrees - 2, 0.5) * student.scale**2
        s_precision, s_shift = 1 / first, student.value / first
    if below is not None:
        outputs = np.concatenate([outputs, below.rows])
        b_precision, b_shift = np.zeros((slices, len(below.rows))), np.zeros((slices, len(below.rows)))
        cavity_precision = np.ones_like(b_precision)
    before = None
    for sweep in range(max(sweeps, 1)):
        now = list(blocks)
        if student is not None:
            now.append((student.rows, student.slice, student.row, s_shift / s_precision, 1 / s_precision))
        if below is not None:
            slot, row = np.nonzero(b_precision > LEAST * cavity_precision)
            chosen = b_precision[slot, row]
            now.append((below.rows, slot, row, b_shift[slot, row] / chosen, 1 / chosen))
        together, where = sites.join(slices, *now)
        done = kalman.run(dynamics, together, slices, outputs, covariance)
        spread = np.sqrt(np.maximum(done.variance[:, :count], 1e-300))
        if before is not None and np.max(np.abs(done.mean[:, :count] - before) / spread) < SETTLED:
            break
        before = done.mean[:, :count]
        if sweep == sweeps - 1:
            break
        if student is not None:
            place = where[len(blocks)]
            cavity_mean, cavity_variance = done.cavity_mean[place], np.maximum(done.cavity_variance[place], 1e-300)
            _, mean, variance = student_moments(
                cavity_mean, cavity_variance, student.value, student.scale, student.degrees
            )
            s_precision, s_shift = _refine(s_precision, s_shift, cavity_mean, cavity_variance, mean, variance, damping)
        if below is not None:
            active = b_precision > LEAST * cavity_precision
            used, used_shift = np.where(active, b_precision, 0), np.where(active, b_shift, 0)
            whole = 1 / np.maximum(done.variance[:, count:], 1e-300)
            free = whole - used > 1e-6 * whole  # a row that identities fix has nothing left to cut
            cavity_precision = np.where(free, whole - used, whole)
            cavity_mean = np.where(free, (done.mean[:, count:] * whole - used_shift) / cavity_precision, 0)
            _, mean, variance = below_moments(cavity_mean, 1 / cavity_precision, below.bound)
            wanted, wanted_shift = _refine(used, used_shift, cavity_mean, 1 / cavity_precision, mean, variance, damping)
            b_precision, b_shift = np.where(free, wanted, used), np.where(free, wanted_shift, used_shift)
    if below is not None:
        done = kalman.Smoothed(
            done.mean[:, :count], done.variance[:, :count], done.log_likelihood, done.cavity_mean,
            done.cavity_variance, done.score, done.surprise,
            None if done.covariance is None else done.covariance[:, :count, :count],
        )  # fmt: skip
    return done
