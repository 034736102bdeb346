"""Speed of the network's answers and of the selectors; nothing is asserted about time."""

import numpy as np
import pytest

from credence.bench.seeds import generator
from credence.drivefi.data.variables import VARIABLES
from credence.drivefi.evaluate import race
from credence.drivefi.infer import tbn
from credence.drivefi.model.structure import structure
from credence.drivefi.select import features, forecasts, table
from credence.drivefi.select.gp_selector import spread
from credence.drivefi.select.pool import Purse


@pytest.fixture(scope="module")
def pool():
    return race.declared_pool(0, scenarios=("DS5", "DS6"))


@pytest.fixture(scope="module")
def conditionals(pool):
    chosen = spread(pool.view, 110, np.random.default_rng(0), pool.view.active)
    return forecasts.train(pool.view, Purse(pool.simulate, 110, pool.logs), chosen)


def test_golden_runs_to_a_pool(benchmark):
    view, _ = benchmark(features.pool_view, [("DS5", 0), ("DS6", 0)])
    assert len(view) == 2 * 225 * 41


def test_training_of_the_network(benchmark, pool):
    graph = structure(VARIABLES)
    runs = np.concatenate([np.stack([run.values for run in pool.view.traces]), pool.logs(np.arange(0, 18000, 180))])
    assert benchmark(tbn.fit, graph, runs, np.zeros(runs.shape, bool)) is not None


def test_a_million_queries(benchmark, conditionals):
    names = ("vehicle_velocity", "vehicle_heading", "steer")
    table_of = tbn.answers(conditionals[0], tuple(structure(VARIABLES).index(name) for name in names))
    variable, moved = np.arange(1_000_000) % len(VARIABLES), np.linspace(-1, 1, 1_000_000)
    assert len(benchmark(tbn.query, table_of, variable, moved)) == 1_000_000


@pytest.mark.parametrize("horizon", [1, table.ROLLING_SLICES])
def test_forecast_of_a_pool(benchmark, pool, conditionals, horizon):
    golden, predicted = benchmark(forecasts.delta, pool.view, conditionals, horizon)
    assert golden.shape == predicted.shape == (len(pool.view), 2)


@pytest.mark.parametrize("name", ["gp", "gp-plain", "size", "tbn", "srmf", "tpe", "taliro"])
def test_a_selector_spending_its_budget(benchmark, pool, name):
    def spent():
        purse = Purse(pool.simulate, pool.budget, pool.logs)
        table.SELECTORS[name](pool.view, purse, generator(0, "benchmark", name))
        return purse.order

    assert len(benchmark.pedantic(spent, rounds=2)) == pool.budget
