"""The simulator's edges: arrivals, capacity, conservation of work, instants that nearly coincide, and refusals."""

import dataclasses
import inspect

import numpy as np
import pandas as pd
import pytest

from credence.bench.compiled import sources_digest
from credence.bench.errors import InputError
from credence.ssjf.baselines import class_key, noisy_key, prompt_length_key, scaled_key
from credence.ssjf.infer import POLICIES
from credence.ssjf.model import EngineProfile, profile
from credence.ssjf.world import (
    BATCHING,
    capacity_rate,
    gamma_arrivals,
    poisson_arrivals,
    rate_for_load,
    replay,
    simulate,
    simulate_arrays,
)
from credence.ssjf.world.kernels import batches, compiled, engine, servers
from credence.ssjf.world.simulator import eligible_times

SHARED = EngineProfile(
    "shared",
    prefill_base_s=0.01,
    prefill_per_token_s=1e-4,
    decode_base_s=0.02,
    decode_per_sequence_s=0.001,
    decode_per_context_token_s=1e-6,
)


def workload(count, seed=0, gap=2.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "arrival_s": np.cumsum(rng.exponential(gap, count)),
            "prompt_tokens": rng.integers(1, 300, count),
            "output_tokens": rng.geometric(1 / 120, count),
            "predicted": rng.random(count),
        }
    )


# --- arrivals and capacity -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gamma_gaps_have_the_rate_and_the_variation_asked_for(cv):
    gaps = np.diff(gamma_arrivals(200_000, 2.5, cv, np.random.default_rng(1)))
    assert gaps.mean() == pytest.approx(0.4, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.03)


def test_poisson_arrivals_start_at_zero_and_repeat_with_the_seed():
    one, two = (poisson_arrivals(50, 3.0, np.random.default_rng(5)) for _ in range(2))
    assert one[0] == 0
    assert np.all(np.diff(one) > 0)
    assert np.array_equal(one, two)


def test_replay_divides_true_times():
    frame = workload(20)
    faster = replay(frame, 4.0)
    assert np.allclose(faster["arrival_s"] * 4, frame["arrival_s"])
    assert faster.drop(columns="arrival_s").equals(frame.drop(columns="arrival_s"))


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: poisson_arrivals(0, 1.0, rng),
        lambda rng: poisson_arrivals(5, 0.0, rng),
        lambda rng: gamma_arrivals(5, 1.0, 0.0, rng),
        lambda rng: gamma_arrivals(5, float("nan"), 1.0, rng),
        lambda rng: replay(workload(3), 0.0),
        lambda rng: rate_for_load(-0.5, [1], [1]),
        lambda rng: capacity_rate([1], [1], slots=0),
        lambda rng: capacity_rate([1], [1], batching="static"),
    ],
)
def test_bad_arrivals_are_refused(call):
    with pytest.raises(InputError, match="allowed"):
        call(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("batching", "engine_profile", "slack"),
    [
        ("none", SHARED, 0.03),
        ("continuous", profile("ssjf-paper"), 0.03),
        ("continuous", SHARED, 0.03),
        ("dynamic", SHARED, 0.05),
        ("continuous", dataclasses.replace(SHARED, kv_tokens=3000, preemption="free"), 0.2),
    ],
)
def test_a_flooded_engine_finishes_at_its_capacity(batching, engine_profile, slack):
    frame = workload(4000, gap=1e-9)
    lengths = frame["prompt_tokens"], frame["output_tokens"]
    schedule = simulate_arrays(frame["arrival_s"], *lengths, batching=batching, slots=16, profile=engine_profile)
    reached = len(frame) / schedule.end_s.max()
    assert reached == pytest.approx(
        capacity_rate(*lengths, batching=batching, slots=16, engine=engine_profile), rel=slack
    )


# --- what must hold whatever the order -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(POLICIES))
@pytest.mark.parametrize("aging", [None, 20.0])
def test_one_slot_empties_at_the_same_times_under_every_policy(name, aging):
    # free preemption conserves work, so busy periods cannot depend on the order (SRPT, ageing or not)
    frame = workload(3000, gap=4.0)
    rng = np.random.default_rng(0)
    ends = {}
    for policy in ("fcfs", name):
        schedule = simulate(frame, policy=policy, aging=aging, rng=rng)
        ends[policy] = np.sort(schedule["end_s"].to_numpy())
    starts = np.searchsorted(ends["fcfs"], frame["arrival_s"].to_numpy(), side="right")
    idle = np.flatnonzero(starts == np.arange(len(frame)))  # the queue was empty when these arrived
    assert idle.size > 100
    for row in idle[1:]:
        assert ends[name][row - 1] == pytest.approx(ends["fcfs"][row - 1], abs=1e-6)


@pytest.mark.parametrize("name", ["fcfs", "sjf", "ssjf", "random"])
@pytest.mark.parametrize(("batching", "engine_profile"), [("none", "ssjf-paper"), ("continuous", SHARED)])
@pytest.mark.parametrize("latency", [0.0, 1.0])
def test_no_slot_idles_while_an_eligible_request_waits(name, batching, engine_profile, latency):
    frame, slots = workload(2000, gap=0.8), 3
    schedule = simulate(
        frame,
        policy=name,
        batching=batching,
        slots=slots,
        profile=engine_profile,
        predictor_latency=latency,
        rng=np.random.default_rng(0),
    )
    pays = POLICIES[name].uses_prediction
    eligible = eligible_times(frame["arrival_s"].to_numpy(), latency if pays else 0.0)
    start, end = schedule["start_s"].to_numpy(), schedule["end_s"].to_numpy()
    # iteration boundaries: one engine looks at its queue only between iterations
    grace = 1e-6 if batching == "none" else 0.1
    waited = np.flatnonzero(start > eligible + grace)
    assert waited.size > 100
    for row in waited:
        instant = np.linspace(eligible[row] + grace, start[row] - 1e-6, 5)
        busy = [np.sum((start <= when) & (end > when)) for when in instant]
        assert min(busy) == slots
    assert np.all(start >= frame["arrival_s"])
    assert np.all(start >= eligible - 1e-9)


def test_eligible_times_are_one_server_in_order():
    arrival = np.array([0.0, 0.1, 0.2, 5.0, 5.0])
    expected, free = [], -np.inf
    for when in arrival:
        free = max(when, free) + 0.25
        expected.append(free)
    assert eligible_times(arrival, 0.25).tolist() == pytest.approx(expected)


def test_times_do_not_drift_over_a_million_requests():
    rng = np.random.default_rng(0)
    arrival, output = poisson_arrivals(1_000_000, 0.25, rng), rng.integers(0, 350, 1_000_000)
    schedule = simulate_arrays(arrival, np.zeros_like(output), output)
    service = 0.1 + 0.02 * output.astype(np.longdouble)
    # Lindley: the n-th end is the work so far plus the latest start of a busy period, in extended precision
    work = np.cumsum(service)
    ends = work + np.maximum.accumulate(arrival.astype(np.longdouble) - (work - service))
    assert arrival[-1] > 3e6
    assert float(np.max(np.abs(ends - schedule.end_s))) < 1e-6
    assert np.allclose(schedule.end_s - schedule.start_s, service.astype(float), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("late", "first"), [(5e-10, 2), (-5e-10, 2), (5e-9, 1)])
def test_an_arrival_within_a_nanosecond_of_an_event_is_there(late, first):
    arrival = [0.0, 0.1, 0.1 + 0.02 * 10 + late]
    schedule = simulate_arrays(arrival, [0, 0, 0], [10, 50, 5], policy="sjf")
    assert int(np.argsort(schedule.start_s)[1]) == first
    assert np.all(schedule.start_s >= arrival)


# --- modes by hand ---------------------------------------------------------------------------------------------------


def test_a_batch_ends_together():
    schedule = simulate_arrays([0, 0, 0], [0, 0, 0], [10, 20, 5], batching="dynamic", slots=2)
    assert schedule.end_s.tolist() == pytest.approx([0.5, 0.5, 0.7])
    assert schedule.first_token_s.tolist() == pytest.approx([0.12, 0.12, 0.62])


def test_a_batch_waits_for_members_only_as_long_as_it_is_told():
    late = {"prompt_tokens": [0, 0], "output_tokens": [10, 10], "batching": "dynamic", "slots": 2}
    assert simulate_arrays([0, 1], **late).start_s.tolist() == pytest.approx([0, 1])
    assert simulate_arrays([0, 1], **late, batch_timeout=2).start_s.tolist() == pytest.approx([1, 1])
    assert simulate_arrays([0, 1], **late, batch_timeout=0.5).start_s.tolist() == pytest.approx([0.5, 1.5])


def test_shared_iterations_by_hand():
    engine_profile = EngineProfile(
        "hand", prefill_base_s=1.0, prefill_per_token_s=0.1, decode_base_s=0.5, decode_per_sequence_s=0.25
    )
    # prefill 0..2 gives a token to the first; the second's prefill 2..3.5 stalls it; then 1.0 s for both
    schedule = simulate_arrays([0, 1], [10, 5], [3, 2], batching="continuous", slots=2, profile=engine_profile)
    assert schedule.start_s.tolist() == pytest.approx([0, 2])
    assert schedule.first_token_s.tolist() == pytest.approx([2, 3.5])
    assert schedule.end_s.tolist() == pytest.approx([5.25, 4.5])


def test_a_full_cache_puts_the_latest_back_and_recomputes_it():
    engine_profile = EngineProfile("tight", prefill_base_s=1.0, decode_base_s=1.0, kv_tokens=10)
    # both fit (3 + 3, one token each from the prefill), grow to 5 + 5 = 10 after one more; then the second must go
    schedule = simulate_arrays([0, 0], [3, 3], [5, 5], batching="continuous", slots=2, profile=engine_profile)
    assert schedule.preemptions.tolist() == [0, 1]
    assert schedule.end_s[0] == pytest.approx(1 + 4)
    assert schedule.end_s[1] == pytest.approx(5 + 1 + 2)  # a prefill over its 5 tokens gives the third answer token


def test_more_slots_than_requests_and_empty_answers():
    schedule = simulate_arrays([0.0, 0.0], [5, 5], [0, 1], batching="continuous", slots=500)
    assert schedule.first_token_s.tolist() == pytest.approx([0.1, 0.12])
    assert schedule.end_s.tolist() == pytest.approx([0.1, 0.12])


def test_the_frame_keeps_the_order_of_the_input():
    frame = workload(200, gap=0.1)
    schedule = simulate(frame, policy="srpt", slots=4)
    assert list(schedule) == ["request", "start_s", "first_token_s", "end_s"]
    assert schedule["request"].tolist() == list(range(200))
    assert schedule.attrs["preemptions"] > 0
    arrays = simulate_arrays(frame["arrival_s"], frame["prompt_tokens"], frame["output_tokens"], policy="srpt", slots=4)
    assert arrays.end_s.tolist() == schedule["end_s"].tolist()
    assert int(arrays.preemptions.sum()) == schedule.attrs["preemptions"]


def test_a_key_replaces_the_column_of_predictions():
    frame = workload(300, gap=1.0)
    oracle = simulate(frame, policy="ssjf", key=frame["output_tokens"])
    pd.testing.assert_frame_equal(oracle, simulate(frame, policy="sjf"))
    with pytest.raises(InputError, match="ssjf or psrpt"):
        simulate(frame, policy="sjf", key=frame["output_tokens"])


def test_the_input_is_left_alone():
    frame = workload(50)
    before = frame.copy()
    simulate(frame, policy="psrpt", key=np.full(50, 30.0), aging=1.0)
    pd.testing.assert_frame_equal(frame, before)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"policy": "edf"}, "fcfs"),
        ({"batching": "static"}, "continuous"),
        ({"profile": "gpu"}, "ssjf-paper"),
        ({"slots": 0}, "slots"),
        ({"slots": 1.5}, "slots"),
        ({"slots": True}, "slots"),
        ({"aging": -1}, "aging"),
        ({"aging": "long"}, "aging"),
        ({"predictor_latency": float("inf")}, "predictor_latency"),
        ({"batch_timeout": float("nan")}, "batch_timeout"),
        ({"policy": "random"}, "rng"),
        ({"policy": "ssjf"}, "predicted"),
        ({"arrival_s": [0.0, 2.0, 1.0]}, "row 2"),
        ({"arrival_s": [0.0, np.nan, 1.0]}, "row 1"),
        ({"arrival_s": [-1.0, 0.0, 1.0]}, "row 0"),
        ({"arrival_s": []}, "allowed"),
        ({"output_tokens": [1, 2]}, "output_tokens"),
        ({"prompt_tokens": [1, -2, 3]}, "row 1"),
        ({"policy": "ssjf", "predicted": [1.0, np.inf, 0.0]}, "row 1, predicted"),
    ],
)
def test_bad_input_is_refused(change, expected):
    good = {"arrival_s": [0.0, 1.0, 2.0], "prompt_tokens": [1, 2, 3], "output_tokens": [4, 5, 6]}
    with pytest.raises(InputError, match="allowed") as caught:
        simulate_arrays(**good | change)
    assert expected in str(caught.value)


@pytest.mark.parametrize("batching", BATCHING)
def test_a_request_that_can_never_fit_is_refused_by_row(batching):
    tight = dataclasses.replace(SHARED, kv_tokens=50)
    with pytest.raises(InputError, match=r"row 1: .* = 51 .*kv_tokens = 50"):
        simulate_arrays([0, 1], [10, 40], [40, 11], batching=batching, profile=tight)
    assert np.all(np.isfinite(simulate_arrays([0, 1], [10, 40], [40, 10], batching=batching, profile=tight).end_s))


def test_a_frame_is_checked():
    frame = workload(5)
    with pytest.raises(InputError, match="missing column"):
        simulate(frame.drop(columns="prompt_tokens"))
    with pytest.raises(InputError, match="row 3"):
        simulate(frame.assign(output_tokens=[1, 2, 3, 2.5, 4]))
    with pytest.raises(InputError, match="key has shape"):
        simulate(frame, policy="ssjf", key=[1.0])


# --- compiled code ---------------------------------------------------------------------------------------------------


def test_machine_code_is_kept_under_a_hash_of_all_kernel_sources(tmp_path):
    for module in (servers, engine, batches):
        assert module.serve._cache._cache_file._source_stamp == ("credence", sources_digest(compiled.SOURCES))
    (tmp_path / "one.py").write_text("a = 1")
    before = sources_digest((tmp_path / "one.py",))
    sources_digest.cache_clear()
    (tmp_path / "one.py").write_text("a = 2")
    assert sources_digest((tmp_path / "one.py",)) != before
    sources_digest.cache_clear()


def test_pandas_columns_and_lists_share_one_compilation():
    frame = workload(5)
    simulate(frame)
    compiled_before = len(servers.serve.signatures)
    simulate_arrays([0.0], [1], [2])
    simulate_arrays(frame["arrival_s"], frame["prompt_tokens"].astype("int32"), frame["output_tokens"])
    assert len(servers.serve.signatures) == compiled_before == 1


def test_simulating_needs_no_numba_until_it_is_called():
    source = inspect.getsource(__import__("credence.ssjf.world", fromlist=["x"]))
    assert "numba" not in source.split('"""')[2]


# --- predictors of a chosen quality ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.63, 0.9, 1.0])
@pytest.mark.parametrize("key", [noisy_key, scaled_key])
def test_a_made_up_predictor_has_the_agreement_asked_for(tau, key):
    from scipy.stats import kendalltau

    lengths = np.random.default_rng(0).geometric(1 / 200, 20_000)
    assert kendalltau(lengths, key(lengths, tau, np.random.default_rng(1))).statistic == pytest.approx(tau, abs=0.01)


def test_a_scaled_key_has_the_lengths_own_distribution():
    lengths = np.random.default_rng(0).geometric(1 / 200, 500)
    assert sorted(scaled_key(lengths, 0.4, np.random.default_rng(1))) == sorted(lengths)


def test_other_keys_by_hand():
    assert class_key([0, 41, 42, 141, 293, 503, 9999]).tolist() == [0, 0, 1, 2, 2, 4, 4]
    assert prompt_length_key(workload(3)).tolist() == workload(3)["prompt_tokens"].tolist()
    with pytest.raises(InputError, match="tau"):
        noisy_key([1, 2], 1.5, np.random.default_rng(0))
