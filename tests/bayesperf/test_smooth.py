"""The posterior of a run: identities, learning, and honesty on counts made from the model itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from bayesperf.made_up_runs import EVENTS, IDENTITIES, made_up, relation
from credence.bayesperf.infer import Settings, chain, kalman, learn, sites, smooth
from credence.bayesperf.infer import posterior as posteriors
from credence.bench.errors import InputError

PARTS = ((1, 4), (2, 5))  # what is on counters: hits and taken branches, then misses and those not taken
LINEAR = Settings(scale="linear", decays=(0.98, 0.8, 0.0), strength=100)


def test_solved_identities_equal_pseudo_observations_without_noise():
    observations, _, _ = made_up(np.random.default_rng(0), slices=12)
    learned = smooth(observations, IDENTITIES, LINEAR).learned
    ours = smooth(observations, IDENTITIES, LINEAR, learned=learned, covariance=True)
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


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_identities_hold_in_every_slice(scale):
    observations, _, _ = made_up(np.random.default_rng(1), groups=PARTS)
    done = smooth(observations, IDENTITIES, Settings(scale=scale))
    hold = done.mean @ posteriors.rows(IDENTITIES, EVENTS, "eq")[0].T
    assert np.abs(hold).max() < 1e-7 * done.mean.max()


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_determined_cells_are_known_and_the_rest_is_honest(scale):
    inside, error, naive = [], [], []
    for seed in range(3):
        observations, truth, on = made_up(np.random.default_rng(seed), groups=PARTS)
        done = smooth(observations, IDENTITIES, Settings(scale=scale, decays=(0.9, 0.5), strength=1, iterations=100))
        open_cells = ~on & (done.sd > 0.001 * truth.mean(axis=0))
        low, high = done.interval(0.9)
        inside.append(((low <= truth) & (truth <= high))[open_cells].mean())
        error.append(np.abs(done.mean - truth)[open_cells].mean())
        naive.append(np.abs(truth.mean(axis=0) - truth)[open_cells].mean())
    assert 0.85 <= np.mean(inside) <= 0.96
    assert np.mean(error) < 0.5 * np.mean(naive)


def test_all_on_counters_gives_the_counts_back():
    observations, truth, _ = made_up(np.random.default_rng(2), groups=((0, 1, 3, 4),))
    done = smooth(observations, IDENTITIES)
    assert np.abs(done.mean / truth - 1)[:, [0, 1, 3, 4]].max() < 0.03


def test_expectation_maximisation_never_loses_likelihood():
    observations, _, _ = made_up(np.random.default_rng(3))
    settings = Settings(scale="linear", strength=0.0, iterations=8)
    place = posteriors.place_of(observations, IDENTITIES)
    trail = learn(place, observations.mean, learn_prior(place, settings), settings).log_likelihoods
    assert np.all(np.diff(trail) > -1e-3 * np.abs(trail[0]))
    assert trail[-1] > trail[0] + 1


def learn_prior(place, settings):
    from credence.bayesperf.infer.learn import plain_prior

    return plain_prior(place.events, settings)


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_a_soft_identity_pulls_but_does_not_bind(scale):
    observations, _, _ = made_up(np.random.default_rng(4), groups=((0, 3), (1, 4), (2, 3)))
    settings = Settings(scale=scale)
    hard = smooth(observations, IDENTITIES, settings)
    soft = smooth(observations, IDENTITIES[1:], settings, soft=IDENTITIES[:1])
    none = smooth(observations, IDENTITIES[1:], settings)
    gap = [np.abs(p.mean[:, 0] - p.mean[:, 1] - p.mean[:, 2]).mean() for p in (hard, soft, none)]
    assert gap[0] < 1e-6 < gap[1] < gap[2]


def bursts(rng, slices=300):
    """Three events, of which the first is the sum of the others; the others burst, together."""
    common = np.exp(1.5 * np.repeat(rng.normal(size=slices // 3), 3))
    parts = 100 * common[:, None] * np.exp(0.3 * rng.normal(size=(slices, 2)))
    truth = np.column_stack([parts.sum(axis=1), parts])
    on = np.zeros(truth.shape, bool)
    on[::2, 1] = on[1::2, 2] = True
    return SimpleNamespace(events=("ALL", "A", "B"), mean=np.where(on, truth, np.nan)), truth, on


def test_bursts_are_followed_honestly_in_logarithms():
    observations, truth, on = bursts(np.random.default_rng(6))
    relations = (relation(ALL=1, A=-1, B=-1),)
    done = {scale: smooth(observations, relations, Settings(scale=scale)) for scale in ("log", "linear")}
    error = {scale: np.abs(found.mean - truth).sum() / truth.sum() for scale, found in done.items()}
    assert error["log"] < 0.3
    assert error["log"] < 1.02 * error["linear"]
    assert (done["linear"].mean - 1.6 * done["linear"].sd < 0).any()  # what logarithms rule out
    low, high = done["log"].interval(0.9)
    assert 0.82 < ((low <= truth) & (truth <= high))[~on].mean() < 0.97
    assert (low >= 0).all()


def test_an_event_outside_the_basis_is_used_where_it_is_measured():
    observations, truth, _ = bursts(np.random.default_rng(7))
    seen = observations.mean.copy()
    seen[::10, 0] = truth[::10, 0]
    relations = (relation(ALL=1, A=-1, B=-1),)
    done = smooth(SimpleNamespace(events=observations.events, mean=seen), relations)
    assert done.learned.basis.chosen.tolist() in ([1, 2], [2, 1])
    np.testing.assert_allclose(done.mean[::10, 0], truth[::10, 0], rtol=0.02)
    np.testing.assert_allclose(done.mean[::10, 2], truth[::10, 2], rtol=0.05)


def test_the_parts_of_a_constant_sum_are_the_basis():
    observations, truth, _ = bursts(np.random.default_rng(9))
    constant = 3 * truth[:, 0].max()
    rest = constant - truth[:, 0]  # never measured, follows from the constant sum
    events = (*observations.events, "REST", "SLOTS")
    mean = np.column_stack([observations.mean, np.full(len(rest), np.nan), np.full(len(rest), constant)])
    relations = (relation(ALL=1, A=-1, B=-1), relation(SLOTS=1, ALL=-1, REST=-1))
    done = smooth(SimpleNamespace(events=events, mean=mean), relations, Settings(sums=False))
    assert sorted(done.learned.basis.chosen.tolist()) == [1, 2, 3]
    assert 4 in smooth(SimpleNamespace(events=events, mean=mean), relations).learned.basis.chosen
    np.testing.assert_allclose(done.mean[:, 4], constant, rtol=0.01)
    assert np.abs(done.mean[:, 3] / rest - 1).mean() < 0.1


def test_quantiles_of_a_skewed_posterior_are_not_symmetric():
    observations, _, on = bursts(np.random.default_rng(8))
    done = smooth(observations, (relation(ALL=1, A=-1, B=-1),))
    low, high = done.interval(0.9)
    open_cells = ~on[:, 1]
    assert np.all((high - done.mean)[open_cells, 1] > (done.mean - low)[open_cells, 1])
    np.testing.assert_allclose(done.quantile(0.5), done.mean, rtol=1e-9)


def test_refuses_impossible_counts_and_contradictions():
    observations, _, _ = made_up(np.random.default_rng(5), slices=6)
    broken = SimpleNamespace(events=EVENTS, mean=observations.mean.copy())
    broken.mean[2, 3] = -1
    with pytest.raises(InputError, match="slice 2, BR"):
        smooth(broken, IDENTITIES)
    with pytest.raises(InputError, match="contradict"):
        smooth(observations, (relation(BR=1, constant=5), relation(BR=1, constant=50000)))
    with pytest.raises(InputError, match="scale"):
        smooth(observations, IDENTITIES, Settings(scale="sqrt"))


def test_a_rare_difference_of_frequent_events_has_no_astronomical_interval():
    done = posteriors.Posterior(("rare",), np.array([[3.0]]), np.array([[500.0]]), None, 0.0, None, np.array([1.0]))
    probabilities = np.linspace(0.01, 0.999, 60)
    found = np.array([done.quantile(p)[0, 0] for p in probabilities])
    assert (np.diff(found) >= 0).all()
    assert found[-1] <= 3 + 2 * 3.1 * 500
    low, high = done.interval(0.9)
    assert (low[0, 0], high[0, 0]) == (0.0, pytest.approx(3 + 2 * 1.6448536 * 500))
    # where the spread is small, nothing is cut off
    near = posteriors.Posterior(("often",), np.array([[1000.0]]), np.array([[100.0]]), None, 0.0, None, np.array([1.0]))
    assert near.quantile(0.95)[0, 0] == pytest.approx(1001 * np.exp(1.6448536 * 100 / 1001) - 1)
