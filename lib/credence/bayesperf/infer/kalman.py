"""Kalman filter and smoother over scalar sites: the exact posterior of a linear Gaussian chain.

The state x of a slice moves by ``x_t = F x_(t-1) + G_t w_t``, ``w_t ~ N(0, Q)``, and is seen through scalar sites
``y_k = h_k x_t + e_k``, ``e_k ~ N(0, R_k)``: a measured count, an identity held as a pseudo-observation (R = 0 when it
is exact), or the Gaussian that expectation propagation puts in place of a Student-t or of an inequality. Taking the
sites one by one needs no matrix inverse (Koopman and Durbin 2000), and the backward pass (de Jong 1989) none either, so
that an innovation without full rank is allowed. The backward pass also gives, for every site, its *cavity* (what all
other sites say about it: expectation propagation and calibration need exactly this) and the score of the innovation
covariance (expectation maximisation needs only that: Koopman and Shephard 1992).

The result equals conditioning the joint Gaussian of all slices, which is what the tests do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.bench.errors import InputError

# A site whose predicted variance is below this share of the variances it is made of says nothing new: it repeats an
# exact identity, and dividing by its rounding error would make numbers up.
REPEATED = 1e-13


@dataclass(frozen=True)
class Dynamics:
    """How the state moves.

    Attributes
    ----------
    transition : array [states] or [states, states]
        F; a vector is its diagonal (cheaper).
    innovation : array [states, states]
        Q, the covariance of w.
    start_mean, start_covariance : arrays [states], [states, states]
        The state of slice 0 before anything is seen.
    volatility : array [slices, states] or None
        The diagonal of G_t, the factor on the innovation that leads into slice t; None = 1 everywhere.
    """

    transition: np.ndarray
    innovation: np.ndarray
    start_mean: np.ndarray
    start_covariance: np.ndarray
    volatility: np.ndarray | None = None


@dataclass(frozen=True)
class Sites:
    """Scalar Gaussian observations, ordered by slice.

    Attributes
    ----------
    design : array [rows, states]
        The different h.
    slice : int array [sites]
        The slice of each site, not decreasing.
    row : int array [sites]
        The row of `design` that a site sees.
    value, variance : arrays [sites]
        y and R (0 = exact).
    """

    design: np.ndarray
    slice: np.ndarray
    row: np.ndarray
    value: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Smoothed:
    """What all sites together say.

    Attributes
    ----------
    mean, variance : arrays [slices, outputs]
        Of each output row times the state.
    log_likelihood : float
        Log density of the sites' values [nats].
    cavity_mean, cavity_variance : arrays [sites]
        Of h x given every site but this one (NaN for a site that only repeats others).
    score : array [states, states]
        Sum over slices 1.. of ``G (r r' - N) G``: twice the derivative of the log-likelihood with respect to Q.
    surprise : array [slices]
        ``r' Q r - tr(Q N)`` with Q of the slice: above 0 where the innovation was larger than Q expects.
    covariance : array [slices, outputs, outputs] or None
    """

    mean: np.ndarray
    variance: np.ndarray
    log_likelihood: float
    cavity_mean: np.ndarray
    cavity_variance: np.ndarray
    score: np.ndarray
    surprise: np.ndarray
    covariance: np.ndarray | None


@njit(cache=True)
def _forward(
    transition, matrix, diagonal, innovation, volatility, mean, covariance, design, offsets, row, value, noise
):
    slices, sites, states = offsets.size - 1, row.size, mean.size
    means, covariances = np.empty((slices, states)), np.empty((slices, states, states))
    residual, spread, gain = np.zeros(sites), np.full(sites, np.inf), np.zeros((sites, states))
    log_likelihood = 0.0
    for t in range(slices):
        if t > 0:
            if diagonal:
                for i in range(states):
                    mean[i] *= transition[i]
                    for j in range(states):
                        covariance[i, j] *= transition[i] * transition[j]
            else:
                mean = matrix @ mean
                covariance = matrix @ covariance @ matrix.T
            for i in range(states):
                for j in range(states):
                    covariance[i, j] += volatility[t, i] * innovation[i, j] * volatility[t, j]
        means[t], covariances[t] = mean, covariance
        for k in range(offsets[t], offsets[t + 1]):
            h = design[row[k]]
            seen, scale, predicted = noise[k], noise[k], 0.0
            for i in range(states):
                total = 0.0
                for j in range(states):
                    total += covariance[i, j] * h[j]
                gain[k, i] = total
                seen += h[i] * total
                scale += h[i] * h[i] * covariances[t, i, i]
                predicted += h[i] * mean[i]
            residual[k] = value[k] - predicted
            if seen <= REPEATED * scale:
                gain[k] = 0.0
                continue
            spread[k] = seen
            log_likelihood -= 0.5 * (math.log(2 * math.pi * seen) + residual[k] ** 2 / seen)
            for i in range(states):
                share = gain[k, i] / seen
                mean[i] += share * residual[k]
                for j in range(i, states):
                    covariance[i, j] -= share * gain[k, j]
                    covariance[j, i] = covariance[i, j]
            for i in range(states):
                gain[k, i] /= seen
    return means, covariances, residual, spread, gain, log_likelihood


@njit(cache=True)
def _backward(
    transition, matrix, diagonal, innovation, volatility, design, offsets, row, outputs, forward, wants_covariance
):
    means, covariances, residual, spread, gain = forward
    slices, states = means.shape
    sites, rows = row.size, outputs.shape[0]
    mean, variance = np.empty((slices, rows)), np.empty((slices, rows))
    full = np.empty((slices if wants_covariance else 0, rows, rows))
    cavity_residual, cavity_variance = np.full(sites, np.nan), np.full(sites, np.nan)
    score, surprise = np.zeros((states, states)), np.zeros(slices)
    r, n, ng = np.zeros(states), np.zeros((states, states)), np.empty(states)
    for t in range(slices - 1, -1, -1):
        if t < slices - 1:
            if diagonal:
                for i in range(states):
                    r[i] *= transition[i]
                    for j in range(states):
                        n[i, j] *= transition[i] * transition[j]
            else:
                r = matrix.T @ r
                n = matrix.T @ n @ matrix
        for k in range(offsets[t + 1] - 1, offsets[t] - 1, -1):
            if spread[k] == np.inf:
                continue
            h = design[row[k]]
            error, weight = residual[k] / spread[k], 1.0 / spread[k]
            for i in range(states):
                total = 0.0
                for j in range(states):
                    total += n[i, j] * gain[k, j]
                ng[i] = total
                error -= gain[k, i] * r[i]
                weight += gain[k, i] * total
            cavity_residual[k], cavity_variance[k] = error / weight, 1.0 / weight
            for i in range(states):
                r[i] += h[i] * error
                for j in range(states):
                    n[i, j] += weight * h[i] * h[j] - h[i] * ng[j] - ng[i] * h[j]
        if t > 0:
            for i in range(states):
                for j in range(states):
                    term = volatility[t, i] * (r[i] * r[j] - n[i, j]) * volatility[t, j]
                    score[i, j] += term
                    surprise[t] += innovation[i, j] * term
        seen = outputs @ covariances[t]
        mean[t] = outputs @ means[t] + seen @ r
        inner = seen @ n
        for i in range(rows):
            total = 0.0
            for j in range(states):
                total += seen[i, j] * outputs[i, j] - inner[i, j] * seen[i, j]
            variance[t, i] = max(total, 0.0)
        if wants_covariance:
            full[t] = seen @ outputs.T - inner @ seen.T
    return mean, variance, full, cavity_residual, cavity_variance, score, surprise


def _check(dynamics: Dynamics, sites: Sites, slices: int) -> None:
    states = dynamics.start_mean.size
    shapes = {
        "innovation": (dynamics.innovation.shape, [(states, states)]),
        "start_covariance": (dynamics.start_covariance.shape, [(states, states)]),
        "transition": (dynamics.transition.shape, [(states,), (states, states)]),
        "design": (sites.design.shape[1:], [(states,)]),
    }
    for name, (shape, allowed) in shapes.items():
        if shape not in allowed:
            raise InputError(f"{name} has the shape {shape}; allowed: {' or '.join(map(str, allowed))}")
    if sites.slice.size and (np.any(np.diff(sites.slice) < 0) or sites.slice[0] < 0 or sites.slice[-1] >= slices):
        raise InputError(f"site slices must not decrease and lie in 0..{slices - 1}")
    bad = ~np.isfinite(sites.value) | ~(sites.variance >= 0) | np.isinf(sites.variance)
    if bad.any():
        k = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"site {k} (slice {sites.slice[k]}) has value {sites.value[k]}, variance {sites.variance[k]}; "
            "allowed: finite values, finite variances from 0"
        )


def run(
    dynamics: Dynamics, sites: Sites, slices: int, outputs: np.ndarray | None = None, covariance: bool = False
) -> Smoothed:
    """Condition the chain on all its sites.

    Parameters
    ----------
    dynamics : Dynamics
    sites : Sites
    slices : int
        Length of the chain.
    outputs : array [outputs, states], optional
        The linear functions of the state to report; the state itself if not given.
    covariance : bool
        Also return the covariance of the outputs within each slice.

    Raises
    ------
    InputError
        For shapes that do not fit, sites out of order, or a value or variance that is not finite.
    """
    _check(dynamics, sites, slices)
    states = dynamics.start_mean.size
    outputs = np.eye(states) if outputs is None else np.ascontiguousarray(outputs, float)
    diagonal = dynamics.transition.ndim == 1
    vector = np.ascontiguousarray(dynamics.transition if diagonal else np.zeros(states), float)
    matrix = np.ascontiguousarray(np.zeros((states, states)) if diagonal else dynamics.transition, float)
    volatility = np.ones((slices, states)) if dynamics.volatility is None else dynamics.volatility
    shared = (
        vector,
        matrix,
        diagonal,
        np.ascontiguousarray(dynamics.innovation, float),
        np.ascontiguousarray(volatility),
    )
    offsets = np.searchsorted(sites.slice, np.arange(slices + 1))
    design, row = np.ascontiguousarray(sites.design, float), np.ascontiguousarray(sites.row, np.int64)
    value, noise = np.asarray(sites.value, float), np.asarray(sites.variance, float)
    start = np.array(dynamics.start_mean, float), np.array(dynamics.start_covariance, float)
    *forward, log_likelihood = _forward(*shared, *start, design, offsets, row, value, noise)
    mean, variance, full, residual, cavity, score, surprise = _backward(
        *shared, design, offsets, row, outputs, tuple(forward), covariance
    )
    return Smoothed(
        mean, variance, log_likelihood, value - residual, np.maximum(cavity - noise, 0.0), score, surprise,
        full if covariance else None,
    )  # fmt: skip
