"""Moments of a Gaussian times one factor that is not Gaussian: what expectation propagation matches."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, log_ndtr

# Nodes of the scale mixture, evenly spaced in the log of the precision: the integrand is smooth and falls off on both
# sides, so that the plain trapezoid rule converges exponentially.
NODES = 121


def student_moments(mean, variance, value, scale, degrees) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log mass, mean and variance of ``N(x; mean, variance) * Student(value - x; degrees, scale)``.

    A Student-t is a mixture of Gaussians over a gamma-distributed precision, and for each of them the product is known
    in closed form; the mixture is summed over the logarithm of the precision.

    Parameters
    ----------
    mean, variance : arrays [sites]
        The Gaussian.
    value, scale : arrays [sites]
        Centre and scale of the Student-t.
    degrees : float or array [sites]
        Degrees of freedom; above 0.
    """
    mean, variance, value, scale = (np.asarray(a, float)[..., None] for a in (mean, variance, value, scale))
    half = np.asarray(degrees, float)[..., None] / 2
    # from where the Gaussian and the far-off value pull the precision, with room for the gamma's tail on both sides
    pulled = np.log(scale**2 / ((value - mean) ** 2 + variance))
    low = np.minimum(-6 / np.sqrt(half), pulled) - 12 / half
    high = np.minimum(4.2, 6 / np.sqrt(half))
    log_precision = low + (high - low) * np.linspace(0, 1, NODES)
    weight = np.log((high - low) / (NODES - 1)) + half * np.log(half) - gammaln(half)
    weight = weight + half * (log_precision - np.exp(log_precision))
    noise = scale**2 * np.exp(-log_precision)
    total = variance + noise
    weight = weight - 0.5 * np.log(2 * np.pi * total) - 0.5 * (value - mean) ** 2 / total
    top = weight.max(axis=-1, keepdims=True)
    share = np.exp(weight - top)
    mass = share.sum(axis=-1, keepdims=True)
    share /= mass
    centre = mean + variance / total * (value - mean)
    first = (share * centre).sum(axis=-1)
    second = (share * (variance * noise / total + (centre - first[..., None]) ** 2)).sum(axis=-1)
    return (top + np.log(mass))[..., 0], first, second


def below_moments(mean, variance, bound) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log mass, mean and variance of a Gaussian cut off above `bound`."""
    sd = np.sqrt(variance)
    reach = (bound - mean) / sd
    log_mass = log_ndtr(reach)
    hazard = np.exp(-0.5 * reach**2 - 0.5 * np.log(2 * np.pi) - log_mass)
    share = np.clip(1 - hazard * (hazard + reach), 1e-6, 1.0)
    # far beyond the bound the difference of two large numbers is lost: the tail is exponential there
    far = reach < -30
    share = np.where(far, 1 / np.maximum(reach**2, 1.0), share)
    return log_mass, mean - sd * hazard, variance * share
