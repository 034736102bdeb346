"""Serve a list of requests on a modelled engine: who starts when, and when each answer is there.

Three ways of serving, by iterations (one forward pass gives every running request one token):

none        `slots` servers, each serving one request at the cost of batch size 1
dynamic     an idle engine collects up to `slots` requests; the batch lasts as long as its longest member
continuous  one engine admits and releases requests at every iteration boundary, up to `slots` at a time; on an
            overlapped profile every slot runs on its own clock

A cache limit (``kv_tokens``) is shared by a batch; with batching none every server has a cache of its own. Dynamic
batches are sealed: even a preemptive policy then only decides who is collected.

The loops are compiled and jump in time (``world.kernels``); what they mean is stated there and in
``infer.policies``, and re-stated one iteration at a time in ``tests/ssjf/naive.py``.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.ssjf.data.requests import validate_requests
from credence.ssjf.infer.policies import KINDS, Policy, first_level, policy, sizes
from credence.ssjf.model import EngineProfile
from credence.ssjf.model import profile as find_profile
from credence.ssjf.model.profiles import PREEMPTION_KINDS, decode_s, prefill_each_s
from credence.ssjf.world.arrivals import BATCHING
from credence.ssjf.world.kernels import batches, engine, servers
from credence.ssjf.world.kernels.state import Costs, Requests, Rules, new_waiting

UNLIMITED = 2**62
MOST_SLOTS = 100_000


class Schedule(NamedTuple):
    """What happened to each request: three instants [requests] in seconds, and how often it was preempted.

    `start_s` is when its (first) service began, `first_token_s` when its first token was there (of an answer without
    tokens: its end), `end_s` when its answer was returned.
    """

    start_s: np.ndarray
    first_token_s: np.ndarray
    end_s: np.ndarray
    preemptions: np.ndarray


def eligible_times(arrival_s: np.ndarray, latency_s: float) -> np.ndarray:
    """Return when one first-in, first-out predictor that takes `latency_s` has seen each request [requests], in s."""
    if latency_s == 0:
        return arrival_s
    # eligible_i = max(arrival_i, eligible_{i-1}) + L, unrolled: (i + 1) L + max_{j <= i} (arrival_j - j L)
    turn = np.arange(arrival_s.size) * latency_s
    return np.maximum.accumulate(arrival_s - turn) + turn + latency_s


def simulate_arrays(
    arrival_s,
    prompt_tokens,
    output_tokens,
    *,
    policy: str | Policy = "fcfs",
    batching: str = "none",
    slots: int = 1,
    profile: str | EngineProfile = "ssjf-paper",
    aging: float | None = None,
    predictor_latency: float = 0.0,
    batch_timeout: float = 0.0,
    predicted=None,
    rng: np.random.Generator | None = None,
) -> Schedule:
    """Serve requests given as arrays; the same as `simulate` without data frames and their checks, for sweeps.

    Parameters
    ----------
    arrival_s : array_like [requests]
        Arrival times [s], never decreasing.
    prompt_tokens, output_tokens : array_like [requests]
        Lengths [tokens].
    policy, batching, slots, profile, aging, predictor_latency, batch_timeout, rng
        As for `simulate`.
    predicted : array_like [requests] or None
        What ssjf and psrpt order by.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        For settings out of range, arrays of unequal length, unsorted arrivals, or a request that can never fit into
        the engine's cache (naming its row).
    """
    rule = _policy(policy)
    cost = find_profile(profile) if isinstance(profile, str) else profile
    choose(batching, BATCHING, "batching")
    if isinstance(slots, bool) or not isinstance(slots, (int, np.integer)) or not 1 <= slots <= MOST_SLOTS:
        raise InputError(f"slots is {slots!r}; allowed: an integer 1..{MOST_SLOTS}")
    aging = _seconds(aging or 0.0, "aging")
    latency = _seconds(predictor_latency, "predictor_latency")
    timeout = _seconds(batch_timeout, "batch_timeout")
    arrival = _plain(arrival_s, np.float64)
    prompt = _plain(prompt_tokens, np.int64)
    output = _plain(output_tokens, np.int64)
    if predicted is not None:
        predicted = _plain(predicted, np.float64)
    _check_arrays(arrival, prompt, output, predicted)
    if cost.kv_tokens is not None:
        _check_fit(prompt, output, cost)

    eligible = eligible_times(arrival, latency) if rule.uses_prediction else arrival
    rules = Rules(
        KINDS.index(rule.kind),
        rule.preemptive,
        aging or np.inf,
        rule.promote_after_s,
        rule.quantum_tokens,
        rule.levels,
    )
    costs = _costs(cost, int(slots))
    requests = _requests(rule, cost, arrival, eligible, prompt, output, predicted, rng)
    waiting = new_waiting(arrival.size, rules)
    if batching == "dynamic":
        batches.serve(requests, waiting, rules, costs, int(slots), timeout)
    elif batching == "none" or cost.prefill == "overlapped":
        servers.serve(requests, waiting, rules, costs, int(slots))
    else:
        engine.serve(requests, waiting, rules, costs, int(slots))
    # an arrival that counted as there a whisker early must not show a negative wait
    instants = (np.maximum(values, arrival) for values in (requests.start, requests.first, requests.end))
    return Schedule(*instants, requests.preemptions)


def simulate(
    requests: pd.DataFrame,
    policy: str | Policy = "fcfs",
    batching: str = "none",
    slots: int = 1,
    profile: str | EngineProfile = "ssjf-paper",
    aging: float | None = None,
    predictor_latency: float = 0.0,
    batch_timeout: float = 0.0,
    rng: np.random.Generator | None = None,
    key=None,
) -> pd.DataFrame:
    """Serve a request frame.

    Parameters
    ----------
    requests : pandas.DataFrame
        ``arrival_s`` [s], ``prompt_tokens``, ``output_tokens`` [tokens], optional ``predicted``, in order of arrival.
    policy : str or Policy
        fcfs, sjf, ssjf, srpt, psrpt, mlfq, random; see ``infer.policies``.
    batching : {"none", "dynamic", "continuous"}
        Way of serving.
    slots : int
        Servers, or the largest batch.
    profile : str or EngineProfile
        Cost of iterations.
    aging : float or None
        A request that has waited this long [s] goes first and is not displaced; None or 0: off.
    predictor_latency : float
        Time [s] that a first-in, first-out predictor takes for each request; paid only by policies that predict.
    batch_timeout : float
        Dynamic batching: longest time [s] an idle engine with requests waiting holds out for a full batch.
    rng : numpy.random.Generator or None
        Needed by the random order.
    key : array_like [requests] or None
        Replaces the column ``predicted``.

    Returns
    -------
    pandas.DataFrame [requests, 4]
        ``request`` (zero-based row of the input), ``start_s``, ``first_token_s``, ``end_s`` [s], in the input's order;
        ``.attrs["preemptions"]`` is their total number.

    Raises
    ------
    InputError
        For anything out of range; the message names row, column and what is allowed.
    """
    frame = validate_requests(requests)
    if key is not None:
        if not _policy(policy).uses_prediction:
            raise InputError(f"key= with policy {_policy(policy).name!r}; allowed: with ssjf or psrpt")
        predicted = np.asarray(key, dtype=np.float64)
        if predicted.shape != (len(frame),):
            raise InputError(f"key has shape {list(predicted.shape)}; allowed: [{len(frame)}], one number a request")
    else:
        predicted = frame.get("predicted")
    schedule = simulate_arrays(
        frame["arrival_s"],
        frame["prompt_tokens"],
        frame["output_tokens"],
        policy=policy,
        batching=batching,
        slots=slots,
        profile=profile,
        aging=aging,
        predictor_latency=predictor_latency,
        batch_timeout=batch_timeout,
        predicted=predicted,
        rng=rng,
    )
    return schedule_frame(schedule)


def schedule_frame(schedule: Schedule) -> pd.DataFrame:
    """Return a schedule as a frame with the columns request, start_s, first_token_s, end_s."""
    frame = pd.DataFrame(
        {
            "request": np.arange(schedule.end_s.size),
            "start_s": schedule.start_s,
            "first_token_s": schedule.first_token_s,
            "end_s": schedule.end_s,
        }
    )
    frame.attrs["preemptions"] = int(schedule.preemptions.sum())
    return frame


# `policy` and `profile` are also argument names above, where they hide the functions
_policy = policy


def _plain(values, kind) -> np.ndarray:
    """Return `values` as a contiguous, writable array: pandas' read-only ones would compile every loop once more."""
    return np.require(values, dtype=kind, requirements=["C", "W"])


def _seconds(value, what: str) -> float:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not (number and np.isfinite(value) and value >= 0):
        raise InputError(f"{what} is {value!r}; allowed: a finite number of seconds >= 0")
    return float(value)


def _check_arrays(arrival, prompt, output, predicted) -> None:
    given = {"arrival_s": arrival, "prompt_tokens": prompt, "output_tokens": output, "predicted": predicted}
    for name, values in given.items():
        if values is not None and (values.ndim != 1 or values.size != arrival.size):
            raise InputError(f"{name} has shape {list(values.shape)}; allowed: [{arrival.size}], one number a request")
    if arrival.size == 0:
        raise InputError("no requests; allowed: at least one")
    bad = ~np.isfinite(arrival) | (arrival < 0) | (np.diff(arrival, prepend=0.0) < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"row {row}, arrival_s: {arrival[row]}; allowed: finite seconds >= 0 in order of arrival")
    for name in ("prompt_tokens", "output_tokens"):
        if given[name].min() < 0:
            row = int(np.argmax(given[name] < 0))
            raise InputError(f"row {row}, {name}: {given[name][row]}; allowed: an integer >= 0")
    if predicted is not None and not np.all(np.isfinite(predicted)):
        row = int(np.argmax(~np.isfinite(predicted)))
        raise InputError(f"row {row}, predicted: {predicted[row]}; allowed: a finite number")


def _check_fit(prompt: np.ndarray, output: np.ndarray, cost: EngineProfile) -> None:
    """Refuse a request that could never finish: its whole context must fit into the cache."""
    too_long = prompt + output > cost.kv_tokens
    if too_long.any():
        row = int(np.argmax(too_long))
        raise InputError(
            f"row {row}: prompt_tokens + output_tokens = {prompt[row] + output[row]} exceeds the cache of "
            f"profile {cost.name!r}; allowed: at most kv_tokens = {cost.kv_tokens}"
        )


def _costs(cost: EngineProfile, slots: int) -> Costs:
    table = np.asarray(cost.prefill_table or np.empty((0, 2)), dtype=np.float64)
    decode = [0.0] + [decode_s(cost, batch, 0) for batch in range(1, slots + 1)]
    return Costs(
        float(cost.prefill_base_s),
        float(cost.prefill_per_token_s),
        np.ascontiguousarray(table[:, 0]),
        np.ascontiguousarray(table[:, 1]),
        np.array(decode),
        float(cost.decode_per_context_token_s),
        int(cost.prefill_emits_token),
        PREEMPTION_KINDS.index(cost.preemption),
        float(cost.swap_base_s),
        float(cost.swap_per_token_s),
        UNLIMITED if cost.kv_tokens is None else cost.kv_tokens,
    )


def _requests(rule: Policy, cost: EngineProfile, arrival, eligible, prompt, output, predicted, rng) -> Requests:
    count = arrival.size
    if rule.kind == "levels":
        level = first_level(rule, prefill_each_s(cost, prompt), decode_s(cost, 1, 0)).astype(np.int64)
    else:
        level = np.zeros(count, np.int64)
    return Requests(
        eligible=eligible,
        arrival=arrival,
        prompt=prompt,
        output=output,
        size=sizes(rule, eligible, output, predicted, rng),
        start=np.full(count, np.nan),
        first=np.full(count, np.nan),
        end=np.full(count, np.nan),
        preemptions=np.zeros(count, np.int64),
        generated=np.zeros(count, np.int64),
        level=level,
        level_tokens=np.zeros(count, np.int64),
        level_since=np.zeros(count),
        protected=np.zeros(count, np.bool_),
    )
