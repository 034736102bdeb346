"""Baselines of length prediction: each finds what it can see in made-up texts, and tunes on training prompts."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from credence.bench.errors import InputError
from credence.ssjf.baselines import features
from credence.ssjf.baselines import lengths as baselines

VERBS = {"write": 5.0, "name": 2.0, "explain": 4.0, "list": 3.0}
TOPICS = ("rivers", "bridges", "clouds", "engines", "apples", "castles")


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    verbs, topics = rng.choice(list(VERBS), 160), rng.choice(TOPICS, 160)
    prompts = [f"{verb} {topic} number {k}" for k, (verb, topic) in enumerate(zip(verbs, topics, strict=True))]
    return prompts, np.array([VERBS[verb] for verb in verbs]) + rng.normal(0, 0.2, 160)


def vectors_of(texts):
    return np.array([[text.startswith(verb) for verb in VERBS] + [len(text) % 3] for text in texts], dtype=float)


def template_of(prompts):
    return {text: text.split()[0] for text in prompts}


def fits(prompts):
    return {
        "tfidf": baselines.tfidf_ridge,
        "letters": partial(baselines.tfidf_ridge, settings=baselines.TextSettings(words=0, letters=4)),
        "lexical": partial(baselines.tfidf_ridge, settings=baselines.TextSettings(lexical=True)),
        "embedding": partial(baselines.embedding_ridge, embed=vectors_of),
        "template": partial(baselines.template_mean, template=template_of(prompts)),
    }


@pytest.mark.parametrize("name", ["tfidf", "letters", "lexical", "embedding", "template"])
def test_each_finds_what_the_verb_tells(texts, name):
    prompts, target = texts
    predictor = fits(prompts)[name](prompts[:120], target[:120])
    guess = predictor(prompts[120:])
    assert guess.shape == (40,)
    assert stats.kendalltau(guess, target[120:]).statistic > 0.6
    assert np.abs(guess - target[120:]).mean() < 0.6
    np.testing.assert_array_equal(
        predictor(prompts[120:125]), fits(prompts)[name](prompts[:120], target[:120])(prompts[120:125])
    )


def test_a_weight_of_zero_is_as_good_as_not_there(texts):
    prompts, target = texts
    weight = np.r_[np.ones(100), np.full(60, 1e-9)]
    spoilt = np.r_[target[:100], target[100:] + 50]
    for name, fit in fits(prompts).items():
        if name in ("tfidf", "letters", "lexical"):
            continue  # all texts shape the vocabulary
        guess = fit(prompts, spoilt, weight)(prompts[:20])
        assert np.abs(guess - target[:20]).max() < 2, name
    assert baselines.constant(prompts, spoilt, weight)(prompts[:1])[0] == pytest.approx(target[:100].mean(), abs=1e-4)
    assert np.abs(baselines.prompt_length(prompts, spoilt, weight)(prompts[:20])).max() < 10


@pytest.mark.parametrize("direction", [1, -1])
def test_prompt_length_is_monotone_either_way(direction):
    prompts = ["a" * k for k in range(1, 60)]
    predictor = baselines.prompt_length(prompts, direction * np.log(np.arange(1.0, 60)))
    assert (direction * np.diff(predictor(prompts)) >= 0).all()
    # beyond the training texts: as at the end
    assert predictor(["a" * 500])[0] == predictor(prompts[-1:])[0]


def test_template_mean_knows_nothing_of_another_template(texts):
    prompts, target = texts
    template = template_of(prompts) | {"sing a song": "sing"}
    predictor = baselines.template_mean(prompts, target, template=template)
    rows = [k for k, text in enumerate(prompts) if text.startswith("write")]
    assert predictor(["sing a song"])[0] == pytest.approx(target.mean())
    assert predictor([prompts[rows[0]]])[0] == pytest.approx(target[rows].mean())


def test_ridge_on_vectors_is_ridge(texts):
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(1)
    points, target, weight = rng.normal(size=(50, 80)), rng.normal(size=50), rng.uniform(0.1, 2, 50)
    others = rng.normal(size=(7, 80))
    ours = baselines._ridge_path(points, target, weight, [0.5, 20.0])(others)
    for penalty, row in zip([0.5, 20.0], ours, strict=True):
        expected = Ridge(alpha=penalty).fit(points, target, weight).predict(others)
        np.testing.assert_allclose(row, expected, rtol=1e-8, atol=1e-10)


def test_tuning_takes_the_better_features(texts):
    prompts, target = texts
    good = baselines.TextSettings(words=1)
    predictor = baselines.tfidf_tuned(prompts, target, candidates=(good,), penalties=(1.0, 1e5))
    assert predictor.settings.words == 1
    assert predictor.settings.penalty in (1.0, 1e5)
    blind = baselines.TextSettings(words=1, least=100)  # sees "number" alone, which is in every text
    assert baselines.tfidf_tuned(prompts, target, candidates=(blind, good), penalties=(1.0,)).settings == good


def test_groups_stay_together_in_inner_folds():
    group = np.repeat(["a", "b", "c", "d", "e"], 7)
    fold = baselines.inner_folds(35, group)
    assert all(len(set(fold[group == name])) == 1 for name in "abcde")
    assert set(fold) == {0, 1, 2}
    np.testing.assert_array_equal(fold, baselines.inner_folds(35, group))
    assert np.bincount(baselines.inner_folds(300)).tolist() == [100, 100, 100]
    with pytest.raises(InputError, match=r"1 group\(s\)"):
        baselines.inner_folds(3, ["a", "a", "a"])


def test_stacking_gives_the_useful_member_the_weight(texts):
    prompts, target = texts
    noise = dict(zip(prompts, np.random.default_rng(2).normal(size=len(prompts)), strict=True))

    def useless(training, target, weight=None):
        return lambda asked: np.array([noise[text] for text in asked])

    members = {"tfidf": baselines.tfidf_ridge, "useless": useless}
    predictor = baselines.stacked(prompts[:120], target[:120], members=members)
    assert predictor.shares["tfidf"] > 0.7
    assert 0 <= predictor.shares["useless"] < 0.15
    guess = predictor(prompts[120:])
    assert stats.kendalltau(guess, target[120:]).statistic > 0.6
    with pytest.raises(InputError, match="no members"):
        baselines.stacked(prompts, target, members={})


def test_lookup_knows_its_texts_only():
    embed = baselines.lookup(["a", "b"], np.array([[1.0], [2.0]]))
    np.testing.assert_array_equal(embed(["b", "a", "b"]), [[2], [1], [2]])
    with pytest.raises(InputError, match="no vector for 'c'"):
        embed(["a", "c"])


def test_texts_without_a_word_are_refused():
    with pytest.raises(InputError, match="3 prompts to learn terms from"):
        baselines.tfidf_ridge(["?", "!", "a"], np.arange(3.0))


def test_targets_must_fit_the_prompts():
    with pytest.raises(InputError, match="2 prompts"):
        baselines.tfidf_ridge(["a", "b"], np.array([1.0]))
    with pytest.raises(InputError, match="finite"):
        baselines.tfidf_ridge(["a", "b"], np.array([1.0, np.nan]))


def feature(text, name):
    return features.lexical_features([text])[0, features.NAMES.index(name)]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Write three short paragraphs on tea.", "log paragraphs asked for", np.log(4)),
        ("Write a 500-word essay", "log words asked for", np.log(501)),
        ("What happened in 2019?", "log largest number", 0.0),
        ("What happened in 1066?", "ends as a question", 1),
        ("Rewrite this.\nInput: it is so", "has text below the request", 1),
        ("Rewrite this.", "has text below the request", 0),
        ("Name a river", "opens with name", 1),
        ("Tell me its name", "opens with name", 0),
        ("Tell me its name", "has name", 1),
        ("x = {1}", "looks like code", 1),
    ],
)
def test_lexical_features(text, name, value):
    assert feature(text, name) == pytest.approx(value)


def test_lexical_features_of_any_text_are_finite():
    odd = ["", "   ", "\n\n", "¿?", "9" * 5000, "word " * 3000, "ünïcödé 漢字"]
    table = features.lexical_features(odd)
    assert table.shape == (len(odd), len(features.NAMES))
    assert np.isfinite(table).all()
    assert features.lexical_features([]).shape == (0, len(features.NAMES))
