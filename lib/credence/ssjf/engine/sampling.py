"""Draw the next token: temperature and nucleus, every request from a stream of its own."""

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    Attributes
    ----------
    temperature : float
        Logits are divided by it; 0 takes the likeliest token.
    top_p : float
        Draw only from the smallest set of likeliest tokens with at least this probability, in (0, 1].
    """

    temperature: float = 0.7
    top_p: float = 0.95

    def __post_init__(self):
        if not (np.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"temperature is {self.temperature!r}; allowed: a finite number >= 0")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p!r}; allowed: above 0 and at most 1")


GREEDY = Sampling(temperature=0.0, top_p=1.0)


def draw(logits: np.ndarray, sampling: Sampling, uniform: float) -> int:
    """Return the next token of one request, from all its logits: the definition that the fast path follows.

    Parameters
    ----------
    logits : ndarray [vocabulary]
        Of the last position.
    sampling : Sampling
        Temperature and nucleus.
    uniform : float
        A number in [0, 1) from the request's own stream, one for each token, whoever shares the batch.
    """
    if sampling.temperature == 0:
        return int(np.argmax(logits))
    scaled = np.asarray(logits, dtype=np.float64) / sampling.temperature
    order = np.argsort(-scaled, kind="stable")
    probability = np.exp(scaled[order] - scaled[order[0]])
    return int(order[nucleus_place(probability / probability.sum(), sampling.top_p, uniform)])


def nucleus_place(probability: np.ndarray, top_p: float, uniform: float) -> int | None:
    """Return which of the likeliest tokens is drawn.

    Parameters
    ----------
    probability : ndarray [candidates]
        Of the likeliest tokens, largest first; it need not reach 1.
    top_p, uniform : float
        Mass of the nucleus, and the random number.

    Returns
    -------
    int or None
        None when the candidates hold less than `top_p` and the nucleus is not known yet.
    """
    mass = np.cumsum(probability)
    size = int(np.searchsorted(mass, top_p)) + 1
    if size > mass.size:
        if mass[-1] < top_p - 1e-6:
            return None
        size = mass.size  # all there is: the sum of probabilities may miss 1 by rounding
    return min(int(np.searchsorted(mass[:size], uniform * mass[size - 1], side="right")), size - 1)
