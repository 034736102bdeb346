"""The PyMC model is the window's density, written out independently here; NUTS finds its posterior."""

from functools import cache

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayesperf.made_up_windows import made_up
from credence.bayesperf.evaluate.agreement import agreement, predictive, summary
from credence.bayesperf.infer import nuts
from credence.bayesperf.infer.windows import fast
from credence.bayesperf.model import generative
from credence.bayesperf.model.window import gaussian, prior_covariance
from credence.bench.errors import InputError

ORDERED = {
    "below_rows": np.array([[0, -1.0, 0.9, 0, 0, 0], [0, 0, 0, 0, -1.0, 0]]),
    "bound": np.array([-0.02, -0.9]),
    "margin": 0.02,
}
SOFT = {"soft_rows": np.array([[0.5, 0, 0, -0.5, 0, 0]]), "soft_value": np.zeros(1), "softness": 0.05}


def log_density(window, moves, log_amplitude=None, log_noise=0.0):
    """The model's log density, one term after the other."""
    amplitude = np.ones(window.rank) if log_amplitude is None else np.exp(log_amplitude)
    factor = np.tile(amplitude, window.slices)
    total = stats.multivariate_normal(np.zeros(moves.size), np.outer(factor, factor) * prior_covariance(window)).logpdf(
        moves
    )
    if log_amplitude is not None:
        total += stats.norm(0, generative.AMPLITUDE_SD).logpdf(log_amplitude).sum()
        total += stats.norm(0, generative.NOISE_SD).logpdf(log_noise)
    relative = window.counts(moves) / window.scale
    spread = np.exp(log_noise) * window.spread
    noise = stats.norm if window.degrees is None else stats.t(window.degrees)
    seen = relative[window.slot, window.event]
    total += (noise.logpdf((window.value - seen) / spread) - np.log(spread)).sum()
    if len(window.soft_rows):
        total += stats.norm(window.soft_value, window.softness).logpdf(relative @ window.soft_rows.T).sum()
    if len(window.below_rows):
        total += stats.norm.logcdf((window.bound - relative @ window.below_rows.T) / window.margin).sum()
    return total


@pytest.mark.parametrize(
    ("changes", "free"),
    [({}, False), ({"degrees": 3.0, **SOFT}, True), ({"degrees": 3.0, **ORDERED}, False)],
)
def test_model_is_the_density_it_claims_to_be(changes, free):
    window, rng = made_up(4, **changes), np.random.default_rng(0)
    compiled = nuts.compile_window(window, free, mode="FAST_COMPILE")
    guess, covariance = gaussian(window)
    root = generative.data(window)["guess_root"]
    sizes = [int(np.prod(shape)) for shape in compiled.names.values()]
    for _ in range(3):
        point = 0.7 * rng.normal(size=sum(sizes))
        parts = dict(zip(compiled.names, np.split(point, np.cumsum(sizes)[:-1]), strict=True))
        moves = guess + root @ parts["moves_whitened__"]
        scales = (parts["log_amplitude"], float(parts["log_noise"][0])) if free else ()
        expected = log_density(window, moves, *scales) + np.log(np.diag(root)).sum()
        assert float(compiled.logp(point)[0]) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert covariance.shape == (16, 16)


def test_gradient_vanishes_where_the_gaussian_posterior_has_its_mode():
    compiled = nuts.compile_window(made_up(4), mode="FAST_COMPILE")
    assert np.abs(compiled.logp(np.zeros(16))[1]).max() < 1e-5


def test_new_data_need_no_new_compilation():
    first, second = made_up(4), made_up(4, seed=5)
    compiled = nuts.compile_window(first, mode="FAST_COMPILE")
    for name, value in generative.data(second).items():
        compiled.model.set_data(name, value)
    # the covariances of the two differ as well: everything but the basis and the schedule is data
    expected = log_density(second, gaussian(second)[0]) + np.log(np.diag(generative.data(second)["guess_root"])).sum()
    assert float(compiled.logp(np.zeros(16))[0]) == pytest.approx(expected, rel=1e-6)


def test_prior_predictive_draws_have_the_prior_covariance():
    window = made_up(3, degrees=3.0)
    with generative.build(window):
        tree = pm.sample_prior_predictive(
            600, random_seed=1, var_names=["count", "measured"], compile_kwargs={"mode": "FAST_COMPILE"}
        )
    count = tree["prior"]["count"]
    assert count.dims == ("chain", "draw", "slice", "event")
    assert list(count["event"].values) == list(window.events)
    draws = count.values.reshape(600, 3, 6)
    whole = np.kron(np.eye(3), window.basis * window.scale[:, None])
    expected = np.sqrt(np.diag(whole @ prior_covariance(window) @ whole.T)).reshape(3, 6)
    np.testing.assert_allclose(draws.std(axis=0), expected, rtol=0.15)
    assert tree["prior_predictive"]["measured"].shape == (1, 600, 6)
    table = predictive(window, draws, np.random.default_rng(0))
    assert table["inside_90"].mean() > 0.6


@cache
def sampled(kind):
    changes = {"normal": {}, "student": {"degrees": 3.0}, "ordered": ORDERED}[kind]
    sampling = nuts.Sampling(chains=2, draws=400, tune=200, seed=3)
    return nuts.sample(made_up(4, **changes), sampling, mode="FAST_COMPILE", use_cache=False, name=kind)


def test_nuts_and_smoother_agree_within_four_monte_carlo_errors():
    result = sampled("normal")
    assert result.gate.r_hat_max < 1.04
    assert result.gate.ess_bulk_min > 300
    assert result.gate.divergences == 0
    whole = summary(agreement(result)).set_index("which").loc["all but determined"]
    assert whole["cells"] == 24
    assert whole["mean_in_mcse"] < 4
    assert whole["sd_in_mcse"] < 4


@pytest.mark.parametrize("kind", ["student", "ordered"])
def test_nuts_and_expectation_propagation_agree(kind):
    result = sampled(kind)
    assert result.gate.divergences == 0
    table = agreement(result)
    rest = table[~table["determined"] & ~table["measured"]]
    assert (rest["mean_difference"].abs() < 0.1 + 4 * rest["mean_mcse"]).all()
    assert ((rest["sd_ratio"] - 1).abs() < 0.1 + 4 * rest["sd_mcse"]).all()


def test_a_wrong_posterior_is_seen():
    result = sampled("normal")
    mean, sd = fast(result.window)
    shifted = summary(agreement(result, mean + 0.5 * sd, 1.3 * sd)).set_index("which").loc["open"]
    assert shifted["mean_in_sd"] == pytest.approx(0.5, abs=0.15)
    assert shifted["mean_in_mcse"] > 4
    assert shifted["sd_percent"] > 20


def test_replicates_of_the_posterior_cover_what_was_measured():
    result = sampled("normal")
    table = predictive(result.window, result.counts, np.random.default_rng(0))
    assert len(table) == len(result.window.slot)
    assert table["inside_90"].all()
    outlier = result.window.value.copy()
    outlier[0] += 3
    broken = predictive(made_up(4, value=outlier), result.counts, np.random.default_rng(0))
    assert not broken["inside_90"][0]
    assert broken["pit"][0] == 1


def test_cache_gives_the_same_draws_back(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENCE_CACHE", str(tmp_path))
    window, sampling = made_up(2), nuts.Sampling(chains=2, draws=20, tune=30)
    first = nuts.sample(window, sampling, mode="FAST_COMPILE")
    again = nuts.sample(window, sampling, mode="FAST_COMPILE")
    assert (first.cached, again.cached) == (False, True)
    np.testing.assert_array_equal(first.counts, again.counts)
    assert again.tree["posterior"]["count"].dims == ("chain", "draw", "slice", "event")
    assert again.gate.r_hat_max == pytest.approx(first.gate.r_hat_max)
    other = nuts.cache_key(made_up(2, seed=1), sampling, False)
    assert other != nuts.cache_key(window, sampling, False)
    next(tmp_path.rglob("*.npz")).write_bytes(b"not an archive")
    repaired = nuts.sample(window, sampling, mode="FAST_COMPILE")
    assert not repaired.cached
    np.testing.assert_array_equal(first.counts, repaired.counts)


def test_refuses_wrong_settings():
    with pytest.raises(InputError, match="chains is 1; allowed: from 2"):
        nuts.Sampling(chains=1)
    with pytest.raises(InputError, match="target_accept is 1"):
        nuts.Sampling(target_accept=1)
    with pytest.raises(InputError, match="mode 'JAVA'"):
        nuts.compile_window(made_up(2), mode="JAVA")
