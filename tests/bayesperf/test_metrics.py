"""Metrics against definitions written out."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from credence.bayesperf.evaluate import metrics
from credence.bench.errors import InputError


def test_wape_is_absolute_error_over_total():
    truth = np.array([[10.0, 0.0], [30.0, 0.0]])
    estimate = np.array([[12.0, 1.0], [24.0, 0.0]])
    found = metrics.wape(estimate, truth)
    assert found[0] == pytest.approx(8 / 40)
    assert np.isnan(found[1])
    with pytest.raises(InputError, match="not finite"):
        metrics.wape(estimate * np.nan, truth)
    with pytest.raises(InputError, match="shape"):
        metrics.wape(estimate[:1], truth)


def every_path(rows, columns):
    """All monotone alignments of two short series, as lists of pairs."""
    if rows == columns == 1:
        yield [(0, 0)]
        return
    for down, right in ((1, 0), (0, 1), (1, 1)):
        if rows - down >= 1 and columns - right >= 1:
            for path in every_path(rows - down, columns - right):
                yield [*path, (rows - 1, columns - 1)]


@pytest.mark.parametrize("window", [None, 1, 2])
def test_dtw_is_the_cheapest_of_all_alignments(window):
    rng = np.random.default_rng(4)
    for rows, columns in ((4, 4), (5, 4), (1, 1), (3, 4)):
        first, second = rng.random(rows), rng.random(columns)
        best = min(
            sum(abs(first[i] - second[j]) for i, j in path)
            for path in every_path(rows, columns)
            if window is None or all(abs(i - j) <= window for i, j in path)
        )
        assert metrics.dtw_distance(first, second, window) == pytest.approx(best)


def test_dtw_forgives_lag_and_is_never_above_wape():
    rng = np.random.default_rng(0)
    truth = rng.random((60, 3)) * 100
    late = np.vstack([truth[:1], truth[:-1]])
    found, plain = metrics.dtw_error(late, truth), metrics.wape(late, truth)
    assert np.all(found < 0.2 * plain)
    other = rng.random((60, 3)) * 100
    assert np.all(metrics.dtw_error(other, truth) <= metrics.wape(other, truth) + 1e-12)
    assert np.isnan(metrics.dtw_error(other, truth * [1, 1, 0])[2])
    with pytest.raises(InputError, match="window"):
        metrics.dtw_distance(np.arange(9.0), np.arange(3.0), 2)


def test_error_of_the_paper_compares_with_a_second_polled_run():
    polled = np.array([[1.0], [5.0], [2.0]])
    again, estimate = polled + np.array([[0.0], [1.0], [0.0]]), polled + np.array([[0.0], [3.0], [0.0]])
    assert metrics.dtw_error_of_paper(estimate, polled, again)[0] == pytest.approx(2.0)
    assert metrics.dtw_error_of_paper(again, polled, again)[0] == 0
    assert np.isnan(metrics.dtw_error_of_paper(estimate, polled, polled)[0])


@pytest.mark.parametrize(("mean", "sd", "truth"), [(0.0, 1.0, 0.3), (5.0, 2.0, -1.0), (3.0, 0.0, 2.5)])
def test_crps_is_the_integral_of_the_squared_difference(mean, sd, truth):
    def gap(x):
        return (float(stats.norm(mean, sd).cdf(x) if sd else x >= mean) - (x >= truth)) ** 2

    span = 12 * (sd or 1) + abs(truth - mean)
    whole = integrate.quad(gap, mean - span, mean + span, points=sorted({mean, truth}), limit=200)[0]
    arrays = [np.array([[value]]) for value in (mean, sd, truth)]
    assert metrics.crps(*arrays)[0, 0] == pytest.approx(whole, rel=1e-5)
    levels = (np.arange(4000) + 0.5) / 4000
    quantiles = stats.norm(mean, sd).ppf(levels) if sd else np.full(4000, mean)
    assert metrics.crps_quantiles(quantiles[:, None, None], levels, arrays[2])[0, 0] == pytest.approx(whole, rel=1e-2)
    assert metrics.relative_crps(np.array([[2.0], [1.0]]), np.array([[10.0], [5.0]]))[0] == pytest.approx(0.2)


def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(1)
    truth = 1000 + 10 * rng.standard_normal((4000, 2))
    mean, sd = np.full(truth.shape, 1000.0), np.full(truth.shape, 10.0)
    for level in metrics.LEVELS:
        low, high = metrics.interval(mean, sd, level)
        assert metrics.coverage(low, high, truth) == pytest.approx(level, abs=0.02)
        assert metrics.width(low, high, truth.mean(axis=0)) == pytest.approx(
            2 * stats.norm.ppf(0.5 + level / 2) / 100, 1e-3
        )
    low, _ = metrics.interval(np.array([1.0]), np.array([5.0]), 0.9)
    assert low[0] == 0
    with pytest.raises(InputError, match="level"):
        metrics.interval(mean, sd, 90)


def test_coverage_is_judged_where_something_is_open():
    on = np.array([[True, False], [False, False]])
    sd = np.array([[5.0, 5.0], [0.09, 0.2]])
    cells = metrics.judged_cells(on, sd, np.array([100.0, 100.0]))
    np.testing.assert_array_equal(cells, [[False, True], [False, True]])
    truth = np.array([[0.0, 1.0], [0.0, 9.0]])
    low, high = np.zeros((2, 2)), np.full((2, 2), 5.0)
    assert metrics.coverage(low, high, truth, cells) == 0.5
    assert np.isnan(metrics.coverage(low, high, truth, np.zeros((2, 2), bool)))
    exact = np.array([[1e9 / 3]])
    assert metrics.coverage(exact, exact, exact * (1 + 1e-12)) == 1


def test_rarity_splits_events_by_their_mean_count():
    np.testing.assert_array_equal(metrics.rarity(np.array([0.0, 99.0, 100.0, 5e5, 2e6])), [0, 0, 1, 2, 3])
    truth = np.array([[10.0, 1e5], [10.0, 1e5]])
    low, high = truth - [[0, 0], [-1, 0]], truth + 1
    found = metrics.coverage_by_rarity(low, high, truth, np.array([[True, True], [True, False]]))
    assert found["below 100"] == (0.5, 2)
    assert found["10 k to 1 M"] == (1.0, 1)
    assert found["above 1 M"][1] == 0


def test_violated_orders_counts_slices_times_orders():
    # L1 misses ≥ L2 misses ≥ L3 misses
    orders = np.array([[-1.0, 1, 0], [0, -1, 1]])
    estimate = np.array([[5.0, 4, 3], [5, 6, 3], [5, 6, 7], [5, 5, 5 * (1 + 1e-9)]])
    broken = [
        sum(row @ order > 1e-6 * (np.abs(row) @ np.abs(order)) for row, order in itertools.product(estimate, orders))
    ]
    assert metrics.violated_orders(estimate, orders) == pytest.approx(broken[0] / 8) == pytest.approx(3 / 8)
    assert metrics.violated_orders(estimate, orders, np.array([2.0, 2.0])) == 0
    assert np.isnan(metrics.violated_orders(estimate, np.zeros((0, 3))))
    with pytest.raises(InputError, match="coefficients"):
        metrics.violated_orders(estimate, np.zeros((1, 2)))
