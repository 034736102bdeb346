"""The world of the case study: the paper's bandwidth law, counter errors as asked for, and schedulers' inputs."""

from dataclasses import replace

import numpy as np
import pytest

from credence.bayesperf.world import pcie
from credence.bench import seeds
from credence.bench.errors import InputError


def rng(*axes):
    return seeds.generator(1, "test", *axes)


def test_bandwidth_passes_through_the_points_of_figure_9():
    law = pcie.bandwidth_law()
    ratio = pcie.bandwidth(law["log2_bytes"]) / pcie.bandwidth(law["log2_bytes"], 1.0)
    found = dict(zip(law["log2_bytes"], ratio, strict=True))
    for size, printed in {15: 1.05, 17: 1.46, 20: 1.82, 23: 1.87}.items():
        assert found[size] == pytest.approx(printed, abs=0.006)
    assert (ratio >= 1).all()  # two digitised points say that company makes a link faster


def test_a_link_that_is_shared_half_the_time_runs_at_the_mean_rate():
    alone, beside, half = (pcie.bandwidth(20, share) for share in (0.0, 1.0, 0.5))
    assert half == pytest.approx((alone + beside) / 2)
    assert pcie.bandwidth(20, 1.0, contention=0.0) == pytest.approx(alone)


def test_a_scenario_is_what_its_setting_says():
    found = pcie.scenario(1, "a", 200, 200)
    busy = found.occupancy > 0.5
    assert busy.any(axis=-1).all()
    assert busy.all(axis=-1).mean() == pytest.approx(0.12, abs=0.02)
    # the place is drawn anew every 8 slices, and may come out the same
    moved = (busy[:, 1:] != busy[:, :-1]).any(axis=-1).mean()
    assert moved == pytest.approx((1 - 2 * 0.44**2 - 0.12**2) / 8, rel=0.1)
    assert found.events.mean() == pytest.approx(1, abs=0.03)
    other = np.take_along_axis(found.excess, 1 - found.local[..., None], -1)[..., 0]
    same = np.take_along_axis(found.excess, found.local[..., None], -1)[..., 0]
    assert (1 + other).mean() / (1 + same).mean() == pytest.approx(1.05, abs=0.01)


def test_a_scenario_comes_out_again_and_others_differ():
    first, again = (pcie.scenario(3, "a", 4, 30) for _ in range(2))
    assert np.array_equal(first.events, again.events)
    assert not np.array_equal(first.events, pcie.scenario(3, "b", 4, 30).events)
    assert np.array_equal(pcie.platform(3), pcie.platform(3))


@pytest.mark.parametrize(("mean_error", "bias"), [(0.5, 0.0), (0.3, 0.1), (0.2, 0.2), (0.0, 0.0), (0.4, 0.399)])
def test_spread_gives_the_mean_error(mean_error, bias):
    drawn = bias + pcie.spread(mean_error, bias) * rng("spread").standard_normal(200_000)
    assert np.abs(drawn).mean() == pytest.approx(mean_error, abs=0.005)


@pytest.mark.parametrize(
    "change", [{}, {"bias": 0.1}, {"shared": 0.7}, {"tail": 0.3}, {"busy": 3.0}, {"autocorrelation": 0.9}]
)
def test_counts_have_the_error_that_was_asked_for(change):
    error = replace(pcie.CounterError("x", 0.2, 0.05, 0.5), **change)
    happened = pcie.scenario(2, "a", 100, 300)
    seen = pcie.counted(happened, [error], rng("errors"))[0]
    true = happened.events[:, :-1]
    relative = seen[:, 1:] / true - 1  # one slice late
    assert np.abs(relative).mean() == pytest.approx(0.2, rel=0.05)
    # the bias has a sign of its own in every event
    assert np.abs(relative.mean(axis=(0, 1))).mean() == pytest.approx(error.bias, abs=0.012)
    if not error.busy:
        part = (relative - relative.mean(axis=(0, 1)))[..., 0]
        memory = (part[:, 1:] * part[:, :-1]).mean() / (part**2).mean()
        assert memory == pytest.approx(error.autocorrelation, abs=0.08)
    link = np.corrcoef(relative[..., :16].reshape(-1, 16).T)[np.triu_indices(16, 1)].mean()
    assert link == pytest.approx(error.shared, abs=0.05)


def test_a_busy_link_has_the_larger_error_where_asked():
    happened = pcie.scenario(2, "a", 50, 200)
    seen = pcie.counted(happened, [pcie.CounterError("x", 0.1, busy=4.0)], rng("errors"))[0]
    relative = np.abs(seen[:, 1:] / happened.events[:, :-1] - 1)[..., :16].mean(-1)
    taken = happened.occupancy[:, :-1, 0] > 0.5
    assert relative[taken].mean() > 2.5 * relative[~taken].mean()


def test_an_exact_reader_sees_the_slice_before_and_an_old_one_older():
    happened = pcie.scenario(2, "a", 3, 40)
    now, half, four = pcie.counted(
        happened,
        [pcie.CounterError("now", 0.0), pcie.CounterError("half", 0.0, age=0.5), pcie.CounterError("four", 0.0, age=3)],
        rng("errors"),
    )
    assert np.allclose(now[:, 1:], happened.events[:, :-1])
    assert np.allclose(half[:, 2:], (happened.events[:, 1:-1] + happened.events[:, :-2]) / 2, atol=1e-6)
    assert np.allclose(four[:, 4:], happened.events[:, :-4])
    assert np.allclose(four[:, :4], happened.events[:, :1])


def test_inputs_are_the_papers_36_and_bounded():
    happened = pcie.scenario(2, "a", 5, 40)
    seen = pcie.inputs(happened, pcie.counted(happened, [pcie.CounterError("x", 2.0)] * 2, rng("errors")))
    assert seen.shape == (2, 5, 40, 36)
    assert seen.max() <= 5
    assert np.array_equal(seen[0, ..., 32:], happened.known)
    assert np.array_equal(happened.known[..., 3], happened.local)


def test_reading_takes_the_papers_cycles():
    assert pcie.read_age("BayesPerf CPU") == pytest.approx(32 * 21998 / 4e6)
    assert pcie.read_age("exact") == 0
    with pytest.raises(InputError, match=r"PAPI.*allowed: Linux"):
        pcie.read_age("PAPI")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: pcie.Setting(both=1.2), "both.*1.2"),
        (lambda: pcie.Setting(stay=0.5), "stay.*0.5"),
        (lambda: pcie.CounterError("x", -0.1), "mean_error.*-0.1"),
        (lambda: pcie.CounterError("x", 0.1, bias=0.2), "bias.*0.2"),
        (lambda: pcie.CounterError("x", 0.1, tail=1.0), "tail.*1.0"),
    ],
)
def test_values_out_of_range_are_named(make, named):
    with pytest.raises(InputError, match=named):
        make()
