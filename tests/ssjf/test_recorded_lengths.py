"""Recorded and live out-of-fold predictions: gathered whole, scored on the same prompts, banded, served, shifted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from credence.bench.errors import InputError
from credence.ssjf.data import PromptSet
from credence.ssjf.evaluate import length_runs, length_shift, length_worth, lengths, recorded_lengths

WORDS = {"list": 5.2, "name": 1.5, "poem": 6.0, "when": 4.0}


def made_up(count=300, seed=0, name="made-up", limit=None, samples=3, shift=0.0):
    rng = np.random.default_rng(seed)
    first = rng.choice(list(WORDS), count)
    mean = np.array([WORDS[word] for word in first]) + shift * (first == "when")
    tokens = np.rint(np.exp(mean[:, None] + 0.4 * rng.standard_normal((count, samples)))) + 1
    cut = tokens >= (limit or np.inf)
    ids = np.array([f"p{k:04d}" for k in range(count)], dtype=object)
    group = np.array([f"g{k % 20}" for k in range(count)], dtype=object)
    prompts = [f"{word} things about {'x' * rng.integers(1, 30)}" for word in first]
    return PromptSet(name, name, "measured", ids, prompts, np.minimum(tokens, limit or np.inf), cut, group, limit)


def noisy(answers, noise, seed=0, folds=5):
    rng = np.random.default_rng([7, seed])
    key = np.log(answers.lengths[:, 0]) + noise * rng.standard_normal(len(answers))
    fold = np.arange(len(answers)) % folds
    return length_runs.frame(fold, key, answers)


def rows_of(answers, predictor, run, seed=0):
    columns = {"set": answers.name, "predictor": predictor, "seed": seed}
    return run.reset_index().assign(**columns)[list(recorded_lengths.COLUMNS)]


def test_files_are_gathered_written_and_read_back(tmp_path):
    answers = made_up()
    parts = {"b": rows_of(answers, "two", noisy(answers, 0.5)), "a": rows_of(answers, "one", noisy(answers, 0.2), 1)}
    found = tmp_path / "found"
    found.mkdir()
    for name, part in parts.items():
        part.assign(more="not kept").to_parquet(found / f"{name}.parquet")
    rows = recorded_lengths.gather(found)
    assert list(rows) == list(recorded_lengths.COLUMNS)
    recorded_lengths.write(rows, tmp_path / "out" / "recorded.parquet")
    again = pd.read_parquet(tmp_path / "out" / "recorded.parquet")
    assert len(again) == 600
    assert set(again) == set(recorded_lengths.MEANINGS)
    assert recorded_lengths.predictors(again, answers) == ["one", "two"]
    (run,) = recorded_lengths.by_seed(again, answers, "two")
    assert run["key"].to_numpy() == pytest.approx(noisy(answers, 0.5)["key"].to_numpy(), rel=1e-6)
    recorded_lengths.write(recorded_lengths.gather(found), tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "out" / "recorded.parquet").read_bytes()


def test_what_cannot_be_recorded_is_refused(tmp_path):
    answers = made_up(40)
    with pytest.raises(InputError, match="no parquet files"):
        recorded_lengths.gather(tmp_path)
    part = rows_of(answers, "one", noisy(answers, 0.2))
    part.drop(columns="fold").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: no column fold"):
        recorded_lengths.gather(tmp_path)
    part.assign(key=np.nan).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a key is not finite"):
        recorded_lengths.gather(tmp_path)
    for name in "ab":
        part.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(InputError, match="40 predictions are there twice"):
        recorded_lengths.gather(tmp_path)
    with pytest.raises(InputError, match="predictor"):
        recorded_lengths.by_seed(part, answers, "three")


def test_seeds_are_scored_apart_and_share_their_draws():
    answers = made_up()
    runs = [noisy(answers, 0.8, seed) for seed in (0, 1)]
    frame, draws = recorded_lengths.score(answers, {"both": runs, "first": runs[:1], "second": runs[1:]}, draws=50)
    row = frame.set_index("predictor")
    assert row.loc["both", "tau"] == pytest.approx((row.loc["first", "tau"] + row.loc["second", "tau"]) / 2)
    assert draws["both"]["tau"] == pytest.approx((draws["first"]["tau"] + draws["second"]["tau"]) / 2)
    assert row.loc["both", "seeds"] == 2
    by_hand = [
        stats.kendalltau(part["key"], answers.lengths[part.index.str[1:].astype(int), 0]).statistic
        for _, part in runs[0].groupby("fold")
    ]
    assert row.loc["first", "tau"] == pytest.approx(np.mean(by_hand))
    assert (frame["tau_lo"] < frame["tau"]).all()
    assert (frame["tau"] < frame["tau_hi"]).all()


def test_the_ceiling_is_of_prompts_with_other_answers_only():
    answers = made_up()
    answers.lengths[10:, 1:] = np.nan
    part, run = recorded_lengths.ceiling_set(answers, np.arange(300) % 5)
    assert len(part) == len(run) == 10
    assert run["key"].to_numpy() == pytest.approx(answers.lengths[:10, 1:].mean(axis=1))
    assert run["fold"].tolist() == [0, 1, 2, 3, 4] * 2


def test_the_familys_share_agrees_with_the_template_check():
    answers = made_up()
    found = recorded_lengths.family_share_draws(answers, draws=200)
    # families here know nothing of the first word
    assert found.mean() == pytest.approx(lengths.template_check(answers)["share"], abs=0.06)
    assert found.mean() < 0.4
    knows = PromptSet(*[*vars(answers).values()][:7], np.array([p.split()[0] for p in answers.prompts]), None)
    assert recorded_lengths.family_share_draws(knows, draws=50).mean() > 0.8


def test_two_sides_of_the_median():
    answers = made_up()
    assert recorded_lengths.binary_draws(answers, [noisy(answers, 0.0)], draws=20) == pytest.approx(1.0)
    assert recorded_lengths.binary_draws(answers, [noisy(answers, 50.0)], draws=20).mean() == pytest.approx(
        0.5, abs=0.1
    )


def test_live_baselines_are_out_of_fold_and_learn_the_words(monkeypatch):
    monkeypatch.setattr(recorded_lengths, "prompt_tokens", lambda answers: np.array([len(p) for p in answers.prompts]))
    answers = made_up()
    fold = np.arange(300) % 5
    found = length_runs.out_of_fold(answers, fold)
    frame, _ = recorded_lengths.score(answers, {name: [run] for name, run in found.items()}, draws=20)
    tau = frame.set_index("predictor")["tau"]
    assert tau[length_runs.PLAIN] > 0.6
    assert abs(tau[length_runs.PROMPT_LENGTH]) < 0.15
    # an answer must not change the prediction of its own prompt
    other = made_up()
    other.lengths[fold == 2] *= 50
    again = length_runs.out_of_fold(other, fold)[length_runs.PLAIN]
    same = found[length_runs.PLAIN]["key"].to_numpy()[fold == 2]
    assert again["key"].to_numpy()[fold == 2] == pytest.approx(same)


def test_bands_are_calibrated_on_other_folds_and_end_at_the_limit():
    answers = made_up(1000, limit=300)
    found = length_runs.banded(answers, noisy(answers, 0.5))
    inside = (found["tokens"] >= found["lo90"]) & (found["tokens"] <= found["hi90"])
    assert 0.88 <= inside.mean() <= 0.97
    assert found["hi90"].max() <= 300
    assert found["censored"].any()


def test_keys_of_folds_are_served_by_rank():
    run = pd.DataFrame({"fold": [0, 0, 0, 1, 1, 1], "key": [1.0, 2, 3, 900, 700, 800]})
    assert length_worth.fold_ranks(run).tolist() == pytest.approx([1 / 3, 2 / 3, 1, 1, 1 / 3, 2 / 3])


def test_real_predictions_are_served_on_the_sets_own_lengths(monkeypatch):
    answers = made_up()
    monkeypatch.setattr(length_worth, "prompt_tokens", lambda answers: np.full(len(answers), 30))
    predictions = {"good": noisy(answers, 0.1), "bad": noisy(answers, 30.0)}
    size = {"count": 600, "draws": 3}
    curve, served, marks = length_worth.serve(answers, predictions, {"good": 0.9, "bad": 0.0}, {"good": 0.01}, **size)
    row = marks.set_index("predictor")
    assert row.loc["oracle", "share_of_oracle"] == pytest.approx(1.0, abs=0.03)
    assert row.loc["good", "cut"] > 3 * abs(row.loc["bad", "cut"])
    assert row.loc["good", "latency_s"] == 0.01
    assert len(served) == 9
    assert set(curve["draw"]) == {0, 1, 2}


def test_shift_keeps_a_prompt_out_for_every_model():
    sets = {"one": made_up(seed=0), "two": made_up(seed=0, shift=-3.5)}
    found = length_shift.shift_matrix(sets, numbers=(0, 1)).set_index(["train", "serve"])["tau"]
    assert found["one", "one"] > found["two", "one"]
    assert found["two", "two"] > found["one", "two"]
    seen = []

    def fit(answers):
        def fitted(rows):
            seen.append(set(answers.prompt_id[rows]))
            return lambda prompts: np.arange(len(prompts))

        return fitted

    length_shift.shift_matrix(sets, fit, fold_of=lambda answers: np.arange(300) % 5, numbers=(3,))
    held = {f"p{k:04d}" for k in range(3, 300, 5)}
    assert all(not held & part for part in seen)
    assert len(seen) == 2
