"""The posterior of a run: identities, learning, and honesty on counts made from the model itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from bayesperf.made_up_runs import EVENTS, IDENTITIES, made_up, relation
from credence.bayesperf.infer import Settings, chain, kalman, learn, sites, smooth
from credence.bayesperf.infer import posterior as posteriors
from credence.bench.errors import InputError


def test_solved_identities_equal_pseudo_observations_without_noise():
    observations, _, _ = made_up(np.random.default_rng(0), slices=12)
    learned = smooth(observations, IDENTITIES).learned
    ours = smooth(observations, IDENTITIES, learned=learned, covariance=True)
    # the same chain over all events, each component of full rank, with the identities as exact sites
    place, count = learned.place, learned.components.decays.size
    free = chain.coordinates(EVENTS, place.scale, np.zeros((0, 6)), np.zeros(0))
    widen = place.basis @ place.basis.T

    def spread(inner):  # some variance across the identities, which the exact sites then take away again
        return free.basis.T @ (place.basis @ inner @ place.basis.T + 0.3 * (np.eye(6) - widen)) @ free.basis

    components = chain.Components(
        learned.components.decays,
        np.stack([spread(c) for c in learned.components.covariances]),
        spread(learned.components.level),
    )
    matrix, right = posteriors.rows(IDENTITIES, EVENTS, "eq")
    scaled = matrix * place.scale
    slot, event = np.nonzero(np.isfinite(observations.mean))
    value = observations.mean[slot, event]

    measured = (
        free.basis, slot, event, value / place.scale[event] - free.offset[event],
        sites.read_variance(value, place.scale[event], Settings.read_noise, Settings.noise_floor),
    )  # fmt: skip
    held = np.repeat(np.arange(12), 2), np.tile([0, 1], 12)
    exact = (scaled @ free.basis, *held, np.tile(right - scaled @ free.offset, 12), np.zeros(24))
    # row scale matters for nothing but rounding
    size = np.abs(scaled).max(axis=1)
    exact = (exact[0] / size[:, None], held[0], held[1], exact[3] / size[held[1]], exact[4])
    together, _ = sites.join(12, *((chain.design(b[0], count), *b[1:]) for b in (measured, exact)))
    done = kalman.run(chain.dynamics(components), together, 12, chain.design(free.basis, count), covariance=True)
    np.testing.assert_allclose((done.mean + free.offset) * place.scale, ours.mean, rtol=1e-7)
    np.testing.assert_allclose(
        done.covariance * np.outer(place.scale, place.scale), ours.covariance, atol=1e-8 * place.scale.max() ** 2
    )


def test_identities_hold_in_every_slice():
    observations, _, _ = made_up(np.random.default_rng(1))
    done = smooth(observations, IDENTITIES)
    hold = done.mean @ posteriors.rows(IDENTITIES, EVENTS, "eq")[0].T
    assert np.abs(hold).max() < 1e-7 * done.mean.max()


def test_determined_cells_are_known_and_the_rest_is_honest():
    inside, error, naive = [], [], []
    for seed in range(3):
        observations, truth, on = made_up(np.random.default_rng(seed))
        done = smooth(observations, IDENTITIES, Settings(decays=(0.9, 0.5), strength=0, iterations=100))
        open_cells = ~on & (done.sd > 0.001 * truth.mean(axis=0))
        low, high = done.interval(0.9)
        inside.append(((low <= truth) & (truth <= high))[open_cells].mean())
        error.append(np.abs(done.mean - truth)[open_cells].mean())
        naive.append(np.abs(truth.mean(axis=0) - truth)[open_cells].mean())
    assert 0.85 <= np.mean(inside) <= 0.96
    assert np.mean(error) < 0.75 * np.mean(naive)


def test_all_on_counters_gives_the_counts_back():
    observations, truth, _ = made_up(np.random.default_rng(2), groups=((0, 1, 3, 4),))
    done = smooth(observations, IDENTITIES)
    assert np.abs(done.mean / truth - 1)[:, [0, 1, 3, 4]].max() < 0.03


def test_expectation_maximisation_never_loses_likelihood():
    observations, _, _ = made_up(np.random.default_rng(3))
    settings = Settings(strength=0.0, iterations=8)
    place = posteriors.place_of(observations, IDENTITIES)
    trail = learn(place, observations.mean, learn_prior(place, settings), settings).log_likelihoods
    assert np.all(np.diff(trail) > -1e-3 * np.abs(trail[0]))
    assert trail[-1] > trail[0] + 1


def learn_prior(place, settings):
    from credence.bayesperf.infer.learn import plain_prior

    return plain_prior(place.events, settings)


def test_a_soft_identity_pulls_but_does_not_bind():
    observations, _, _ = made_up(np.random.default_rng(4))
    hard, soft = smooth(observations, IDENTITIES), smooth(observations, IDENTITIES[1:], soft=IDENTITIES[:1])
    none = smooth(observations, IDENTITIES[1:])
    gap = [np.abs(p.mean[:, 0] - p.mean[:, 1] - p.mean[:, 2]).mean() for p in (hard, soft, none)]
    assert gap[0] < 1e-6 < gap[1] < gap[2]


def test_refuses_impossible_counts_and_contradictions():
    observations, _, _ = made_up(np.random.default_rng(5), slices=6)
    broken = SimpleNamespace(events=EVENTS, mean=observations.mean.copy())
    broken.mean[2, 3] = -1
    with pytest.raises(InputError, match="slice 2, BR"):
        smooth(broken, IDENTITIES)
    with pytest.raises(InputError, match="contradict"):
        smooth(observations, (relation(BR=1, constant=5), relation(BR=1, constant=50000)))
