"""The matrices of a window: dense conditioning, the fast path and the simulator agree on what the model is."""

from types import SimpleNamespace

import numpy as np
import pytest

from bayesperf import made_up_runs
from bayesperf.made_up_windows import IDENTITIES, SCALE, made_up
from credence.bayesperf.data.observations import from_readings
from credence.bayesperf.infer import Settings, smooth
from credence.bayesperf.infer.windows import fast, window_of
from credence.bayesperf.model.window import gaussian, prior_covariance, simulate, time_kernels
from credence.bench.errors import InputError


def cell_sd(window, covariance):
    whole = np.kron(np.eye(window.slices), window.basis)
    return np.sqrt(np.einsum("ki,ij,kj->k", whole, covariance, whole)).reshape(window.slices, -1) * window.scale


@pytest.mark.parametrize("changes", [{}, {"soft_rows": np.array([[0, 1, -1, 0, 0, 0.0]]), "soft_value": np.zeros(1)}])
def test_fast_path_equals_dense_conditioning(changes):
    window = made_up(9, **changes)
    mean, sd = fast(window)
    dense, covariance = gaussian(window)
    np.testing.assert_allclose(mean, window.counts(dense), rtol=1e-8)
    np.testing.assert_allclose(sd, cell_sd(window, covariance), rtol=1e-6, atol=1e-8 * SCALE.max())


def test_fast_path_equals_dense_conditioning_with_volatility():
    window = made_up(7, volatility=np.random.default_rng(3).uniform(0.5, 2, (7, 2)))
    mean, sd = fast(window)
    dense, covariance = gaussian(window)
    np.testing.assert_allclose(mean, window.counts(dense), rtol=1e-8)
    np.testing.assert_allclose(sd, cell_sd(window, covariance), rtol=1e-6, atol=1e-8 * SCALE.max())


def test_time_kernel_is_that_of_the_recursion():
    window = made_up(5, volatility=np.random.default_rng(1).uniform(0.5, 2, (5, 2)))
    decay, steps = window.decays[0], window.slices
    # every slice as a sum of independent innovations: the definition, written out
    weights = np.zeros((steps, steps))
    weights[0, 0] = 1
    for t in range(1, steps):
        weights[t] = decay * weights[t - 1]
        weights[t, t] = window.volatility[t, 0] * np.sqrt(1 - decay**2)
    np.testing.assert_allclose(time_kernels(window)[0], weights @ weights.T, atol=1e-12)


def test_simulated_moves_have_the_prior_covariance():
    window, rng = made_up(2), np.random.default_rng(0)
    moves = np.stack([simulate(window, rng)[0] for _ in range(1500)])
    prior = prior_covariance(window)
    spread = np.sqrt(np.diag(prior))
    assert np.abs(np.cov(moves.T) - prior).max() < 0.15 * spread.max() ** 2
    doubled = np.stack([simulate(window, rng, amplitude=[2, 1, 1, 1])[0] for _ in range(800)])
    assert 1.75 < doubled[:, 0].std() / spread[0] < 2.25
    assert 0.9 < doubled[:, 1].std() / spread[1] < 1.1


def test_counts_satisfy_the_identities():
    window = made_up(4)
    counts = window.counts(np.random.default_rng(0).normal(size=(10, 16)))
    assert counts.shape == (10, 4, 6)
    assert np.abs(counts @ IDENTITIES.T).max() < 1e-9 * counts.max()


def test_a_student_outlier_moves_the_approximation_less_than_a_normal_one():
    window = made_up(8, degrees=3.0)
    value = window.value.copy()
    value[6] += 1.0
    robust = gaussian(made_up(8, degrees=3.0, value=value))[0]
    plain = gaussian(made_up(8, value=value))[0]
    before = gaussian(window)[0]
    assert np.abs(robust - before).max() < 0.9 * np.abs(plain - before).max()


def test_window_of_a_run_is_what_the_smoother_uses():
    observations, _, _ = made_up_runs.made_up(np.random.default_rng(0), slices=30)
    settings = Settings(scale="linear")
    done = smooth(observations, made_up_runs.IDENTITIES, settings)
    window = window_of(done.learned, observations, settings=settings)
    mean, sd = fast(window)
    np.testing.assert_allclose(mean, done.mean, rtol=1e-7)
    np.testing.assert_allclose(sd, done.sd, rtol=1e-5, atol=1e-6 * done.mean.max())
    part = window_of(done.learned, observations, first=4, slices=10, settings=settings, nonnegative=True)
    assert part.slices == 10
    assert len(part.below_rows) == len(part.events)
    np.testing.assert_allclose(part.value, window.value[(window.slot >= 4) & (window.slot < 14)])
    variation = np.diag(part.covariances.sum(axis=0))
    assert np.all(np.diff(variation) <= 1e-12)


def test_the_papers_noise_takes_its_scale_from_the_readings():
    rng = np.random.default_rng(0)
    observations, truth, on = made_up_runs.made_up(rng, slices=12)
    readings = np.maximum(truth[:, None, :] / 4 * (1 + 0.1 * rng.normal(size=(12, 4, 6))), 0)
    read = from_readings(observations.events, readings, on)
    settings = Settings(scale="linear", noise_floor=1e-9)
    learned = smooth(read, made_up_runs.IDENTITIES, settings).learned
    window = window_of(learned, read, settings=settings, noise="student")
    assert window.degrees == 3
    k = 5
    four = readings[window.slot[k], :, window.event[k]]
    expected = 2 * four.std(ddof=1) / window.scale[window.event[k]]  # sqrt(N) S for N = 4
    assert window.spread[k] == pytest.approx(expected, rel=1e-6)


def test_refuses_what_does_not_fit():
    window = made_up(4)
    with pytest.raises(InputError, match=r"slice 2, LOADS: value nan"):
        made_up(4, value=np.where(np.arange(8) == 4, np.nan, window.value))
    with pytest.raises(InputError, match="offset has the shape"):
        made_up(4, offset=np.ones(5))
    with pytest.raises(InputError, match="volatility has the shape"):
        made_up(4, volatility=np.ones((4, 3)))
    observations, _, _ = made_up_runs.made_up(np.random.default_rng(0), slices=12)
    learned = smooth(observations, made_up_runs.IDENTITIES, Settings(scale="linear")).learned
    with pytest.raises(InputError, match="slices 10 to 14; allowed: within 0 to 11"):
        window_of(learned, observations, 10, 5)
    with pytest.raises(InputError, match="noise is 'cauchy'"):
        window_of(learned, observations, noise="cauchy")
    few = SimpleNamespace(events=observations.events, mean=observations.mean, readings=1)
    with pytest.raises(InputError, match="1 readings a slice"):
        window_of(learned, few, noise="student")
