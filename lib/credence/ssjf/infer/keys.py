"""Keys for shortest-job-first when the length of an answer is uncertain.

All take samples of one prompt's length, ``samples`` [requests, samples] in tokens, and return one number a request
to be used as the ``predicted`` column. A mean hides that two prompts of equal mean can differ in their worst case.
"""

import numpy as np

from credence.bench.errors import InputError


def hold_out(samples, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Split each row of samples into the length that happens and the ones that are known beforehand.

    Parameters
    ----------
    samples : array_like [requests, samples]
        Sampled lengths [tokens], at least two a request.
    rng : numpy.random.Generator
        Draws the held-out column, for each row separately.

    Returns
    -------
    truth : ndarray [requests]
    known : ndarray [requests, samples - 1]
    """
    values = _samples(samples, least=2)
    held = rng.integers(values.shape[1], size=len(values))
    keep = np.arange(values.shape[1]) != held[:, None]
    return values[np.arange(len(values)), held], values[keep].reshape(len(values), -1)


def mean_key(samples) -> np.ndarray:
    """Return the mean [requests] of the samples [tokens]."""
    return _samples(samples).mean(axis=1)


def quantile_key(samples, quantile: float) -> np.ndarray:
    """Return a quantile [requests] of each row of samples [tokens], linearly interpolated.

    Raises
    ------
    InputError
        When `quantile` is not within 0..1.
    """
    if not 0 <= quantile <= 1:
        raise InputError(f"quantile is {quantile!r}; allowed: 0..1")
    return np.quantile(_samples(samples), quantile, axis=1)


def tail_inflated_key(samples, cap_tokens: float = 4096, points: int = 199) -> np.ndarray:
    """Return the expected length [requests] in tokens under a heavy-tailed fit to each row of samples.

    With m and s the mean and standard deviation of the n log-lengths, the next log-length is, under a flat prior,
    m + s √(1 + 1/n) T with T a Student t of n − 1 degrees of freedom: the length is log-t, the family that TIE
    (arXiv 2604.00499) proposes. A log-t has no mean, but an engine stops at `cap_tokens`, so the key is

        E[min(exp(m + s √(1 + 1/n) T), cap)],

    by the midpoint rule over `points` quantiles of T. A row without spread gives its own value.

    Parameters
    ----------
    samples : array_like [requests, samples]
        Sampled lengths [tokens], at least two a request; lengths below 1 count as 1.
    cap_tokens : float
        Longest answer the engine lets happen [tokens].
    points : int
        Quantiles of the rule.
    """
    from scipy import stats

    values = _samples(samples, least=2)
    if not cap_tokens > 0:
        raise InputError(f"cap_tokens is {cap_tokens!r}; allowed: tokens > 0")
    logs = np.log(np.maximum(values, 1.0))
    count = values.shape[1]
    spread = logs.std(axis=1, ddof=1) * np.sqrt(1 + 1 / count)
    deviation = stats.t(count - 1).ppf((np.arange(points) + 0.5) / points)
    key = np.zeros(len(values))
    ceiling = np.log(cap_tokens)
    for step in deviation:  # a loop over quantiles keeps memory at one column, however many requests
        key += np.exp(np.minimum(logs.mean(axis=1) + spread * step, ceiling))
    return key / points


def _samples(samples, least: int = 1) -> np.ndarray:
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < least:
        raise InputError(f"samples have shape {list(values.shape)}; allowed: [requests, {least} or more samples]")
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        row = int(np.argmax(~(np.isfinite(values) & (values >= 0)).all(axis=1)))
        raise InputError(f"samples of row {row}: {values[row].tolist()}; allowed: finite lengths >= 0")
    return values
