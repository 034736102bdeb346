"""Time per slice of the fast posterior. Timed by ``pytest --benchmark-enable tests/benchmarks``; else run once."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from credence.bayesperf.infer import Settings, smooth, tabulated

EVENTS, IDENTITIES, COUNTERS, SLICES = 40, 14, 8, 2000


@pytest.fixture(scope="module", params=["linear", "log"])
def run(request):
    """40 events, 14 identities of three events each, 8 counters in turn over the 26 others; one core."""
    rng = np.random.default_rng(0)
    free = EVENTS - IDENTITIES
    names = tuple(f"E{i}" for i in range(EVENTS))
    truth = 1000 * np.exp(0.3 * rng.normal(size=(SLICES, free)))
    relations = []
    for i in range(IDENTITIES):
        first, second = rng.choice(free, 2, replace=False)
        truth = np.column_stack([truth, truth[:, first] + truth[:, second]])
        relations.append(
            SimpleNamespace(
                kind="eq", coefficients={names[free + i]: 1.0, names[first]: -1.0, names[second]: -1.0}, constant=0.0
            )
        )
    schedule = np.zeros((13, EVENTS), bool)  # 13 slices of 8 counters go four times round 26 events
    for p in range(13):
        schedule[p, (p * COUNTERS + np.arange(COUNTERS)) % free] = True
    on = schedule[np.arange(SLICES) % 13]
    mean = np.where(on, truth * (1 + 0.004 * rng.normal(size=truth.shape)), np.nan)
    settings = Settings(scale=request.param, iterations=2)
    short = SimpleNamespace(events=names, mean=mean[:200])
    learned = smooth(short, relations, settings).learned
    assert learned.components.level.shape == (free, free)
    return SimpleNamespace(events=names, mean=mean), learned, schedule, settings


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
    short = SimpleNamespace(events=observations.events, mean=observations.mean[:20])
    smooth(short, settings=settings, learned=learned)  # compile
    done = benchmark.pedantic(smooth, (observations,), words, rounds=2)
    assert np.isfinite(done.mean).all()
    per_slice(benchmark)
