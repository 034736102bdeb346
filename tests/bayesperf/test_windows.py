"""Windows of real traces: what is recorded holds, and one row of it comes out again."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from credence.bayesperf.evaluate import agreement, recorded, window_story, windows
from credence.bayesperf.figures import posterior as figures
from credence.bayesperf.infer import nuts
from credence.bayesperf.infer.windows import fast
from credence.bench.errors import InputError


def test_smoke_window_and_its_figure():
    found = windows.cut(windows.CASES["smoke"])
    assert found.truth.shape == (4, 8)
    assert (np.bincount(found.window.slot) == 6).all()  # four counters and the two fixed ones
    mean, sd = fast(found.window)
    # what was measured is known to its read noise
    seen = found.window.slot, found.window.event
    assert np.abs(mean[seen] / found.truth[seen] - 1).max() < 0.05
    events = window_story.spread(found, 2)
    share = sd.mean(axis=0) / found.truth.mean(axis=0)
    best, least = (share[found.window.events.index(name)] for name in events)
    assert 0.01 < best < least
    sampled = nuts.Sampled(found.window, None, None, 0.0, 0.0, False)
    draws = mean + sd * np.random.default_rng(0).normal(size=(50, 4, 8))
    table = window_story.bands(found, _with_draws(sampled, draws), events)
    assert len(table) == 8
    assert (table["nuts_hi"] >= table["nuts_lo"]).all()
    assert len(figures.series(table).data) >= 10


def _with_draws(sampled, draws):
    class Drawn(type(sampled)):
        counts = draws

    return Drawn(sampled.window, None, None, 0.0, 0.0, False)


def test_refuses_an_unknown_case():
    with pytest.raises(InputError, match="case 'slow'"):
        windows.measure("slow")


def test_a_wrong_identity_is_named():
    table = window_story.wrong_identity("qemu-x86", "kmeans", "loads hit or miss L1D", "L1D_LD_HIT", 0.05)
    assert table["relation"][0] == "loads hit or miss L1D"
    assert table["verdict"][0] == "broken"
    assert table["factor"][0] == pytest.approx(1 / 1.05, abs=0.01)


def test_shares_are_of_whole_programs():
    rows = [("p", 0.0, 0.99), ("p", 0.05, 0.5), ("q", 0.0, 0.2), ("q", 0.05, 0.01), ("q", 0.0, np.nan)]
    frame = pd.DataFrame(rows, columns=["program", "error", "probability"])
    frame = frame.assign(case="c", split="test", machine="m")
    shares = window_story.audit_shares(frame, "c", 400)
    assert set(shares["true_believed"]) == {0.0, 0.5, 1.0}
    np.testing.assert_allclose(shares["wrong_found"], 1 - shares["true_believed"])


class TestRecorded:
    table = recorded.read("windows")

    def test_chains_converged(self):
        assert (self.table["r_hat"] <= 1.01).all()
        assert (self.table["ess_bulk"] >= 400).all()
        assert (self.table["divergences"] == 0).all()

    def test_methods_agree(self):
        quick = self.table.set_index("case").loc["quick"]
        assert (quick["slices"], quick["events"], quick["counters"]) == (18, 20, 4)
        assert quick["all_mean_in_mcse"] < 4
        given = self.table[~self.table["free_scales"]]
        assert (given["all_mean_in_sd"] < 0.1).all()
        assert (given["light_sd_percent"] < 10).all()
        assert quick["nuts_s"] / quick["fast_s"] > 1000

    @pytest.mark.slow
    def test_one_row_comes_out_again(self, monkeypatch):
        names = [name for name in self.table["case"] if name in ("quick", "quick, Student-t")]
        name = names[int(np.random.default_rng().integers(len(names)))]
        short = replace(windows.CASES[name], sampling=nuts.Sampling(chains=2, draws=250, tune=200, seed=1))
        monkeypatch.setitem(windows.CASES, name, short)
        again, row = windows.measure(name, use_cache=False), self.table.set_index("case").loc[name]
        assert (again["rank"], again["cells"]) == (row["rank"], row["cells"])
        assert again["divergences"] == 0
        assert again["all_mean_in_mcse"] < 5, name
        assert again["all_mean_in_sd"] < 0.4, name


def test_summary_tells_heavy_tails_apart():
    table = pd.DataFrame(
        {
            "measured": [True, False, False],
            "determined": [False, False, True],
            "mean_difference": [0.3, 0.1, 9.0],
            "mean_mcse": [0.1, 0.1, 0.1],
            "sd_ratio": [1.3, 1.1, 9.0],
            "sd_mcse": [0.1, 0.1, 0.1],
            "kurtosis": [12.0, 3.0, 3.0],
        }
    )
    found = agreement.summary(table).set_index("which")
    assert found["cells"].to_dict() == {"open": 1, "measured": 1, "light tails": 1, "all but determined": 2}
    assert found.loc["light tails", "sd_percent"] == pytest.approx(10)
    assert found.loc["all but determined", "mean_in_mcse"] == pytest.approx(3)
    assert len(figures.differences(table).data) == 4


def test_rank_and_detection_figures_have_points():
    rng = np.random.default_rng(0)
    ranks = pd.DataFrame({"set": range(50), "quantity": "x", "rank": rng.integers(0, 100, 50), "levels": 99})
    fig = figures.ranks(ranks)
    assert sum(fig.data[0].y) == 50
    curve = pd.DataFrame({"case": ["a", "a"], "error": [0.0, 0.05], "holds": [1.0, 0.1], "broken": [0.0, 0.8]})
    assert [list(line.y) for line in figures.detection(curve).data] == [[100.0, 10.0], [0.0, 80.0]]
