"""The filter and smoother against the whole joint Gaussian, conditioned with plain linear algebra."""

import numpy as np
import pytest

from credence.bayesperf.infer import kalman
from credence.bench.errors import InputError


def dense(dynamics, sites, slices):
    """Condition the joint Gaussian of all slices on all sites, by its covariance matrix."""
    states = dynamics.start_mean.size
    transition = np.diag(dynamics.transition) if dynamics.transition.ndim == 1 else dynamics.transition
    mean, covariance = np.zeros((slices, states)), np.zeros((slices, states, slices, states))
    mean[0], covariance[0, :, 0] = dynamics.start_mean, dynamics.start_covariance
    volatility = np.ones((slices, states)) if dynamics.volatility is None else dynamics.volatility
    for t in range(1, slices):
        mean[t] = transition @ mean[t - 1]
        innovation = volatility[t][:, None] * dynamics.innovation * volatility[t]
        covariance[t, :, t] = transition @ covariance[t - 1, :, t - 1] @ transition.T + innovation
        for s in range(t):
            covariance[t, :, s] = transition @ covariance[t - 1, :, s]
            covariance[s, :, t] = covariance[t, :, s].T
    mean, covariance = mean.ravel(), covariance.reshape(slices * states, -1)
    seen = np.zeros((sites.value.size, slices * states))
    for k, (t, row) in enumerate(zip(sites.slice, sites.row, strict=True)):
        seen[k, t * states : (t + 1) * states] = sites.design[row]
    spread = seen @ covariance @ seen.T + np.diag(sites.variance)
    residual = sites.value - seen @ mean
    gain = np.linalg.solve(spread, seen @ covariance).T
    log_likelihood = -0.5 * (np.linalg.slogdet(2 * np.pi * spread)[1] + residual @ np.linalg.solve(spread, residual))
    mean, covariance = mean + gain @ residual, covariance - gain @ seen @ covariance
    blocks = np.stack([covariance.reshape(slices, states, slices, states)[t, :, t] for t in range(slices)])
    return mean.reshape(slices, states), blocks, log_likelihood


def made_up(rng, slices=7, states=4, full=True, exact=True):
    root = rng.normal(size=(states, states))
    transition = np.linalg.qr(rng.normal(size=(states, states)))[0] * 0.9 if full else rng.uniform(0, 1, states)
    dynamics = kalman.Dynamics(
        transition, root @ root.T, rng.normal(size=states), np.eye(states) * 3, rng.uniform(0.2, 3, (slices, states))
    )
    design = rng.normal(size=(6, states))
    slot = np.sort(rng.integers(0, slices, 12))
    row = rng.integers(0, 5, 12)
    value, variance = rng.normal(size=12), rng.uniform(0.01, 1, 12)
    if exact:  # the last row is an identity that holds in every slice
        slot, row = np.append(slot, np.arange(slices)), np.append(row, np.full(slices, 5))
        value, variance = np.append(value, np.zeros(slices)), np.append(variance, np.zeros(slices))
        order = np.argsort(slot, kind="stable")
        slot, row, value, variance = slot[order], row[order], value[order], variance[order]
    return dynamics, kalman.Sites(design, slot, row, value, variance), slices


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_equals_the_joint_gaussian(full, exact):
    for seed in range(5):
        dynamics, sites, slices = made_up(np.random.default_rng(seed), full=full, exact=exact)
        ours = kalman.run(dynamics, sites, slices, covariance=True)
        mean, covariance, log_likelihood = dense(dynamics, sites, slices)
        np.testing.assert_allclose(ours.mean, mean, atol=1e-8)
        np.testing.assert_allclose(ours.covariance, covariance, atol=1e-8)
        np.testing.assert_allclose(ours.variance, np.einsum("tii->ti", covariance), atol=1e-8)
        assert ours.log_likelihood == pytest.approx(log_likelihood, abs=1e-8)


def test_a_cavity_is_what_the_other_sites_say():
    dynamics, sites, slices = made_up(np.random.default_rng(3), exact=False)
    ours = kalman.run(dynamics, sites, slices)
    for k in range(sites.value.size):
        keep = np.arange(sites.value.size) != k
        rest = kalman.Sites(sites.design, *(a[keep] for a in (sites.slice, sites.row, sites.value, sites.variance)))
        mean, covariance, _ = dense(dynamics, rest, slices)
        h, t = sites.design[sites.row[k]], sites.slice[k]
        assert ours.cavity_mean[k] == pytest.approx(h @ mean[t], abs=1e-8)
        assert ours.cavity_variance[k] == pytest.approx(h @ covariance[t] @ h, abs=1e-8)


def test_the_score_is_the_slope_of_the_likelihood():
    dynamics, sites, slices = made_up(np.random.default_rng(4))
    ours = kalman.run(dynamics, sites, slices)
    step = 1e-5
    for i, j in [(0, 0), (1, 1), (0, 2)]:
        shift = np.zeros_like(dynamics.innovation)
        shift[i, j] = shift[j, i] = step
        up, down = (
            kalman.run(
                kalman.Dynamics(
                    dynamics.transition,
                    dynamics.innovation + sign * shift,
                    dynamics.start_mean,
                    dynamics.start_covariance,
                    dynamics.volatility,
                ),
                sites,
                slices,
            ).log_likelihood
            for sign in (1, -1)
        )
        slope = (up - down) / (2 * step)
        assert slope == pytest.approx(ours.score[i, j] * (0.5 if i == j else 1.0), rel=1e-4, abs=1e-6)


def test_a_site_that_repeats_an_exact_identity_changes_nothing():
    dynamics, sites, slices = made_up(np.random.default_rng(5))
    order = np.argsort(np.append(sites.slice, np.arange(slices)), kind="stable")
    twice = kalman.Sites(
        sites.design,
        np.append(sites.slice, np.arange(slices))[order],
        np.append(sites.row, np.full(slices, 5))[order],
        np.append(sites.value, np.zeros(slices))[order],
        np.append(sites.variance, np.zeros(slices))[order],
    )
    once, again = kalman.run(dynamics, sites, slices), kalman.run(dynamics, twice, slices)
    np.testing.assert_allclose(again.mean, once.mean, atol=1e-8)
    np.testing.assert_allclose(again.variance, once.variance, atol=1e-8)


def test_refuses_what_it_cannot_use():
    dynamics, sites, slices = made_up(np.random.default_rng(6))
    bad = kalman.Sites(sites.design, sites.slice, sites.row, sites.value * np.nan, sites.variance)
    with pytest.raises(InputError, match="site 0"):
        kalman.run(dynamics, bad, slices)
    with pytest.raises(InputError, match="must not decrease"):
        kalman.run(dynamics, kalman.Sites(*(getattr(sites, f) for f in ("design",)), sites.slice[::-1], sites.row,
                                          sites.value, sites.variance), slices)  # fmt: skip
    with pytest.raises(InputError, match="design"):
        kalman.run(dynamics, kalman.Sites(sites.design[:, :2], sites.slice, sites.row, sites.value, sites.variance),
                   slices)  # fmt: skip
