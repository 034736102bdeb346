"""Policies as plain Python (the path a real engine takes) and the keys made of samples."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from credence.bench.errors import InputError
from credence.ssjf.infer import POLICIES, RequestState, hold_out, mean_key, policy, quantile_key, tail_inflated_key
from credence.ssjf.infer.policies import (
    displaces,
    first_level,
    note_tokens,
    promote,
    running_key,
    sizes,
    waiting_key,
)
from credence.ssjf.model import EngineProfile
from credence.ssjf.world import simulate_arrays

TICK = 1 / 8
ENGINE = EngineProfile("plain", prefill_base_s=2 * TICK, decode_base_s=TICK, preemption="free")


def serve_with_plain_policies(rule, arrival, output, predicted, slots, aging):
    """A little engine, as a real one would use the policies: token by token, shared iterations, no cache limit."""
    size = sizes(rule, np.array(arrival), np.array(output), np.array(predicted), np.random.default_rng(1))
    waiting, running, ends, now, coming, prefilled = [], [], [None] * len(arrival), 0.0, 0, set()
    level = int(first_level(rule, [ENGINE.prefill_base_s], ENGINE.decode_base_s)[0]) if rule.kind == "levels" else 0
    while None in ends:
        while coming < len(arrival) and arrival[coming] <= now:
            waiting.append(
                RequestState(coming, size[coming], arrival[coming], level=level, level_since_s=arrival[coming])
            )
            coming += 1
        if not waiting and not running:
            now = arrival[coming]
            continue
        fresh = []
        for state in waiting:
            promote(rule, state, now)
        while waiting:
            head = min(waiting, key=lambda state: waiting_key(rule, state, now, aging))
            place = waiting_key(rule, head, now, aging)
            if len(running) == slots:
                worst = max(running, key=lambda state: running_key(rule, state))
                if not (rule.preemptive and displaces(place, running_key(rule, worst))):
                    break
                running.remove(worst)
                worst.waiting_since_s, worst.protected = now, False
                waiting.append(worst)
            waiting.remove(head)
            head.protected = place[0] == 0
            running.append(head)
            if head.index not in prefilled:
                fresh.append(head)
        if fresh:
            now += ENGINE.prefill_base_s
            stepped = fresh
            prefilled.update(state.index for state in fresh)
        else:
            now += ENGINE.decode_base_s
            stepped = list(running)
        for state in stepped:
            if state.generated_tokens + 1 >= output[state.index]:
                running.remove(state)
                ends[state.index] = now
            else:
                note_tokens(rule, state, 1, now)
    return ends


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_plain_engine_and_the_simulator_agree(data):
    count = data.draw(st.integers(1, 8))
    several = {"min_size": count, "max_size": count}
    gaps = data.draw(st.lists(st.integers(0, 12), **several))
    arrival = (np.cumsum(gaps) * TICK).tolist()
    output = data.draw(st.lists(st.integers(1, 12), **several))
    predicted = data.draw(st.lists(st.integers(0, 12), **several))
    slots = data.draw(st.integers(1, 3))
    aging = data.draw(st.sampled_from([None, 2 * TICK, 1.0]))
    rule = POLICIES[data.draw(st.sampled_from(sorted(POLICIES)))]
    if rule.kind == "levels":
        rule = policy(rule, quantum_tokens=2, levels=3, promote_after_s=data.draw(st.sampled_from([4 * TICK, 2.0])))
    plain = serve_with_plain_policies(rule, arrival, output, predicted, slots, aging)
    schedule = simulate_arrays(
        arrival,
        [0] * count,
        output,
        policy=rule,
        batching="continuous",
        slots=slots,
        profile=ENGINE,
        aging=aging,
        predicted=predicted,
        rng=np.random.default_rng(1),
    )
    assert schedule.end_s.tolist() == plain


def test_keys_by_hand():
    state = RequestState(index=7, size=30.0, waiting_since_s=1.0, generated_tokens=12, level=2, level_since_s=4.0)
    assert POLICIES["ssjf"].key(state) == (30.0, 0.0, 7)
    assert POLICIES["srpt"].key(state) == (18.0, 0.0, 7)
    assert POLICIES["mlfq"].key(state) == (2.0, 4.0, 7)
    assert POLICIES["psrpt"].key(dataclasses.replace(state, generated_tokens=99)) == (0.0, 0.0, 7)


def test_aging_goes_before_any_key_and_protects():
    old = RequestState(index=1, size=99.0, waiting_since_s=0.0)
    young = RequestState(index=2, size=1.0, waiting_since_s=9.0)
    rule = POLICIES["srpt"]
    assert waiting_key(rule, old, 10.0, 10.0) < waiting_key(rule, young, 10.0, 10.0)
    assert waiting_key(rule, old, 10.0, 11.0) > waiting_key(rule, young, 10.0, 11.0)
    assert waiting_key(rule, old, 10.0, None) > waiting_key(rule, young, 10.0, None)
    guarded = dataclasses.replace(old, protected=True)
    assert not displaces(waiting_key(rule, young, 10.0, None), running_key(rule, guarded))
    assert displaces(waiting_key(rule, young, 10.0, None), running_key(rule, old))


def test_equal_keys_do_not_displace():
    rule = POLICIES["srpt"]
    one, two = (RequestState(index, 5.0, 0.0) for index in (1, 2))
    assert not displaces(waiting_key(rule, one, 0.0, None), running_key(rule, two))


def test_skip_join_goes_by_prefill_time():
    rule = policy("mlfq", quantum_tokens=4, levels=4)
    # quanta 4, 8, 16 tokens of 0.5 s, then without end
    assert first_level(rule, [0.0, 2.0, 2.1, 8.0, 8.1, 1e9], 0.5).tolist() == [0, 0, 1, 2, 3, 3]


def test_only_predicting_policies_wait_for_the_predictor():
    assert {name for name, rule in POLICIES.items() if rule.uses_prediction} == {"ssjf", "psrpt"}


@pytest.mark.parametrize(
    "change",
    [
        {"quantum_tokens": 0},
        {"levels": 0},
        {"levels": 99},
        {"promote_after_s": 0.0},
        {"promote_after_s": float("nan")},
        {"kind": "lottery"},
        {"basis": "age"},
    ],
)
def test_bad_policies_are_refused(change):
    with pytest.raises(InputError, match="allowed"):
        policy("mlfq", **change)


def test_what_a_policy_lacks_is_named():
    times = np.zeros(2)
    with pytest.raises(InputError, match="predicted"):
        sizes(POLICIES["ssjf"], times, times)
    with pytest.raises(InputError, match="rng"):
        sizes(POLICIES["random"], times, times)
    with pytest.raises(InputError, match="'sjf'"):
        policy("sfj")


# --- keys from length samples --------------------------------------------------------------------------------------


def test_hold_out_splits_every_row():
    samples = np.arange(40).reshape(4, 10)
    truth, known = hold_out(samples, np.random.default_rng(0))
    assert known.shape == (4, 9)
    for row in range(4):
        assert sorted([truth[row], *known[row]]) == samples[row].tolist()
    many, _ = hold_out(np.tile(np.arange(10), (2000, 1)), np.random.default_rng(0))
    assert np.bincount(many.astype(int)).min() > 100  # every column is held out at times


def test_mean_and_quantile_by_hand():
    samples = [[10, 20, 60], [5, 5, 5]]
    assert mean_key(samples).tolist() == [30, 5]
    assert quantile_key(samples, 0.5).tolist() == [20, 5]
    assert quantile_key(samples, 1).tolist() == [60, 5]
    assert quantile_key(samples, 0.75).tolist() == [40, 5]


def test_tail_inflation_punishes_spread_not_level():
    certain, uncertain = [100] * 9, [50, 60, 70, 80, 100, 120, 140, 160, 120]
    key = tail_inflated_key([certain, uncertain])
    assert np.mean(uncertain) == 100
    assert key[0] == pytest.approx(100)
    assert key[1] > 105


def test_tail_inflation_is_the_capped_log_t_mean():
    samples = np.array([[100.0, 150.0, 90.0, 210.0]])
    logs = np.log(samples[0])
    drawn = stats.t(3).rvs(400_000, random_state=np.random.default_rng(0))
    lengths = np.exp(np.minimum(logs.mean() + logs.std(ddof=1) * np.sqrt(1.25) * drawn, np.log(1000)))
    assert tail_inflated_key(samples, cap_tokens=1000, points=2000)[0] == pytest.approx(lengths.mean(), rel=0.01)
    assert tail_inflated_key(samples, cap_tokens=120)[0] <= 120


@pytest.mark.parametrize("samples", [[1, 2, 3], [[]], [[1.0, np.nan]], [[-1.0, 2.0]]])
def test_bad_samples_are_refused(samples):
    for key in (mean_key, tail_inflated_key):
        with pytest.raises(InputError, match="allowed"):
            key(samples)


def test_bad_key_settings_are_refused():
    with pytest.raises(InputError, match=r"0\.\.1"):
        quantile_key([[1, 2]], 1.5)
    with pytest.raises(InputError, match="cap_tokens"):
        tail_inflated_key([[1, 2]], cap_tokens=0)
    with pytest.raises(InputError, match="2 or more"):
        hold_out([[1.0]], np.random.default_rng(0))
