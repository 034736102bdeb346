"""How well a relation's residuals fit to noise: the model comparison behind the audit.

Three explanations of the residuals ``r_t = sum(c_e · count_te) - constant`` of one relation are compared:

- *holds*: nothing but read noise and skid, ``r_t ~ sigma sqrt(w_t) · Student(nu)``, where w_t is the variance that the
  counts of slice t give to the sum per unit of relative read noise, and sigma is the noise that the run's other
  relations show;
- *factor*: the coefficient of one event is off by a factor 1 - delta, ``r_t = delta · c_e count_te + noise``;
- *other*: the residuals are larger than the noise without such a pattern (a term is missing, the events are others).

Integrals over sigma are sums over a grid; those over delta are Laplace's (the likelihood of delta is a narrow bell),
with weights that tell bursts from noise (Student-t by reweighting, as in the paper's error model, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp
from scipy.stats import t as student


@dataclass(frozen=True)
class Beliefs:
    """What is believed before the residuals are seen; chosen on the training programs.

    Attributes
    ----------
    holds, factor, other : float
        Probabilities of the three explanations; they add up to 1. Relations come from vendors: most hold.
    factor_scales : tuple of float
        Standard deviations of delta, equally likely: slips of a percent, of some, and terms that are not there.
    noise_spread : float
        Standard deviation of log sigma of one relation around the run's.
    most_noise : float
        Largest sigma of *other*.
    degrees : float
        Student's nu of the noise: phases that change within a slice make its tails heavy.
    """

    holds: float = 0.9
    factor: float = 0.065
    other: float = 0.035
    factor_scales: tuple[float, ...] = (0.01, 0.05, 0.3)
    noise_spread: float = 0.25
    most_noise: float = 1.0
    degrees: float = 10.0


@dataclass(frozen=True)
class Evidence:
    """Result of :func:`weigh`.

    Attributes
    ----------
    probability : float
        Of *holds*.
    factor : array [terms]
        Most likely delta of each term were it the wrong one.
    sd : array [terms]
        Its standard error: errors below about four of these are not seen.
    wrong : array [terms]
        Probability that it is this term's coefficient.
    other : float
        Probability of *other*.
    noise : float
        Most likely sigma if the relation holds.
    """

    probability: float
    factor: np.ndarray
    sd: np.ndarray
    wrong: np.ndarray
    other: float
    noise: float


GRID = 25


def log_student(residual: np.ndarray, scale: np.ndarray, degrees: float) -> np.ndarray:
    """Return the log density of ``scale · Student(degrees)`` at `residual` (arrays that broadcast)."""
    constant = gammaln((degrees + 1) / 2) - gammaln(degrees / 2) - 0.5 * np.log(np.pi * degrees)
    return constant - np.log(scale) - (degrees + 1) / 2 * np.log1p((residual / scale) ** 2 / degrees)


def noise_of(residual: np.ndarray, weight: np.ndarray, degrees: float) -> float:
    """Return the relative noise that residuals show, robustly: their median size in units of sqrt(weight)."""
    return float(np.median(np.abs(residual) / np.sqrt(weight)) / student.ppf(0.75, degrees))


def weigh(
    residual: np.ndarray,
    terms: np.ndarray,
    weight: np.ndarray,
    noise: float,
    beliefs: Beliefs,
    floor: float = 0.0,
    other: bool = True,
) -> Evidence:
    """Compare the three explanations of a relation's residuals.

    Parameters
    ----------
    residual : array [slices]
    terms : array [slices, terms]
        Coefficient times count of each event.
    weight : array [slices]
        Variance of the residual per unit of sigma squared; positive.
    noise : float
        The run's sigma.
    beliefs : Beliefs
    floor : float
        Variance of the residual whatever sigma is: rounding. Slices with hardly a count say nothing about sigma then.
    other : bool
        Whether *other* is an explanation.
    """
    spread = beliefs.noise_spread
    offsets = np.linspace(-3, 3, GRID)
    prior = -0.5 * offsets**2 - logsumexp(-0.5 * offsets**2)
    scale = np.sqrt((noise * np.exp(offsets * spread)[:, None]) ** 2 * weight + floor)  # [grid, slices]
    quiet = log_student(residual, scale, beliefs.degrees).sum(axis=1)
    log_holds = logsumexp(prior + quiet)
    found = [_term(residual, terms[:, j], scale, quiet, prior, beliefs) for j in range(terms.shape[1])]
    log_terms, factor, sd = (np.array(values) for values in zip(*found, strict=True))
    log_other = np.log(beliefs.other) + _other(residual, weight, noise, beliefs, floor) if other else -np.inf
    logs = np.array([np.log(beliefs.holds) + log_holds, log_other])
    each = np.log(beliefs.factor / len(log_terms)) + log_terms
    total = logsumexp(np.concatenate([logs, each]))
    best = int(np.argmax(prior + quiet))
    return Evidence(
        probability=float(np.exp(logs[0] - total)),
        factor=factor,
        sd=sd,
        wrong=np.exp(each - total),
        other=float(np.exp(logs[1] - total)),
        noise=float(noise * np.exp(offsets[best] * spread)),
    )


def _term(residual, term, scale, quiet, prior, beliefs: Beliefs) -> tuple[float, float, float]:
    """Return log evidence, delta and its standard error if this term's coefficient is off."""
    used = term != 0
    if not used.any():
        return float(logsumexp(prior + quiet)), 0.0, np.inf  # nothing can be said: as good as holding
    nu, variance = beliefs.degrees, scale**2
    precision = term**2 / variance
    delta = (term * residual / variance).sum(axis=1) / precision.sum(axis=1)
    for _ in range(12):
        rest = residual - delta[:, None] * term
        share = (nu + 1) / (nu + rest**2 / variance)
        delta = (share * term * residual / variance).sum(axis=1) / (share * precision).sum(axis=1)
    log_best = log_student(residual - delta[:, None] * term, scale, nu).sum(axis=1)
    sd = 1 / np.sqrt((nu + 1) / (nu + 3) * precision.sum(axis=1))  # Fisher information of the Student
    # the likelihood of delta as a bell of this width, against each width of the belief
    widths = np.array(beliefs.factor_scales)[:, None]
    total = widths**2 + sd**2
    blurred = np.log(sd) - 0.5 * np.log(total) - 0.5 * delta**2 / total
    log_evidence = prior + log_best + logsumexp(blurred, axis=0) - np.log(len(widths))
    best = int(np.argmax(prior + log_best))
    return float(logsumexp(log_evidence)), float(delta[best]), float(sd[best])


def _other(residual, weight, noise: float, beliefs: Beliefs, floor: float) -> float:
    lowest, highest = np.log(2 * noise), np.log(max(beliefs.most_noise, 4 * noise))
    scales = np.exp(np.linspace(lowest, highest, 2 * GRID))
    scale = np.sqrt(scales[:, None] ** 2 * weight + floor)
    logs = log_student(residual, scale, beliefs.degrees).sum(axis=1)
    return float(logsumexp(logs) - np.log(len(scales)))
