"""Queueing theory: what one server fed by a Poisson stream must do, beside the equations.

λ is the arrival rate [1/s], S a service time [s], ρ = λ E[S] the load, which must be below 1. A service
distribution is given as atoms: values [s] and their probabilities, or as a frozen continuous scipy distribution.
"""

import numpy as np

from credence.bench.errors import InputError


def empirical_atoms(service_s) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values [atoms] in seconds of a sample, increasing, and their frequencies [atoms]."""
    values, counts = np.unique(np.asarray(service_s, dtype=np.float64), return_counts=True)
    return values, counts / counts.sum()


def pollaczek_khinchine_wait(rate: float, service_s, probability) -> float:
    """Return the mean wait [s] of M/G/1 served first come, first served.

    Pollaczek–Khinchine:  E[W] = λ E[S²] / (2 (1 − ρ)).

    Parameters
    ----------
    rate : float
        λ [1/s].
    service_s, probability : array_like [atoms]
        The service distribution.
    """
    service, probability = _atoms(service_s, probability)
    load = _load(rate, service, probability)
    return rate * np.sum(probability * service**2) / (2 * (1 - load))


def cobham_waits(rate: float, class_share, class_mean_s, class_second_moment) -> np.ndarray:
    """Return the mean wait [classes] in seconds of M/G/1 with non-preemptive priority classes, best class first.

    Cobham (1954):  E[W_k] = (λ E[S²] / 2) / ((1 − σ_{k−1}) (1 − σ_k)),  σ_k the load of classes 1…k.

    Parameters
    ----------
    rate : float
        λ [1/s], all classes together.
    class_share, class_mean_s, class_second_moment : array_like [classes]
        Share of the requests, E[S | class] [s] and E[S² | class] [s²].
    """
    share = np.asarray(class_share, dtype=np.float64)
    mean = np.asarray(class_mean_s, dtype=np.float64)
    _load(rate, mean, share)
    residual = rate * np.sum(share * np.asarray(class_second_moment)) / 2
    upto = np.cumsum(rate * share * mean)
    before = np.concatenate([[0.0], upto[:-1]])
    return residual / ((1 - before) * (1 - upto))


def sjf_wait(rate: float, service_s, probability) -> float:
    """Return the mean wait [s] of M/G/1 under shortest job first: Cobham with one class for each length."""
    service, probability = _atoms(service_s, probability)
    return float(np.sum(probability * cobham_waits(rate, probability, service, service**2)))


def srpt_response(rate: float, service_s, probability) -> float:
    """Return the mean response time [s] of M/G/1 under SRPT with a discrete service distribution.

    Schrage–Miller (1966), ties served in order of arrival:  E[T(x)] = W(x) + R(x),

        W(x) = λ (Σ_{s ≤ x} p_s s² + x² P(S > x)) / (2 (1 − ρ(x⁻)) (1 − ρ(x))),
        R(x) = ∫₀ˣ dt / (1 − ρ(t⁻)),        ρ(x) = λ Σ_{s ≤ x} p_s s.

    With atoms ρ is a step function and R a finite sum.
    """
    service, probability = _atoms(service_s, probability)
    _load(rate, service, probability)
    upto = np.cumsum(rate * probability * service)
    before = np.concatenate([[0.0], upto[:-1]])
    longer = np.maximum(1 - np.cumsum(probability), 0.0)
    truncated = np.cumsum(probability * service**2) + service**2 * longer
    waiting = rate * truncated / (2 * (1 - before) * (1 - upto))
    steps = np.diff(np.concatenate([[0.0], service]))
    residence = np.cumsum(steps / (1 - before))
    return float(np.sum(probability * (waiting + residence)))


def srpt_response_continuous(rate: float, distribution, points: int = 20_001) -> float:
    """Return the mean response time [s] of M/G/1 under SRPT with a continuous service distribution.

    Schrage–Miller as in `srpt_response`, by the trapezoid rule over `points` quantiles of `distribution`.

    Parameters
    ----------
    rate : float
        λ [1/s].
    distribution : scipy.stats frozen distribution
        Of the service time [s]; positive, with a finite second moment.
    points : int
        Quantiles, equally spaced but for both ends, where they crowd.
    """
    _load(rate, np.array([distribution.mean()]), np.array([1.0]))
    # crowd towards 0 and 1: both the many short jobs and the few long ones matter
    angle = np.linspace(0, np.pi, points)[1:-1]
    share = (1 - np.cos(angle)) / 2
    size = np.concatenate([[0.0], distribution.ppf(share)])
    below = np.concatenate([[0.0], share])
    load = rate * _integral(size, below)
    square = _integral(size**2, below)
    waiting = rate * (square + size**2 * (1 - below)) / (2 * (1 - load) ** 2)
    residence = _integral(1 / (1 - load), size)
    total = _integral(waiting + residence, below)
    return float(total[-1])


def _integral(height: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the running trapezoid integral [points] of `height` over `along`, from 0."""
    return np.concatenate([[0.0], np.cumsum(np.diff(along) * (height[1:] + height[:-1]) / 2)])


def _atoms(service_s, probability) -> tuple[np.ndarray, np.ndarray]:
    service = np.asarray(service_s, dtype=np.float64)
    probability = np.asarray(probability, dtype=np.float64)
    if service.ndim != 1 or service.shape != probability.shape or service.size == 0:
        raise InputError("service times and probabilities: allowed: two lists of the same length, at least 1")
    if np.any(service < 0) or np.any(probability < 0) or not np.isclose(probability.sum(), 1):
        raise InputError("service times and probabilities: allowed: numbers >= 0, the probabilities adding up to 1")
    order = np.argsort(service, kind="stable")
    return service[order], probability[order]


def _load(rate: float, service: np.ndarray, probability: np.ndarray) -> float:
    load = float(rate * np.sum(service * probability))
    if not (rate > 0 and load < 1):
        raise InputError(f"arrival rate {rate:g} per s gives load {load:g}; allowed: a load above 0 and below 1")
    return load
