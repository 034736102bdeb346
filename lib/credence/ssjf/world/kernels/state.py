"""What the three simulators share: requests, the waiting queue, and the cost of iterations, in compiled form.

Everything here mirrors ``credence.ssjf.infer.policies`` and ``credence.ssjf.model.profiles``, which say what it
means; arrays are indexed by request (row of the input) unless said otherwise.
"""

from typing import NamedTuple

import numpy as np

from credence.ssjf.world.kernels.compiled import helper

# Instants that lie closer together than this are one instant [s].
SAME_INSTANT_S = 1e-9

FIXED, REMAINING, LEVELS = 0, 1, 2
FREE, RECOMPUTE, SWAP = 0, 1, 2
NEVER = np.iinfo(np.int64).max


class Rules(NamedTuple):
    """A policy: kind of key, preemptive, aging and promotion [s] (inf: off), quantum of level 0, levels."""

    kind: int
    preemptive: bool
    aging: float
    promotion: float
    quantum: int
    levels: int


class Costs(NamedTuple):
    """An engine profile; `decode` [slots + 1] in seconds by batch size, the context's part apart."""

    prefill_base: float
    prefill_token: float
    prefill_sizes: np.ndarray
    prefill_seconds: np.ndarray
    decode: np.ndarray
    decode_context: float
    emits: int
    preemption: int
    swap_base: float
    swap_token: float
    capacity: int


class Requests(NamedTuple):
    """What is asked for [requests], and what has become of it."""

    eligible: np.ndarray
    arrival: np.ndarray
    prompt: np.ndarray
    output: np.ndarray
    size: np.ndarray
    start: np.ndarray
    first: np.ndarray
    end: np.ndarray
    preemptions: np.ndarray
    generated: np.ndarray
    level: np.ndarray
    level_tokens: np.ndarray
    level_since: np.ndarray
    protected: np.ndarray


class Waiting(NamedTuple):
    """The waiting requests in up to three orders, each a binary heap of request numbers with their places in it.

    `queue` by key, `longest` by `since` (only with aging), `due` by `since` (only those that can be promoted).
    `sizes` [3] holds the lengths of the heaps.
    """

    key: np.ndarray
    key2: np.ndarray
    since: np.ndarray
    queue: np.ndarray
    queue_at: np.ndarray
    longest: np.ndarray
    longest_at: np.ndarray
    due: np.ndarray
    due_at: np.ndarray
    sizes: np.ndarray


def new_waiting(count: int, rules: Rules) -> Waiting:
    """Return an empty waiting queue for `count` requests."""

    def heap(used: bool) -> tuple[np.ndarray, np.ndarray]:
        length = count if used else 0
        return np.empty(length, np.int64), np.full(length, -1, np.int64)

    return Waiting(
        np.zeros(count),
        np.zeros(count),
        np.zeros(count),
        *heap(True),
        *heap(np.isfinite(rules.aging)),
        *heap(rules.kind == LEVELS and np.isfinite(rules.promotion)),
        np.zeros(3, np.int64),
    )


# --- heaps of request numbers that know their places, so that any member can be taken out -------------------------


@helper
def _before(first, second, one, other):
    if first[one] != first[other]:
        return first[one] < first[other]
    if second[one] != second[other]:
        return second[one] < second[other]
    return one < other


@helper
def _rise(heap, place, position, first, second):
    item = heap[position]
    while position > 0:
        parent = (position - 1) >> 1
        if not _before(first, second, item, heap[parent]):
            break
        heap[position] = heap[parent]
        place[heap[position]] = position
        position = parent
    heap[position] = item
    place[item] = position


@helper
def _sink(heap, place, size, position, first, second):
    item = heap[position]
    while True:
        child = 2 * position + 1
        if child >= size:
            break
        if child + 1 < size and _before(first, second, heap[child + 1], heap[child]):
            child += 1
        if not _before(first, second, heap[child], item):
            break
        heap[position] = heap[child]
        place[heap[position]] = position
        position = child
    heap[position] = item
    place[item] = position


@helper
def _push(heap, place, size, first, second, item):
    heap[size] = item
    _rise(heap, place, size, first, second)
    return size + 1


@helper
def _remove(heap, place, size, first, second, item):
    position = place[item]
    if position < 0:
        return size
    place[item] = -1
    size -= 1
    if position != size:
        moved = heap[size]
        heap[position] = moved
        place[moved] = position
        _rise(heap, place, position, first, second)
        _sink(heap, place, size, place[moved], first, second)
    return size


# --- the waiting queue ---------------------------------------------------------------------------------------------


@helper
def key_of(rules, requests, generated, item):
    """Return the policy's first key of a request that has `generated` tokens."""
    if rules.kind == LEVELS:
        return float(requests.level[item])
    if rules.kind == REMAINING:
        return max(requests.size[item] - generated, 0.0)
    return requests.size[item]


@helper
def enqueue(waiting, rules, requests, item, since):
    """Put a request into the queue; it has been waiting since `since`."""
    waiting.key[item] = key_of(rules, requests, requests.generated[item], item)
    waiting.key2[item] = requests.level_since[item] if rules.kind == LEVELS else 0.0
    waiting.since[item] = since
    waiting.sizes[0] = _push(waiting.queue, waiting.queue_at, waiting.sizes[0], waiting.key, waiting.key2, item)
    if waiting.longest.size > 0:
        waiting.sizes[1] = _push(
            waiting.longest, waiting.longest_at, waiting.sizes[1], waiting.since, waiting.since, item
        )
    if waiting.due.size > 0 and requests.level[item] > 0:
        waiting.sizes[2] = _push(waiting.due, waiting.due_at, waiting.sizes[2], waiting.since, waiting.since, item)


@helper
def dequeue(waiting, item):
    """Take a request out of the queue."""
    waiting.sizes[0] = _remove(waiting.queue, waiting.queue_at, waiting.sizes[0], waiting.key, waiting.key2, item)
    if waiting.longest.size > 0:
        waiting.sizes[1] = _remove(
            waiting.longest, waiting.longest_at, waiting.sizes[1], waiting.since, waiting.since, item
        )
    if waiting.due.size > 0:
        waiting.sizes[2] = _remove(waiting.due, waiting.due_at, waiting.sizes[2], waiting.since, waiting.since, item)


@helper
def arrive(waiting, rules, requests, upcoming, now):
    """Queue every request eligible by `now`; return the number of the first one that is not."""
    while upcoming < requests.eligible.size and requests.eligible[upcoming] <= now + SAME_INSTANT_S:
        if rules.kind == LEVELS:
            requests.level_since[upcoming] = requests.eligible[upcoming]
        enqueue(waiting, rules, requests, upcoming, requests.arrival[upcoming])
        upcoming += 1
    return upcoming


@helper
def promote(waiting, rules, requests, now):
    """Move every waiting request whose promotion is due to level 0, with a fresh quantum."""
    while waiting.sizes[2] > 0:
        item = waiting.due[0]
        when = waiting.since[item] + rules.promotion
        if when > now + SAME_INSTANT_S:
            return
        since = waiting.since[item]
        dequeue(waiting, item)
        requests.level[item] = 0
        requests.level_tokens[item] = 0
        requests.level_since[item] = when
        enqueue(waiting, rules, requests, item, since)


@helper
def aged(waiting, rules, now):
    """Return whether the longest waiter goes first by the aging guard."""
    return waiting.sizes[1] > 0 and waiting.since[waiting.longest[0]] + rules.aging <= now + SAME_INSTANT_S


@helper
def next_due(waiting, rules, now):
    """Return the next instant at which waiting alone changes the order; inf if there is none."""
    when = np.inf
    # an aged request that is still waiting leads the queue already, whoever else ages
    if waiting.sizes[1] > 0 and not aged(waiting, rules, now):
        when = waiting.since[waiting.longest[0]] + rules.aging
    if waiting.sizes[2] > 0:
        when = min(when, waiting.since[waiting.due[0]] + rules.promotion)
    return when


@helper
def best(waiting, rules, now):
    """Return the request at the head of a queue that is not empty."""
    return waiting.longest[0] if aged(waiting, rules, now) else waiting.queue[0]


# --- quanta ----------------------------------------------------------------------------------------------------------


@helper
def quantum_left(rules, requests, item):
    """Return the tokens a request may still produce in its level."""
    if rules.kind != LEVELS or requests.level[item] >= rules.levels - 1:
        return NEVER
    return max((rules.quantum << requests.level[item]) - requests.level_tokens[item], 0)


@helper
def demote(requests, item, now):
    """Let a request that has used up its quantum enter the next level."""
    requests.level[item] += 1
    requests.level_tokens[item] = 0
    requests.level_since[item] = now


# --- costs -----------------------------------------------------------------------------------------------------------


@helper
def prefill_time(costs, tokens):
    """Return the duration [s] of a prefill over `tokens`."""
    count = costs.prefill_sizes.size
    if count == 0:
        return costs.prefill_base + costs.prefill_token * tokens
    if tokens <= costs.prefill_sizes[0] or count == 1:
        return costs.prefill_seconds[0]
    upper = min(np.searchsorted(costs.prefill_sizes, tokens), count - 1)
    left = costs.prefill_sizes[upper - 1]
    low = costs.prefill_seconds[upper - 1]
    slope = (costs.prefill_seconds[upper] - low) / (costs.prefill_sizes[upper] - left)
    return max(0.0, low + (tokens - left) * slope)


@helper
def run_time(step, growth, iterations):
    """Return the duration [s] of iterations of which the first costs `step` and each next one `growth` more."""
    return iterations * step + growth * (iterations * (iterations - 1) * 0.5)


@helper
def boundary(start, step, growth, instant):
    """Return after how many iterations begun at `start` it is `instant` or later."""
    gap = instant - start
    if gap <= 0.0:
        return 0
    if growth > 0.0:
        linear = step - 0.5 * growth
        count = int(2.0 * gap / (linear + np.sqrt(linear * linear + 2.0 * growth * gap)))
    else:
        count = int(gap / step)
    # rounding may leave the estimate one off to either side
    while count > 0 and start + run_time(step, growth, count - 1) >= instant:
        count -= 1
    while start + run_time(step, growth, count) < instant:
        count += 1
    return count


@helper
def has_prefill(costs, requests, item):
    """Return whether admitting a request means a prefill: at first always, later only if its cache is recomputed."""
    return np.isnan(requests.start[item]) or costs.preemption == RECOMPUTE


@helper
def emitted(costs, requests, item):
    """Return how many tokens (0 or 1) the prefill of a request gives."""
    return costs.emits if requests.generated[item] < requests.output[item] else 0


@helper
def memory_need(costs, requests, item):
    """Return the cache [tokens] with which a request can be admitted and then decoded once."""
    context = requests.prompt[item] + requests.generated[item]
    gain = costs.emits if has_prefill(costs, requests, item) else 0
    return min(context + gain + 1, requests.prompt[item] + requests.output[item])


@helper
def admit(requests, waiting, rules, costs, item, now):
    """Take a request out of the queue into service; return the cache it fills, whether it prefills, its swap [s]."""
    requests.protected[item] = waiting.since[item] + rules.aging <= now + SAME_INSTANT_S
    dequeue(waiting, item)
    held = requests.prompt[item] + requests.generated[item]
    # before the start is noted: what has never started always prefills
    prefills = has_prefill(costs, requests, item)
    if np.isnan(requests.start[item]):
        requests.start[item] = now
    swap = 0.0
    if not prefills and costs.preemption == SWAP:
        swap = costs.swap_base + costs.swap_token * held
    return held, prefills, swap


@helper
def ranks_worse(requests, rules, waiting, item, generated, other, other_generated):
    """Return whether `item` gives way before `other`: unprotected before protected, then the larger key."""
    if requests.protected[item] != requests.protected[other]:
        return requests.protected[other]
    if requests.protected[item]:
        one, two = waiting.since[item], waiting.since[other]
    else:
        one = key_of(rules, requests, generated, item)
        two = key_of(rules, requests, other_generated, other)
        if one == two:
            one, two = requests.level_since[item], requests.level_since[other]
    return one > two or (one == two and item > other)
