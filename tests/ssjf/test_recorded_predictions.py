"""The recorded out-of-fold predictions: whole, on the folds they claim, and one cheap one comes out again."""

import numpy as np
import pytest

from credence.bench import catalogue
from credence.ssjf.data.answers import castillo_chat, measured_answers, set_folds
from credence.ssjf.evaluate import length_runs, length_study, recorded_lengths

pytestmark = pytest.mark.skipif(
    recorded_lengths.NAME not in catalogue.names(), reason="no predictions are recorded in this checkout"
)
SETS = {"ssjf-smollm2-lengths": measured_answers, "castillo-lengths": castillo_chat}
NEEDS = {"castillo-lengths": ("castillo-lengths", "castillo-prompts")}


@pytest.fixture(scope="module")
def rows():
    return recorded_lengths.read()


@pytest.fixture(scope="module")
def sets(rows):
    """The recorded sets whose prompts are at hand."""
    assert set(rows["set"]) <= set(SETS)
    return {n: SETS[n]() for n in rows["set"].unique() if all(map(catalogue.available, NEEDS.get(n, ())))}


def test_every_predictor_has_every_prompt_in_its_fold(rows, sets):
    for name, answers in sets.items():
        fold = set_folds(answers)
        for predictor in recorded_lengths.predictors(rows, answers):
            for run in recorded_lengths.by_seed(rows, answers, predictor):
                assert np.array_equal(run["fold"], fold), (name, predictor)
                assert np.isfinite(run["key"]).all()


def test_the_judged_proxy_is_recorded_for_the_own_set(rows, sets):
    names = recorded_lengths.predictors(rows, sets["ssjf-smollm2-lengths"])
    if not any(name.startswith("proxy") for name in names):
        pytest.skip("no fold of a proxy is recorded yet")
    assert length_study.PROXY in names


def test_a_cheap_predictor_trained_again_on_a_random_fold_predicts_the_same(rows, sets):
    """Prompts, answers, folds and the recording belong together: a change of one of them shows here."""
    tried = [answers for answers in sets.values() if length_runs.PLAIN in recorded_lengths.predictors(rows, answers)]
    assert tried
    rng = np.random.default_rng()
    answers = tried[rng.integers(len(tried))]
    fold, number = set_folds(answers), rng.integers(5)
    held = np.flatnonzero(fold == number)
    model = length_runs.fit_simple(answers)(np.flatnonzero(fold != number))
    again = model([answers.prompts[row] for row in held])
    before = recorded_lengths.by_seed(rows, answers, length_runs.PLAIN)[0]["key"].to_numpy()[held]
    assert again == pytest.approx(before, abs=2e-3)


def test_the_entry_says_when_and_with_what_command():
    entry = catalogue.entry(recorded_lengths.NAME)
    assert "Recorded 20" in entry.note
    assert "proxy_folds" in entry.generator
