"""Every policy in every mode against the naive simulator, request by request and to the last bit.

All times and costs are multiples of 1/64 s, so that sums and closed forms are exact in floating point.
"""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credence.ssjf.infer import POLICIES, policy
from credence.ssjf.model import EngineProfile
from credence.ssjf.world import simulate_arrays
from ssjf import naive

# a long search before a release: CREDENCE_EXAMPLES=5000
EXAMPLES = int(os.environ.get("CREDENCE_EXAMPLES", "60"))


def ticks(low, high, per_second=64):
    return st.integers(low, high).map(lambda count: count / per_second)


@st.composite
def profiles(draw, overlapped):
    costs = {
        "prefill_base_s": draw(ticks(0, 32)),
        "prefill_per_token_s": draw(ticks(0, 4)),
        "decode_base_s": draw(ticks(1, 16)),
        "prefill_emits_token": draw(st.booleans()),
        "preemption": draw(st.sampled_from(["free", "recompute", "swap"])),
        "swap_base_s": draw(ticks(0, 16)),
        "swap_per_token_s": draw(ticks(0, 2)),
    }
    if draw(st.booleans()):
        costs["prefill_table"] = [[0, draw(ticks(0, 16))], [4, draw(ticks(0, 32))], [8, draw(ticks(0, 64))]]
    if not overlapped:
        costs["decode_per_sequence_s"] = draw(ticks(0, 4))
        costs["decode_per_context_token_s"] = draw(ticks(0, 2))
        if draw(st.booleans()):
            costs["decode_table"] = [[1, draw(ticks(1, 16))], [3, draw(ticks(1, 32))]]
    return EngineProfile("drawn", prefill="overlapped" if overlapped else "blocking", **costs)


@st.composite
def cases(draw, mode, name):
    batching, _, kind = mode.partition(" ")
    overlapped = kind == "overlapped" or (not kind and draw(st.booleans()))
    count = draw(st.integers(1, 9))
    small = st.integers(0, 9)
    # bursts, a busy engine, or mostly idle
    gaps = draw(st.lists(ticks(0, draw(st.sampled_from([1, 6, 24])), 8), min_size=count, max_size=count))
    case = {
        "arrival": np.cumsum(gaps).tolist(),
        "prompt": draw(st.lists(small, min_size=count, max_size=count)),
        "output": draw(st.lists(small, min_size=count, max_size=count)),
        "predicted": draw(st.lists(ticks(-4, 20, 2), min_size=count, max_size=count)),
        "profile": draw(profiles(overlapped)),
        "slots": draw(st.integers(1, 4)),
        "aging": draw(st.sampled_from([None, 0.125, 0.5, 1.0, 3.0])),
        "latency": draw(st.sampled_from([0.0, 0.125, 0.5])),
        "timeout": draw(st.sampled_from([0.0, 0.5, 2.0])),
        "seed": draw(st.integers(0, 9)),
    }
    if not overlapped and draw(st.integers(0, 2)):
        largest = max(p + g for p, g in zip(case["prompt"], case["output"], strict=True))
        case["profile"] = dataclasses.replace(case["profile"], kv_tokens=max(largest, 1) + draw(st.integers(0, 10)))
    changes = {}
    if name == "mlfq":
        changes = {
            "quantum_tokens": draw(st.integers(1, 3)),
            "levels": draw(st.integers(1, 4)),
            "promote_after_s": draw(st.sampled_from([0.125, 0.5, 2.0, float("inf")])),
        }
    return case | {"policy": policy(name, **changes), "batching": batching}


def run_both(case):
    drawn = np.random.default_rng(case["seed"]).random(len(case["arrival"])).tolist()
    slow = naive.simulate(
        case["arrival"],
        case["prompt"],
        case["output"],
        drawn=drawn,
        **{name: case[name] for name in ("policy", "batching", "slots", "profile", "aging", "latency", "timeout")},
        predicted=case["predicted"],
    )
    fast = simulate_arrays(
        case["arrival"],
        case["prompt"],
        case["output"],
        policy=case["policy"],
        batching=case["batching"],
        slots=case["slots"],
        profile=case["profile"],
        aging=case["aging"],
        predictor_latency=case["latency"],
        batch_timeout=case["timeout"],
        predicted=case["predicted"],
        rng=np.random.default_rng(case["seed"]),
    )
    return slow, fast


def assert_equal(case):
    slow, fast = run_both(case)
    for column, expected in zip(("start_s", "first_token_s", "end_s", "preemptions"), slow, strict=True):
        assert getattr(fast, column).tolist() == expected, column


MODES = ["none", "dynamic", "continuous overlapped", "continuous blocking"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", list(POLICIES))
def test_equals_naive(mode, name):
    # the mode and the policy with most to get wrong get most of the search
    examples = EXAMPLES * (3 if mode == "continuous blocking" else 1) * (2 if name == "mlfq" else 1)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases(mode, name))
    def check(case):
        assert_equal(case)

    check()


def long_case(mode, name, seed):
    """A busy engine with long queues, many ties, and predictions that are often exceeded."""
    batching, _, kind = mode.partition(" ")
    rng = np.random.default_rng(seed)
    count, overlapped = 50, kind == "overlapped" or (not kind and bool(rng.integers(2)))

    def cost(high, low=0):
        return int(rng.integers(low, high + 1)) / 64

    costs = {"prefill_base_s": cost(8), "decode_base_s": cost(8, low=1), "prefill_per_token_s": cost(1)}
    costs |= {"swap_base_s": cost(8), "swap_per_token_s": cost(1), "prefill_emits_token": bool(rng.integers(2))}
    costs["preemption"] = str(rng.choice(["free", "recompute", "swap"]))
    prompt, output = rng.integers(0, 9, count), rng.integers(0, 25, count)
    if not overlapped:
        costs |= {"decode_per_sequence_s": cost(2), "decode_per_context_token_s": cost(1)}
        costs["kv_tokens"] = int(rng.choice([33, 45, 70, 1000]))
    mlfq = {"quantum_tokens": int(rng.integers(1, 4)), "levels": 4, "promote_after_s": float(rng.choice([2, 8, 64]))}
    return {
        "arrival": np.cumsum(rng.integers(0, 16, count) / 8).tolist(),
        "prompt": prompt.tolist(),
        "output": output.tolist(),
        "predicted": rng.integers(0, 9, count).tolist(),
        "profile": EngineProfile("long", prefill="overlapped" if overlapped else "blocking", **costs),
        "slots": int(rng.integers(1, 6)),
        "aging": [None, 4.0, 32.0][rng.integers(3)],
        "latency": [0.0, 0.5][rng.integers(2)],
        "timeout": [0.0, 1.0][rng.integers(2)],
        "seed": seed,
        "policy": policy(name, **(mlfq if name == "mlfq" else {})),
        "batching": batching,
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", list(POLICIES))
def test_equals_naive_on_long_queues(mode, name):
    for seed in range(EXAMPLES // 4 * (3 if name == "mlfq" else 1)):
        assert_equal(long_case(mode, name, seed))


def test_the_long_queues_are_hard_enough():
    """Preemption, a full cache and the aging guard must all happen in them, or equality would prove little."""
    seen = dict.fromkeys(("preempted by order", "preempted by cache", "aged"), 0)
    for seed in range(20):
        case = long_case("continuous blocking", "srpt", seed)
        preempted = sum(naive_preemptions(case))
        seen["preempted by order"] += preempted > 0
        seen["preempted by cache"] += sum(naive_preemptions(case | {"policy": policy("fcfs")})) > 0
        seen["aged"] += preempted != sum(naive_preemptions(case | {"aging": None}))
    assert min(seen.values()) >= 3, seen


def naive_preemptions(case):
    return run_both(case)[0][3]
