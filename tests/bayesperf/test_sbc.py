"""Calibration by simulation: 20 data sets in every run, and a recorded one made again."""

import numpy as np
import pandas as pd
from scipy import stats

from credence.bayesperf.evaluate import recorded, sbc
from credence.bayesperf.infer.nuts import Sampling, compile_window


def test_template_is_6_by_8_on_three_counters():
    window = sbc.template()
    assert (window.slices, len(window.events), window.rank) == (6, 8, 6)
    assert (np.bincount(window.slot) == 3).all()
    counts = window.counts(np.random.default_rng(0).normal(size=36))
    assert np.abs(counts @ sbc._IDENTITIES.T).max() < 1e-9 * counts.max()


def test_twenty_sets_are_ranked_as_they_should_be():
    sampling = Sampling(chains=2, draws=100, tune=100)
    ranks = sbc.calibrate(20, sampling, free_scales=False, seed=1)
    assert ranks["set"].nunique() == 20
    assert ranks["divergences"].sum() == 0
    table = sbc.uniformity(ranks, bins=4)
    assert set(table["method"]) == {"nuts", "fast"}
    # 20 draws of a uniform: far from every edge only if something is wrong
    assert (table["p"] > 1e-4).all()
    nuts = ranks[ranks["method"] == "nuts"]
    place = (nuts["rank"] + 0.5) / (nuts["levels"] + 1)
    assert stats.binomtest(int((abs(place - 0.5) <= 0.45).sum()), len(place), 0.9).pvalue > 1e-5


def test_resumes_and_makes_no_set_twice():
    done = pd.DataFrame({"scales": ["fixed"] * 2, "set": [0, 1], "method": "nuts", "quantity": "a", "rank": [3, 4]})
    assert len(sbc.calibrate(2, free_scales=False, done=done)) == 2


def test_overconfident_ranks_are_seen():
    rng = np.random.default_rng(0)
    truth, level = rng.normal(size=(2, 400)), 99
    wide, narrow = stats.norm.cdf(truth[0]), stats.norm.cdf(truth[1] / 0.6)
    rows = pd.concat(
        pd.DataFrame(
            {
                "scales": "fixed",
                "set": range(400),
                "quantity": "x",
                "method": name,
                "rank": (place * (level + 1)).astype(int).clip(0, level),
                "levels": level,
            }
        )
        for name, place in (("right", wide), ("overconfident", narrow))
    )
    table = sbc.uniformity(rows).set_index("method")
    assert table.loc["right", "p"] > 1e-3
    assert table.loc["overconfident", "p"] < 1e-6
    assert table.loc["overconfident", "inside_90"] < 0.8


class TestRecorded:
    def test_ranks_are_uniform(self):
        ranks = recorded.read("sbc")
        assert list(ranks.columns) == list(sbc.COLUMNS)
        assert not ranks.duplicated(["scales", "set", "method", "quantity"]).any()
        table = sbc.uniformity(ranks)
        assert (table["sets"] >= 200).all()
        nuts = table[table["method"] == "nuts"]
        assert len(nuts) == 13
        assert (nuts["p"] > 0.01 / len(nuts)).all()
        half = 4 * np.sqrt(0.9 * 0.1 / nuts["sets"])
        assert (abs(nuts["inside_90"] - 0.9) < half).all()

    def test_one_row_comes_out_again(self):
        ranks = recorded.read("sbc")
        fixed = ranks[ranks["scales"] == "fixed"]
        number = int(np.random.default_rng().choice(fixed["set"].unique()))
        window = sbc.template()
        compiled = compile_window(window, False)
        sampling = Sampling(chains=2, draws=300, tune=200, seed=1)
        again = sbc.one_set(compiled, window, number, sampling, free_scales=False)
        both = again.merge(fixed, on=["set", "method", "quantity"], suffixes=("", "_recorded"))
        assert len(both) == len(again), number
        np.testing.assert_allclose(both["truth"], both["truth_recorded"], rtol=1e-9)
        # both are Monte Carlo: the mean of some hundred draws of a heavy tail
        assert (abs(both["mean"] - both["mean_recorded"]) < 0.5 * both["sd_recorded"]).all(), number
        exact = both[both["method"] == "fast"]
        np.testing.assert_allclose(exact["mean"], exact["mean_recorded"], rtol=1e-4)
