"""Arrivals and requests of the evaluation released with SSJF.

Random numbers are common to all positions of the switches: with a switch on or off, a run sees the same gaps, the same
stretch of the trace and the same requests, so that a difference between two positions is the switch's own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from credence.bench import seeds
from credence.bench.errors import InputError, choose
from credence.ssjf.world.released_quirks import ALL_ON, CONSTANT_S, KINDS, PER_TOKEN_S, Quirks

JOBS, RUNS = 50, 20
GAMMA_RATE = 0.03
# The points the released plots show: every second one of those it simulates.
AXES = {
    "poisson": (1.0, 3.0, 5.0, 7.0, 9.0),
    "gamma": (1.0, 2.0, 3.0, 4.0, 5.0),
    "azure": (0.5, 2.0, 10.0, 50.0, 200.0),
}
AXIS_TITLES = {
    "poisson": "arrival rate [1/s]",
    "gamma": "coefficient of variation of the gaps [1]",
    "azure": "scale of the replay [1]",
}
# Upper ends of the classes in training (latency_prediction.py, single round) [tokens]; 512 is the cut of the labels.
FIVE_CLASSES = (42, 141, 294, 503, 512)
TWO_CLASSES = (141, 503, 512)


@dataclass(frozen=True)
class Requests:
    """Requests to draw from, one element a request.

    Attributes
    ----------
    tokens [requests] : numpy.ndarray of int
        Length of the answer [tokens].
    predicted [requests] : numpy.ndarray of int
        Predicted class, 0 the shortest.
    ends : tuple of int
        Upper end of each class [tokens].
    """

    tokens: np.ndarray
    predicted: np.ndarray
    ends: tuple[int, ...] = FIVE_CLASSES

    def __post_init__(self):
        if len(self.tokens) == 0 or len(self.tokens) != len(self.predicted):
            raise InputError(
                f"{len(self.tokens)} lengths and {len(self.predicted)} classes: as many of each are needed, "
                "at least one"
            )
        if np.min(self.predicted) < 0 or np.max(self.predicted) >= len(self.ends):
            raise InputError(
                f"predicted classes {np.min(self.predicted)}..{np.max(self.predicted)}: "
                f"0..{len(self.ends) - 1} are allowed"
            )

    @property
    def belief_s(self) -> np.ndarray:
        """Service time [requests] a predicted class stands for [s]: that of the middle of its training interval."""
        ends = np.array((0, *self.ends), dtype=float)
        return (CONSTANT_S + PER_TOKEN_S * (ends[:-1] + ends[1:]) / 2)[self.predicted]


def arrival_times(
    kind: str,
    x: float,
    runs: int = RUNS,
    jobs: int = JOBS,
    quirks: Quirks = ALL_ON,
    seed: int = 0,
    trace_s: np.ndarray | None = None,
) -> np.ndarray:
    """Return the arrival times of `runs` runs at one point of an axis.

    Parameters
    ----------
    kind : {"poisson", "gamma", "azure"}
        Arrival process; `x` is its rate [1/s], the coefficient of variation [1] of its gaps at rate 0.03 / s, or the
        factor by which a stretch of the trace is replayed faster.
    x : float
        The point, see :data:`AXES`.
    runs, jobs : int
        Size of the study.
    quirks : Quirks
        D3, D4 and D9 act here.
    seed : int
        Each run has its own stream, named by kind, point and run.
    trace_s [requests]
        True arrival times of a trace [s], for ``azure``.

    Returns
    -------
    numpy.ndarray [runs, jobs]
        Ascending arrival times [s].

    Raises
    ------
    InputError
        Unknown kind, `x` not positive, or a trace that is missing or shorter than `jobs`.
    """
    choose(kind, AXES, "arrival kind")
    if not (np.isfinite(x) and x > 0):
        raise InputError(f"{AXIS_TITLES[kind]} {x}: a finite number > 0 is allowed")
    if runs < 1 or jobs < 2:
        raise InputError(f"{runs} runs of {jobs} jobs: at least 1 run of 2 jobs is needed")
    if kind == "azure" and (trace_s is None or len(trace_s) < jobs):
        raise InputError(f"a trace of at least {jobs} arrivals is needed, not {0 if trace_s is None else len(trace_s)}")
    out = np.empty((runs, jobs))
    for run in range(runs):
        rng = seeds.generator(seed, "released arrivals", kind, float(x), run)
        if kind == "poisson":
            out[run] = _poisson(x, jobs, quirks, rng)
        elif kind == "gamma":
            out[run] = _gamma(x, jobs, quirks, rng)
        else:
            out[run] = _replay(np.asarray(trace_s, dtype=float), x, jobs, quirks, rng)
    return out


def _poisson(rate, jobs, quirks, rng):
    # counts per whole second of a Poisson process are independent Poisson counts, so flooring gives the program's own
    exact = np.cumsum(rng.exponential(1 / rate, jobs))
    return np.floor(exact) if quirks.d9 else exact


def _gamma(cv, jobs, quirks, rng):
    gaps = rng.gamma(1 / cv**2, cv**2 / GAMMA_RATE, jobs)
    return np.cumsum(np.sort(gaps) if quirks.d4 else gaps)


def _replay(trace_s, scale, jobs, quirks, rng):
    first = rng.integers(0, len(trace_s) - jobs + 1)
    stretch = trace_s[first : first + jobs]
    return _milliseconds_as_seconds(stretch, scale) if quirks.d3 else (stretch - stretch[0]) / scale


def _milliseconds_as_seconds(stretch_s, scale):
    # D3: the program keeps whole milliseconds and then takes their number for seconds
    ms = np.floor(stretch_s * 1000 + 1e-6)
    return np.round((ms - ms[0]) / scale, 1)


def draw(
    requests: Requests, kind: str, runs: int = RUNS, jobs: int = JOBS, draws: int = 1, seed: int = 0
) -> np.ndarray:
    """Return which requests each run serves: bootstrap samples of the requests, one a draw.

    Returns
    -------
    numpy.ndarray [draws, points, runs, jobs]
        Row numbers of `requests`, drawn with replacement; `points` is the length of the axis of `kind`.
    """
    choose(kind, AXES, "arrival kind")
    if draws < 1:
        raise InputError(f"draws = {draws}: at least 1 is needed")
    shape = (len(AXES[kind]), runs, jobs)
    rows = [
        seeds.generator(seed, "released requests", kind, number).integers(0, len(requests.tokens), shape)
        for number in range(draws)
    ]
    return np.stack(rows)


def authors_stream(requests: Requests, trace_s: np.ndarray | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return arrivals and requests from the program's own stream of random numbers (seed 42), point after point.

    It serves to compare with what the program prints, number by number; everything else uses our named streams.

    Parameters
    ----------
    requests : Requests
        The authors' file, in its order.
    trace_s [requests], optional
        The Azure trace [s]; without it that axis is left out.

    Returns
    -------
    dict of str to (arrivals, rows)
        By kind: times [points, runs, jobs] in s, and row numbers of the requests, shaped alike.
    """
    numbers, choices = np.random.RandomState(42), random.Random(42)
    found = {}
    for kind in KINDS if trace_s is not None else KINDS[:2]:
        arrivals, rows = np.empty((2, len(AXES[kind]), RUNS, JOBS))
        for point, x in enumerate(AXES[kind]):
            for run in range(RUNS):
                if kind == "poisson":
                    counts = numbers.poisson(x, int(JOBS / x))
                    while counts.sum() < JOBS:
                        counts = np.append(counts, numbers.poisson(x, int(JOBS / x)))
                    arrivals[point, run] = np.repeat(np.arange(len(counts)), counts)[:JOBS]
                elif kind == "gamma":
                    gaps = numbers.gamma((1 / x) ** 2, x**2 / GAMMA_RATE, JOBS)
                    arrivals[point, run] = np.cumsum(np.sort(gaps))
                else:
                    first = choices.randint(0, len(trace_s) - JOBS)
                    arrivals[point, run] = _milliseconds_as_seconds(trace_s[first : first + JOBS], x)
                rows[point, run] = numbers.choice(len(requests.tokens), JOBS, replace=False)
        found[kind] = arrivals, rows.astype(np.int64)
    return found
