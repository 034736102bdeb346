"""Mining inside highway-env."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.scenarios import scenario
from credence.drivefi.data.variables import fault_types
from credence.drivefi.evaluate import dear_world
from credence.drivefi.world import simulate
from credence.drivefi.world.highway import drive_highway


def short(name, seed=0, scenes=30):
    return dataclasses.replace(scenario(name, seed), scenes=scenes)


def test_a_fault_of_the_pool_is_that_run_of_highway_env():
    world, places = dear_world.dear_world([short("DS2"), short("DS1")], 0)
    assert places["used"].all()
    fault = 41 * (30 + 7) + 13
    there = drive_highway(short("DS1"), 0, fault_types()[13], 7)
    assert world.simulate([fault]).min() == there.margin_m
    assert np.array_equal(world.logs([fault])[0], there.values)
    here = simulate.run(short("DS1"), 0, "A", simulate.every_fault(30)).margin_m
    assert world.own_margins()[fault] == here[41 * 7 + 13]


@pytest.mark.parametrize("name", ["random", "own world first", "gp"])
def test_a_selector_spends_its_budget_and_nothing_is_run_twice(name, monkeypatch):
    world, _ = dear_world.dear_world([short("DS2")], 0)
    calls = []
    plain = drive_highway
    monkeypatch.setattr(dear_world, "drive_highway", lambda *a, **k: calls.append(a) or plain(*a, **k))
    runs = dear_world.mine(world, name, 36, 0)
    assert len(runs) == len(calls) == len(runs[["scenario", "scene", "variable", "value"]].drop_duplicates()) == 36
    assert runs["simulation"].tolist() == list(range(1, 37))
    assert (runs["thinking_s"] >= 0).all()
    if name == "own world first":
        assert runs["own_m"].is_monotonic_increasing
        assert runs["own_m"].iloc[0] == world.own_margins().min()


def test_unsafe_places_are_left_out_and_told():
    with pytest.raises(InputError, match="seed 107: no scenario is safe"):
        dear_world.dear_world(["DS6"], 107)
    world, places = dear_world.dear_world(["DS6", short("DS1", 107)], 107)
    assert places["used"].tolist() == [False, True]
    assert len(world.view) == 30 * 41


def test_an_unknown_selector_is_refused():
    world, _ = dear_world.dear_world([short("DS1")], 0)
    with pytest.raises(InputError, match="selector is 'best'; allowed: own world first, random"):
        dear_world.mine(world, "best", 3, 0)


def made_up():
    rows = [(s, "random", k, -1.0 if k == 1 and s == 1 else 1.0, 1.0) for s in (1, 2) for k in (1, 2, 3, 4)]
    rows += [(s, "gp", k, -1.0, -1.0 if k == 1 else 1.0) for s in (1, 2) for k in (1, 2, 3, 4)]
    runs = pd.DataFrame(rows, columns=["seed", "selector", "simulation", "there_m", "own_m"])
    return runs.assign(seconds=0.5, thinking_s=3.0)


def test_summary_counted_by_hand():
    found = dear_world.summary(made_up())
    assert found.loc["gp", "hazards"] == 8
    assert found["by seed"].tolist() == ["1, 0", "4, 4"]
    high = dear_world.base_rate(made_up())[2]
    assert found["times random, at least"].tolist() == pytest.approx([0.125 / high, 1 / high])
    assert found.loc["gp", "seconds a hazard"] == pytest.approx((8 * 0.5 + 2 * 3.0) / 8)
    assert found["critical in the own world"].tolist() == [0.0, 0.25]


def test_base_rate_has_an_exact_interval():
    share, low, high = dear_world.base_rate(made_up())
    assert share == 0.125
    # 1 of 8: the tails of the binomial are 2.5 % there
    assert 1 - (1 - low) ** 8 == pytest.approx(0.025)
    assert (1 - high) ** 8 + 8 * high * (1 - high) ** 7 == pytest.approx(0.025)
    none = dear_world.base_rate(made_up().assign(there_m=1.0))
    assert none[:2] == (0.0, 0.0)
    assert (1 - none[2]) ** 8 == pytest.approx(0.025)


def test_both_worlds_by_scenario_counted_by_hand():
    rows = [("A", 1, -1.0, -1.0), ("A", 1, -1.0, -1.0), ("A", 2, -1.0, 1.0), ("A", 3, 1.0, -1.0), ("B", 1, -1.0, 1.0)]
    runs = pd.DataFrame(rows, columns=["scenario", "scene", "own_m", "there_m"]).assign(seed=0, variable="v", value="x")
    table = dear_world.by_scenario(runs)
    assert table.loc["A"].tolist() == [2, 50.0, 2, 50.0]  # scene 1 was simulated twice
    assert table.loc["B", "there too"] == 0
    assert np.isnan(table.loc["B", "here too"])
    assert table.loc["all"].tolist() == [3, pytest.approx(100 / 3), 2, 50.0]


def test_a_recorded_row_is_what_both_worlds_give_again():
    runs = dear_world.read()
    assert set(runs["seed"]) == set(dear_world.SEEDS)
    assert set(runs["selector"]) == set(dear_world.SELECTORS)
    assert not runs.duplicated(["seed", "selector", "scenario", "scene", "variable", "value"]).any()
    row = dear_world.again(runs.sample(1, random_state=0)).iloc[0]
    # simulations are deterministic; another processor may round otherwise
    assert row["there_again_m"] == pytest.approx(row["there_m"], abs=1e-6), row
    assert row["own_again_m"] == pytest.approx(row["own_m"], abs=1e-6), row
