"""Tabulated gains against the smoother that computes every covariance."""

from types import SimpleNamespace

import numpy as np
import pytest

from bayesperf.made_up_runs import EVENTS, IDENTITIES, made_up
from credence.bayesperf.infer import Settings, chain, kalman, smooth, tabulated
from credence.bayesperf.infer import sites as joining
from credence.bench.errors import InputError


@pytest.fixture(scope="module")
def run():
    observations, _truth, on = made_up(np.random.default_rng(0), slices=200)
    settings = Settings(scale="linear", decays=(0.9, 0.5))
    return observations, smooth(observations, IDENTITIES, settings).learned, on, settings


def slow(learned, mean, settings):
    """The same chain, level drifting as in the tables, without tables, long after its start."""
    whole, rank = chain.dynamics(learned.components), learned.place.rank
    whole.transition[-rank:] = tabulated.LEVEL_DECAY
    whole.innovation[-rank:, -rank:] = learned.components.level * (1 - tabulated.LEVEL_DECAY**2)
    slot, event = np.nonzero(np.isfinite(mean))
    value = mean[slot, event] / learned.place.scale[event] - learned.place.offset[event]
    noise = np.full(slot.size, learned.read_noise**2 + settings.noise_floor**2)
    rows = chain.design(learned.place.basis, learned.components.decays.size)
    together, _ = joining.join(len(mean), (rows, slot, event, value, noise))
    return kalman.run(whole, together, len(mean), rows)


def test_equals_the_full_smoother_away_from_the_ends(run):
    observations, learned, on, settings = run
    repeated = np.tile(observations.mean, (20, 1))  # long enough for the start to be forgotten
    tables = tabulated.tabulate(learned, on[:2], settings)
    mean, sd = tabulated.estimate(tables, repeated)
    full = slow(learned, repeated, settings)
    inside = slice(1990, 2010)
    scale = learned.place.scale
    np.testing.assert_allclose((mean / scale - learned.place.offset)[inside], full.mean[inside], atol=2e-3)
    np.testing.assert_allclose((sd / scale)[inside], np.sqrt(full.variance[inside]), atol=2e-3)


def test_online_uses_the_past_only(run):
    observations, learned, on, settings = run
    tables = tabulated.tabulate(learned, on[:2], settings)
    whole, sd = tabulated.estimate(tables, observations.mean, online=True)
    changed = observations.mean.copy()
    changed[100:] *= 3
    first, _ = tabulated.estimate(tables, changed, online=True)
    np.testing.assert_array_equal(first[:100], whole[:100])
    assert np.all(sd >= tabulated.estimate(tables, observations.mean)[1] - 1e-9)


def test_refuses_a_slice_that_lacks_its_count(run):
    observations, learned, on, settings = run
    tables = tabulated.tabulate(learned, on[:2], settings)
    hole = observations.mean.copy()
    hole[7, 1] = np.nan
    with pytest.raises(InputError, match="slice 7 has no count of HIT"):
        tabulated.estimate(tables, hole)
    with pytest.raises(InputError, match="schedule"):
        tabulated.tabulate(learned, on[:2, :3], settings)


def test_other_events_than_scheduled_are_not_needed(run):
    _observations, learned, on, settings = run
    tables = tabulated.tabulate(learned, on[:2], settings)
    assert tables.events == EVENTS
    assert SimpleNamespace(**tables.__dict__).measured.shape == (2, 2)
