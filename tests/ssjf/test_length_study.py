"""Predictors side by side: what a study holds, which claims it can judge, what it serves; times of predictions."""

import numpy as np
import pandas as pd
import pytest

from credence.bench import claims
from credence.ssjf.data import PromptSet
from credence.ssjf.evaluate import length_runs, length_study, length_times, length_worth, lengths, maps, worth
from credence.ssjf.evaluate.recorded_lengths import CEILING, COLUMNS

SIZE = {"count": 600, "draws": 3, "seed": 0}


def made_up(count=300, seed=0):
    rng = np.random.default_rng(seed)
    tokens = np.rint(np.exp(rng.normal(5, 0.7, count)[:, None] + 0.2 * rng.standard_normal((count, 3)))) + 1
    ids = np.array([f"p{k:04d}" for k in range(count)], dtype=object)
    prompts = [f"prompt {k}" for k in range(count)]
    return PromptSet("made-up", "made-up", "third party", ids, prompts, tokens, tokens < 0, ids)


def run_of(answers, noise, seed=0):
    rng = np.random.default_rng([7, seed])
    key = np.log(answers.lengths[:, 0]) + noise * rng.standard_normal(len(answers))
    return length_runs.frame(length_study.set_folds(answers), key, answers)


@pytest.fixture(scope="module")
def answers():
    return made_up()


@pytest.fixture(scope="module")
def recorded(answers):
    noise = {length_study.PROXY: 0.6, length_study.WORDS: 0.9, length_study.RANKING: 0.4, length_study.FAST: 0.6}
    noise |= {length_study.REGRESSION: 1.2, length_study.PAPER: 0.61, "stack: another": 0.5}
    noise |= {length_study.STATES: 0.7}
    parts = [
        run_of(answers, spread, seed).reset_index().assign(set=answers.name, predictor=name, seed=seed)
        for name, spread in noise.items()
        for seed in ((0, 1) if name == length_study.PROXY else (0,))
    ]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


@pytest.fixture(scope="module")
def found(answers, recorded):
    return length_study.study(answers, recorded, {length_runs.PLAIN: run_of(answers, 1.5)}, draws=100)


def test_names_tell_kind_head_and_schedule():
    assert length_study.describe("proxy: five-class, paper") == {
        "kind": "proxy",
        "head": "five-class",
        "schedule": "paper",
    }
    assert length_study.describe("proxy: l1, fast, all models")["head"] is None
    assert length_study.describe("proxy: l1, fast, all models")["kind"] == "proxy"
    assert length_study.describe("stack: proxy + TF-IDF")["kind"] == "stack"
    assert length_study.describe(CEILING)["kind"] == "ceiling"
    assert length_study.describe("prompt length")["kind"] == "baseline"


def test_a_study_says_what_is_recorded_and_what_is_live(found):
    rows = found.scores.set_index("predictor")
    assert not rows.loc[length_runs.PLAIN, "recorded"]
    assert not rows.loc[CEILING, "recorded"]
    assert rows.loc[length_study.PROXY, "recorded"]
    assert rows.loc[length_study.PROXY, "seeds"] == 2
    assert rows.loc[CEILING, "tau"] == rows["tau"].max()
    assert found.tau()[length_study.PROXY] == rows.loc[length_study.PROXY, "tau"]


def test_a_stack_is_fitted_on_the_other_folds_and_keeps_the_better_member(answers):
    rng = np.random.default_rng(3)
    good, noise = run_of(answers, 0.3), run_of(answers, 0.3)
    noise["key"] = rng.normal(size=len(answers))
    both = length_runs.stacked(answers, [[good], [noise]])
    assert both.attrs["shares"][0] > 5 * both.attrs["shares"][1]
    fold = length_study.set_folds(answers)
    alone = [
        np.mean(lengths.cross_validated(answers, fold, r["key"].to_numpy(), r["tokens"].to_numpy())["tau"])
        for r in (good, both)
    ]
    assert alone[1] == pytest.approx(alone[0], abs=0.02)
    # the held fold's own answers have no part in its predictions
    changed = answers.take(np.arange(len(answers)))
    changed.lengths[fold == 2] = rng.permutation(changed.lengths[fold == 2])
    again = length_runs.stacked(changed, [[good], [noise]])
    assert np.allclose(again["key"][fold == 2], both["key"][fold == 2])
    assert not np.allclose(again["key"][fold != 2], both["key"][fold != 2])


def test_a_study_makes_the_stacks_of_what_it_has(found):
    tau = found.tau()
    assert set(length_study.STACKS) <= set(tau)
    assert tau[length_study.WITH_WORDS] > tau[length_study.WORDS]


def test_a_live_run_takes_the_place_of_the_recorded_one(answers, recorded):
    live = {length_study.PROXY: run_of(answers, 9.0)}
    rows = length_study.study(answers, recorded, live, only=[length_study.PROXY], draws=10).scores
    assert rows["predictor"].tolist() == [length_study.PROXY]
    assert rows["tau"][0] < 0.3
    assert not rows["recorded"][0]


def test_tables_for_figures_and_readers(found):
    ladder = length_study.ladder(found)
    assert set(ladder) == {"set", "predictor", "kind", "tau", "lo", "hi", "recorded"}
    assert set(length_study.heads(found)["head"]) == {"quantile", "listwise", "log-mse", "l1"}
    table = length_study.table(found)
    assert table.index[0] == CEILING
    assert table.loc[length_runs.PLAIN, "from"] == "this run"
    assert table.loc[length_study.PROXY, "Kendall's tau"].count(",") == 1


def test_claims_get_the_metrics_they_name(found):
    metrics = length_study.claim_metrics(found, "castillo")
    wanted = {claim.metric for claim in claims.registry("ssjf") if claim.notebook == "ssjf/predict_lengths"}
    simulated = {"proxy_cut_castillo", "prompt_length_tau_castillo"}
    assert {name for name in wanted if name.endswith("castillo")} - simulated <= set(metrics)
    assert (metrics["ranking_minus_regression_castillo"] > 0).all()
    assert metrics["fast_minus_paper_castillo"].mean() == pytest.approx(0, abs=0.1)
    assert all(len(values) == 100 for values in metrics.values())
    tau = found.draws[length_study.PROXY]["tau"]
    assert np.array_equal(metrics["proxy_tau_castillo"], tau)


def test_without_predictions_there_are_no_metrics(answers, recorded):
    bare = length_study.study(answers, recorded, {length_runs.PLAIN: run_of(answers, 1.0)}, only=[length_runs.PLAIN])
    assert length_study.claim_metrics(bare, "own") == {}


def test_predictability_and_spread(answers):
    told = length_study.predictability(answers)
    assert told["prompts"] == told["prompts with two answers or more"] == 300
    assert told["answers"] == 900
    assert told["tau of the mean of the others"] > told["tau of one other"] > 0.7
    assert length_study.spread(answers).mean() == pytest.approx(0.17, abs=0.03)
    cut = answers.take(np.arange(300))
    cut.censored[5, 1] = True
    assert len(length_study.spread(cut)) == 299


def test_what_is_served_and_what_it_is_charged(found, monkeypatch):
    runs = length_worth.served_runs(found)
    assert set(runs) == {
        length_runs.PLAIN,
        length_study.WORDS,
        length_study.PROXY,
        "stack: another",
        length_study.WITH_WORDS,
        CEILING,
    }
    cost = length_worth.charged(runs, 0.01)
    assert cost == dict.fromkeys((length_study.PROXY, "stack: another", length_study.WITH_WORDS), 0.01)
    monkeypatch.setattr(length_worth, "prompt_tokens", lambda answers: np.full(len(answers), 30))
    _, served, marks = length_worth.serve(found.answers, runs, found.tau(), cost, **SIZE)
    drawn = length_worth.marked(marks, "made up")
    assert drawn.set_index("predictor")["kind"].to_dict() == {
        length_runs.PLAIN: "baseline",
        length_study.WORDS: "baseline",
        length_study.PROXY: "proxy",
        "stack: another": "stack",
        length_study.WITH_WORDS: "stack",
        CEILING: "ceiling",
        length_worth.ORACLE: "ceiling",
    }
    cut = length_worth.cut_draws(served)
    assert cut.mean() == pytest.approx(drawn.set_index("predictor").loc[length_study.PROXY, "cut"])
    late = length_worth.latency_cost(found, 0.2, **SIZE)
    assert (length_worth.latency_cost(found, 0.0, **SIZE) == 0).all()
    assert late.mean() > 1  # at several requests a second, 0.2 s each is too slow


def test_the_authors_predictions_are_served_on_their_own_lengths():
    curve, marks = length_worth.serve_authors(**SIZE)
    row = marks.set_index("predictor").loc[length_worth.AUTHORS]
    assert row["tau"] == pytest.approx(maps.AUTHORS_TAU, abs=0.01)
    assert row["latency_s"] == pytest.approx(0.0079, abs=0.0005)
    assert 0 < row["cut"] < curve.loc[curve["tau"] == 1, "cut"].mean()
    assert set(curve["tau"]) == set(worth.TAUS)


def test_times_are_summed_up_by_precision_and_batch():
    timed = pd.DataFrame({"precision": ["fp32"] * 100, "batch": [1] * 100, "seconds": np.arange(1, 101) / 1000})
    timed = pd.concat([timed, timed.assign(precision="int8", batch=8, seconds=0.002)])
    rows = length_times.latency_frame(timed)
    assert rows["name"].tolist() == ["fp32, one at a time", "int8, batches of 8"]
    assert rows["p50_ms"].tolist() == pytest.approx([50.5, 2])
    assert rows["p99_ms"][0] == pytest.approx(99.01)
    draws = length_times.p99_draws(np.arange(1, 101), 200, 0)
    assert 90 < np.quantile(draws, 0.05) <= 100
    assert np.array_equal(draws, length_times.p99_draws(np.arange(1, 101), 200, 0))
