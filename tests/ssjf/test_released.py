import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credence.bench.errors import InputError
from credence.ssjf.world.released import measure, serve, service_s
from credence.ssjf.world.released_quirks import (
    ALL_OFF,
    ALL_ON,
    DEFAULT_COSTS,
    SWITCHES,
    Costs,
    Quirks,
    effective,
)
from ssjf import released_naive as naive

FREE = Costs(0.0, 0.0, 0.0)


def ends(arrival, service, policy, mode="none", slots=2, quirks=ALL_ON, key=None, belief=None, costs=DEFAULT_COSTS):
    rows = [None if x is None else np.array([x], dtype=float) for x in (key, belief)]
    return serve(np.array([arrival]), np.array([service]), policy, mode, slots, quirks, *rows, costs)[0].tolist()


# ---- small cases worked by hand


def test_no_batching_fcfs_and_oracle():
    assert ends([0, 0, 1], [5, 1, 2], "FCFS") == [5, 6, 8]
    assert ends([0, 0, 1], [5, 1, 2], "SJF (oracle)", quirks=ALL_OFF) == [8, 1, 3]


def test_predicted_class_decides_and_ties_keep_queue_order():
    assert ends([0, 0, 0], [5, 1, 2], "SSJF", key=[1, 1, 0]) == [7, 8, 2]


def test_dynamic_batch_lasts_as_long_as_its_longest_job():
    assert ends([0, 0, 0, 0], [1, 4, 2, 3], "FCFS", "dynamic", 2) == [4, 4, 7, 7]
    assert ends([0, 0, 0, 0], [1, 4, 2, 3], "SJF (oracle)", "dynamic", 2) == [2, 6, 2, 6]


def test_continuous_batch_is_refilled_when_its_shortest_job_ends():
    # {1, 4} -> at 1 s {4, 2} -> at 3 s {4, 3}: the second has 1 s left, then the fourth alone for 2 s more
    arrival, service = [0, 0, 0, 0], [1, 4, 2, 3]
    assert ends(arrival, service, "FCFS", "continuous", 2, ALL_ON.but(d2=False)) == [1, 4, 3, 6]
    assert ends(arrival, service, "SJF (oracle)", "continuous", 2) == [1, 6, 2, 4]


def test_d1_is_a_matter_of_the_metric():
    metrics = measure(np.zeros((1, 5)), np.array([[1.0, 2.0, 4.0, 8.0, 10.0]]), shares=(25, 100))
    assert metrics["throughput"].tolist() == [[1 / 2, 4 / 10]]  # k = floor(4 x 0.25) = 1, then k = 4
    assert metrics["jct"].tolist() == [5.0]
    assert metrics["p99"][0] == pytest.approx(np.percentile([1, 2, 4, 8, 10], 99))


@pytest.mark.parametrize("mode", ["dynamic", "continuous"])
def test_d2_fcfs_alone_waits_ten_seconds(mode):
    # the second job comes 13 s late, so that the first batch is never full
    arrival, service = [0, 13], [1, 1]
    assert ends(arrival, service, "FCFS", mode) == [11, 24]
    assert ends(arrival, service, "FCFS", mode, quirks=ALL_ON.but(d2=False)) == [1, 14]
    assert ends([0, 5, 20], [1, 1, 1], "SJF (oracle)", mode, quirks=ALL_ON.but(d5=False)) == [1, 6, 21]


def test_d2_a_batch_filled_from_the_future_starts_with_its_last_member():
    assert ends([0, 6], [1, 1], "FCFS", "dynamic") == [7, 7]


def test_d5_drops_the_last_job_and_its_metrics():
    dropped = ends([0, 9], [1, 1], "SJF (oracle)")
    assert dropped[0] == 1
    assert np.isnan(dropped[1])
    assert ends([0, 9], [1, 1], "SJF (oracle)", quirks=ALL_ON.but(d5=False)) == [1, 10]
    assert ends([0, 9], [1, 1], "FCFS") == [1, 10]
    assert np.isnan(ends([0], [1], "SJF (oracle)")).all()  # a single job is the last one: nothing is served
    found = measure(np.array([[0.0, 9.0]]), np.array([dropped]))
    assert found["served"].tolist() == [1]
    assert found["jct"].tolist() == [1.0]


def test_d6_patience_is_the_true_length_or_the_believed_one():
    # At 12 s the job of 1 s has waited 12 s > 10 x 1 s: it goes before the last one, whose predicted class is shorter.
    # With D6 off its believed length of 3 s gives it 30 s of patience, so the class decides.
    arrival, service = [0, 0, 1, 7], [6, 1, 6, 2]
    key, belief = [0, 5, 1, 2], [9, 3, 9, 9]
    assert ends(arrival, service, "SSJF", key=key, belief=belief) == [6, 13, 12, 15]
    assert ends(arrival, service, "SSJF", quirks=ALL_ON.but(d6=False), key=key, belief=belief) == [6, 15, 12, 14]


def test_after_a_hundred_seconds_anyone_starves():
    # at 120 s the second job has waited 120 s < 10 x 50 s, and goes before the last one, whose key is smaller
    assert ends([0, 0, 10, 70], [60, 50, 60, 60], "SSJF", key=[0, 5, 1, 2]) == [60, 170, 120, 230]
    # exactly 100 s is not more than 100 s
    assert ends([0, 0, 10, 70], [50, 50, 50, 60], "SSJF", key=[0, 5, 1, 2]) == [50, 210, 100, 160]


def test_d7_oracle_key_and_price_of_preemption():
    # at 2 s job 0 (total 6 s, left 4 s) meets job 2 (total 5 s)
    arrival, service = [0, 0, 1, 1], [6, 2, 5, 3]
    on = ends(arrival, service, "SJF (oracle)", "continuous", 2)
    # by remaining time: {0, 1} to 2 s, {3: 3, 0: 4} to 5 s, {0: 1, 2: 5} to 6 s, {2: 4} to 10 s
    assert on == [6, 2, 10, 5]
    off = ends(arrival, service, "SJF (oracle)", "continuous", 2, ALL_ON.but(d7=False), costs=Costs(0, 0.5, 0.25))
    # by total length: {0, 1} to 2 s, {3, 2} to 5 s, {2: 2, 0: 4 + 0.5 + 0.25 x 2 = 5} to 7 s, {0: 3} to 10 s
    assert off == [10, 2, 7, 5]


def test_d7_prices_preemption_for_ssjf_too():
    arrival, service, key = [0, 0, 1, 1], [6, 2, 5, 3], [6, 2, 5, 3]
    assert ends(arrival, service, "SSJF", "continuous", 2, key=key) == [9, 2, 7, 5]
    costs = Costs(0, 0.5, 0.25)
    assert ends(arrival, service, "SSJF", "continuous", 2, ALL_ON.but(d7=False), key=key, costs=costs) == [10, 2, 7, 5]


@pytest.mark.parametrize("policy", ["FCFS", "SJF (oracle)"])
def test_d8_slows_a_batch_down(policy):
    quirks, costs = ALL_ON.but(d8=False), Costs(0.5, 0, 0)
    assert ends([0, 0], [2, 4], policy, "dynamic", 2, quirks, costs=costs) == [6, 6]
    # continuous: 2 s of work take 3 s together, the other 2 s alone take 2 s (FCFS first holds its batch for 10 s)
    late = 10 if policy == "FCFS" else 0
    assert ends([0, 0], [2, 4], policy, "continuous", 2, quirks, costs=costs) == [3, 5 + late]
    assert ends([0, 0], [2, 4], policy, "none", 2, quirks, costs=costs) == [2, 6]


def test_ageing_counts_the_whole_round_for_a_late_comer():
    # job 1 comes at 10.5 s of a round of 11 s and is credited with 11 s > 10 x 1 s: it starves at once
    assert ends([0, 10.5, 10.5], [11, 1, 0.5], "SSJF", key=[0, 5, 1]) == [11, 12, 12.5]
    assert ends([0, 10.5, 10.5], [11, 1.25, 0.5], "SSJF", key=[0, 5, 1]) == [11, 12.75, 11.5]


def test_service_times_are_whole_hundredths():
    assert service_s([0, 1, 177]).tolist() == [0.1, 0.12, 3.64]


# ---- the fast version against a ticking clock

times = st.integers(0, 240).map(lambda n: n * naive.TICK)
lengths = st.sampled_from([0.25, 0.5, 0.75, 1.0, 2.0, 3.25, 8.0, 30.0])
cases = st.integers(2, 9).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "arrival": st.lists(times, min_size=n, max_size=n).map(sorted),
            "service": st.lists(lengths, min_size=n, max_size=n),
            "key": st.lists(st.integers(0, 2), min_size=n, max_size=n),
            "belief": st.lists(lengths, min_size=n, max_size=n),
            "slots": st.integers(1, 3),
            "bits": st.integers(0, 511),
        }
    )
)
COSTS = Costs(slowdown=1.0, resume_base_s=0.25, resume_per_s=1.0)


@pytest.mark.parametrize("mode", ["none", "dynamic", "continuous"])
@settings(max_examples=200, deadline=None, derandomize=True)
@given(case=cases)
def test_fast_equals_naive(mode, case):
    quirks = Quirks.of_bits(case["bits"])
    slots = 1 if mode == "none" else case["slots"]
    slowdown = 0.0 if quirks.d8 else COSTS.slowdown
    arguments = (case["arrival"], case["service"])
    here = {"mode": mode, "quirks": quirks, "costs": COSTS} | {k: case[k] for k in ("slots", "key", "belief")}
    slow = naive.fcfs(*arguments, slots, 10.0 if quirks.d2 else 0.0, slowdown, mode == "continuous")
    assert ends(*arguments, "FCFS", **here) == slow
    price = (0.0, 0.0) if quirks.d7 else (COSTS.resume_base_s, COSTS.resume_per_s)
    for policy in ("SSJF", "SJF (oracle)"):
        oracle = policy != "SSJF"
        slow = naive.sjf(
            *arguments,
            case["service"] if oracle else case["key"],
            case["service"] if oracle else case["belief"],
            slots,
            slowdown,
            mode == "continuous",
            oracle and quirks.d7,
            quirks.d6,
            *price,
            not quirks.d5,
        )
        fast = ends(*arguments, policy, **here)
        assert [None if np.isnan(end) else end for end in fast] == slow


@pytest.mark.parametrize("mode", ["none", "dynamic", "continuous"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(case=cases)
def test_switches_without_effect_have_none(mode, case):
    quirks = Quirks.of_bits(case["bits"])
    acting = set(effective(mode, "poisson")) - {"d9"}
    idle = [name for name in SWITCHES if name not in acting]
    flipped = quirks.but(**{name: not getattr(quirks, name) for name in idle})
    for policy in ("FCFS", "SSJF"):
        pair = [
            ends(case["arrival"], case["service"], policy, mode, case["slots"], q, case["key"], case["belief"])
            for q in (quirks, flipped)
        ]
        np.testing.assert_array_equal(*pair)


# ---- switches and input


def test_bits_and_names():
    assert ALL_ON.bits == 511
    assert ALL_OFF.bits == 0
    assert Quirks.of_bits(ALL_ON.but(d3=False).bits) == ALL_ON.but(d3=False)
    assert all(Quirks.of_bits(bits).bits == bits for bits in range(512))
    assert list(SWITCHES) == [f"d{i}" for i in range(1, 10)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": "LIFO"}, "unknown policy 'LIFO'"),
        ({"mode": "static"}, "unknown mode 'static'"),
        ({"slots": 0}, "slots = 0"),
        ({"arrival": [1, 0]}, "ascending"),
        ({"arrival": [0, np.nan]}, "finite"),
        ({"service": [1, 0]}, "> 0"),
        ({"service": [1]}, "one shape"),
        ({"policy": "SSJF"}, "needs `predicted`"),
        ({"policy": "SSJF", "key": [1, 2], "quirks": ALL_OFF}, "`belief_s` when D6 is off"),
        ({"policy": "SSJF", "key": [1, 2, 3]}, "is needed"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        ends(**{"arrival": [0, 1], "service": [1, 1], "policy": "FCFS", **change})


def test_bad_switches_costs_and_shares_are_refused():
    with pytest.raises(InputError, match="unknown switch 'd10'"):
        ALL_ON.but(d10=False)
    with pytest.raises(InputError, match="slowdown = -1"):
        Costs(slowdown=-1)
    with pytest.raises(InputError, match="percentages"):
        measure(np.zeros((1, 1)), np.ones((1, 1)), shares=(101,))
    with pytest.raises(InputError, match="unknown arrival kind"):
        effective("none", "uniform")
