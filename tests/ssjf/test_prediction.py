import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from credence.bench import paths
from credence.bench.errors import InputError
from credence.ssjf.evaluate import prediction
from credence.ssjf.world.released_arrivals import FIVE_CLASSES

rng = np.random.default_rng(8)
TOKENS = rng.integers(1, 512, 400)
CALLED = np.clip(TOKENS // 110 + rng.integers(-1, 2, 400), 0, 4)


def test_a_length_equal_to_an_end_belongs_below_it():
    assert prediction.length_class([1, 42, 43, 141, 294, 295, 503, 504, 999], FIVE_CLASSES).tolist() == [
        *(0, 0, 1, 1, 2, 3, 3, 4, 4)
    ]


def test_confusion_by_hand():
    assert prediction.confusion([10, 10, 50, 600], np.array([0, 1, 1, 0]), (42, 512)).tolist() == [[1, 1], [1, 1]]


def test_scores_are_those_of_sklearn_and_scipy():
    found = prediction.scores(TOKENS, CALLED, FIVE_CLASSES)
    true = prediction.length_class(TOKENS, FIVE_CLASSES)
    assert found["accuracy"] == pytest.approx(accuracy_score(true, CALLED))
    assert found["macro_f1"] == pytest.approx(f1_score(true, CALLED, average="macro"))
    np.testing.assert_allclose(found["f1"], f1_score(true, CALLED, average=None, labels=range(5)))
    assert found["tau"] == pytest.approx(stats.kendalltau(TOKENS, CALLED).statistic)


def test_a_class_that_never_occurs_scores_zero():
    assert prediction.table_scores(np.array([[3, 0], [0, 0]]))["f1"].tolist() == [1, 0]


def test_draws_scatter_around_the_scores_as_prompts_do():
    found = prediction.scores(TOKENS, CALLED, FIVE_CLASSES)
    draws = prediction.score_draws(TOKENS, CALLED, FIVE_CLASSES, 300, np.random.default_rng(1))
    again = prediction.score_draws(TOKENS, CALLED, FIVE_CLASSES, 300, np.random.default_rng(1))
    for name in ("accuracy", "macro_f1", "tau"):
        assert draws[name].shape == (300,)
        np.testing.assert_array_equal(draws[name], again[name])
        assert draws[name].mean() == pytest.approx(found[name], abs=0.01)
    expected = np.sqrt(found["accuracy"] * (1 - found["accuracy"]) / 400)  # the binomial standard error
    assert draws["accuracy"].std() == pytest.approx(expected, rel=0.2)
    assert draws["f1"].shape == (300, 5)


def test_mean_draws():
    values = np.arange(100.0)
    draws = prediction.mean_draws(values, 500, np.random.default_rng(0))
    assert draws.mean() == pytest.approx(49.5, abs=0.6)
    assert draws.std() == pytest.approx(values.std() / 10, rel=0.15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prediction.confusion([1], np.array([0, 1]), (42, 512)), "1 lengths and 2 classes"),
        (lambda: prediction.confusion([1], np.array([2]), (42, 512)), r"2\.\.2: 0\.\.1 are allowed"),
        (lambda: prediction.length_class([1], (512,)), "at least two"),
        (lambda: prediction.length_class([1], (42, 42, 512)), "ascending"),
        (lambda: prediction.mean_draws([], 3, np.random.default_rng(0)), "no values"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.third_party
@pytest.mark.skipif(not paths.mirror(), reason="CREDENCE_MIRROR is not set")
def test_the_authors_predictions_score_as_reported():
    from credence.ssjf.data import vicuna_predictions

    frame = vicuna_predictions()
    tokens = frame.output_token_length.to_numpy()
    five = prediction.scores(tokens, frame.pred_multi_cls.to_numpy(), FIVE_CLASSES)
    assert five["accuracy"] == pytest.approx(0.601, abs=0.001)
    assert five["macro_f1"] == pytest.approx(0.510, abs=0.001)
    assert five["tau"] == pytest.approx(0.635, abs=0.001)
    np.testing.assert_allclose(five["f1"], [0.80, 0.56, 0.47, 0.59, 0.12], atol=0.005)
    two = prediction.scores(tokens, np.minimum(frame.pred_binary_cls.to_numpy(), 1), (141, 512))
    assert two["accuracy"] == pytest.approx(0.833, abs=0.001)
    assert two["tau"] == pytest.approx(0.567, abs=0.001)
    assert frame.latency_ms_multi.mean() == pytest.approx(7.89, abs=0.01)
