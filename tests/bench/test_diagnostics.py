import numpy as np
import pytest
import xarray as xr

from credence.bench import diagnostics
from credence.bench.errors import InputError


@pytest.fixture(autouse=True)
def no_gates():
    diagnostics.gates.clear()
    yield
    diagnostics.gates.clear()


def posterior(values, diverging=None):
    groups = {
        "posterior": xr.Dataset({"x": (("chain", "draw"), values), "one": (("chain", "draw"), np.ones_like(values))})
    }
    if diverging is not None:
        groups["sample_stats"] = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
    return xr.DataTree.from_dict(groups)


def good(rng, chains=4):
    return rng.normal(size=(chains, 1000))


def test_independent_draws_pass():
    found = diagnostics.gate(posterior(good(np.random.default_rng(0))), "fit")
    assert found.passed
    assert found.r_hat_max < 1.01
    assert found.ess_bulk_min > 3000
    assert diagnostics.gates[0]["name"] == "fit"


def test_chains_apart_fail_by_r_hat():
    values = good(np.random.default_rng(0)) + np.array([[0], [0], [0], [3]])
    found = diagnostics.gate(posterior(values), "fit")
    assert not found.passed
    assert not found.checks["R-hat <= 1.01"]
    assert "FAILED" in str(found)


def test_sticky_chains_fail_by_effective_sample_size():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(4, 20)), 50, axis=1)
    found = diagnostics.gate(posterior(values), "fit")
    assert not found.checks["bulk ESS >= 400"]


def test_one_divergence_fails():
    rng = np.random.default_rng(0)
    diverging = np.zeros((4, 1000), bool)
    assert diagnostics.gate(posterior(good(rng), diverging), "fit").passed
    diverging[2, 5] = True
    found = diagnostics.gate(posterior(good(rng), diverging), "fit")
    assert not found.passed
    assert found.divergences == 1


def test_no_posterior_or_one_chain_is_refused():
    with pytest.raises(InputError, match="1 chains"):
        diagnostics.gate(posterior(good(np.random.default_rng(0), chains=1)), "fit")
    with pytest.raises(InputError, match="no group"):
        diagnostics.gate(xr.DataTree.from_dict({"prior": xr.Dataset()}), "fit")
