"""What a read costs: a counter through the kernel, a posterior in memory, and bringing that posterior up to date.

All are timed in one run on one core, so that their ratios can be set beside the paper's Fig 3, whose cycles are another
machine's. Where the kernel allows no perf event, a read of an event counter takes its place and is named as such.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from numba import njit

from credence.bayesperf import baselines
from credence.bayesperf.data.observations import Observations
from credence.bayesperf.infer import Settings, smooth, tabulated
from credence.bayesperf.model.relation import Relation
from credence.bench import seeds

PERF_READ, OTHER_READ = "read() of a perf event", "read() of an event counter (no perf here)"
POLL = "poll of a posterior in memory"
UPDATE, DENSE, MINER = "update, tabulated gains", "update, full covariances", "CounterMiner, offline"
EVENTS, IDENTITIES, COUNTERS = 40, 14, 8
_CALLS = {"x86_64": 298, "aarch64": 241, "ppc64le": 319}  # numbers of perf_event_open

_libc = ctypes.CDLL(None, use_errno=True)
_read = _libc.read
_read.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_read.restype = ctypes.c_ssize_t


def open_counter() -> tuple[int, str]:
    """Open something to read: the task clock as a perf event, or, where that is not allowed, a Linux event counter.

    Returns
    -------
    file descriptor, name
        The caller closes it.
    """
    size = 64
    # struct perf_event_attr: type 1 (software), size, config 1 (task clock); all else 0
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ", 1, size, 1).ljust(size, b"\0"))
    number = _CALLS.get(platform.machine())
    handle = _libc.syscall(number, attributes, 0, -1, -1, 0) if number else -1
    if handle >= 0:
        return handle, PERF_READ
    return os.eventfd(1, os.EFD_NONBLOCK | os.EFD_SEMAPHORE), OTHER_READ


@njit
def _reads(handle, address, count):
    done = 0
    for _ in range(count):
        done += _read(handle, address, 8)
    return done


@njit
def _polls(board, count):
    """Read mean and sd of one event after another; the version is read before and after, as under a writer."""
    total, events = 0.0, board.shape[0]
    for call in range(count):
        row = call % events
        while True:
            before = board[row, 0]
            total += board[row, 1] + board[row, 2]
            if board[row, 0] == before:
                break
    return total


def batches(call: Callable[[], object], units: int, rounds: int) -> np.ndarray:
    """Return the time of one unit in each of several rounds of `call`, which does `units` of them [s]."""
    call()
    found = np.empty(rounds)
    for place in range(rounds):
        begun = time.perf_counter()
        call()
        found[place] = (time.perf_counter() - begun) / units
    return found


def made_up_run(slices: int, rng: np.random.Generator) -> tuple[Observations, list[Relation], np.ndarray]:
    """Return a simulated run of 40 events with 14 identities on 8 counters, its relations and its schedule."""
    free = EVENTS - IDENTITIES
    names = [f"E{place}" for place in range(EVENTS)]
    counts = 1000 * np.exp(0.3 * rng.normal(size=(slices, free)))
    relations = []
    for place in range(IDENTITIES):
        first, second = rng.choice(free, 2, replace=False)
        counts = np.column_stack([counts, counts[:, first] + counts[:, second]])
        weights = {names[free + place]: 1.0, names[first]: -1.0, names[second]: -1.0}
        relations.append(Relation(f"sum-{place}", "eq", weights, 0.0, "made up"))
    schedule = np.zeros((13, EVENTS), bool)  # 13 slices of 8 counters go four times round 26 events
    for place in range(13):
        schedule[place, (place * COUNTERS + np.arange(COUNTERS)) % free] = True
    on = schedule[np.arange(slices) % 13]
    seen = np.where(on, counts * (1 + 0.004 * rng.normal(size=counts.shape)), np.nan)
    spread = np.where(on, 0.0, np.nan)
    return Observations(tuple(names), seen, spread, 1, spread), relations, schedule


def measure(rounds: int = 100, seed: int = 0) -> pd.DataFrame:
    """Time everything, rounds in turn.

    Parameters
    ----------
    rounds : int
        Batches of each; a batch is 1,000 reads or polls, 500 tabulated slices, 40 slices with full covariances.
    seed : int
        Of the simulated run.

    Returns
    -------
    pandas.DataFrame
        ``what``, ``round``, ``seconds``: of one read, one poll, or one slice of all 40 events [s].
    """
    observations, relations, schedule = made_up_run(520, seeds.generator(seed, "read cost"))
    settings = Settings(iterations=2)
    short = beginning(observations, 130)
    learned = smooth(short, relations, settings).learned
    tables = tabulated.tabulate(learned, schedule, settings)
    board = np.random.default_rng(0).random((EVENTS, 3))
    few = beginning(observations, 39)
    handle, name = open_counter()
    buffer = ctypes.create_string_buffer(8)
    try:
        if name == OTHER_READ:
            os.eventfd_write(handle, 10**9)
        found = {
            name: batches(lambda: _reads(handle, ctypes.addressof(buffer), 1000), 1000, rounds),
            POLL: batches(lambda: _polls(board, 1000), 1000, rounds),
            UPDATE: batches(lambda: tabulated.estimate(tables, observations.mean[:507], True), 507, rounds),
            DENSE: batches(lambda: smooth(few, (), settings, learned=learned), 39, max(rounds // 5, 3)),
            MINER: batches(lambda: baselines.counterminer(few), 39, max(rounds // 5, 3)),
        }
    finally:
        os.close(handle)
    return pd.concat(
        pd.DataFrame({"what": what, "round": np.arange(len(values)), "seconds": values})
        for what, values in found.items()
    ).reset_index(drop=True)


def beginning(observations: Observations, slices: int) -> Observations:
    """Return the first slices of a run."""
    return Observations(
        observations.events,
        observations.mean[:slices],
        observations.variance_of_mean[:slices],
        observations.readings,
        observations.sd_reading[:slices],
    )


def ratios(timed: pd.DataFrame, draws: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return draws of the claims' metrics: medians over resampled batches, over the median kernel read.

    Returns
    -------
    dict
        ``read_ratio``: a poll of the posterior over a read; ``update_ratio``: bringing all 40 events up to date for one
        slice over reading each of them. Empty when no perf event could be read.
    """
    values = {what: part["seconds"].to_numpy() for what, part in timed.groupby("what")}
    if PERF_READ not in values:
        return {}
    rng = seeds.generator(seed, "read ratios")

    def medians(what):
        part = values[what]
        return np.median(part[rng.integers(len(part), size=(draws, len(part)))], axis=1)

    read = medians(PERF_READ)
    return {"read_ratio": medians(POLL) / read, "update_ratio": medians(UPDATE) / (EVENTS * read)}


def summary(timed: pd.DataFrame) -> pd.DataFrame:
    """Return quartiles of each thing timed [ns], and its median over that of a kernel read."""
    quartiles = 1e9 * timed.groupby("what", sort=False)["seconds"].quantile([0.25, 0.5, 0.75]).unstack()
    quartiles.columns = ["q1_ns", "median_ns", "q3_ns"]
    return quartiles.assign(over_read=quartiles["median_ns"] / quartiles["median_ns"].iloc[0])
