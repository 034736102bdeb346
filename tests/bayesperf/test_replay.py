"""The replay against the plain loop it replaces."""

import numpy as np
import pytest

from credence.bayesperf.data.observations import from_readings
from credence.bayesperf.world.replay import Observations, distort, replay
from credence.bench.errors import InputError

EVENTS = ("INST", "A", "B")


def made_up(slices=6):
    return np.random.default_rng(3).integers(0, 1000, (slices, 4, 3)).astype(float)


def naive(readings, on, read_noise, skid, rng):
    """Interval by interval: keep what is on time, pass the rest on to the next reading."""
    slices, count, events = readings.shape
    share = skid * rng.random((slices * count, events))
    noise = rng.standard_normal((slices * count, events))
    mean, sd = np.full((slices, events), np.nan), np.full((slices, events), np.nan)
    for event in range(events):
        carried, seen = 0.0, []
        for interval in range(slices * count):
            true = readings[interval // count, interval % count, event]
            late = true * share[interval, event]
            seen.append((true - late + carried) * max(1 + read_noise * noise[interval, event], 0.0))
            carried = late
        for piece in range(slices):
            if on[piece, event]:
                part = seen[piece * count : (piece + 1) * count]
                mean[piece, event] = sum(part)
                average = sum(part) / count
                sd[piece, event] = (sum((x - average) ** 2 for x in part) / (count - 1)) ** 0.5
    return mean, sd


def test_replay_is_the_plain_loop():
    readings = made_up()
    on = np.random.default_rng(1).random((6, 3)) < 0.6
    found = replay(EVENTS, readings, on, np.random.default_rng(5), 0.01, 0.1)
    mean, sd = naive(readings, on, 0.01, 0.1, np.random.default_rng(5))
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.sd_reading, sd, rtol=1e-9)
    np.testing.assert_allclose(found.variance_of_mean, 4 * sd**2, rtol=1e-9)
    assert isinstance(found, Observations)
    assert found.readings == 4
    np.testing.assert_array_equal(found.on, on)


def test_without_noise_the_counts_are_exact():
    readings = made_up()
    found = replay(EVENTS, readings, np.ones((6, 3), bool), np.random.default_rng(0), 0, 0)
    np.testing.assert_array_equal(found.mean, readings.sum(axis=1))


def test_skid_is_late_and_not_lost_and_half_of_its_largest_share():
    readings = np.full((500, 4, 2), 100.0)
    seen = distort(readings, 0.0, 0.2, np.random.default_rng(2))
    lost = readings.sum(axis=(0, 1)) - seen.sum(axis=(0, 1))
    assert np.all((lost >= 0) & (lost <= 20))
    assert seen[0, 0] == pytest.approx(90, abs=10)
    assert 100 - seen[0, 0, 0] != 100 - seen[0, 0, 1]
    # sd of a reading: difference of two uniform shares on [0, 0.2]
    assert seen[1:].std() == pytest.approx(100 * 0.2 / np.sqrt(6), rel=0.05)


def test_schedules_see_the_same_run():
    readings, on = made_up(), np.zeros((6, 3), bool)
    on[::2] = True
    some = replay(EVENTS, readings, on, np.random.default_rng(5))
    every = replay(EVENTS, readings, np.ones((6, 3), bool), np.random.default_rng(5))
    np.testing.assert_array_equal(some.mean[::2], every.mean[::2])
    assert np.isnan(some.mean[1::2]).all()


def test_bad_input_is_named():
    readings, on = made_up(), np.ones((6, 3), bool)
    for words, change in {
        "read_noise is -1": {"read_noise": -1},
        "skid is 2": {"skid": 2},
        r"on \(2, 3\)": {"on": on[:2]},
    }.items():
        with pytest.raises(InputError, match=words):
            replay(**{"events": EVENTS, "readings": readings, "on": on, "rng": np.random.default_rng(0)} | change)
    readings[2, 1, 1] = -3
    with pytest.raises(InputError, match="slice 2, event A"):
        from_readings(EVENTS, readings, on)
    on[2, 1] = False
    assert np.isnan(from_readings(EVENTS, readings, on).mean[2, 1])
    with pytest.raises(InputError, match="mean has the shape"):
        Observations(EVENTS, np.zeros((2, 2)), np.zeros((2, 2)), 4, np.zeros((2, 2)))
