"""Baselines against loops written out."""

import importlib

import numpy as np
import pytest

from bayesperf.made_up_world import EVENTS, counts, pmu
from credence.bayesperf.baselines import counterminer, hold, interpolate, plain_kalman, trapezoid
from credence.bayesperf.baselines.counterminer import TUNED, CleaningSettings, gumbel_quantile, without_outliers
from credence.bayesperf.data.observations import Observations
from credence.bayesperf.schedule import linux_round_robin, repeat
from credence.bench.errors import InputError


def observed(slices=40, counters=2):
    truth = counts(slices)
    on = repeat(linux_round_robin(EVENTS, pmu(counters)), slices)
    mean = np.where(on, truth, np.nan)
    return truth, Observations(EVENTS, mean, mean * 0, 4, mean * 0)


def ends(column, t):
    """The nearest measured slices up to t and from t on; at a rim, the one there is, twice."""
    seen = np.flatnonzero(~np.isnan(column))
    before, after = seen[seen <= t], seen[seen >= t]
    left = before[-1] if before.size else after[0]
    right = after[0] if after.size else left
    return left, right


def test_gaps_are_bridged_as_written_out():
    _, found = observed()
    held, linear, (area, spread) = hold(found), interpolate(found), trapezoid(found)
    for t, row in enumerate(found.mean):
        for e, value in enumerate(row):
            column = found.mean[:, e]
            left, right = ends(column, t)
            share = (t - left) / (right - left) if right > left else 0
            assert held[t, e] == column[left]
            assert linear[t, e] == pytest.approx(column[left] + share * (column[right] - column[left]))
            if np.isnan(value):
                assert area[t, e] == pytest.approx((column[left] + column[right]) / 2)
                seen = column[: right + 1]
                seen = seen[~np.isnan(seen)]
                assert spread[t, e] == pytest.approx(seen.std(ddof=1) if seen.size > 1 else 0)
            else:
                assert area[t, e] == value
                assert spread[t, e] == 0
    # the areas of a gap agree, whatever its shape
    gap = slice(4, 7)
    column = next(e for e in range(1, 7) if found.on[3, e] and found.on[6, e])
    assert area[4:6, column].sum() == pytest.approx(linear[4:6, column].sum()), gap


def test_an_event_that_is_never_measured_is_zero():
    truth = counts(10)
    mean = truth.copy()
    mean[:, 3] = np.nan
    found = Observations(EVENTS, mean, mean * 0, 4, mean * 0)
    estimates = [hold(found), interpolate(found), trapezoid(found)[0], plain_kalman(found)[0]]
    estimates += [counterminer(found), counterminer(found, TUNED)]
    for estimate in estimates:
        assert np.all(estimate[:, 3] == 0)
        np.testing.assert_allclose(np.delete(estimate, 3, 1), np.delete(truth, 3, 1), rtol=0.35)


def test_outliers_are_cut_by_a_gumbel_law():
    rng = np.random.default_rng(0)
    values = rng.gumbel(100, 10, 20000)
    assert np.mean(values > gumbel_quantile(values, 0.99)) == pytest.approx(0.01, abs=0.003)
    column = np.append(rng.gumbel(100, 10, 50), [5000.0, np.nan])
    cleaned = without_outliers(column[:, None], 0.99)[:, 0]
    assert cleaned[50] == np.median(column[:51])
    assert np.isnan(cleaned[51])
    np.testing.assert_array_equal(without_outliers(column[:, None], 1.0)[:, 0], column)


@pytest.mark.parametrize("settings", [CleaningSettings(quantile=1, neighbours=3), CleaningSettings(1, 3, 2.0)])
def test_gaps_are_filled_by_neighbours(settings):
    _, found = observed()
    filled = counterminer(found, settings)
    np.testing.assert_allclose(filled[found.on], found.mean[found.on])
    # the same by hand for one cell
    seen = ~np.isnan(found.mean)
    centre, spread = np.nanmean(found.mean, axis=0), np.nanstd(found.mean, axis=0)
    scaled, time = (found.mean - centre) / spread, np.linspace(0, 1, 40)
    e = 4
    t = int(np.flatnonzero(~seen[:, e])[10])
    others = np.flatnonzero(seen[:, e])
    if np.isinf(settings.time_weight):
        order = np.argsort(np.abs(others - t), kind="stable")
        far = np.sort(np.abs(others - t))
        near = others[order[:3]]
        # ties at the third neighbour may fall either way
        options = [found.mean[others[np.abs(others - t) <= far[2]], e]]
        assert options[0].min() <= filled[t, e] <= options[0].max()
        assert abs(filled[t, e] - found.mean[near, e].mean()) <= np.ptp(options[0])
        return
    distances = []
    for other in others:
        both = seen[t] & seen[other]
        parts = np.append((scaled[t] - scaled[other])[both] ** 2, (2 * (time[t] - time[other])) ** 2)
        distances.append(np.sqrt(parts.sum() * 8 / parts.size))
    near = others[np.argsort(distances)[:3]]
    assert filled[t, e] == pytest.approx(found.mean[near, e].mean())


def test_plain_kalman_is_the_joint_gaussian_with_the_best_variances(monkeypatch):
    ratios = np.logspace(-3, 6, 19)
    # the function has its module's name: only import_module finds the module
    monkeypatch.setattr(importlib.import_module("credence.bayesperf.baselines.plain_kalman"), "RATIOS", ratios)
    rng = np.random.default_rng(5)
    level = 500 + np.cumsum(rng.standard_normal(60) * 10)
    seen = np.arange(0, 60, 3)
    mean = np.full((60, 1), np.nan)
    mean[seen, 0] = level[seen] + rng.standard_normal(seen.size) * 25
    found = Observations(("A",), mean, mean * 0, 4, mean * 0)
    estimate, sd = plain_kalman(found)

    def likelihood(q, r):
        """Log likelihood with a flat start, from the differences of measured counts."""
        steps = np.diff(mean[seen, 0])
        cover = np.diag(3 * q + 2 * r * np.ones(steps.size))
        cover -= r * (np.eye(steps.size, k=1) + np.eye(steps.size, k=-1))
        return -0.5 * (np.linalg.slogdet(cover)[1] + steps @ np.linalg.solve(cover, steps))

    grid = [(likelihood(r * ratio, r), r * ratio, r) for ratio in ratios for r in np.logspace(0, 4, 101)]
    _, q, r = max(grid)
    time = np.arange(60)
    joint = 1e8 + q * np.minimum(time[:, None], time)
    cover = joint[np.ix_(seen, seen)] + r * np.eye(seen.size)
    gain = np.linalg.solve(cover, joint[seen]).T
    np.testing.assert_allclose(estimate[:, 0], 500 + gain @ (mean[seen, 0] - 500), rtol=2e-3)
    np.testing.assert_allclose(sd[:, 0], np.sqrt(np.diag(joint - gain @ joint[seen])), rtol=0.1)
    # in the middle of a gap the estimate is less sure than where the event was measured
    assert sd[31, 0] > sd[30, 0]


def test_plain_kalman_holds_what_was_seen_once():
    mean = np.full((5, 2), np.nan)
    mean[2, 0], mean[:, 1] = 7.0, 3.0
    estimate, sd = plain_kalman(Observations(("A", "B"), mean, mean * 0, 4, mean * 0))
    np.testing.assert_array_equal(estimate, np.tile([7.0, 3.0], (5, 1)))
    assert np.all(sd == 0)


def test_bad_settings_are_named():
    _, found = observed(10)
    with pytest.raises(InputError, match="quantile"):
        counterminer(found, CleaningSettings(quantile=0))
    with pytest.raises(InputError, match="neighbours"):
        counterminer(found, CleaningSettings(neighbours=0))
