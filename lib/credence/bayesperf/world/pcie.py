"""Two network cards, each behind a PCIe link that GPUs use as well: the world of the paper's section 6.3.

A Spark shuffle goes out through card 0 or 1 while GPUs exchange halos over link 0, link 1 or both. What a shuffle loses
on a busy link is the paper's Fig 9. A scheduler sees 32 event counts of the slice before, through a PMU whose error has
a given mean, bias and autocorrelation. All else is made up here: how long the GPUs stay, what else the machine does,
and how strongly each event answers to it. Time goes in slices (4 M cycles); a shuffle is one slice's worth of messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy import optimize, signal, special

from credence.bayesperf.data.paper import paper_figure
from credence.bench import seeds
from credence.bench.errors import InputError

LINKS = 2
EVENTS_OF_LINK = 16
EVENTS = LINKS * EVENTS_OF_LINK  # section 6.3: 32 events
INPUTS = EVENTS + 4  # and sizes of message and shuffle, and the shuffle's NUMA node as two flags: the paper's 36
DRIVERS = 4  # of a link's counts: halo exchange, memory, code, other input and output
SLICE_CYCLES = 4_000_000
# Fig 3, median cycles of one read
READ_CYCLES = {"Linux": 2487, "CounterMiner": 7036, "BayesPerf CPU": 21998, "BayesPerf": 2946, "exact": 0}


@dataclass(frozen=True)
class Setting:
    """What the world is like; each number can be turned to break the claim on purpose.

    Attributes
    ----------
    both : float
        Probability that halos go over both links; else over one of them, either with the same probability.
    stay : float
        Mean time until the GPUs' traffic changes place [slices].
    idle, busy : float
        Largest share of a slice that halos take on the other link, and least share on theirs: uniform between 0 and
        `idle`, and between `busy` and 1.
    hop : float
        Factor on the time of a shuffle that leaves by the card of the other NUMA node.
    contention : float
        Exponent on Fig 9's ratio of bandwidths: 1 is the paper's law, 0 a link that does not care.
    nuisance : float
        Standard deviation of the log of everything else that counts see, within a program and again between programs.
    """

    both: float = 0.12
    stay: float = 8.0
    idle: float = 0.2
    busy: float = 0.8
    hop: float = 1.05
    contention: float = 1.0
    nuisance: float = 0.5

    def __post_init__(self):
        allowed = {"both": (0, 1), "stay": (1, 1e6), "idle": (0, 1), "busy": (0, 1), "hop": (1, 2)}
        allowed |= {"contention": (0, 3), "nuisance": (0, 2)}
        for name, (low, high) in allowed.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} of the PCIe world is {getattr(self, name)!r}; allowed: {low} to {high:g}")


@dataclass(frozen=True)
class CounterError:
    """The relative error of a count, slice by slice.

    Attributes
    ----------
    system : str
        What reads the counters.
    mean_error : float
        Mean of |error| [1].
    bias : float
        Part of it that does not change within a run: mean over events of |mean error| [1]; its sign is drawn by event.
    autocorrelation : float
        Of what does change, from one slice to the next [1].
    age : float
        How old counts are when they are used, beyond the one slice that everybody waits for [slices].
    shared : float
        Share of the changing part's variance that all events of a link have in common [1]; 0: independent.
    tail : float
        1 / degrees of freedom of a Student-t with the same mean; 0 is Gaussian [1].
    busy : float
        How much larger the error is on a link that is taken all the time than on one that is free [1]; the mean stays.
    """

    system: str
    mean_error: float
    bias: float = 0.0
    autocorrelation: float = 0.0
    age: float = 0.0
    shared: float = 0.0
    tail: float = 0.0
    busy: float = 0.0

    def __post_init__(self):
        allowed = {"mean_error": (0, 5), "bias": (0, self.mean_error), "autocorrelation": (-0.99, 0.999)}
        allowed |= {"age": (0, 50), "shared": (0, 1), "tail": (0, 0.9), "busy": (0, 20)}
        for name, (low, high) in allowed.items():
            if not low <= getattr(self, name) <= high:
                value = getattr(self, name)
                raise InputError(f"{self.system}: {name} is {value!r}; allowed: {low} to {high:g}")


def read_age(system: str, events: int = EVENTS) -> float:
    """Return how long reading all events takes by the paper's Fig 3 [slices]."""
    if system not in READ_CYCLES:
        raise InputError(f"system {system!r} has no read time; allowed: {', '.join(READ_CYCLES)}")
    return events * READ_CYCLES[system] / SLICE_CYCLES


@cache
def bandwidth_law() -> pd.DataFrame:
    """Return the paper's Fig 9: ``log2_bytes``, ``isolated_GBps``, ``contention_GBps``, message sizes ascending."""
    frame = paper_figure("fig9")
    return frame.sort_values("log2_bytes", ignore_index=True)


def bandwidth(message_log2, occupancy=0.0, contention: float = 1.0) -> np.ndarray:
    """Return what a transfer gets of a link (Fig 9, linear between its points) [GB/s].

    Parameters
    ----------
    message_log2 : array_like
        log2 of the message size; 7..23, the ends are kept beyond.
    occupancy : array_like
        Share of the time that halos are on the link, 0..1: the transfer runs at the contended rate for that share.
    contention : float
        Exponent on the ratio of the two rates.
    """
    law = bandwidth_law()
    alone = np.interp(message_log2, law["log2_bytes"], law["isolated_GBps"])
    beside = np.interp(message_log2, law["log2_bytes"], law["contention_GBps"])
    # reading errors of the figure put two small sizes a percent above the isolated rate
    ratio = np.maximum(alone / beside, 1.0) ** contention
    return alone * (1 - np.asarray(occupancy) * (1 - 1 / ratio))


@dataclass(frozen=True)
class Scenario:
    """What happens, whatever is scheduled.

    Attributes
    ----------
    events : float32 array [environments, steps, EVENTS]
        True counts over their mean; those of link 0 first.
    occupancy : float32 array [environments, steps, LINKS]
        Share of the slice taken by halos.
    excess : float32 array [environments, steps, LINKS]
        Time of the shuffle through each card over its time on a link of its own, less one.
    isolated : float32 array [environments, steps]
        Time on a link of its own [ms].
    known : float32 array [environments, steps, 4]
        What a scheduler knows without counters: centred sizes of message and shuffle, node flags.
    local : int array [environments, steps]
        The card of the shuffle's own NUMA node.
    """

    events: np.ndarray
    occupancy: np.ndarray
    excess: np.ndarray
    isolated: np.ndarray
    known: np.ndarray
    local: np.ndarray


def platform(seed: int) -> np.ndarray:
    """Return how strongly each event answers to each driver of its link [LINKS, EVENTS_OF_LINK, DRIVERS].

    Rows sum to one; most of an event is one or two drivers (Dirichlet, 0.5). Both sockets have the same events.
    """
    loadings = seeds.generator(seed, "pcie", "platform").dirichlet(np.full(DRIVERS, 0.5), EVENTS_OF_LINK)
    return np.stack([loadings] * LINKS)


def _places(rng: np.random.Generator, environments: int, steps: int, setting: Setting) -> np.ndarray:
    """Return which links carry halos, bool [environments, steps, LINKS]: drawn anew every `stay` slices on average."""
    anew = rng.random((environments, steps)) < 1 / setting.stay
    anew[:, 0] = True
    draw = rng.random((environments, steps))
    last = np.maximum.accumulate(np.where(anew, np.arange(steps), 0), axis=1)
    draw = np.take_along_axis(draw, last, axis=1)
    one = (1 - setting.both) / 2
    return np.stack([(draw < one) | (draw >= 2 * one), draw >= one], axis=-1)


def _autocorrelated(noise: np.ndarray, memory: float) -> np.ndarray:
    """Return white standard normal noise as AR(1) series along the second axis, stationary from the first value."""
    noise = noise.copy()
    noise[:, 1:] *= np.float32(np.sqrt(1 - memory**2))
    return signal.lfilter([1.0], [1.0, -memory], noise, axis=1).astype(np.float32)


def scenario(seed: int, purpose: str, environments: int, steps: int, setting: Setting | None = None) -> Scenario:
    """Draw one scenario.

    Parameters
    ----------
    seed : int
        Scenario seed; the platform depends on it alone.
    purpose : str
        Name of an independent stream: programs of ``"training"`` are not those of ``"test"``.
    environments : int
        Programs side by side, each with levels of its own.
    steps : int
        Length [slices].
    setting : Setting or None
        The world; None is the default one.
    """
    setting = setting or Setting()
    rng = seeds.generator(seed, "pcie", "scenario", purpose)
    size = (environments, steps)
    places = _places(rng, environments, steps, setting)
    share = rng.random((*size, LINKS), dtype=np.float32)
    occupancy = np.where(places, setting.busy + (1 - setting.busy) * share, setting.idle * share).astype(np.float32)
    mean = (1 + setting.both) / 2
    mean = mean * (1 + setting.busy) / 2 + (1 - mean) * setting.idle / 2
    level = rng.standard_normal((environments, 1, LINKS, DRIVERS - 1), dtype=np.float32)
    other = rng.standard_normal((*size, LINKS, DRIVERS - 1), dtype=np.float32)
    other = _autocorrelated(other, 0.9)
    other = np.exp(setting.nuisance * (level + other) - setting.nuisance**2)  # mean one
    drivers = np.concatenate([occupancy[..., None] / mean, other], axis=-1)
    events = np.einsum("eslk,ljk->eslj", drivers, platform(seed).astype(np.float32)).reshape(*size, EVENTS)
    # a shuffle's blocks are large; below 2^15 bytes Fig 9 shows no contention to speak of
    message = rng.integers(15, 24, size)
    volume = np.exp(0.5 * rng.standard_normal(size))
    local = rng.integers(0, LINKS, size)
    isolated = volume * 16 / bandwidth(message)  # 16 MB on average, about what a slice can carry
    rate = bandwidth(message[..., None], occupancy, setting.contention)
    hop = np.where(np.arange(LINKS) == local[..., None], 1.0, setting.hop)
    excess = bandwidth(message)[..., None] / rate * hop - 1
    known = np.stack([(message - 19) / 2.6, np.log(volume) / 0.5, local == 0, local == 1], axis=-1)
    singles = (array.astype(np.float32) for array in (events, occupancy, excess, isolated, known))
    return Scenario(*singles, local)


def spread(mean_error: float, bias: float) -> float:
    """Return the standard deviation s for which E|bias + s z| is `mean_error`, z standard normal (folded normal)."""
    if mean_error <= bias:
        return 0.0

    def missing(s: float) -> float:
        return (
            s * np.sqrt(2 / np.pi) * np.exp(-((bias / s) ** 2) / 2) + bias * special.erf(bias / s / 2**0.5) - mean_error
        )

    return float(optimize.brentq(missing, 1e-9, 2 * mean_error))


def _heavy(noise: np.ndarray, tail: float) -> np.ndarray:
    """Return normal scores as those of a Student-t with the same mean absolute value, degrees of freedom 1 / `tail`."""
    from scipy import stats

    freedom = 1 / tail
    mean = 2 * np.sqrt(freedom) / ((freedom - 1) * special.beta(freedom / 2, 0.5))  # E|t|
    # scores beyond 6 do not come up; between the knots the map is as good as straight
    score = np.linspace(-6, 6, 2401)
    mapped = stats.t.ppf(special.ndtr(score), freedom) * np.sqrt(2 / np.pi) / mean
    return np.interp(noise, score, mapped).astype(np.float32)


def counted(happened: Scenario, errors: Sequence[CounterError], rng: np.random.Generator) -> np.ndarray:
    """Return the counts that a scheduler sees at every step, one reader after the other.

    A count is the true one of the slice before, or older by `CounterError.age` (linear between slices), times one plus
    the error, never below zero. All readers get the same random numbers: they differ by their errors alone.

    Parameters
    ----------
    happened : Scenario
        What there is to count.
    errors : sequence of CounterError
        The readers.
    rng : numpy.random.Generator
        Of the errors; used up to the same point whatever the readers are.

    Returns
    -------
    float32 array [errors, environments, steps, EVENTS]
        The first slices, which have nothing before them, repeat the first count.
    """
    size = happened.events.shape
    sign = np.where(rng.random(EVENTS) < 0.5, -1, 1).astype(np.float32)
    own = rng.standard_normal(size, dtype=np.float32)
    common = np.repeat(rng.standard_normal((*size[:2], LINKS), dtype=np.float32), EVENTS_OF_LINK, axis=-1)
    place = np.repeat(happened.occupancy, EVENTS_OF_LINK, axis=-1)
    found = np.empty((len(errors), *size), np.float32)
    for row, error in enumerate(errors):
        noise = own if not error.shared else (1 - error.shared) ** 0.5 * own + error.shared**0.5 * common
        if error.autocorrelation:
            noise = _autocorrelated(noise, error.autocorrelation)
        if error.tail:
            noise = _heavy(noise, error.tail)
        if error.busy:
            larger = 1 + error.busy * place
            noise = noise * larger / larger.mean()
        relative = error.bias * sign + spread(error.mean_error, error.bias) * noise
        # the error belongs to the slice in which it was counted, and ages with it
        found[row] = older(happened.events * np.maximum(1 + relative, 0), 1 + error.age)
    return found


def older(series: np.ndarray, age: float) -> np.ndarray:
    """Return `series` [environments, steps, …] as it was `age` slices before; the first value repeats."""
    steps = series.shape[1]
    whole, part = int(age), np.float32(age - int(age))
    then = series[:, np.maximum(np.arange(steps) - whole, 0)]
    if not part:
        return then
    return (1 - part) * then + part * series[:, np.maximum(np.arange(steps) - whole - 1, 0)]


def inputs(happened: Scenario, counts: np.ndarray) -> np.ndarray:
    """Return what a scheduler is given: counts over their mean less one, at most 5, and what it knows anyway.

    Parameters
    ----------
    happened : Scenario
    counts : array [readers, environments, steps, EVENTS]
        Of `counted`.

    Returns
    -------
    float32 array [readers, environments, steps, INPUTS]
    """
    known = np.broadcast_to(happened.known, (*counts.shape[:-1], happened.known.shape[-1]))
    return np.concatenate([np.clip(counts - 1, -5, 5), known], axis=-1).astype(np.float32)
