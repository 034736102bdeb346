"""Student-t noise: expectation propagation against a Gibbs sampler over the scale mixture, a third way to the same.

Draws do not tell the standard deviation of heavy tails well; conditional on the mixture's precisions everything is
Gaussian and known, so that averages over these alone (Rao-Blackwell) do.
"""

import numpy as np
import pytest

from bayesperf.made_up_windows import made_up
from credence.bayesperf.infer.windows import fast
from credence.bayesperf.model.window import prior_covariance


def gibbs(window, rng, rounds=6000, dropped=200):
    prior, rows = prior_covariance(window), window.design
    value, scale = window.value - window.offset[window.event], window.spread**2
    cells = np.kron(np.eye(window.slices), window.basis)
    seen, both = rows @ prior @ rows.T, cells @ prior @ rows.T
    before = np.einsum("ki,ij,kj->k", cells, prior, cells)
    factor = np.linalg.cholesky(prior)
    precision, first, second, within = np.ones(len(value)), 0.0, 0.0, 0.0
    for step in range(rounds):
        gain = np.linalg.solve(seen + np.diag(scale / precision), both.T).T
        mean = gain @ value
        if step >= dropped:
            first, second = first + mean, second + mean**2
            within = within + before - np.einsum("ij,ij->i", gain, both)
        # a draw of the measured cells given the precisions: a prior draw, moved by what it misses
        drawn = rows @ (factor @ rng.standard_normal(len(prior)))
        error = np.sqrt(scale / precision) * rng.standard_normal(len(value))
        drawn = drawn + seen @ np.linalg.solve(seen + np.diag(scale / precision), value - drawn - error)
        rate = (window.degrees + (value - drawn) ** 2 / scale) / 2
        precision = rng.gamma((window.degrees + 1) / 2, 1 / rate)
    kept = rounds - dropped
    mean = first / kept
    variance = within / kept + second / kept - mean**2
    shape = window.slices, len(window.events)
    return (mean.reshape(shape) + window.offset) * window.scale, np.sqrt(variance).reshape(shape) * window.scale


# a cell 25 scales off leaves two explanations, an outlier or a burst, and one Gaussian for both is rougher
@pytest.mark.parametrize(("outlier", "means", "sds"), [(0.0, 0.03, 0.07), (0.5, 0.15, 0.25)])
def test_expectation_propagation_has_the_moments_of_the_mixture(outlier, means, sds):
    window = made_up(5, degrees=3.0)
    value = window.value.copy()
    value[4] += outlier
    window = made_up(5, degrees=3.0, value=value)
    mean, sd = gibbs(window, np.random.default_rng(0))
    ours, our_sd = fast(window)
    print("mean off by", np.abs((ours - mean) / sd).max(), "sd; sd off by", np.abs(our_sd / sd - 1).max())
    assert np.abs((ours - mean) / sd).max() < means
    assert np.abs(our_sd / sd - 1).max() < sds
