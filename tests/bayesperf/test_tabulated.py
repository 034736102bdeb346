"""Tabulated gains against the smoother that computes every covariance."""

from dataclasses import replace

import numpy as np
import pytest

from bayesperf.made_up_runs import IDENTITIES, made_up
from credence.bayesperf.infer import Settings, chain, kalman, smooth, tabulated
from credence.bayesperf.infer import sites as joining
from credence.bench.errors import InputError


@pytest.fixture(scope="module", params=["linear", "log"])
def run(request):
    observations, _, on = made_up(np.random.default_rng(0), slices=200, groups=((1, 4), (2, 5)))
    settings = Settings(scale=request.param, decays=(0.9, 0.5))
    return observations, smooth(observations, IDENTITIES, settings).learned, on, settings


def slow(learned, mean, settings):
    """The same chain without tables: level known, read noise that of a mean count."""
    whole = chain.dynamics(replace(learned.components, level=np.zeros_like(learned.components.level)))
    noise = settings.read_noise**2 + settings.noise_floor**2
    if settings.scale == "linear":
        place, rows = learned.place, learned.place.basis
        value = mean / place.scale - place.offset
    else:
        basis, rows = learned.basis, np.eye(learned.basis.rank)
        value = np.log(mean[:, basis.chosen] / basis.scale[basis.chosen] + basis.shift) - basis.centre
    slot, row = np.nonzero(np.isfinite(value))
    rows = chain.design(rows, learned.components.decays.size)
    together, _ = joining.join(len(mean), (rows, slot, row, value[slot, row], np.full(slot.size, noise)))
    done = kalman.run(whole, together, len(mean), rows, covariance=True)
    if settings.scale == "linear":
        return (done.mean + place.offset) * place.scale, np.sqrt(done.variance) * place.scale
    slope = np.exp(basis.centre + basis.bounded(done.mean))
    spread = done.covariance * slope[:, :, None] * slope[:, None, :]
    rows = basis.expansion * basis.scale[:, None]
    sd = np.sqrt(np.einsum("er,trs,es->te", rows, spread, rows))
    return np.maximum(basis.relative(basis.bounded(done.mean)), 0) * basis.scale, sd


def test_equals_the_full_smoother_away_from_the_ends(run):
    observations, learned, on, settings = run
    tables = tabulated.tabulate(learned, on[:2], settings)
    mean, sd = tabulated.estimate(tables, observations.mean)
    full_mean, full_sd = slow(learned, observations.mean, settings)
    inside = slice(90, 110)
    scale = full_mean.mean(axis=0)
    np.testing.assert_allclose((mean / scale)[inside], (full_mean / scale)[inside], atol=1e-6)
    np.testing.assert_allclose((sd / scale)[inside], (full_sd / scale)[inside], atol=1e-6)


def test_online_uses_the_past_only(run):
    observations, learned, on, settings = run
    tables = tabulated.tabulate(learned, on[:2], settings)
    whole, sd = tabulated.estimate(tables, observations.mean, online=True)
    changed = observations.mean.copy()
    changed[100:] *= 3
    first, _ = tabulated.estimate(tables, changed, online=True)
    np.testing.assert_array_equal(first[:100], whole[:100])
    both = sd / whole, np.divide(*tabulated.estimate(tables, observations.mean)[::-1])
    assert both[1].mean() < both[0].mean()


def test_refuses_a_slice_that_lacks_its_count(run):
    observations, learned, on, settings = run
    tables = tabulated.tabulate(learned, on[:2], settings)
    hole = observations.mean.copy()
    hole[6, 1] = np.nan
    with pytest.raises(InputError, match="slice 6 has no count of HIT"):
        tabulated.estimate(tables, hole)
    with pytest.raises(InputError, match="schedule"):
        tabulated.tabulate(learned, on[:2, :3], settings)


def test_refuses_a_schedule_that_never_measures_a_basis_event():
    observations, _, on = made_up(np.random.default_rng(0), slices=60, groups=((1, 4), (2, 5)))
    learned = smooth(observations, IDENTITIES, Settings(decays=(0.9, 0.5))).learned
    with pytest.raises(InputError, match="never measures"):
        tabulated.tabulate(learned, on[:1], Settings())
