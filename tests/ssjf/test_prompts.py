"""The project's own prompts: enough, distinct, repeatable, varied within a family, with and without a length hint."""

import re

import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.ssjf.data import prompts


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return prompts.generate_prompts(1200, seed=0)


def test_at_least_forty_families_take_equal_parts(frame):
    shares = frame["family"].value_counts()
    assert len(shares) >= 40
    assert shares.max() - shares.min() <= 1
    assert frame["topic"].nunique() >= 10
    assert len(frame) == 1200


def test_prompts_are_distinct_and_have_no_open_slots(frame):
    assert frame["prompt"].str.lower().is_unique
    assert frame["prompt_id"].is_unique
    assert not frame["prompt"].str.contains(r"\{[a-z_]+\}|\[[^\]\n]*\|").any()
    assert not frame["prompt"].str.split("\n").str[0].str.contains("  ").any()
    assert (frame["topic"] != "").all()


def test_at_least_thirty_percent_have_no_length_hint_and_enough_have_one(frame):
    share = frame["length_hint"].mean()
    assert 0.2 < share <= 0.7
    # the flag against a small list of words of its own
    plain = re.compile(r"\b(in one sentence|in detail|short|only)\b", re.IGNORECASE)
    first_lines = frame["prompt"].str.split("\n").str[0]
    assert frame.loc[first_lines.map(lambda text: bool(plain.search(text))), "length_hint"].mean() > 0.9


def test_most_families_mix_prompts_with_and_without_a_hint(frame):
    mixed = frame.groupby("family")["length_hint"].nunique()
    assert (mixed == 2).mean() > 0.6


def test_the_phrasing_is_the_one_the_text_was_made_from(frame):
    rows = frame[frame["family"] == "code_explain"]
    assert rows["phrasing"].nunique() == 5
    assert (
        rows.loc[rows["phrasing"] == 0, "prompt"].str.split("\n").str[0].str.endswith("What does this code do?").all()
    )


def test_every_family_has_phrasings_of_different_scope():
    for family in prompts.read_templates()["family"]:
        assert len(family["phrasings"]) >= 4, family["name"]


def test_the_same_seed_gives_the_same_prompts_and_another_seed_others(frame):
    pd.testing.assert_frame_equal(prompts.generate_prompts(1200, seed=0), frame)
    other = prompts.generate_prompts(1200, seed=1)
    assert other["prompt"].isin(frame["prompt"]).mean() < 0.6


def test_a_smaller_set_is_part_of_a_larger_one(frame):
    small = prompts.generate_prompts(110, seed=0)
    pd.testing.assert_frame_equal(
        frame[frame["prompt_id"].isin(small["prompt_id"])].reset_index(drop=True), small, check_dtype=False
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Explain gravity in one sentence.", True),
        ("Give me three facts about tea.", True),
        ("Write a short story about a fox.", True),
        ("Compare the two in detail.", True),
        ("Yes or no: the sun is a star.", True),
        ("How long does it take to make hummus?", False),
        ("What is gravity?", False),
        ("Complete the sentence: It was late", False),
        ("Write a poem about tea.", False),
    ],
)
def test_what_counts_as_a_length_hint(text, hint):
    assert prompts.has_length_hint(text) == hint


def test_a_wish_for_a_short_or_a_long_answer_is_a_hint_and_goes_against_the_familys_habit(frame):
    templates = prompts.read_templates()
    sides = {family["name"]: family.get("asked", "") for family in templates["family"]}
    found = {"short": 0, "long": 0}
    for side, wishes in templates["scopes"].items():
        asked = frame[frame["prompt"].map(lambda text, w=tuple(wishes): text.endswith(w) or text.startswith(w))]
        assert asked["length_hint"].all()
        assert set(asked["family"].map(sides)) <= {side, ""}
        found[side] = len(asked)
    assert min(found.values()) > 100
    assert 0.3 < (~frame["length_hint"]).mean() < 0.4  # the rest has no hint of any kind


def test_quoted_texts_give_no_hint(frame):
    rows = frame[frame["prompt"].str.startswith("What is the main point of this text?")]
    quoted = frame[frame["prompt"].str.startswith("Turn this into notes")]
    wishes = tuple(wish for side in prompts.read_templates()["scopes"].values() for wish in side)
    quoted = quoted[~quoted["prompt"].str.endswith(wishes)]
    assert len(quoted) > 0
    assert not quoted["length_hint"].any()  # though every passage has a number word or a "short" somewhere
    assert rows["length_hint"].all()


@pytest.mark.parametrize("count", [0, -1, 2.5, True])
def test_a_count_that_makes_no_sense_is_refused(count):
    with pytest.raises(InputError, match="count of prompts"):
        prompts.generate_prompts(count)


def test_a_family_that_runs_dry_says_so():
    with pytest.raises(InputError, match="has only"):
        prompts.generate_prompts(60_000)
