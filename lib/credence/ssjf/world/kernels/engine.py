"""Continuous batching on one engine whose iterations all running requests share.

At every iteration boundary, in this order: finished requests leave and arrivals queue up; the worst-ranked requests
are put back while the next iteration would not fit into the cache; waiting requests are admitted in order, the head
of the queue blocking those behind it. A preemptive policy lets the head displace strictly worse ones, worst first and
only as many as its slot and cache need. What was admitted is prefilled in one iteration, during which nothing else
runs; its end is a boundary too. Between boundaries that matter time jumps by the closed form.
"""

import numpy as np

from credence.ssjf.world.kernels.compiled import helper, kernel
from credence.ssjf.world.kernels.state import (
    LEVELS,
    NEVER,
    SAME_INSTANT_S,
    admit,
    aged,
    arrive,
    best,
    boundary,
    demote,
    emitted,
    enqueue,
    key_of,
    memory_need,
    next_due,
    prefill_time,
    promote,
    quantum_left,
    ranks_worse,
    run_time,
)


@kernel
def serve(requests, waiting, rules, costs, slots):
    """Serve all requests; fills start, first, end and preemptions of `requests`."""
    count = requests.eligible.size
    who = np.empty(slots, np.int64)  # running requests, in no particular order
    done_at = np.empty(slots, np.int64)  # iteration number at which each has its last token
    quantum_at = np.empty(slots, np.int64)  # iteration number at which its quantum is used up
    fresh = np.zeros(slots, np.bool_)  # admitted at this boundary, with a prefill to come
    iteration = 0  # decode iterations so far
    context = 0  # tokens in the cache
    running = 0
    upcoming = 0
    completed = 0
    silent = False  # some running request has no first token yet
    now = 0.0
    while completed < count:
        upcoming = arrive(waiting, rules, requests, upcoming, now)
        if running == 0 and waiting.sizes[0] == 0:
            now = requests.eligible[upcoming]
            continue
        promote(waiting, rules, requests, now)

        while running > 0 and context + running > costs.capacity:
            slot = _worst(requests, rules, waiting, who, done_at, running, iteration)
            context -= _put_back(requests, waiting, rules, who, done_at, quantum_at, slot, iteration, now)
            running = _close_gap(who, done_at, quantum_at, fresh, slot, running)

        need = context + running
        tokens = 0
        prefills = 0
        overhead = 0.0
        while waiting.sizes[0] > 0:
            item = best(waiting, rules, now)
            own = memory_need(costs, requests, item)
            if running == slots or need + own > costs.capacity:
                if not rules.preemptive or not _can_make_room(
                    requests, rules, waiting, costs, who, done_at, running, iteration, slots, need, own, now
                ):
                    break
                while running == slots or need + own > costs.capacity:
                    slot = _worst(requests, rules, waiting, who, done_at, running, iteration)
                    freed = _put_back(requests, waiting, rules, who, done_at, quantum_at, slot, iteration, now)
                    context -= freed
                    need -= freed + 1
                    running = _close_gap(who, done_at, quantum_at, fresh, slot, running)
            held, fresh[running], swap = admit(requests, waiting, rules, costs, item, now)
            overhead += swap
            if fresh[running]:
                tokens += held
                prefills += 1
            silent = silent or np.isnan(requests.first[item])
            who[running] = item
            done_at[running] = iteration + requests.output[item] - requests.generated[item]
            quantum_at[running] = _quantum_at(rules, requests, item, iteration)
            context += held
            need += own
            running += 1
        if prefills > 0:
            overhead += prefill_time(costs, tokens)

        if prefills > 0 or overhead > 0.0:
            now += overhead
            if prefills > 0:
                context += _emit(requests, costs, rules, who, done_at, quantum_at, fresh, running, iteration, now)
                running, freed, ended = _leave(requests, who, done_at, quantum_at, fresh, running, iteration, now)
                context -= freed
                completed += ended
            continue

        # the batch now stays the same until something happens; k iterations until then
        step = costs.decode[running] + costs.decode_context * context
        growth = costs.decode_context * running
        steps = NEVER
        for slot in range(running):
            steps = min(steps, min(done_at[slot], quantum_at[slot]) - iteration)
        steps = min(steps, (costs.capacity - context) // running)
        if running < slots or rules.preemptive:
            if upcoming < count:
                steps = _until(now, step, growth, requests.eligible[upcoming], steps)
            if waiting.sizes[0] > 0:
                steps = _until(now, step, growth, next_due(waiting, rules, now), steps)
        if silent:
            for slot in range(running):
                if np.isnan(requests.first[who[slot]]):
                    requests.first[who[slot]] = now + step
            silent = False
        now += run_time(step, growth, steps)
        iteration += steps
        context += running * steps
        running, freed, ended = _leave(requests, who, done_at, quantum_at, fresh, running, iteration, now)
        context -= freed
        completed += ended
        if rules.kind == LEVELS:
            _demote_due(requests, rules, who, done_at, quantum_at, running, iteration, now)


@helper
def _until(now, step, growth, instant, steps):
    """Return the iterations until `instant`, at least 1 and at most `steps`."""
    if now + run_time(step, growth, steps) < instant - SAME_INSTANT_S:
        return steps
    return min(steps, max(boundary(now, step, growth, instant - SAME_INSTANT_S), 1))


@helper
def _quantum_at(rules, requests, item, iteration):
    left = quantum_left(rules, requests, item)
    return NEVER if left == NEVER else iteration + left


@helper
def _emit(requests, costs, rules, who, done_at, quantum_at, fresh, running, iteration, now):
    """Give every request just prefilled its token, if prefills give one; return the number of tokens."""
    total = 0
    for slot in range(running):
        if not fresh[slot]:
            continue
        fresh[slot] = False
        item = who[slot]
        # what was generated before this run is all that is booked, so `emitted` still holds here
        gain = emitted(costs, requests, item)
        if gain > 0:
            total += gain
            done_at[slot] -= gain
            requests.generated[item] += gain
            requests.level_tokens[item] += gain
            if np.isnan(requests.first[item]):
                requests.first[item] = now
            if quantum_at[slot] != NEVER:
                if quantum_left(rules, requests, item) == 0 and requests.generated[item] < requests.output[item]:
                    demote(requests, item, now)
                quantum_at[slot] = _quantum_at(rules, requests, item, iteration)
    return total


@helper
def _book(requests, item, done_at, quantum_at, rules, iteration):
    """Write the tokens a running request has into `requests`."""
    generated = requests.output[item] - (done_at - iteration)
    if quantum_at != NEVER:
        requests.level_tokens[item] += generated - requests.generated[item]
    requests.generated[item] = generated


@helper
def _demote_due(requests, rules, who, done_at, quantum_at, running, iteration, now):
    for slot in range(running):
        if quantum_at[slot] <= iteration:
            _book(requests, who[slot], done_at[slot], quantum_at[slot], rules, iteration)
            demote(requests, who[slot], now)
            quantum_at[slot] = _quantum_at(rules, requests, who[slot], iteration)


@helper
def _leave(requests, who, done_at, quantum_at, fresh, running, iteration, now):
    """Let finished requests leave; return how many still run, the cache they free and how many left."""
    freed = 0
    ended = 0
    slot = 0
    while slot < running:
        if done_at[slot] > iteration:
            slot += 1
            continue
        item = who[slot]
        requests.end[item] = now
        if np.isnan(requests.first[item]):
            requests.first[item] = now
        freed += requests.prompt[item] + requests.output[item]
        ended += 1
        running = _close_gap(who, done_at, quantum_at, fresh, slot, running)
    return running, freed, ended


@helper
def _close_gap(who, done_at, quantum_at, fresh, slot, running):
    last = running - 1
    who[slot] = who[last]
    done_at[slot] = done_at[last]
    quantum_at[slot] = quantum_at[last]
    fresh[slot] = fresh[last]
    return last


@helper
def _put_back(requests, waiting, rules, who, done_at, quantum_at, slot, iteration, now):
    """Preempt the request in `slot`; return the cache it frees."""
    item = who[slot]
    _book(requests, item, done_at[slot], quantum_at[slot], rules, iteration)
    requests.preemptions[item] += 1
    requests.protected[item] = False
    enqueue(waiting, rules, requests, item, now)
    return requests.prompt[item] + requests.generated[item]


@helper
def _worst(requests, rules, waiting, who, done_at, running, iteration):
    """Return the slot of the request to give way first: unprotected before protected, then the largest key."""
    worst = 0
    for slot in range(1, running):
        item, other = who[slot], who[worst]
        own = requests.output[item] - (done_at[slot] - iteration)
        its = requests.output[other] - (done_at[worst] - iteration)
        if ranks_worse(requests, rules, waiting, item, own, other, its):
            worst = slot
    return worst


@helper
def _can_make_room(requests, rules, waiting, costs, who, done_at, running, iteration, slots, need, own, now):
    """Return whether the head of the queue fits once every running request strictly worse than it is put back."""
    first = aged(waiting, rules, now)
    key = waiting.key[waiting.queue[0]]
    freed = 0
    left = running
    for slot in range(running):
        item = who[slot]
        if requests.protected[item]:
            continue
        generated = requests.output[item] - (done_at[slot] - iteration)
        if first or key < key_of(rules, requests, generated, item):
            freed += requests.prompt[item] + generated + 1
            left -= 1
    return left < slots and need - freed + own <= costs.capacity
