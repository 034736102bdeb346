"""Prompts with answer lengths: what each source says, what a user's file may hold, and which rows stay together."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credence.bench import catalogue
from credence.bench.errors import InputError
from credence.ssjf import data
from credence.ssjf.data import answers

third_party = pytest.mark.third_party
needs_mirror = pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set")

NAMES = st.lists(st.text("abcd", min_size=1, max_size=4), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def measured():
    return data.measured_answers()


def check_shapes(found):
    count = len(found)
    assert len(set(found.prompt_id)) == count == len(found.group) == len(found.prompts)
    assert found.lengths.shape == found.censored.shape == (count, found.lengths.shape[1])
    assert found.lengths.dtype == np.float64
    assert not found.censored[np.isnan(found.lengths)].any()
    assert all(isinstance(text, str) and text.strip() for text in found.prompts)


def test_measured_answers_are_the_rows_of_the_file(measured):
    check_shapes(measured)
    frame = catalogue.frame("ssjf-smollm2-lengths")
    assert np.isfinite(measured.lengths).sum() == len(frame)
    assert np.isfinite(measured.lengths[:, 0]).all()
    position = {name: row for row, name in enumerate(measured.prompt_id)}
    for line in frame.sample(50, random_state=0).itertuples():
        row = position[line.prompt_id]
        assert measured.lengths[row, line.sample] == line.output_tokens
        assert measured.censored[row, line.sample] == line.censored
        assert (measured.prompts[row], measured.group[row]) == (line.prompt, line.family)
    assert (measured.kind, measured.limit, measured.unit) == ("measured", 384, "tokens")


def test_a_missing_sample_is_nan_and_not_censored():
    rows = [("a-1", "a", 0, 5, False), ("a-1", "a", 1, 9, True), ("b-1", "b", 0, 7, False)]
    frame = pd.DataFrame(rows, columns=["prompt_id", "family", "sample", "output_tokens", "censored"])
    found = answers._measured(frame.assign(prompt="text"))
    np.testing.assert_array_equal(found.lengths, [[5, 9], [7, np.nan]])
    np.testing.assert_array_equal(found.censored, [[False, True], [False, False]])
    assert found.limit == 9


def test_take_keeps_rows_together(measured):
    rows = [5, 3, 700]
    part = measured.take(rows)
    check_shapes(part)
    assert list(part.prompt_id) == [measured.prompt_id[row] for row in rows]
    assert part.prompts == [measured.prompts[row] for row in rows]
    np.testing.assert_array_equal(part.lengths, measured.lengths[rows])
    mask = measured.group == "recipe" if "recipe" in measured.group else measured.group == measured.group[0]
    assert len(measured.take(mask)) == mask.sum()


def write(path, *records):
    path.write_text("\n".join(text if isinstance(text, str) else json.dumps(text) for text in records))
    return path


def test_a_users_prompts(tmp_path):
    path = write(
        tmp_path / "mine.jsonl",
        {"id": "x", "prompt": "Why?\u2028Because", "output_tokens": 12},
        "",
        {"id": 7, "prompt": "HOW  so?", "output_tokens": None, "note": "ignored"},
        {"id": "y", "prompt": "how so?", "output_tokens": 3.0},
    )
    found = data.read_prompts(path)
    check_shapes(found)
    assert list(found.prompt_id) == ["x", "7", "y"]
    np.testing.assert_array_equal(found.lengths, [[12], [np.nan], [3]])
    assert list(found.group) == ["x", "7", "7"]  # the same text but for case and spaces


def test_a_separator_that_json_need_not_escape_ends_no_line(tmp_path):
    path = write(tmp_path / "mine.jsonl", '{"id": 1, "prompt": "one\u2028two"}')
    assert data.read_prompts(path).prompts == ["one\u2028two"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: not JSON"),
        ('["a"]', "line 2: .*is no object"),
        ('{"prompt": "a"}', "line 2: 'id' is missing"),
        ('{"id": 2}', "line 2: 'prompt' is missing"),
        ('{"id": true, "prompt": "a"}', "line 2: id is True"),
        ('{"id": 2, "prompt": " "}', "line 2: prompt is ' '"),
        ('{"id": 2, "prompt": "\\ud800"}', "line 2: .*surrogate"),
        ('{"id": 2, "prompt": "a", "output_tokens": 0}', "output_tokens is 0; allowed: an integer from 1"),
        ('{"id": 2, "prompt": "a", "output_tokens": 1.5}', "output_tokens is 1.5"),
        ('{"id": 2, "prompt": "a", "output_tokens": "9"}', "output_tokens is '9'"),
        ('{"id": 2, "prompt": "a", "output_tokens": NaN}', "output_tokens is nan"),
        ('{"id": 2, "prompt": "a", "output_tokens": 1e400}', "output_tokens is inf"),
        ('{"id": 1, "prompt": "a"}', "line 2: id '1' is that of line 1"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, words):
    path = write(tmp_path / "mine.jsonl", {"id": 1, "prompt": "first"}, line)
    with pytest.raises(InputError, match=words):
        data.read_prompts(path)


def test_a_file_that_is_not_there_or_empty(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        data.read_prompts(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="no prompts"):
        data.read_prompts(write(tmp_path / "empty.jsonl", ""))


@given(NAMES, st.integers(2, 6), st.integers(0, 3), st.randoms())
def test_folds_follow_names_alone(names, count, seed, random):
    found = dict(zip(names, data.folds(names, count, seed), strict=True))
    assert set(found.values()) <= set(range(count))
    shuffled = random.sample(names, len(names))[: max(1, len(names) // 2)]
    for name, fold in zip(shuffled, data.folds(shuffled, count, seed), strict=True):
        assert fold == found[name]


@given(NAMES, st.integers(2, 6), st.integers(0, 3), st.randoms())
def test_folds_dealt_evenly(names, count, seed, random):
    if len(set(names)) < count:
        with pytest.raises(InputError, match="groups cannot fill"):
            data.folds(names, count, seed, evenly=True)
        return
    found = dict(zip(names, data.folds(names, count, seed, evenly=True), strict=True))
    sizes = np.bincount(list(found.values()), minlength=count)
    assert sizes.max() - sizes.min() <= 1
    shuffled = random.sample(names, len(names))
    again = dict(zip(shuffled, data.folds(shuffled, count, seed, evenly=True), strict=True))
    assert again == found


def test_folds_are_the_same_in_every_process_and_change_with_the_seed():
    # written down: `hash()` of a text would change with every interpreter
    assert data.folds(["a", "b", "c", "d", "a"]).tolist() == [3, 1, 2, 3, 3]
    many = [f"prompt {k}" for k in range(5000)]
    first, second = data.folds(many, seed=0), data.folds(many, seed=1)
    assert abs((first == second).mean() - 0.2) < 0.03
    assert np.bincount(first).min() > 900
    with pytest.raises(InputError, match="folds is 1"):
        data.folds(many, 1)


def test_no_family_is_torn_apart(measured):
    fold = data.set_folds(measured)
    assert pd.Series(fold).groupby(measured.group).nunique().max() == 1
    families = pd.Series(fold).groupby(measured.group).first().value_counts()
    assert families.max() - families.min() <= 1


@third_party
@needs_mirror
def test_castillo_chat_prompts_with_their_texts():
    mixtral = data.castillo_chat()
    check_shapes(mixtral)
    assert mixtral.lengths.shape == (2600, 10)
    assert mixtral.censored.any(axis=1).sum() == 1
    other = data.castillo_chat("meta-llama--Llama-3.1-8B-Instruct")
    fold = dict(zip(mixtral.prompt_id, data.set_folds(mixtral), strict=True))
    shared = [(name, value) for name, value in zip(other.prompt_id, data.set_folds(other), strict=True) if name in fold]
    assert len(shared) > 1100
    assert all(fold[name] == value for name, value in shared)
    models, lengths = data.castillo_all_models(mixtral.prompt_id)
    assert models == data.castillo_models()
    np.testing.assert_array_equal(lengths[:, models.index(data.CASTILLO_MODEL)], mixtral.lengths)
    row = {name: k for k, name in enumerate(mixtral.prompt_id)}[shared[0][0]]
    place = list(other.prompt_id).index(shared[0][0])
    np.testing.assert_array_equal(lengths[row, models.index("meta-llama--Llama-3.1-8B-Instruct")], other.lengths[place])
    with pytest.raises(InputError, match="CASTILLO model"):
        data.castillo_chat("gpt-4")


@third_party
@needs_mirror
def test_halueval_counts_words_and_marks():
    found = data.halueval()
    check_shapes(found)
    assert found.lengths.shape == (4507, 1)
    frame = catalogue.frame("halueval-general")
    words = frame["response"].str.split().str.len()
    assert (found.lengths[:, 0] >= 0.9 * words).all()
    assert found.unit != "tokens"
