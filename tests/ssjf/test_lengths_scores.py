"""Scores of length predictions against plain loops over pairs, and the noise ceiling against made-up noise."""

import os
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from credence.bench.errors import InputError
from credence.ssjf import data
from credence.ssjf.baselines import lengths as baselines
from credence.ssjf.evaluate import lengths as scores

third_party = pytest.mark.third_party
needs_mirror = pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set")

ROW = st.tuples(st.integers(0, 6), st.integers(0, 4), st.booleans(), st.integers(0, 3), st.integers(0, 1))


def prompt_set(lengths, censored=None, group=None):
    lengths = np.asarray(lengths, dtype=float)
    names = np.array([f"p{k}" for k in range(len(lengths))], dtype=object)
    late = np.zeros(lengths.shape, dtype=bool) if censored is None else np.asarray(censored)
    groups = names if group is None else np.asarray(group, dtype=object)
    texts = [str(name) for name in names]
    return data.PromptSet("made up", "Made up", "simulated", names, texts, lengths, late, groups)


def naive_kendall(rows, within):
    """Go through all pairs of all copies, asking in words what is known about each."""
    copies = [(truth, key, late, name) for truth, key, late, weight, name in rows for _ in range(weight)]
    agreeing = truths = keys = 0
    for i, (truth, key, late, name) in enumerate(copies):
        for other, other_key, other_late, other_name in copies[:i]:
            if within and name != other_name:
                continue
            if late and other_late:
                continue
            if late and not truth > other:
                continue
            if other_late and not other > truth:
                continue
            agreeing += np.sign(truth - other) * np.sign(key - other_key)
            truths += truth != other
            keys += key != other_key
    return agreeing / np.sqrt(truths * keys) if truths * keys else np.nan


@settings(max_examples=150)
@given(st.lists(ROW, min_size=1, max_size=12), st.booleans())
def test_kendall_is_the_loop_over_known_pairs(rows, within):
    truth, key, late, weight, name = (np.array(column) for column in zip(*rows, strict=True))
    found = scores.kendall(truth, key, late, weight[None], name if within else None)
    # copies of one prompt: equal in both, so they change nothing, unless the loop meets two censored copies
    np.testing.assert_allclose(found, [naive_kendall(rows, within)], atol=1e-12)


def test_kendall_without_censoring_is_scipys_on_every_resample():
    rng = np.random.default_rng(0)
    truth, key = rng.integers(0, 300, 700).astype(float), rng.integers(0, 60, 700).astype(float)
    weights = scores.bootstrap_weights([f"p{k}" for k in range(700)], 5, rng)
    found = scores.kendall(truth, key, weights=weights)
    for row, value in zip(weights, found, strict=True):
        again = np.repeat(np.arange(700), row)
        assert value == pytest.approx(stats.kendalltau(truth[again], key[again]).statistic, abs=1e-12)


def test_kendall_refuses_what_is_no_number():
    with pytest.raises(InputError, match="finite"):
        scores.kendall(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="as many"):
        scores.kendall(np.ones(3), np.ones(2))


def test_groups_are_resampled_whole():
    group = np.repeat(["a", "b", "c"], [2, 5, 3])
    weights = scores.bootstrap_weights(group, 400, np.random.default_rng(0))
    assert weights.shape == (400, 10)
    for name in "abc":
        assert (np.ptp(weights[:, group == name], axis=1) == 0).all()
    assert (weights[:, [0, 2, 7]].sum(axis=1) == 3).all()
    assert abs(weights.mean() - 1) < 0.1
    np.testing.assert_array_equal(weights, scores.bootstrap_weights(group, 400, np.random.default_rng(0)))


def test_class_ends_are_training_percentiles_below_the_cut():
    lengths = np.arange(1.0, 101).reshape(50, 2)
    none = np.zeros(lengths.shape, dtype=bool)
    np.testing.assert_allclose(scores.class_ends(lengths, none), [25.75, 50.5, 75.25, 99.01, np.inf])
    np.testing.assert_allclose(scores.class_ends(np.minimum(lengths, 70), lengths > 70), [25.75, 50.5, np.inf])
    holes = np.where(lengths > 50, np.nan, lengths)
    assert scores.class_ends(holes, none)[1] == pytest.approx(25.5)
    with pytest.raises(InputError, match="no training answers"):
        scores.class_ends(np.full((2, 2), np.nan), none[:2])


def test_class_scores_leave_out_only_unknown_classes():
    ends = np.array([10.0, 20.0, np.inf])
    truth, predicted = np.array([5, 15, 25, 12, 30]), np.array([0, 1, 2, 0, 2])
    late = np.array([False, False, False, True, True])  # at least 12: class 1 or 2; at least 30: class 2
    found = scores.class_scores(truth, predicted, ends, late)
    assert found["accuracy"][0] == 1.0
    assert scores.class_scores(truth, predicted, ends)["accuracy"][0] == pytest.approx(0.8)
    weights = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 3, 0]])
    weighted = scores.class_scores(truth, predicted, ends, weights=weights)
    np.testing.assert_allclose(weighted["accuracy"], [0.8, 0.0])
    nothing = scores.class_scores(truth, predicted, ends, late, weights[1:])
    assert np.isnan(nothing["accuracy"]).all()
    with pytest.raises(InputError, match=r"0\.\.2 are allowed"):
        scores.class_scores(truth, predicted + 1, ends)


def test_targets():
    answers = prompt_set([[2, 8, np.nan], [0, np.nan, np.nan]])
    np.testing.assert_allclose(scores.targets(answers), [np.log(4), 0])
    np.testing.assert_allclose(scores.targets(answers, [0], "sample 1"), [np.log(2)])
    with pytest.raises(InputError, match="target"):
        scores.targets(answers, kind="median")
    with pytest.raises(InputError, match="no answer to learn from"):
        scores.targets(prompt_set([[np.nan, 3]]), kind="sample 1")


@pytest.fixture(scope="module")
def noisy():
    """400 prompts whose log lengths vary with standard deviation 1, and 0.4 within a prompt."""
    rng = np.random.default_rng(3)
    level = rng.normal(5, 1, 400)
    return level, prompt_set(np.exp(level[:, None] + rng.normal(0, 0.4, (400, 10))).round() + 1)


def test_cross_validated_scores_are_means_over_folds(noisy):
    level, answers = noisy
    fold = data.set_folds(answers, 4)
    tokens = np.exp(level)
    found = scores.cross_validated(answers, fold, level, tokens)
    truth = answers.lengths[:, 0]
    parts = [fold == number for number in range(4)]
    taus = [stats.kendalltau(truth[part], level[part]).statistic for part in parts]
    np.testing.assert_allclose(found["tau_by_fold"], [taus])
    assert found["tau"][0] == pytest.approx(np.mean(taus))
    assert found["mae"][0] == pytest.approx(np.mean([np.abs(truth - tokens)[part].mean() for part in parts]))
    hits = []
    for part in parts:
        inner = np.percentile(answers.lengths[~part], scores.PERCENTILES)
        hits.append(
            (np.digitize(truth[part], inner, right=True) == np.digitize(tokens[part], inner, right=True)).mean()
        )
    assert found["accuracy"][0] == pytest.approx(np.mean(hits))


def test_a_key_without_unit_gets_an_order_only(noisy):
    level, answers = noisy
    found = scores.cross_validated(answers, data.set_folds(answers), level)
    assert np.isnan([found[name][0] for name in ("accuracy", "macro_f1", "mae")]).all()
    called = np.zeros(400, dtype=int)
    found = scores.cross_validated(answers, data.set_folds(answers), level, predicted_class=called)
    assert 0.15 < found["accuracy"][0] < 0.35
    assert np.isnan(found["mae"][0])


def test_intervals_cover_the_score(noisy):
    level, answers = noisy
    fold = data.set_folds(answers)
    weights = scores.bootstrap_weights(answers.group, 100, np.random.default_rng(0))
    measure = partial(scores.cross_validated, answers, fold, level, np.exp(level))
    row = scores.score_row(measure(), measure(weights=weights))
    for name in scores.SCORES:
        assert row[f"{name}_lo"] < row[name] < row[f"{name}_hi"]
    assert 0.02 < row["tau_hi"] - row["tau_lo"] < 0.15


def test_the_ceiling_is_what_the_noise_leaves(noisy):
    level, answers = noisy
    found = scores.ceiling(answers)
    truth = answers.lengths[:, 0]
    assert found["ceiling"] == pytest.approx(stats.kendalltau(truth, level).statistic, abs=0.02)
    # Greiner's relation, correlation of two samples 1 / (1 + 0.4²)
    assert found["one_vs_one"] == pytest.approx(2 / np.pi * np.arcsin(1 / 1.16), abs=0.03)
    assert found["one_vs_one"] < found["ceiling"]
    each = [np.std(row, ddof=1) / np.mean(row) for row in answers.lengths]
    assert found["within_cv"] == pytest.approx(np.mean(each))
    # of the log-normal itself; a standard deviation of few samples is too small on average
    assert 0.85 < found["within_cv"] / np.sqrt(np.exp(0.16) - 1) < 1
    with pytest.raises(InputError, match="two answers"):
        scores.ceiling(prompt_set([[3.0], [4.0]]))


def test_other_samples_leave_the_target_out():
    answers = prompt_set([[1, 3, 5], [2, np.nan, 8], [7, np.nan, np.nan]])
    np.testing.assert_allclose(scores.other_samples(answers), [4, 8, np.nan])
    np.testing.assert_allclose(scores.other_samples(answers, 2), [2, 2, 7])


def test_template_check_tells_templates_that_say_all_from_those_that_say_nothing(noisy):
    level, answers = noisy
    telling = np.array([f"t{k}" for k in np.digitize(level, np.quantile(level, np.linspace(0, 1, 21)[1:-1]))])
    found = scores.template_check(answers, telling)
    assert found["share"] > 0.9
    idle = np.array([f"t{k % 20}" for k in range(400)])
    found = scores.template_check(answers, idle)
    assert found["share"] < 0.3
    assert found["tau"] < found["tau_upper"]


def test_recorded_predictions_are_put_in_the_sets_order():
    answers = prompt_set([[1.0], [2.0], [3.0]])
    rows = pd.DataFrame(
        [("made up", f"p{k}", "a", k % 2, seed, k + seed, np.nan) for k in (2, 0, 1) for seed in (0, 1)],
        columns=["set", "prompt_id", "predictor", "fold", "seed", "key", "tokens"],
    )
    found = scores.align(rows, answers, "a")
    assert found["key"].tolist() == [0.5, 1.5, 2.5]
    assert found["fold"].tolist() == [0, 1, 0]
    with pytest.raises(InputError, match="no prediction for 1 of 3"):
        scores.align(rows[rows["prompt_id"] != "p1"], answers, "a")
    with pytest.raises(InputError, match="predictor"):
        scores.align(rows, answers, "b")
    with pytest.raises(InputError, match="two folds"):
        scores.align(rows.assign(fold=rows["seed"]), answers, "a")


@third_party
@needs_mirror
def test_castillo_has_the_ceiling_and_the_baseline_of_the_notes():
    answers = data.castillo_chat()
    fold = data.set_folds(answers)
    found = scores.ceiling(answers, fold=fold)
    assert found["ceiling"] == pytest.approx(0.796, abs=0.003)
    assert found["one_vs_one"] == pytest.approx(0.739, abs=0.003)
    target, key = scores.targets(answers, kind="sample 1"), np.empty(len(answers))
    for number in range(5):
        rows, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        predictor = baselines.tfidf_ridge([answers.prompts[row] for row in rows], target[rows])
        key[held] = predictor([answers.prompts[row] for row in held])
    assert scores.cross_validated(answers, fold, key, np.exp(key))["tau"][0] == pytest.approx(0.4854, abs=0.004)
