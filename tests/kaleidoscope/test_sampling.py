"""NUTS against grid quadrature; the Bernoulli sampler against the exact posterior of the same form."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytensor.tensor as pt
import pytest
from scipy import stats
from scipy.special import roots_jacobi

from credence.bench.errors import InputError
from credence.kaleidoscope.infer import exact_posterior, sampling
from credence.kaleidoscope.model import quantiles
from credence.kaleidoscope.model.variants import ARTIFACT, Priors, Variant


def four():
    """A client, a target, and two servers (or routers) that stand in for each other."""
    paths = SimpleNamespace(
        series=np.array([[0, 1], [0, -1]], np.int32),
        groups=np.array([[0], [0]], np.int32),
        members=np.array([[2, 3]], np.int32),
        lnet=np.array([False]),
        kinds=np.array([0, 4, 3, 3], np.int8),
    )
    seen = SimpleNamespace(sent=np.array([9, 8]), succeeded=np.array([3, 7]), missing=np.array([1, 0]))
    return paths, seen


def quadrature(a, b, rate):
    """Posterior mean of every component's health, by Gauss-Jacobi quadrature in four dimensions."""
    nodes, weights = roots_jacobi(40, b - 1, a - 1)
    grid = np.array(np.meshgrid(*[(nodes + 1) / 2] * 4, indexing="ij")).reshape(4, -1)
    weight = np.prod(np.meshgrid(*[weights] * 4, indexing="ij"), axis=0).ravel()
    client, target, one, two = grid
    group = rate(one, two)
    weight = weight * (client * target * group) ** 3 * (1 - client * target * group) ** 5
    weight = weight * (client * group) ** 7 * (1 - client * group)
    return grid @ weight / weight.sum()


@pytest.mark.parametrize("form", ["pair", "mixture"])
def test_nuts_equals_quadrature(form):
    import arviz_stats

    paths, seen = four()
    variant = Variant(lnet="mixture")
    paths.lnet[0] = form == "mixture"
    rate = {
        "pair": lambda x, y: 1 - (1 - x) * (1 - y),
        "mixture": lambda x, y: (x + y) / 2,
    }[form]
    priors = Priors(health=(2.0, 0.8))
    found = sampling.nuts(paths, seen, priors, variant, chains=2, draws=1500, tune=500)
    expected = quadrature(*priors.health, rate)
    drawn = found.tree["posterior"]["standard"].copy(data=found.health.reshape(2, -1, 4))
    mcse = arviz_stats.mcse(drawn.to_dataset(name="health"), method="mean")["health"].values
    assert found.components.tolist() == [0, 1, 2, 3]
    assert (np.abs(found.health.mean(axis=0) - expected) < 4 * mcse).all()
    assert (mcse < 0.03).all()
    with pytest.raises(InputError, match="chains is 1"):
        sampling.nuts(paths, seen, chains=1)


@pytest.mark.parametrize("shape", [(10.0, 0.1), (0.5, 0.5), (3.0, 2.0)])
def test_prior_is_the_beta_it_is_said_to_be(shape):
    u = np.linspace(-5, 5, 1001)
    z = quantiles.health_logit(pt.as_tensor(u), *(np.full(len(u), value) for value in shape)).eval()
    assert z == pytest.approx(quantiles.logit_quantile(u, *shape), rel=1e-5, abs=1e-5)
    inside = np.abs(z) < 30
    assert stats.beta(*shape).cdf(1 / (1 + np.exp(-z[inside]))) == pytest.approx(stats.norm.cdf(u[inside]), abs=1e-5)


def test_advi_finds_the_one_that_fails():
    paths, seen = four()
    seen.sent, seen.succeeded, seen.missing = np.array([40, 40]), np.array([2, 40]), np.array([0, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sampling.advi(paths, seen, Priors(health=(2.0, 0.5)), steps=3000)
    assert found.below(0.5)[1] > 0.95
    assert found.below(0.5)[0] < 0.05


def test_gibbs_draws_from_the_exact_posterior_of_its_form():
    paths, seen = four()
    seen.sent, seen.succeeded = np.array([5, 5]), np.array([2, 4])
    variant = Variant(missing="failed")
    priors = Priors(p_up={"client": 0.7, "target": 0.6, "server": 0.5}, likelihood=ARTIFACT.likelihood)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sampling.gibbs(paths, seen, priors, variant, chains=2, draws=2000)
    exact = exact_posterior(paths, seen, priors, variant)
    assert found.health.mean(axis=0) == pytest.approx(exact.p_up, abs=0.05)
