"""The evaluation that was released with SSJF: its schedulers and metrics, with its peculiarities as switches.

The paper's scheduling numbers come from a small discrete program (repository
``James-QiuHaoran/LLM-serving-with-proxy-models``, folder ``model-serving``, commit 4b866866): 50 jobs a run, 20 runs
a point, one server, ``0.1 + 0.02 * output_tokens`` seconds a job. This module is our own statement of what that program
computes, event by event instead of second by second; ``released_quirks`` has the switches, ``released_arrivals`` the
arrivals and requests.

Three of its modes carry other names in the paper: ``none`` is its batch size 1, ``dynamic`` its static batching (a
batch lasts as long as its longest job), ``continuous`` its dynamic batching (the batch is re-formed whenever its
shortest job ends).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from credence.bench.errors import InputError, choose
from credence.ssjf.world.released_quirks import (
    ALL_ON,
    CONSTANT_S,
    DEFAULT_COSTS,
    MODES,
    PER_TOKEN_S,
    Costs,
    Quirks,
)

TIMEOUT_S = 10.0
STARVATION_S = 100.0
STARVATION_FACTOR = 10.0
QUARTER, ALL = 25.0, 100.0
# Compared with zero as the program does it: a job with 1e-16 s left, the dust of earlier subtractions, stays for one
# more round, which costs FCFS ten more seconds while D2 is on (half a percentage point of the cut in the Gamma cells).
NOTHING_LEFT_S = 0.0

POLICIES = ("FCFS", "SSJF", "SJF (oracle)")


def service_s(output_tokens: np.ndarray) -> np.ndarray:
    """Return service times [s] of jobs with so many output tokens, rounded to 10 ms as the program does."""
    return np.round(CONSTANT_S + PER_TOKEN_S * np.asarray(output_tokens, dtype=float), 2)


def serve(
    arrival_s: np.ndarray,
    service: np.ndarray,
    policy: str,
    mode: str = "none",
    slots: int = 8,
    quirks: Quirks = ALL_ON,
    predicted: np.ndarray | None = None,
    belief_s: np.ndarray | None = None,
    costs: Costs = DEFAULT_COSTS,
) -> np.ndarray:
    """Return the completion times of independent runs under one policy.

    Parameters
    ----------
    arrival_s [runs, jobs]
        Arrival times [s], each row ascending.
    service [runs, jobs]
        Service times [s].
    policy : {"FCFS", "SSJF", "SJF (oracle)"}
        Who goes first.
    mode : {"none", "dynamic", "continuous"}
        Batching.
    slots : int
        Largest batch; 1 in mode ``none`` whatever is given.
    quirks : Quirks
        D2, D5, D6, D7, D8 act here.
    predicted [runs, jobs]
        SSJF's key, smaller first; ties in queue order.
    belief_s [runs, jobs]
        Service time SSJF believes in [s], used by the ageing rule when D6 is off.
    costs : Costs
        Used when D7 or D8 is off.

    Returns
    -------
    numpy.ndarray [runs, jobs]
        Completion times [s]; NaN for a job that was dropped (D5).

    Raises
    ------
    InputError
        Unknown policy or mode, shapes that differ, unsorted arrivals, no job, SSJF without its columns.
    """
    choose(policy, POLICIES, "policy")
    choose(mode, MODES, "mode")
    arrival = np.ascontiguousarray(arrival_s, dtype=float)
    service = np.ascontiguousarray(service, dtype=float)
    if arrival.ndim != 2 or arrival.shape != service.shape or not arrival.size:
        raise InputError(f"arrivals {arrival.shape} and services {service.shape}: one shape [runs, jobs] is needed")
    if slots < 1:
        raise InputError(f"slots = {slots}: at least 1 is needed")
    if not (np.isfinite(arrival).all() and (np.diff(arrival, axis=1) >= 0).all() and arrival.min() >= 0):
        raise InputError("arrivals: finite, >= 0 and ascending times are needed in each run")
    if not (np.isfinite(service).all() and service.min() > 0):
        raise InputError("services: finite times > 0 are needed")
    slots = 1 if mode == "none" else slots
    slowdown = 0.0 if quirks.d8 else costs.slowdown
    end = np.full(arrival.shape, np.nan)
    if policy == "FCFS":
        timeout = TIMEOUT_S if quirks.d2 else 0.0
        _fcfs_runs(arrival, service, slots, timeout, slowdown, mode == "continuous", end)
        return end
    key, belief = service, service
    if policy == "SSJF":
        if predicted is None or (belief_s is None and not quirks.d6):
            raise InputError("SSJF needs `predicted`, and `belief_s` when D6 is off")
        key = np.ascontiguousarray(predicted, dtype=float)
        belief = service if quirks.d6 else np.ascontiguousarray(belief_s, dtype=float)
        if key.shape != service.shape or belief.shape != service.shape:
            raise InputError(f"predicted {key.shape}, belief {belief.shape}: {service.shape} is needed")
    _sjf_runs(
        arrival,
        service,
        key,
        belief,
        policy != "SSJF" and quirks.d7,
        quirks.d6,
        slots,
        slowdown,
        0.0 if quirks.d7 else costs.resume_base_s,
        0.0 if quirks.d7 else costs.resume_per_s,
        mode == "continuous",
        not quirks.d5,
        end,
    )
    return end


@njit(cache=True)
def _fcfs_runs(arrival, service, slots, timeout, slowdown, continuous, end):
    for run in range(len(arrival)):
        _fcfs(arrival[run], service[run], slots, timeout, slowdown, continuous, end[run])


@njit(cache=True)
def _fcfs(arrival, service, slots, timeout, slowdown, continuous, end):
    """Fill `end` [jobs]: earliest arrivals first; unfinished jobs stay in the batch."""
    jobs = len(arrival)
    left = service.copy()
    batch = np.empty(slots, dtype=np.int64)
    kept, head, now = 0, 0, 0.0
    while head < jobs or kept > 0:
        if kept == 0:
            now = max(now, arrival[head])
        size = kept
        # the batch is filled from the future too: whoever arrives while it is held may join
        while head < jobs and size < slots and arrival[head] <= now + timeout:
            batch[size] = head
            size += 1
            head += 1
        if size == slots:
            now = max(now, arrival[batch[size - 1]])
        else:
            now += timeout
        work = left[batch[0]]
        for i in range(1, size):
            work = min(work, left[batch[i]]) if continuous else max(work, left[batch[i]])
        now += work * (1.0 + slowdown * (size - 1))
        kept = 0
        for i in range(size):
            job = batch[i]
            left[job] -= work
            if left[job] <= NOTHING_LEFT_S:
                end[job] = now
            else:
                batch[kept] = job
                kept += 1


@njit(cache=True)
def _sjf_runs(
    arrival, service, key, belief, by_left, true_age, slots, slowdown, base, per_s, continuous, serve_all, end
):
    for run in range(len(arrival)):
        _sjf(
            arrival[run],
            service[run],
            key[run],
            belief[run],
            by_left,
            true_age,
            slots,
            slowdown,
            base,
            per_s,
            continuous,
            serve_all,
            end[run],
        )


@njit(cache=True)
def _sort(queue, count, key, sign):
    """Sort queue[:count] by sign * key; stable, so equal keys keep their order in the queue."""
    for i in range(1, count):
        job = queue[i]
        j = i
        while j > 0 and sign * key[queue[j - 1]] > sign * key[job]:
            queue[j] = queue[j - 1]
            j -= 1
        queue[j] = job


@njit(cache=True)
def _sjf(arrival, service, key, belief, by_left, true_age, slots, slowdown, base, per_s, continuous, serve_all, end):
    """Fill `end` [jobs]: smallest key first, unless the longest waiter starves; NaN stays where a job is dropped."""
    jobs = len(arrival)
    left = service.copy()
    waited = np.zeros(jobs)
    in_batch = np.zeros(jobs, dtype=np.bool_)
    queue = np.empty(jobs, dtype=np.int64)
    batch = np.empty(slots, dtype=np.int64)
    count, head, now, before = 0, 0, 0.0, 0.0
    last = jobs if serve_all else jobs - 1
    while head < last or count > 0:
        if count == 0:
            now = max(now, arrival[head])
            while head < jobs and arrival[head] <= now:
                queue[count] = head
                count += 1
                head += 1
        oldest = queue[0]
        for i in range(1, count):
            if waited[queue[i]] > waited[oldest]:
                oldest = queue[i]
        patience = left[oldest] if true_age else belief[oldest]
        if waited[oldest] > STARVATION_S or waited[oldest] > STARVATION_FACTOR * patience:
            _sort(queue, count, waited, -1.0)
        elif by_left:
            _sort(queue, count, left, 1.0)
        else:
            _sort(queue, count, key, 1.0)
        size = min(slots, count)
        for i in range(size):
            job = queue[i]
            batch[i] = job
            if left[job] < service[job] and not in_batch[job]:
                left[job] += base + per_s * (service[job] - left[job])
        for i in range(size, count):
            queue[i - size] = queue[i]
            in_batch[queue[i]] = False
        count -= size
        work = left[batch[0]]
        for i in range(1, size):
            work = min(work, left[batch[i]]) if continuous else max(work, left[batch[i]])
        now += work * (1.0 + slowdown * (size - 1))
        while head < jobs and arrival[head] <= now:
            queue[count] = head
            count += 1
            head += 1
        for i in range(size):
            job = batch[i]
            left[job] -= work
            if left[job] <= NOTHING_LEFT_S:
                end[job] = now
            else:  # behind those who arrived meanwhile
                in_batch[job] = True
                queue[count] = job
                count += 1
        # whoever is in the queue now counts the whole round as waiting, even if it came late or was being served
        for i in range(count):
            waited[queue[i]] += now - before
        before = now


@njit(cache=True)
def _measure(arrival, end, shares, out):
    """Fill `out` [runs, 3 + shares]: served jobs, mean and p99 time in system [s], throughput at each share [1/s]."""
    for run in range(len(end)):
        served = np.flatnonzero(~np.isnan(end[run]))
        done = np.sort(end[run][served])
        out[run, 0] = len(done)
        if len(done) == 0:
            out[run, 1:] = np.nan
            continue
        stay = end[run][served] - arrival[run][served]
        out[run, 1] = stay.mean()
        # numpy's linear percentile, written out: compiling np.percentile takes eight seconds
        ranked = np.sort(stay)
        place = 0.99 * (len(ranked) - 1)
        low = int(place)
        high = min(low + 1, len(ranked) - 1)
        out[run, 2] = ranked[low] + (place - low) * (ranked[high] - ranked[low])
        for s in range(len(shares)):
            k = int((len(done) - 1) * shares[s] / 100.0)
            out[run, 3 + s] = k / done[k]


def measure(arrival_s: np.ndarray, end_s: np.ndarray, shares=(QUARTER, ALL)) -> dict[str, np.ndarray]:
    """Return the released program's metrics, run by run.

    Parameters
    ----------
    arrival_s, end_s [runs, jobs]
        Arrival and completion times [s]; NaN completions are left out, as the program leaves dropped jobs out.
    shares : sequence of float
        Shares of completions [%] at which throughput is taken; the program's is 25.

    Returns
    -------
    dict of str to numpy.ndarray
        ``served`` [runs], ``jct`` and ``p99`` [runs] in s, ``throughput`` [runs, shares] in 1/s: with m jobs served
        and k = floor((m - 1) share), k divided by the (k + 1)-th completion time.
    """
    shares = np.asarray(shares, dtype=float)
    if shares.size and not (shares.min() >= 0 and shares.max() <= 100):
        raise InputError(f"shares {shares.tolist()}: percentages from 0 to 100 are allowed")
    out = np.empty((len(end_s), 3 + len(shares)))
    _measure(np.ascontiguousarray(arrival_s, dtype=float), np.ascontiguousarray(end_s, dtype=float), shares, out)
    return {"served": out[:, 0], "jct": out[:, 1], "p99": out[:, 2], "throughput": out[:, 3:]}
