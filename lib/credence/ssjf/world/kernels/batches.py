"""Dynamic batching: an idle engine collects a batch, which then lasts as long as its longest member.

A member that has all its tokens keeps its place in the batch (it is padded: the iterations stay as dear) and its cache
until the batch ends, which is when every member's answer is returned. While the next iteration would not fit into the
cache the worst-ranked unfinished member is put back into the queue. Nothing else interrupts a batch.
"""

import numpy as np

from credence.ssjf.world.kernels.compiled import helper, kernel
from credence.ssjf.world.kernels.state import (
    LEVELS,
    NEVER,
    SAME_INSTANT_S,
    admit,
    arrive,
    best,
    demote,
    emitted,
    enqueue,
    memory_need,
    prefill_time,
    promote,
    quantum_left,
    ranks_worse,
    run_time,
)


@kernel
def serve(requests, waiting, rules, costs, slots, timeout):
    """Serve all requests; fills start, first, end and preemptions of `requests`."""
    count = requests.eligible.size
    batch = np.empty(slots, np.int64)
    fresh = np.zeros(slots, np.bool_)
    upcoming = 0
    completed = 0
    now = 0.0
    while completed < count:
        upcoming = arrive(waiting, rules, requests, upcoming, now)
        if waiting.sizes[0] == 0:
            now = requests.eligible[upcoming]
            continue
        deadline = now + timeout
        while waiting.sizes[0] < slots and now < deadline:
            if upcoming < count and requests.eligible[upcoming] <= deadline + SAME_INSTANT_S:
                now = min(requests.eligible[upcoming], deadline)
            else:
                now = deadline
            upcoming = arrive(waiting, rules, requests, upcoming, now)
        promote(waiting, rules, requests, now)

        members, context, overhead = _collect(requests, waiting, rules, costs, batch, fresh, slots, now)
        now += overhead
        for slot in range(members):
            item = batch[slot]
            if fresh[slot]:
                gain = emitted(costs, requests, item)
                requests.generated[item] += gain
                requests.level_tokens[item] += gain
                context += gain
                if gain > 0 and np.isnan(requests.first[item]):
                    requests.first[item] = now

        while True:
            active, steps = _unfinished(requests, batch, members)
            if active == 0:
                break
            if context + active > costs.capacity:
                slot = _worst(requests, rules, waiting, batch, members)
                item = batch[slot]
                context -= requests.prompt[item] + requests.generated[item]
                members -= 1
                batch[slot] = batch[members]
                _put_back(requests, waiting, rules, item, now)
                continue
            steps = min(steps, (costs.capacity - context) // active)
            step = costs.decode[members] + costs.decode_context * context
            for slot in range(members):
                item = batch[slot]
                if requests.generated[item] < requests.output[item]:
                    if np.isnan(requests.first[item]):
                        requests.first[item] = now + step
                    requests.generated[item] += steps
                    requests.level_tokens[item] += steps
            now += run_time(step, costs.decode_context * active, steps)
            context += active * steps

        for slot in range(members):
            item = batch[slot]
            requests.end[item] = now
            if np.isnan(requests.first[item]):
                requests.first[item] = now
        completed += members


@helper
def _collect(requests, waiting, rules, costs, batch, fresh, slots, now):
    """Fill the batch from the head of the queue; return its members, its cache and the time until it decodes."""
    members = 0
    context = 0
    need = 0
    tokens = 0
    prefills = 0
    overhead = 0.0
    while waiting.sizes[0] > 0 and members < slots:
        item = best(waiting, rules, now)
        own = memory_need(costs, requests, item)
        if need + own > costs.capacity:
            break
        held, fresh[members], swap = admit(requests, waiting, rules, costs, item, now)
        overhead += swap
        if fresh[members]:
            tokens += held
            prefills += 1
        batch[members] = item
        members += 1
        need += own
        context += held
    if prefills > 0:
        overhead += prefill_time(costs, tokens)
    return members, context, overhead


@helper
def _unfinished(requests, batch, members):
    """Return how many members still need tokens and the fewest that one of them needs."""
    active = 0
    fewest = NEVER
    for slot in range(members):
        left = requests.output[batch[slot]] - requests.generated[batch[slot]]
        if left > 0:
            active += 1
            fewest = min(fewest, left)
    return active, fewest


@helper
def _put_back(requests, waiting, rules, item, now):
    """Return a member to the queue; its level is brought up to date only now, as for all of a batch's tokens."""
    if rules.kind == LEVELS:
        while quantum_left(rules, requests, item) == 0:
            extra = requests.level_tokens[item] - (rules.quantum << requests.level[item])
            demote(requests, item, now)
            requests.level_tokens[item] = extra
    requests.preemptions[item] += 1
    requests.protected[item] = False
    enqueue(waiting, rules, requests, item, now)


@helper
def _worst(requests, rules, waiting, batch, members):
    """Return the place of the unfinished member to give way: unprotected before protected, then the largest key."""
    worst = -1
    for slot in range(members):
        item = batch[slot]
        if requests.generated[item] >= requests.output[item]:
            continue
        if worst < 0:
            worst = slot
            continue
        other = batch[worst]
        if ranks_worse(requests, rules, waiting, item, requests.generated[item], other, requests.generated[other]):
            worst = slot
    return worst
