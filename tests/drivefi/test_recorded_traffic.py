"""Enumeration of recorded scenes: what is refused is told, what is simulated is the enumeration."""

import numpy as np
import pandas as pd
import pytest

from credence.bench import catalogue
from credence.drivefi.data.scenarios import scenario
from credence.drivefi.evaluate import recorded_traffic
from credence.drivefi.world import simulate


def test_scenes_are_enumerated_or_refused_with_the_reason():
    safe, unsafe = scenario("DS5", 0), scenario("DS6", 107)  # the second is hazardous without a fault
    table, faults = recorded_traffic.enumerated([safe, unsafe])
    truth = simulate.enumerate_pool(("DS5",), (0,))
    assert table["faults"].tolist() == [len(truth), 0]
    assert table["critical"].tolist() == [truth["critical"].sum(), 0]
    assert table["refused"][0] == ""
    assert "unsafe" in table["refused"][1]
    assert table["lowest_m"][0] == truth["margin_m"].min() < table["margin_m"][0]
    assert faults["margin_m"].tolist() == truth["margin_m"].tolist()
    assert table["by"][0].startswith(truth.loc[truth["margin_m"].idxmin(), "variable"])


def test_nothing_but_refusals_is_an_empty_pool():
    table, faults = recorded_traffic.enumerated([scenario("DS6", 107)])
    assert faults.empty
    assert table["margin_m"][0] <= 0


def pool(rows):
    return pd.DataFrame(rows, columns=["type", "phase", "critical", "variable"])


def test_what_carries_over_is_counted_by_hand():
    # type 1 is critical in phase 2 at half the places there, type 2 never
    source = pool([(1, 2, True, "a"), (1, 2, False, "a"), (1, 3, False, "a"), (2, 2, False, "b")])
    target = pool([(1, 2, True, "a")] * 2 + [(2, 2, True, "b")] + [(2, 3, False, "b")] * 17)
    row = recorded_traffic.carried(source, target, 0.1)
    assert (row["faults"], row["critical"], row["base"]) == (20, 3, pytest.approx(15.0))
    # the two first are taken: two of three critical faults in a tenth of the pool
    assert row["found"] == pytest.approx(200 / 3)
    assert row["lift"] == pytest.approx(20 / 3)
    # among equals, expected numbers: one more of eighteen, of which one is critical
    row = recorded_traffic.carried(source, target, 0.15)
    assert row["found"] == pytest.approx(100 * (2 + 1 / 18) / 3)
    # what the source does not know is taken last; nothing critical has no share
    empty = recorded_traffic.carried(source, target.assign(critical=False))
    assert np.isnan(empty["found"])
    ways = recorded_traffic.both_ways(source, target, 0.1)
    assert ways.loc["own world to these", "lift"] == pytest.approx(20 / 3)
    assert ways.loc["these to the own world", "critical"] == 1


def test_knowing_nothing_is_no_better_than_chance():
    target = pool([(n % 4, 0, n % 10 == 0, "a") for n in range(100)])
    assert recorded_traffic.carried(target.assign(critical=False), target)["lift"] == pytest.approx(1.0)


def test_phase_counts_from_the_closest_approach():
    run = simulate.golden("DS5", 0)
    closest = int(run.cipo_m.argmin())
    rows = pd.DataFrame({"scenario": "DS5", "seed": 0, "scene": [0, closest - 20, closest - 1, closest]})
    assert closest > 31
    assert recorded_traffic.with_phase(rows)["phase"].tolist() == [0, 1, 2, 3]
    nothing = pd.DataFrame({"scenario": "DS4", "seed": 0, "scene": [0, 100]})  # oncoming traffic only
    assert recorded_traffic.with_phase(nothing)["phase"].tolist() == [-1, -1]
    # a scenario that is not of this repository is given
    given = recorded_traffic.with_phase(rows.assign(scenario="mine"), {"mine": scenario("DS5", 0)})
    assert given["phase"].tolist() == [0, 1, 2, 3]


def test_rates_by_variable():
    one = pool([(1, 2, True, "a"), (1, 2, False, "a"), (2, 2, False, "b")])
    table = recorded_traffic.rates({"one": one, "two": one.assign(critical=False)})
    assert table.index.tolist() == ["a"]
    assert table.loc["a"].tolist() == [50.0, 0.0]


@pytest.mark.third_party
@pytest.mark.parametrize(("name", "count"), [("commonroad-ngsim", 4), ("commonroad-crime", 8)])
def test_the_files_are_put_together_again(name, count):
    if not catalogue.available(name):
        pytest.skip("CommonRoad's scenes are third party")
    scenes = recorded_traffic.recorded_scenes(name)
    assert len(scenes) == count
    assert all(item.actors and item.scenes > 20 for item in scenes)
