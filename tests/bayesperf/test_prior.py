"""The prior on covariances: moments of known chains, and what the training programs may and may not tell."""

import numpy as np
import pytest

from credence.bayesperf.infer import Settings, pool, trained_prior
from credence.bayesperf.infer.prior import component_moments, positive
from credence.bench.errors import InputError


def chains(rng, slices=60_000):
    """Two events whose logarithms are a slow part in common and a fast part of their own."""
    slow, fast = 0.95, 0.5
    moves = np.zeros((slices, 3))
    noise = rng.normal(size=(slices, 3)) * np.sqrt(1 - np.array([slow, fast, fast]) ** 2)
    for t in range(1, slices):
        moves[t] = np.array([slow, fast, fast]) * moves[t - 1] + noise[t]
    return 50 * np.exp(np.column_stack([0.4 * moves[:, 0] + 0.2 * moves[:, 1], 0.4 * moves[:, 0] + 0.1 * moves[:, 2]]))


def test_moments_find_the_components():
    counts = chains(np.random.default_rng(0))
    slow, fast = component_moments(counts, (0.95, 0.5), shift=0.0)
    np.testing.assert_allclose(slow, 0.16, atol=0.03)
    np.testing.assert_allclose(fast, np.diag([0.04, 0.01]), atol=0.01)


def test_an_event_that_never_happens_has_no_variance():
    counts = np.column_stack([chains(np.random.default_rng(1), 500), np.zeros(500)])
    for shift in (0.2, None):
        found = component_moments(counts, (0.9, 0.5), shift)
        assert np.all(found[:, 2] == 0)
        assert np.all(found[:, 0, 0] > 0)


def test_pooled_covariances_are_positive_and_variations_geometric_means():
    rng = np.random.default_rng(2)
    calm, wild = chains(rng, 3000), chains(rng, 3000) ** 2
    prior = pool([calm, wild], ("A", "B"), (0.95, 0.5), 10.0, "made up", shift=0.0)
    assert all(np.linalg.eigvalsh(c).min() > -1e-12 for c in prior.covariances)
    one, two = (np.sqrt(component_moments(c, (0.95, 0.5), 0.0).sum(axis=0)[0, 0]) for c in (calm, wild))
    assert np.sqrt(prior.covariances.sum(axis=0)[0, 0]) == pytest.approx(np.sqrt(one * two), rel=0.05)


def test_restriction_leaves_unknown_events_independent():
    prior = pool([chains(np.random.default_rng(3), 1000)], ("A", "B"), (0.9, 0.5), 10.0, "made up")
    part = prior.restricted(("B", "NEW"))
    assert np.all(part[:, 0, 1] == 0)
    assert np.all(part[:, 1, 1] > 0)
    np.testing.assert_allclose(part[:, 0, 0], prior.covariances[:, 1, 1])


def test_nearest_positive_matrix():
    matrix = np.array([[1.0, 2.0], [2.0, 1.0]])  # eigenvalues 3 and -1
    np.testing.assert_allclose(positive(matrix), np.full((2, 2), 1.5))


def test_no_program_is_refused():
    with pytest.raises(InputError, match="no program"):
        pool([], ("A",), (0.9,), 1.0, "nothing")


def test_no_test_program_trains_under_the_name_of_another_machine():
    events = ("INST", "LOADS", "STORES")
    prior = trained_prior("qemu-x86", events, without="join")
    assert "gzip" not in prior.source  # trains on ppc64, tested on x86
    assert "join" not in prior.source
    assert "wordcount" in prior.source
    assert "gzip" in trained_prior("qemu-ppc64", events).source
    assert prior.covariances.shape == (len(Settings().decays), 3, 3)
