"""Continuous batching: who runs in the next iteration of a real engine.

Before every forward pass requests are admitted in the order of the policy until the slots are full, and preemptive
policies may take a slot from a running one: the rules of ``infer.policies`` on the objects defined there, as in
the simulator (``world.kernels.engine``), one iteration at a time. Requests just admitted get a prefill of their own,
which gives their first token; a preempted request later pays a prefill over its prompt and what it had generated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.ssjf.infer.policies import (
    Policy,
    RequestState,
    displaces,
    first_level,
    note_tokens,
    policy,
    promote,
    running_key,
    sizes,
    waiting_key,
)
from credence.ssjf.model import EngineProfile
from credence.ssjf.model.profiles import decode_s, prefill_each_s


@dataclass
class Sequence:
    """One request inside the engine.

    Attributes
    ----------
    prompt : list of int
        Prompt [tokens].
    limit : int
        Most tokens to generate; an answer that reaches it without an end token is censored.
    rng : numpy.random.Generator or None
        Its own stream of random numbers; None when greedy.
    ignore_end : bool
        Go on to `limit` whatever the model says: for replaying lengths that are known.
    generated : list of int
        Tokens so far, without the end token.
    ended : bool
        The model gave its end token.
    """

    prompt: list[int]
    limit: int
    rng: np.random.Generator | None = None
    ignore_end: bool = False
    generated: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def finished(self) -> bool:
        """Whether no further token is wanted."""
        return self.ended or len(self.generated) >= self.limit

    def add(self, token: int, end_tokens) -> None:
        """Take the next token; an end token ends the answer and is not part of it."""
        if token in end_tokens and not self.ignore_end:
            self.ended = True
        else:
            self.generated.append(token)


class Backend(Protocol):
    """What ``serve`` asks of a model; each pass adds one token to (or ends) each of the sequences given."""

    def prefill(self, sequences: list[Sequence]) -> None:
        """Take sequences in, with all tokens they have."""

    def decode(self, sequences: list[Sequence]) -> None:
        """Go on with sequences that were taken in; all of them, in any order."""

    def release(self, sequence: Sequence) -> None:
        """Forget a sequence: it finished or gave way."""


class WallClock:
    """Seconds since the clock was made."""

    def __init__(self):
        self._origin = time.perf_counter()

    def now(self) -> float:
        """Return the time [s]."""
        return time.perf_counter() - self._origin

    def wait_until(self, instant: float) -> None:
        """Sleep until `instant` [s]."""
        time.sleep(max(instant - self.now(), 0.0))


def serve(
    backend: Backend,
    sequences: list[Sequence],
    arrival_s,
    policy: str | Policy = "fcfs",
    *,
    slots: int = 8,
    eligible_s=None,
    predicted=None,
    predictor: Callable[[list[int]], np.ndarray] | None = None,
    profile: EngineProfile | None = None,
    aging: float | None = None,
    clock=None,
    rng: np.random.Generator | None = None,
    on_finish: Callable[[int, Sequence, float, float], None] | None = None,
) -> pd.DataFrame:
    """Serve requests on a real engine.

    Parameters
    ----------
    backend : Backend
        The model.
    sequences : list of Sequence [requests]
        The requests in order of arrival; they hold the answers afterwards.
    arrival_s : array_like [requests]
        When each arrives, on `clock` [s].
    policy : str or Policy
        See ``infer.policies``. The oracles (sjf, srpt) take a sequence's `limit` for its length, so all must have
        `ignore_end`.
    slots : int
        Most requests in a batch.
    eligible_s : array_like [requests] or None
        When the predictor has seen each request [s]; None: on arrival. Read by policies that predict.
    predicted : array_like [requests] or None
        What ssjf and psrpt order by.
    predictor : callable or None
        Instead of `predicted`: called between two passes with the requests that have arrived since (their rows), it
        returns a prediction for each. The engine stands still meanwhile, and they are eligible only afterwards.
    profile : EngineProfile or None
        Cost of a prefill and of an iteration, by which mlfq chooses the level a request joins.
    aging : float or None
        A request that has waited this long [s] goes first and is not displaced; None or 0: off.
    clock : object with now() and wait_until()
        A `WallClock` unless given.
    rng : numpy.random.Generator or None
        Needed by the random order.
    on_finish : callable or None
        Called as ``on_finish(request, sequence, start_s, end_s)`` when an answer is there.

    Returns
    -------
    pandas.DataFrame [requests, 10]
        ``request``, ``start_s``, ``first_token_s``, ``end_s`` [s], ``output_tokens`` [tokens], ``censored`` (stopped at
        its limit), ``preemptions``; ``eligible_s`` [s], ``predicted`` (NaN when nobody predicted) and ``predict_s``,
        the time that the predictor took for the request [s], a call for several shared evenly.

    Raises
    ------
    InputError
        For settings out of range, or when the policy needs something that was not given.
    """
    rule = _policy(policy)
    arrival = np.asarray(arrival_s, dtype=np.float64)
    if not rule.uses_prediction:
        predictor = None
    elif predictor is not None:
        if predicted is not None or eligible_s is not None:
            raise InputError("predictor= beside predicted= or eligible_s=; allowed: one source of predictions")
        predicted = np.full(arrival.shape, np.nan)  # until it has seen them
    eligible = arrival if eligible_s is None or not rule.uses_prediction else np.asarray(eligible_s, dtype=np.float64)
    _check(rule, sequences, arrival, eligible, slots, aging, profile)
    limits = np.array([sequence.limit for sequence in sequences])
    size = sizes(rule, eligible, limits, predicted, rng)
    states = [RequestState(i, float(size[i]), float(arrival[i])) for i in range(len(sequences))]
    levels = np.zeros(len(sequences), dtype=int)
    if rule.kind == "levels":
        prompts = np.array([len(sequence.prompt) for sequence in sequences])
        levels = first_level(rule, prefill_each_s(profile, prompts), decode_s(profile, 1, 0))
    for state in states:
        state.level, state.level_since_s = int(levels[state.index]), float(eligible[state.index])
    predict_s = np.zeros(len(sequences))
    if predictor is not None:
        eligible = arrival.copy()  # overwritten when a prediction is there
    frame = _run(
        backend, sequences, states, eligible, rule, slots, aging, clock or WallClock(), on_finish, predictor, predict_s
    )
    seen = [state.size if rule.uses_prediction else np.nan for state in states]
    return frame.assign(eligible_s=eligible, predicted=seen, predict_s=predict_s)


_policy = policy  # also the name of an argument above


def _predict(predictor, states, clock, eligible, predict_s) -> None:
    """Have requests that just arrived predicted; it takes the time it takes."""
    rows = [state.index for state in states]
    begun = clock.now()
    values = np.asarray(predictor(rows), dtype=np.float64)
    end = clock.now()
    if values.shape != (len(rows),) or not np.all(np.isfinite(values)):
        raise InputError(f"predictor gave {values.tolist()} for rows {rows}; allowed: one finite number each")
    for state, value in zip(states, values, strict=True):
        state.size = float(value)
    eligible[rows], predict_s[rows] = end, (end - begun) / len(rows)


def _run(
    backend, sequences, states, eligible, rule, slots, aging, clock, on_finish, predictor, predict_s
) -> pd.DataFrame:
    count = len(sequences)
    start, first, end = (np.full(count, np.nan) for _ in range(3))
    preemptions = np.zeros(count, dtype=np.int64)
    coming = list(np.lexsort((np.arange(count), eligible))[::-1])
    waiting: list[RequestState] = []
    running: list[RequestState] = []
    while coming or waiting or running:
        now = clock.now()
        arrived = []
        while coming and eligible[coming[-1]] <= now:
            arrived.append(states[coming.pop()])
        if arrived and predictor is not None:
            _predict(predictor, arrived, clock, eligible, predict_s)
            now = clock.now()
        waiting += arrived
        if not waiting and not running:
            clock.wait_until(float(eligible[coming[-1]]))
            continue
        for state in waiting:
            promote(rule, state, now)

        fresh: list[RequestState] = []
        while waiting and (len(running) < slots or rule.preemptive):
            head = min(waiting, key=lambda state: waiting_key(rule, state, now, aging))
            place = waiting_key(rule, head, now, aging)
            if len(running) == slots:
                worst = max(running, key=lambda state: running_key(rule, state))
                if not displaces(place, running_key(rule, worst)):
                    break
                running.remove(worst)
                backend.release(sequences[worst.index])
                worst.protected, worst.waiting_since_s = False, now
                preemptions[worst.index] += 1
                waiting.append(worst)
            waiting.remove(head)
            head.protected = place[0] == 0
            if np.isnan(start[head.index]):
                start[head.index] = now
            fresh.append(head)
            running.append(head)

        turn = fresh or list(running)
        (backend.prefill if fresh else backend.decode)([sequences[state.index] for state in turn])
        now = clock.now()
        for state in turn:
            sequence = sequences[state.index]
            note_tokens(rule, state, 1, now)
            if np.isnan(first[state.index]):
                first[state.index] = now
            if sequence.finished:
                end[state.index] = now
                running.remove(state)
                backend.release(sequence)
                if on_finish:
                    on_finish(state.index, sequence, float(start[state.index]), now)
    return pd.DataFrame(
        {
            "request": np.arange(count),
            "start_s": start,
            "first_token_s": first,
            "end_s": end,
            "output_tokens": [len(sequence.generated) for sequence in sequences],
            "censored": [not sequence.ended and not sequence.ignore_end for sequence in sequences],
            "preemptions": preemptions,
        }
    )


def _check(rule, sequences, arrival, eligible, slots, aging, profile) -> None:
    count = len(sequences)
    if count == 0:
        raise InputError("no requests; allowed: at least one")
    if isinstance(slots, bool) or not isinstance(slots, (int, np.integer)) or slots < 1:
        raise InputError(f"slots is {slots!r}; allowed: an integer >= 1")
    if aging is not None and not (np.isfinite(aging) and aging >= 0):
        raise InputError(f"aging is {aging!r}; allowed: a finite number of seconds >= 0, or None")
    for name, values in (("arrival_s", arrival), ("eligible_s", eligible)):
        if values.shape != (count,) or not np.all(np.isfinite(values)):
            raise InputError(f"{name}: {list(values.shape)} values; allowed: [{count}] finite seconds")
    for row, sequence in enumerate(sequences):
        if sequence.limit < 1 or not sequence.prompt:
            raise InputError(
                f"row {row}: {len(sequence.prompt)} prompt tokens, limit {sequence.limit}; allowed: at least 1 of each"
            )
        if rule.basis == "output" and not sequence.ignore_end:
            raise InputError(
                f"policy {rule.name!r} must know the length of row {row}; allowed: sequences with ignore_end"
            )
    if rule.kind == "levels" and profile is None:
        raise InputError(f"policy {rule.name!r} chooses a level by prefill time; allowed: with an engine profile")
