"""Bands around predictions: they hold what they promise, for any model, spread and limit."""

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.ssjf.evaluate import bands


def world(count, seed, slope=0.0, limit=np.inf):
    """Log-lengths around a known centre, spread growing with it, and produced lengths of an engine with a limit."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(5, 0.8, count)
    tokens = np.exp(centre + np.maximum(0.2 + slope * (centre - 3), 0.05) * rng.standard_t(5, count))
    return centre, np.minimum(np.maximum(np.rint(tokens), 1), limit)


@pytest.mark.parametrize(("slope", "limit"), [(0.0, np.inf), (0.3, np.inf), (0.1, 300.0)])
def test_nine_in_ten_new_lengths_lie_inside_whatever_the_bias_of_the_model(slope, limit):
    shares = []
    for seed in range(30):
        centre, tokens = world(300, seed, slope, limit)
        band = bands.fit_band(centre * 0.8 + 2, tokens, limit)
        new, truth = world(400, 1000 + seed, slope, limit)
        low, high = band.ends(new * 0.8 + 2)
        assert (low >= 1).all()
        assert (high <= limit).all()
        assert (low <= high).all()
        shares.append(np.mean((truth >= low) & (truth <= high)))
    # an answer at the limit lies on the end of its band: such bands cover more, never less
    assert 0.885 <= np.mean(shares) <= (0.92 if limit == np.inf else 0.97)


def test_bands_are_wider_where_lengths_spread_more():
    centre, tokens = world(2000, 0, slope=0.4)
    low, high = bands.fit_band(centre, tokens).ends(np.array([4.0, 6.0]))
    width = np.log(high / low)
    assert width[1] > 1.6 * width[0]
    new, truth = world(4000, 1, slope=0.4)
    found = bands.coverage(truth, *bands.fit_band(centre, tokens).ends(new), np.exp(new))
    assert found["covered"].between(0.84, 0.96).all()


def test_the_smallest_set_and_a_constant_prediction_still_give_a_band():
    centre, tokens = world(bands.LEAST, 0)
    for predicted in (centre, np.full(bands.LEAST, 5.0)):
        low, high = bands.fit_band(predicted, tokens).ends(predicted)
        assert np.isfinite(low).all()
        assert np.isfinite(high).all()
        assert np.mean((tokens >= low) & (tokens <= high)) >= 0.9


def test_too_few_prompts_are_refused():
    centre, tokens = world(bands.LEAST - 1, 0)
    with pytest.raises(InputError, match="39 prompts with known lengths; allowed: at least 40"):
        bands.fit_band(centre, tokens)
    with pytest.raises(InputError, match=r"level is 0\.99 with 50 prompts"):
        bands.fit_band(*world(50, 0), level=0.99)


def test_a_prompt_is_predicted_by_models_that_have_not_seen_it():
    seen = []

    def fit(rows):
        seen.append(set(rows.tolist()))
        return lambda prompts: np.full(len(prompts), float(len(seen)))

    fold = np.array([0, 1, 2, 0, 1, 2, 0])
    found = bands.cross_fit(fit, list("abcdefg"), fold)
    assert [set(np.flatnonzero(fold != number)) for number in (0, 1, 2)] == seen
    assert np.isfinite(found.predicted).all()
    assert found.predict(["new"]) == pytest.approx(3.0)


def test_coverage_counts_what_lies_inside():
    tokens = np.array([10, 20, 30, 40.0])
    found = bands.coverage(tokens, tokens * [1, 2, 1, 1], tokens * 3, tokens, groups=2)
    assert found["covered"].tolist() == [0.5, 1.0]
    assert found["predicted"].tolist() == [15, 35]
    assert (found["lo"] < found["covered"]).all()
    assert found["prompts"].tolist() == [2, 2]
