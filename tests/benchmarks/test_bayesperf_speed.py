"""Time per slice of the fast posterior. Timed by ``pytest --benchmark-enable tests/benchmarks``; else run once."""

import time

import numpy as np
import pytest

from credence.bayesperf.evaluate.read_cost import EVENTS, IDENTITIES, beginning, made_up_run
from credence.bayesperf.infer import Settings, smooth, tabulated

SLICES = 2000


@pytest.fixture(scope="module", params=["linear", "log"])
def run(request):
    """40 events, 14 identities of three events each, 8 counters in turn over the 26 others; one core."""
    observations, relations, schedule = made_up_run(SLICES, np.random.default_rng(0))
    settings = Settings(scale=request.param, iterations=2)
    learned = smooth(beginning(observations, 200), relations, settings).learned
    assert learned.components.level.shape == (EVENTS - IDENTITIES, EVENTS - IDENTITIES)
    return observations, learned, schedule, settings


def per_slice(benchmark):
    if benchmark.stats:  # none without timing
        benchmark.extra_info["us per slice"] = 1e6 * benchmark.stats.stats.min / SLICES
        return benchmark.extra_info["us per slice"]
    return 0.0


@pytest.mark.benchmark(timer=time.process_time)  # processor time: others may share the core
@pytest.mark.parametrize("online", [True, False], ids=["filter", "smoother"])
def test_tabulated_gains(benchmark, run, online):
    observations, learned, schedule, settings = run
    tables = tabulated.tabulate(learned, schedule, settings)
    tabulated.estimate(tables, observations.mean[:26], online)  # compile
    mean, sd = benchmark.pedantic(tabulated.estimate, (tables, observations.mean, online), rounds=25)
    assert np.isfinite(mean).all()
    assert (sd >= 0).all()
    per_slice(benchmark)


def test_full_covariances(benchmark, run):
    observations, learned, _, settings = run
    words = {"learned": learned, "settings": settings}
    smooth(beginning(observations, 20), **words)  # compile
    done = benchmark.pedantic(smooth, (observations,), words, rounds=2)
    assert np.isfinite(done.mean).all()
    per_slice(benchmark)
