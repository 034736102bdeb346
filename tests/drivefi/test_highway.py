"""The driving stack among highway-env's traffic."""

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.scenarios import scenario
from credence.drivefi.data.variables import FaultType
from credence.drivefi.world import highway, simulate


def short(name, scenes=40):
    import dataclasses

    return dataclasses.replace(scenario(name, 0), scenes=scenes)


def test_where_nobody_reacts_it_is_the_own_world_bit_for_bit():
    item = short("DS5", 100)
    fault = FaultType(0, "throttle", "max")
    ours = simulate.traced(item, 0, fault, 20, 3)
    there = highway.drive_highway(item, 0, fault, 20, 3, vehicles=0)
    assert np.array_equal(ours.values, there.values)
    assert np.array_equal(ours.cipo_m, there.cipo_m)


def test_the_same_line_gives_the_same_run():
    first, again = (highway.drive_highway(short("DS2"), 0) for _ in range(2))
    assert np.array_equal(first.values, again.values)
    assert np.array_equal(first.actors, again.actors)


def test_who_reacts():
    assert [highway.reacts(actor, 3.6) for actor in scenario("DS3", 0).actors] == [True, False]
    assert not any(highway.reacts(actor, 3.6) for actor in scenario("DS4", 0).actors)


def test_others_react_to_the_ego():
    item = short("DS1", 60)
    golden = highway.drive_highway(item, 0)
    braked = highway.drive_highway(item, 0, FaultType(0, "brake", "max"), 5, 30)
    behind = len(item.actors)  # the first vehicle that joins
    own, other = golden.actors[:, behind], braked.actors[:, behind]
    # highway-env's driver behind brakes, or changes lane: it is somewhere else, and it hits nobody
    assert np.abs(own[:, 0] + golden.x_m - other[:, 0] - braked.x_m).max() > 0.5
    beside = np.abs(other[:, 1] - braked.offset_m) < highway.WIDTH_M
    assert (np.abs(other[beside, 0] + highway.LENGTH_M) > highway.LENGTH_M).all()


def test_what_cannot_be_is_refused():
    fault = FaultType(0, "brake", "max")
    with pytest.raises(InputError, match=r"scene is 40; allowed: 0 to 39"):
        highway.drive_highway(short("DS1"), 0, fault, 40)
    with pytest.raises(InputError, match=r"duration is 0"):
        highway.drive_highway(short("DS1"), 0, fault, 0, 0)
    with pytest.raises(InputError, match=r"vehicles is 9; allowed: 0 to 6"):
        highway.drive_highway(short("DS1"), 0, vehicles=9)
