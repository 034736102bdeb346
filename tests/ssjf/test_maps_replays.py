"""Replays of traces: windows, load factors, predictions for traces that come without."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from credence.bench.errors import InputError
from credence.ssjf.evaluate import maps, replays


def made_up(count=600, span=3500.0, seed=0):
    rng = np.random.default_rng(seed)
    arrival = np.sort(rng.random(count)) * span
    return pd.DataFrame(
        {
            "arrival_s": arrival - arrival[0],
            "prompt_tokens": rng.integers(10, 100, count),
            "output_tokens": rng.integers(1, 500, count),
        }
    )


def test_requests_stand_in_ten_minute_windows_and_a_stub_joins_the_one_before():
    assert replays.windows([0, 599, 600, 1250, 1799, 1810]).tolist() == [0, 0, 1, 2, 2, 2]
    assert replays.windows([0, 599, 600, 1250, 1799, 1900]).tolist() == [0, 0, 1, 2, 2, 3]
    with pytest.raises(InputError, match="window_s is 0; allowed"):
        replays.windows([0.0, 1.0], 0)


def test_window_draws_resample_whole_windows():
    before, after = np.array([10.0, 10, 20, 20]), np.array([5.0, 5, 20, 20])
    draws = replays.window_draws(before, after, np.array([0, 0, 1, 1]), 4000, np.random.default_rng(0))
    possible = {50.0: 0.25, 0.0: 0.25, 100 * (1 - 50 / 60): 0.5}  # both the first, both the second, one of each
    for value, share in possible.items():
        assert np.isclose(draws, value).mean() == pytest.approx(share, abs=0.03)


def test_an_empty_window_is_never_drawn():
    draws = replays.window_draws(np.ones(2), np.full(2, 0.5), np.array([0, 3]), 50, np.random.default_rng(0))
    assert np.allclose(draws, 50)


def test_factors_put_the_trace_at_the_wanted_loads():
    trace, place = made_up(), {"slots": 1, "engine": "ssjf-paper"}
    factors = replays.factors_at(trace, (0.4, 0.8), **place)
    assert 1.0 in factors
    found = replays.replay_frame(replays.replay_draws(trace, factors, draws=20, **place))
    assert {round(load, 6) for load in found["load"]} >= {0.4, 0.8}
    # one server: load is arrival rate times mean service
    rate = len(trace) / trace["arrival_s"].iloc[-1]
    at_true_rate = found[found["factor"] == 1.0]["load"].iloc[0]
    assert at_true_rate == pytest.approx(rate * np.mean(0.1 + 0.02 * trace["output_tokens"]))


def test_a_replay_cuts_more_when_it_is_faster_and_nothing_when_nobody_waits():
    trace, place = made_up(), {"slots": 1, "engine": "ssjf-paper"}
    factors = replays.factors_at(trace, (0.0001, 0.5, 0.95), **place)[:-1]
    found = replays.replay_frame(replays.replay_draws(trace, factors, draws=20, **place))
    cut = found.set_index(["factor", "predictor"])["cut"]
    assert cut[factors[0], "oracle"] == 0
    assert cut[factors[2], "oracle"] > cut[factors[1], "oracle"] > 0
    assert cut[factors[2], "oracle"] > cut[factors[2], "five classes"]


def test_the_table_at_the_true_rate_has_one_row_a_trace():
    place = {"slots": 1, "engine": "ssjf-paper"}
    draws = replays.replay_draws(made_up(), [0.5, 1.0], draws=20, **place).assign(trace="azure-llm-2023-code", **place)
    table = replays.true_rate_table(replays.replay_frame(draws))
    assert table["trace"].tolist() == ["Azure code"]
    assert table["engine, slots"].tolist() == ["ssjf-paper, 1"]


def test_a_trace_gets_predictions_of_the_wanted_quality():
    lengths = replays.trace("ssjf-simulated-bursty")["output_tokens"].to_numpy()
    keys = replays.keys(lengths, 0)
    assert stats.kendalltau(lengths, keys["tau 0.63"]).statistic == pytest.approx(0.63, abs=0.02)
    assert stats.kendalltau(lengths, keys["five classes"]).statistic == pytest.approx(maps.AUTHORS_TAU, abs=0.02)
    assert len(set(keys["five classes"])) == 5


def test_without_third_party_traces_the_simulated_one_takes_their_place(monkeypatch):
    monkeypatch.setattr(replays.catalogue, "available", lambda name: False)
    assert replays.at_hand() == ["ssjf-simulated-bursty"]
    with pytest.raises(InputError, match="nowhere"):
        replays.trace("nowhere")


@pytest.mark.third_party
def test_azure_conversation_at_its_true_rate_leaves_a_measured_engine_half_idle():
    trace = replays.trace("azure-llm-2023-conv")
    place = {"slots": 128, "engine": "vllm-rtxpro6000-llama3-8b"}
    found = replays.replay_frame(replays.replay_draws(trace, [1.0], predictors=["tau 0.63"], draws=50, **place)).iloc[0]
    assert found["load"] == pytest.approx(0.51, abs=0.02)
    assert abs(found["cut"]) < 1
