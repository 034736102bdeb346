"""The compiled stack against a slow, obvious one: every module's output, every fault type, both stacks."""

import numpy as np
import pytest

from credence.drivefi.data.scenarios import scenario
from credence.drivefi.data.variables import VARIABLES, fault_types
from credence.drivefi.world.parameters import STACKS
from credence.drivefi.world.simulate import golden, traced
from drivefi.naive_stack import Stack

# in the naive stack lags and stops are sums over many small steps: equal to about 1e-7, not to the last bit
CLOSE = {"rtol": 1e-5, "atol": 2e-5}


def compare(naive, ours):
    values, judged = naive
    mine = np.stack([ours.cipo_m, ours.lane_offset_m, ours.delta_along_m, ours.delta_across_m], axis=1)
    for index, item in enumerate(VARIABLES):
        np.testing.assert_allclose(ours.values[: len(values), index], values[:, index], err_msg=item.name, **CLOSE)
    np.testing.assert_allclose(mine[: len(judged)], judged, **CLOSE)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", ["DS2", "DS5", "DS6", "example1", "example2"])
def test_golden_runs_agree_in_every_module(name, stack):
    item = scenario(name, 1)
    compare(Stack(item, STACKS[stack]).run(), golden(item, 1, stack))


@pytest.mark.parametrize("fault", fault_types(), ids=lambda fault: fault.name)
def test_every_fault_type_agrees_in_every_module(fault):
    # DS5: the pedestrian has just been seen; nine scenes of fault, then recovery
    item = scenario("DS5", 0)
    naive = Stack(item, STACKS["A"], fault, 103, 9).run(150)
    compare(naive, traced(item, 0, fault, 103, 9))


@pytest.mark.parametrize("name", ["lane_type=class:lane", "lane_type=class:none", "fused_obstacle_class=class:none"])
def test_faults_in_a_turn_and_with_free_space_agree(name):
    fault = next(row for row in fault_types() if row.name == name)
    item = scenario("DS6", 0)
    for stack in STACKS:
        first = int(np.argmax(golden(item, 0, stack).x_m > 96))
        compare(Stack(item, STACKS[stack], fault, first, 12).run(first + 40), traced(item, 0, fault, first, 12, stack))
