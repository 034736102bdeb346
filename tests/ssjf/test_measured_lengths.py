"""The answer lengths measured here: prompts as generated, censored exactly at the limit, families even."""

import numpy as np
import pandas as pd
import pytest

from credence.bench import catalogue
from credence.ssjf.data.prompts import generate_prompts
from credence.ssjf.engine.measure import work_order

LIMIT = 384


@pytest.fixture(scope="module")
def lengths() -> pd.DataFrame:
    return catalogue.frame("ssjf-smollm2-lengths")


def test_the_prompts_are_those_the_generator_makes(lengths):
    made = generate_prompts(1200, seed=0).set_index("prompt_id")
    columns = ["family", "phrasing", "topic", "length_hint", "prompt"]
    found = lengths.drop_duplicates("prompt_id").set_index("prompt_id")[columns]
    pd.testing.assert_frame_equal(found, made.loc[found.index, columns], check_dtype=False)


def test_only_answers_at_the_limit_are_censored(lengths):
    assert lengths["output_tokens"].between(0, LIMIT).all()
    np.testing.assert_array_equal(lengths["censored"], lengths["output_tokens"] == LIMIT)
    assert lengths["censored"].mean() < 0.4
    assert lengths["prompt_tokens"].between(20, 200).all()


def test_no_answer_before_the_last_one_is_missing(lengths):
    """Otherwise long answers, the ones under way when the measurement stopped, would be missing more often."""
    prompts = generate_prompts(1200, seed=0)["prompt_id"].to_numpy()
    order = [(prompts[row], sample) for row, sample in work_order(generate_prompts(1200, seed=0), 3, 0)]
    there = set(zip(lengths["prompt_id"], lengths["sample"], strict=True))
    assert there == set(order[: len(lengths)])


def test_families_are_even_and_differ_inside(lengths):
    first = lengths[lengths["sample"] == 0]
    shares = first["family"].value_counts()
    assert shares.max() - shares.min() <= 1
    inside = first.groupby("family")["output_tokens"].std().mean()
    between = first.groupby("family")["output_tokens"].mean().std()
    assert inside > 0.5 * between  # the family alone doesn't tell the length
