"""Slots on clocks of their own: no batching, and continuous batching on an overlapped profile.

Every slot serves one request at the cost of batch size 1. The request to give way to a waiting one (preemptive
policies) is always the worst-ranked running one; it does so at its next token boundary, if the best waiting request
is still strictly better then. A prefill is never interrupted.
"""

import numpy as np

from credence.ssjf.world.kernels.compiled import helper, kernel
from credence.ssjf.world.kernels.state import (
    NEVER,
    REMAINING,
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
    next_due,
    prefill_time,
    promote,
    quantum_left,
    run_time,
)


@kernel
def serve(requests, waiting, rules, costs, slots):
    """Serve all requests; fills start, first, end and preemptions of `requests`."""
    count = requests.eligible.size
    growth = costs.decode_context
    who = np.full(slots, -1, np.int64)
    ready = np.zeros(slots)  # end of the prefill (or of the swap): iterations are counted from here
    step = np.zeros(slots)  # the first iteration's duration
    gained = np.zeros(slots, np.int64)  # tokens that the prefill gives, at `ready`
    end = np.zeros(slots)
    quantum_end = np.zeros(slots)
    look = np.full(slots, np.inf)  # when something happens in the slot next
    upcoming = 0
    completed = 0
    busy = 0
    now = 0.0
    while completed < count:
        instant = np.inf
        for slot in range(slots):
            instant = min(instant, look[slot])
        if upcoming < count and (busy < slots or rules.preemptive):
            instant = min(instant, requests.eligible[upcoming])
        if rules.preemptive and waiting.sizes[0] > 0:
            instant = min(instant, next_due(waiting, rules, now))
        now = instant

        upcoming = arrive(waiting, rules, requests, upcoming, now)
        for slot in range(slots):
            item = who[slot]
            if item < 0 or look[slot] > now + SAME_INSTANT_S:
                continue
            if end[slot] <= now + SAME_INSTANT_S:
                _finish(requests, item, ready[slot], step[slot], gained[slot], end[slot])
                who[slot] = -1
                look[slot] = np.inf
                busy -= 1
                completed += 1
            elif quantum_end[slot] <= now + SAME_INSTANT_S:
                # the state moves to the boundary, so that counting starts afresh in the next level
                tokens = boundary(ready[slot], step[slot], growth, quantum_end[slot] - SAME_INSTANT_S)
                _pause(requests, item, ready[slot], step[slot], gained[slot], tokens)
                ready[slot] += run_time(step[slot], growth, tokens)
                step[slot] += growth * tokens
                gained[slot] = 0
                demote(requests, item, now)
                quantum_end[slot] = _quantum_end(requests, rules, item, ready[slot], step[slot], growth, 0)
        promote(waiting, rules, requests, now)

        while waiting.sizes[0] > 0 and busy < slots:
            slot = 0
            while who[slot] >= 0:
                slot += 1
            incoming = best(waiting, rules, now)
            _begin(requests, waiting, rules, costs, now, slot, incoming, who, ready, step, gained, end, quantum_end)
            busy += 1

        giving_way = -1
        when = np.inf
        while rules.preemptive and waiting.sizes[0] > 0:
            slot, key = _worst(requests, rules, who, ready, step, gained, growth, now)
            if slot < 0:
                break
            if not aged(waiting, rules, now) and waiting.key[waiting.queue[0]] >= key:
                break
            tokens = boundary(ready[slot], step[slot], growth, now - SAME_INSTANT_S)
            at = ready[slot] + run_time(step[slot], growth, tokens)
            if at > now + SAME_INSTANT_S:
                giving_way = slot
                when = at
                break
            item = who[slot]
            _pause(requests, item, ready[slot], step[slot], gained[slot], tokens)
            requests.preemptions[item] += 1
            incoming = best(waiting, rules, now)
            enqueue(waiting, rules, requests, item, now)
            _begin(requests, waiting, rules, costs, now, slot, incoming, who, ready, step, gained, end, quantum_end)
        for slot in range(slots):
            if who[slot] >= 0:
                look[slot] = min(end[slot], quantum_end[slot])
        if giving_way >= 0:
            look[giving_way] = min(look[giving_way], when)


@helper
def _begin(requests, waiting, rules, costs, now, slot, item, who, ready, step, gained, end, quantum_end):
    """Let a waiting request have a slot."""
    context, prefills, overhead = admit(requests, waiting, rules, costs, item, now)
    gain = 0
    if prefills:
        gain = emitted(costs, requests, item)
        overhead = prefill_time(costs, context)
    who[slot] = item
    ready[slot] = now + overhead
    gained[slot] = gain
    step[slot] = costs.decode[1] + costs.decode_context * (context + gain)
    left = requests.output[item] - requests.generated[item] - gain
    end[slot] = ready[slot] + run_time(step[slot], costs.decode_context, left)
    quantum_end[slot] = _quantum_end(requests, rules, item, ready[slot], step[slot], costs.decode_context, gain)


@helper
def _quantum_end(requests, rules, item, ready, step, growth, gain):
    left = quantum_left(rules, requests, item)
    if left == NEVER:
        return np.inf
    return ready + run_time(step, growth, max(left - gain, 0))


@helper
def _pause(requests, item, ready, step, gain, iterations):
    """Book the tokens of a request that stops, or whose counting restarts, after some iterations."""
    if np.isnan(requests.first[item]) and gain + iterations > 0:
        requests.first[item] = ready if gain > 0 else ready + step
    requests.generated[item] += gain + iterations
    requests.level_tokens[item] += gain + iterations


@helper
def _finish(requests, item, ready, step, gain, end):
    if np.isnan(requests.first[item]):
        requests.first[item] = ready if gain > 0 else min(ready + step, end)
    requests.end[item] = end


@helper
def _worst(requests, rules, who, ready, step, gained, growth, now):
    """Return the slot of the worst-ranked unprotected request, and its key; slot -1 if there is none."""
    worst_slot = -1
    worst_key = -np.inf
    for slot in range(who.size):
        item = who[slot]
        if item < 0 or requests.protected[item]:
            continue
        generated = requests.generated[item]
        if rules.kind == REMAINING and ready[slot] <= now + SAME_INSTANT_S:
            done = boundary(ready[slot], step[slot], growth, now + SAME_INSTANT_S)
            if done > 0 and ready[slot] + run_time(step[slot], growth, done) > now + SAME_INSTANT_S:
                done -= 1
            generated += gained[slot] + done
        key = key_of(rules, requests, generated, item)
        worse = key > worst_key
        if worst_slot >= 0 and key == worst_key:
            other = who[worst_slot]
            if requests.level_since[item] != requests.level_since[other]:
                worse = requests.level_since[item] > requests.level_since[other]
            else:
                worse = item > other
        if worse:
            worst_slot = slot
            worst_key = key
    return worst_slot, worst_key
