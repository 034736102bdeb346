"""Student-t cells and inequalities: moments against quadrature, chains against importance sampling."""

import numpy as np
import pytest
from scipy import stats

from credence.bayesperf.infer import kalman, sites
from credence.bayesperf.infer.moments import below_moments, student_moments
from credence.bayesperf.infer.propagation import Below, StudentCells, propagate


def by_sums(log_density, low, high, points=100_001):
    x = np.linspace(low, high, points)
    log = log_density(x)
    weight = np.exp(log - log.max())
    weight[[0, -1]] /= 2
    mass = weight.sum()
    mean = (x * weight).sum() / mass
    return np.log(mass * (x[1] - x[0])) + log.max(), mean, ((x - mean) ** 2 * weight).sum() / mass


@pytest.mark.parametrize("degrees", [1, 3, 30])
@pytest.mark.parametrize("value", [0.3, 4.0, 25.0])
@pytest.mark.parametrize("scale", [0.05, 1.0, 5.0])
def test_student_moments_equal_quadrature(degrees, value, scale):
    def log_density(x):
        return stats.norm.logpdf(x, 0.5, 1.2) + stats.t.logpdf(value - x, degrees, scale=scale)

    ours = student_moments(0.5, 1.2**2, value, scale, degrees)
    np.testing.assert_allclose(ours, by_sums(log_density, -15, 32), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bound", [-20.0, -2.0, 0.5, 3.0])
def test_below_moments_equal_quadrature(bound):
    ours = below_moments(0.5, 1.44, bound)
    expected = by_sums(stats.norm(0.5, 1.2).logpdf, min(bound - 2, -12), bound)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_below_moments_stay_finite_far_from_the_bound():
    log_mass, mean, variance = below_moments(np.array([0.0, 0.0]), np.array([1.0, 1.0]), np.array([-200.0, 50.0]))
    assert np.all(np.isfinite([log_mass, mean, variance]))
    assert -200.01 < mean[0] < -200
    assert variance[0] == pytest.approx(1 / 200**2, rel=0.01)
    assert variance[1] == pytest.approx(1)


def chain_and_draws(rng, slices=6, draws=300_000):
    """A chain of two states, and draws of it from its Gaussian prior."""
    root = np.array([[0.6, 0.0], [0.4, 0.5]])
    dynamics = kalman.Dynamics(np.array([0.9, 0.7]), root @ root.T, np.zeros(2), np.eye(2))
    paths = np.empty((draws, slices, 2))
    paths[:, 0] = rng.normal(size=(draws, 2))
    for t in range(1, slices):
        paths[:, t] = dynamics.transition * paths[:, t - 1] + rng.normal(size=(draws, 2)) @ root.T
    return dynamics, paths


def compare(ours, paths, log_weight):
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    assert 1 / (weight**2).sum() > 2000  # else the reference itself is noise
    mean = np.einsum("d,dts->ts", weight, paths)
    sd = np.sqrt(np.einsum("d,dts->ts", weight, (paths - mean) ** 2))
    shift = np.abs(ours.mean - mean) / sd
    ratio = np.sqrt(ours.variance) / sd
    print(f"largest shift {shift.max():.3f} sd, sd ratio {ratio.min():.3f} to {ratio.max():.3f}")
    assert shift.max() < 0.1
    assert np.abs(ratio - 1).max() < 0.1


def test_student_cells_agree_with_importance_sampling():
    rng = np.random.default_rng(0)
    dynamics, paths = chain_and_draws(rng)
    slot, row = np.repeat(np.arange(6), 2), np.tile([0, 1], 6)
    value = np.array([0.5, 0.2, 0.7, 0.1, 4.0, 0.3, 0.8, 0.5, 0.1, -0.4, 0.3, 0.2])  # one outlier
    scale = np.full(12, 0.5)
    ours = propagate(dynamics, 6, (), np.eye(2), student=StudentCells(np.eye(2), slot, row, value, scale, 3.0))
    log_weight = stats.t.logpdf(value - paths[:, slot, row], 3, scale=0.5).sum(axis=1)
    compare(ours, paths, log_weight)


def test_inequalities_agree_with_importance_sampling():
    rng = np.random.default_rng(1)
    dynamics, paths = chain_and_draws(rng)
    cells = (
        np.eye(2),
        np.array([0, 1, 3, 4]),
        np.array([0, 1, 0, 1]),
        np.array([0.4, 0.6, -0.3, 0.2]),
        np.full(4, 0.3),
    )
    rows, bound = np.array([[1.0, -1.0], [-1.0, 0.0]]), np.array([0.5, 1.0])  # first <= second + 0.5, first >= -1
    ours = propagate(dynamics, 6, (cells,), np.eye(2), below=Below(rows, bound))
    log_weight = stats.norm.logpdf(cells[3], paths[:, cells[1], cells[2]], np.sqrt(0.3)).sum(axis=1)
    allowed = np.all(paths @ rows.T <= bound, axis=(1, 2))
    compare(ours, paths[allowed], log_weight[allowed])


def test_an_inequality_that_nothing_comes_near_changes_nothing():
    dynamics, _ = chain_and_draws(np.random.default_rng(2), draws=10)
    cells = (np.eye(2), np.array([0, 3]), np.array([0, 1]), np.array([0.4, 0.6]), np.full(2, 0.3))
    free = kalman.run(dynamics, sites.join(6, cells)[0], 6)
    far = propagate(dynamics, 6, (cells,), np.eye(2), below=Below(np.array([[1.0, 1.0]]), np.array([50.0])))
    np.testing.assert_allclose(far.mean, free.mean, atol=1e-6)
    np.testing.assert_allclose(far.variance, free.variance, atol=1e-6)
