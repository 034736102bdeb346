"""Traces served for real: their design, a run's rows, resuming, and the simulator's forecast, with a made-up model."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.ssjf.data.prompts import generate_prompts
from credence.ssjf.engine import Sequence, serve, traces, trial
from credence.ssjf.evaluate import engine_trials
from credence.ssjf.model import EngineProfile
from credence.ssjf.world.arrivals import capacity_rate
from ssjf.made_up_engine import Clock, ProfileModel

PROFILE = EngineProfile(
    name="made-up",
    prefill_table=((32, 0.10), (64, 0.16), (384, 0.9)),
    decode_table=((1, 0.05), (8, 0.11)),
    decode_per_context_token_s=1e-5,
)
TRACES = (traces.Trace("a", 2, 0.9, 1.0, 50.0), traces.Trace("b", 4, 0.7, 2.0, 50.0))


@pytest.fixture(scope="module")
def prompts():
    return generate_prompts(600, 0)


@pytest.fixture(scope="module")
def lengths(prompts):
    answers = [min(tokens_of(text)[0], 50) for text in prompts["prompt"]]
    return prompts[["family"]].assign(sample=0, prompt_tokens=34, output_tokens=answers)


@pytest.fixture(scope="module")
def plan(prompts, lengths):
    return traces.design(TRACES, prompts, lengths, PROFILE, seed=3)


def tokens_of(text):
    """A prompt's first token says how long its answer is."""
    return [1 + sum(text.encode()) % 60] + [2] * (30 + len(text) % 9)


def predictor(texts):
    return np.array([tokens_of(text)[0] for text in texts], dtype=float)


def served(folder, plan, seconds=0.0, order=trial.ORDER):
    """Run all traces on made-up clocks; a prediction takes `seconds`."""
    clocks = []

    def clock_for():
        clocks[-1].seconds = 0.0
        return clocks[-1]

    def backend_for(slots):
        clocks.append(Clock())
        return ProfileModel(clocks[-1], PROFILE, slots)

    def slow(texts):
        clocks[-1].seconds += seconds * len(texts)
        return predictor(texts)

    return trial.run_all(
        folder, backend_for, tokens_of, plan, slow, 3, order=order, max_new_tokens=50, clock_for=clock_for
    )


def test_the_traces_offer_the_stated_load_with_prompts_of_their_own_families(plan, prompts, lengths):
    families = traces.trace_families(3, prompts)
    assert len(families) == traces.FAMILIES
    assert set(plan["prompt_id"].map(prompts.set_index("prompt_id")["family"])) <= set(families)
    assert plan["prompt_id"].is_unique
    known = lengths[lengths["family"].isin(families)]
    for trace in TRACES:
        part = plan[plan["trace"] == trace.name]
        most = capacity_rate(
            known["prompt_tokens"],
            known["output_tokens"],
            batching="continuous",
            slots=trace.slots,
            engine=PROFILE,
        )
        offered = (len(part) - 1) / part["arrival_s"].iloc[-1]
        assert offered == pytest.approx(trace.load * most)
        assert part["arrival_s"].is_monotonic_increasing
    pd.testing.assert_frame_equal(plan, traces.design(TRACES, prompts, lengths, PROFILE, seed=3))


def test_other_seeds_keep_other_families(prompts):
    assert traces.trace_families(1, prompts) != traces.trace_families(2, prompts)
    with pytest.raises(InputError, match="families for the traces"):
        traces.trace_families(1, prompts, 99)


def test_a_trace_that_needs_more_prompts_than_there_are_is_refused(prompts, lengths):
    long = (traces.Trace("long", 4, 0.9, 1.0, 9_000.0),)
    with pytest.raises(InputError, match="trace 'long' needs"):
        traces.design(long, prompts, lengths, PROFILE, seed=3)


def test_a_trace_that_came_to_the_list_is_added_and_another_one_refused(prompts, lengths, tmp_path, monkeypatch):
    monkeypatch.setattr(trial.catalogue, "frame", lambda name: lengths)
    first = trial.planned(tmp_path, TRACES[:1], prompts, PROFILE, 3)
    both = trial.planned(tmp_path, TRACES, prompts, PROFILE, 3)
    pd.testing.assert_frame_equal(both.iloc[: len(first)], first)
    assert set(both["trace"]) == {"a", "b"}
    with pytest.raises(InputError, match="other traces than those asked for"):
        trial.planned(tmp_path, (traces.Trace("a", 2, 0.8, 1.0, 50.0),), prompts, PROFILE, 3)


def test_a_machine_that_changes_between_runs_widens_the_interval(runs):
    frame = engine_trials.forecast(runs, PROFILE)
    steady = engine_trials.cut_draws(frame, 300, np.random.default_rng(0))["a"]
    slow = frame.assign(jct_s=frame["jct_s"] * np.where(frame["repeat"] == 1, 1.3, 1.0))
    assert engine_trials.cut_draws(slow, 300, np.random.default_rng(0))["a"].std() > 1.5 * steady.std()


@pytest.fixture(scope="module")
def runs(plan, tmp_path_factory):
    return served(tmp_path_factory.mktemp("runs"), plan)


def test_policies_take_turns_and_serve_the_same_answers(runs, plan):
    order = runs.drop_duplicates("run")[["trace", "policy", "repeat"]]
    expected = [(t, p, r) for t in "ab" for p, r in (("fcfs", 0), ("ssjf", 0), ("fcfs", 1), ("ssjf", 1))]
    assert [tuple(row) for row in order.to_numpy()] == expected
    assert engine_trials.same_answers(runs) == 1.0
    assert len(runs) == 4 * len(plan)
    first = runs[(runs["trace"] == "a") & (runs["policy"] == "ssjf") & (runs["repeat"] == 0)]
    wanted = [min(tokens_of(text)[0], 50) for text in plan.loc[plan["trace"] == "a", "prompt"]]
    assert first["output_tokens"].tolist() == wanted
    assert (first["censored"] == (first["output_tokens"] == 50)).all()


def test_a_stopped_trial_goes_on_with_the_runs_that_are_missing(plan, tmp_path):
    whole = served(tmp_path, plan)
    files = sorted((tmp_path / "runs").iterdir())
    assert len(files) == 8
    kept = files[0].stat().st_mtime_ns
    files[3].unlink()
    again = served(tmp_path, plan)
    assert files[0].stat().st_mtime_ns == kept
    pd.testing.assert_frame_equal(again.drop(columns="begun"), whole.drop(columns="begun"))


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_the_simulator_forecasts_an_engine_that_costs_what_the_profile_says(plan, tmp_path, seconds):
    """Same policy, lengths and costs: with a free proxy the same schedule, with a slow one nearly."""
    frame = engine_trials.forecast(served(tmp_path, plan, seconds), PROFILE)
    free = frame[(frame["policy"] == "fcfs") | (seconds == 0)]
    np.testing.assert_allclose(free["end_s"], free["simulated_end_s"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(free["first_token_s"], free["simulated_first_token_s"], rtol=0, atol=1e-6)
    assert engine_trials.by_policy(frame)["error"].abs().max() < 0.03


def test_a_wrong_profile_shows(runs):
    import dataclasses

    slow = dataclasses.replace(PROFILE, decode_table=((1, 0.06), (8, 0.132)))
    found = engine_trials.by_policy(engine_trials.forecast(runs, slow))
    assert (found["error"] > 0.1).all()
    assert not found["within"].any()


def test_the_numbers_are_those_of_a_slow_count(runs):
    frame = engine_trials.forecast(runs, PROFILE)
    table = engine_trials.by_policy(frame).set_index(["trace", "policy"])
    part = frame[(frame["trace"] == "a") & (frame["policy"] == "ssjf")]
    means = [p["end_s"].mean() - p["arrival_s"].mean() for _, p in part.groupby("repeat")]
    assert table.loc[("a", "ssjf"), "mean_jct_s"] == pytest.approx(np.mean(means))
    cut = engine_trials.cut_draws(frame, 400, np.random.default_rng(0))
    fcfs = frame[(frame["trace"] == "a") & (frame["policy"] == "fcfs")]["jct_s"].mean()
    assert cut["a"].mean() == pytest.approx(100 * (1 - part["jct_s"].mean() / fcfs), abs=2.0)
    assert cut["a"].std() > 0
    errors = engine_trials.error_draws(frame, 50, np.random.default_rng(0))
    assert set(errors) == {"fcfs", "ssjf"}
    np.testing.assert_allclose(errors["fcfs"], 0, atol=1e-6)


def test_the_proxys_time_is_found(plan, tmp_path):
    frame = engine_trials.forecast(served(tmp_path, plan, 0.02, order=("fcfs", "ssjf")), PROFILE)
    assert (frame.loc[frame["policy"] == "fcfs", "predict_s"] == 0).all()
    found = engine_trials.predictor_draws(frame, 100, np.random.default_rng(0))
    np.testing.assert_allclose(found["latency_ms"], 20, atol=1e-6)
    np.testing.assert_allclose(found["latency_p99_ms"], 20, atol=1e-6)
    assert 0 < found["share"].mean() < 10
    assert engine_trials.predictor_tau(frame) > 0.9


def test_the_busy_stretch_is_the_same_requests_under_both_policies(runs):
    found = engine_trials.busy_stretch(runs, "a", most=8)
    first, second = (part["request"].tolist() for _, part in found.groupby("system"))
    assert first == second
    assert len(first) == 8
    assert np.ptp(first) == 7


def test_predictions_are_made_on_arrival_and_the_engine_waits():
    clock = Clock()
    backend = ProfileModel(clock, PROFILE, 1)
    seen = []

    def slow(rows):
        seen.append((clock.seconds, list(rows)))
        clock.seconds += 0.5 * len(rows)
        return [30.0 - row for row in rows]

    sequences = [Sequence([3] * 32, 9) for _ in range(3)]
    frame = serve(backend, sequences, [1.0, 1.2, 1.3], "ssjf", slots=1, predictor=slow, clock=clock)
    assert seen == [(1.0, [0]), (pytest.approx(1.6), [1, 2])]
    assert frame["eligible_s"].tolist() == [1.5, pytest.approx(2.6), pytest.approx(2.6)]
    assert frame["predict_s"].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert frame["predicted"].tolist() == [30.0, 29.0, 28.0]
    assert frame["start_s"].rank().tolist() == [1, 3, 2]  # the shortest prediction first
    assert frame["start_s"].iloc[0] == 1.5


def test_a_policy_that_does_not_predict_pays_nothing_for_the_predictor():
    clock = Clock()
    frame = serve(
        ProfileModel(clock, PROFILE, 1),
        [Sequence([3] * 32, 9)],
        [0.0],
        "fcfs",
        slots=1,
        predictor=pytest.fail,
        clock=clock,
    )
    assert frame["start_s"].iloc[0] == 0
    assert frame["predicted"].isna().all()


def test_a_predictor_that_says_nothing_useful_is_refused():
    def serving(**settings):
        return serve(
            ProfileModel(Clock(), PROFILE, 1),
            [Sequence([3] * 32, 9)],
            [0.0],
            "ssjf",
            slots=1,
            clock=Clock(),
            **settings,
        )

    with pytest.raises(InputError, match="one finite number each"):
        serving(predictor=lambda rows: [np.nan])
    with pytest.raises(InputError, match="one finite number each"):
        serving(predictor=lambda rows: [1.0, 2.0])
    with pytest.raises(InputError, match="one source of predictions"):
        serving(predictor=lambda rows: [1.0], predicted=[1.0])
