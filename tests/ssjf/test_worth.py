"""What a predictor is worth: the same workloads for all, tau and latency as wanted, keys looked up right."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from credence.bench.errors import InputError
from credence.ssjf.evaluate import maps, worth
from credence.ssjf.world import capacity_rate

RNG = np.random.default_rng(3)
LENGTHS = np.clip(np.rint(RNG.lognormal(5, 0.8, 900)), 1, 2000)
SIZE = {"count": 900, "draws": 3}


@pytest.fixture(scope="module")
def source():
    return worth.population(np.full(900, 40), LENGTHS)


def test_the_curve_rises_with_tau_and_falls_with_latency(source):
    found = worth.curve_draws(source, (0.0, 0.5, 1.0), (0.0, 3.0), **SIZE)
    cut = found.groupby(["tau", "latency_s"])["cut"].mean()
    assert cut[1.0, 0.0] > cut[0.5, 0.0] > cut[0.0, 0.0]
    assert all(cut[tau, 0.0] > cut[tau, 3.0] for tau in (0.0, 0.5, 1.0))
    assert len(found) == 3 * 2 * 3


def test_an_oracle_among_real_predictions_is_the_curves_end(source):
    curve = worth.curve_draws(source, (1.0,), **SIZE)
    served = worth.served_draws(source, {"oracle": LENGTHS, "log": np.log(LENGTHS)}, **SIZE)
    for name in ("oracle", "log"):
        rows = served[served["predictor"] == name]
        # lengths that tie are served in order of arrival here, at random on the curve
        assert rows["cut"].to_numpy() == pytest.approx(curve["cut"].to_numpy(), abs=0.5)
        assert np.array_equal(rows["fcfs_mean_s"], curve["fcfs_mean_s"])


def test_a_key_meets_the_prompt_it_was_made_for(source):
    """Keys of prompts in another order are no predictions any more."""
    served = worth.served_draws(source, {"right": LENGTHS, "mixed": RNG.permutation(LENGTHS)}, **SIZE)
    cut = served.groupby("predictor")["cut"].mean()
    assert cut["right"] > 20
    assert cut["mixed"] < cut["right"] / 3


def test_real_noise_of_a_tau_gets_what_the_curve_says(source):
    key = maps.noisy_key(LENGTHS, 0.5, np.random.default_rng(1))
    tau = stats.kendalltau(key, LENGTHS).statistic
    curve = worth.curve_draws(source, worth.TAUS, count=3000, draws=6)
    served = worth.served_draws(source, {"noisy": key}, {"noisy": 0.01}, count=3000, draws=6)
    row = worth.against_curve(curve, served, {"noisy": tau}).iloc[0]
    assert row["cut"] == pytest.approx(row["cut_at_tau"], abs=4)
    assert row["cut_lo"] <= row["cut"] <= row["cut_hi"]
    assert row["latency_s"] == 0.01
    oracle = curve.loc[curve["tau"] == 1, "cut"].mean()
    assert row["share_of_oracle"] == pytest.approx(row["cut"] / oracle)


def test_each_predictor_pays_its_own_time_and_keeps_its_place(source):
    keys = {"z": LENGTHS, "a": LENGTHS, "m": LENGTHS}
    found = worth.served_draws(source, keys, {"z": 2.0, "m": 0.5}, **SIZE)
    assert found["predictor"].tolist() == ["z"] * 3 + ["a"] * 3 + ["m"] * 3
    cut = found.groupby("predictor")["cut"].mean()
    assert cut["a"] > cut["m"] > cut["z"]


def test_a_predictor_slower_than_the_arrivals_is_a_queue_that_grows():
    """64 slots take in eight requests a second: a predictor of 0.2 s can't."""
    source = worth.population(np.full(300, 40), np.full(300, 200))
    engine = "vllm-rtxpro6000-llama3-8b"
    place = worth.SETUPS[engine] | {"engine": engine}
    busy = {name: value for name, value in place.items() if name != "load"}
    assert capacity_rate(source["prompt_tokens"], source["output_tokens"], **busy) > 5
    found = worth.curve_draws(source, (0.5,), (0.0, 0.5), **SIZE, **place)
    cut = found.groupby("latency_s")["cut"].mean()
    assert cut[0.5] < -100 < cut[0.0]


def made_up(cuts):
    rows = [{"tau": 0.5, "latency_s": x, "draw": d, "cut": y} for x, y in cuts.items() for d in (0, 1)]
    return pd.DataFrame(rows)


def test_break_even_is_where_half_the_cut_is_gone():
    assert worth.break_even(made_up({0.0: 20.0, 1.0: 15.0, 3.0: 5.0}), 0.5) == pytest.approx(2.0)
    assert worth.break_even(made_up({0.0: 20.0, 1.0: 15.0}), 0.5) == np.inf
    assert worth.break_even(made_up({0.0: -2.0, 1.0: -5.0}), 0.5) == 0.0
    with pytest.raises(InputError, match=r"tau is 0\.7; allowed: 0\.5"):
        worth.break_even(made_up({0.0: 20.0}), 0.7)


def test_groups_by_rank_of_a_perfect_and_a_useless_predictor():
    tokens = np.arange(1000.0)
    perfect = worth.error_groups(tokens, tokens)
    assert perfect["p50"].to_numpy() == pytest.approx(np.arange(10) * 100 + 49.5)
    useless = worth.error_groups(tokens, np.zeros(1000))
    assert useless["p50"].std() < 80  # ties are dealt at random, not in the order of the file
    assert useless["rank"].tolist() == pytest.approx(np.linspace(0.05, 0.95, 10).tolist())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"load": 1.2}, r"load is 1\.2"),
        ({"count": 3}, "count is 3; allowed: at least 100"),
        ({"draws": 0}, "draws is 0"),
    ],
)
def test_what_is_out_of_range_is_refused(source, change, message):
    for call in (lambda **k: worth.curve_draws(source, (0.5,), **k), lambda **k: worth.served_draws(source, {}, **k)):
        with pytest.raises(InputError, match=message):
            call(**(SIZE | change))


def test_lengths_and_keys_that_do_not_fit_are_refused(source):
    with pytest.raises(InputError, match=r"row 1, output_tokens: nan"):
        worth.population([1, 1], [5, np.nan])
    with pytest.raises(InputError, match=r"row 0, prompt_tokens: 1\.5"):
        worth.population([1.5, 1], [5, 5])
    with pytest.raises(InputError, match=r"predictor 'p': keys of shape \[2\]; allowed: \[900\]"):
        worth.served_draws(source, {"p": [1, 2]}, **SIZE)
    with pytest.raises(InputError, match=r"predictor 'p', row 3: nan"):
        worth.served_draws(source, {"p": np.where(np.arange(900) == 3, np.nan, 1.0)}, **SIZE)
