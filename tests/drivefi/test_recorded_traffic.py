"""Enumeration of recorded scenes: what is refused is told, what is simulated is the enumeration."""

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


@pytest.mark.skipif(not catalogue.available(recorded_traffic.NGSIM), reason="the NGSIM scenes are third party")
def test_the_files_are_put_together_again():
    scenes = recorded_traffic.recorded_scenes()
    assert len(scenes) == 4
    assert all(item.actors and item.scenes > 20 for item in scenes)
