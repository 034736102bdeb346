"""A stack of one's own: its fault table, its traces, what faults in it do, and what it must offer."""

import math

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.variables import FaultType, Variable, fault_types
from credence.drivefi.world.own_stack import drive_own


class Simple:
    """Brakes fully when something in the lane is nearer than its way to stop and 8 m; keeps the lane."""

    variables = (
        Variable("gap", "lidar", "unbounded", 0, 120, unit="m"),
        Variable("pedal", "planner", "bounded", -1, 1, parents=("gap",)),
        Variable("wheel", "planner", "bounded", -0.5, 0.5, unit="rad"),
    )

    def begin(self, scenario):
        self.began = scenario.name

    def drive(self, sensed, out):
        near = [o.lidar_m for o in sensed.objects if o.lidar_m is not None and abs(o.lateral_m) < 4.6 and o.kind == 1]
        gap = out("gap", min(near, default=120.0))
        v = max(sensed.speed_mps, 3.0)
        pedal = out(
            "pedal", -1.0 if gap < sensed.speed_mps**2 / 16 + 8 else 0.3 * (sensed.speed_mps < sensed.limit_mps)
        )
        bend = sensed.curvature_per_m - 1.4 / v * sensed.heading_rad - (0.8 / v) ** 2 * sensed.offset_m
        return max(pedal, 0.0), max(-pedal, 0.0), out("wheel", math.atan(2.8 * bend))


def test_it_drives_and_logs_what_it_declares():
    frame, margin = drive_own(Simple(), "DS5", 0)
    assert list(frame.columns[:3]) == ["gap", "pedal", "wheel"]
    assert len(frame) == 225
    assert margin == pytest.approx(min(frame["cipo_m"].min() - 1.0, 0.8 - frame["lane_offset_m"].max()))
    assert margin > 0.5
    assert frame["gap"].min() < 20
    again, _ = drive_own(Simple(), "DS5", 0)
    np.testing.assert_array_equal(frame, again)


def test_its_own_fault_table_strikes_its_own_outputs():
    types = fault_types(Simple.variables)
    assert [row.name for row in types] == ["gap=double", "gap=half", "pedal=min", "pedal=max", "wheel=min", "wheel=max"]
    plain, safe = drive_own(Simple(), "DS5", 0)
    begins = int(np.argmax(plain["pedal"] < 0))
    struck, _ = drive_own(Simple(), "DS5", 0, types[3], begins, 8)
    assert (struck["pedal"][begins : begins + 8] == 1.0).all()
    np.testing.assert_array_equal(struck[:begins], plain[:begins])
    # so long that it cannot stop, not so long that it is past before the pedestrian is in its way
    assert min(drive_own(Simple(), "DS5", 0, types[3], begins, length)[1] for length in range(1, 8)) < 0 < safe
    half, _ = drive_own(Simple(), "DS5", 0, FaultType(0, "pedal", "0.5"), begins, 1)
    assert half["pedal"][begins] == 0.5


@pytest.mark.parametrize(
    ("drive", "says"),
    [
        (lambda self, sensed, out: (out("speed", 1.0), 0, 0), "unknown output of this stack 'speed'"),
        (lambda self, sensed, out: (0, 0, 0), "scene 0: output gap, pedal, wheel not passed to out"),
        (lambda self, sensed, out: (0, float("nan"), 0), "drive returned"),
        (lambda self, sensed, out: (0, 0), "allowed: throttle, brake and steering"),
    ],
)
def test_a_stack_that_does_not_keep_to_it_is_told(drive, says):
    wrong = type("Wrong", (Simple,), {"drive": drive})
    with pytest.raises(InputError, match=says):
        drive_own(wrong(), "DS4", 0)


def test_a_fault_in_an_output_it_does_not_have_is_refused():
    with pytest.raises(InputError, match="allowed: gap, pedal, wheel"):
        drive_own(Simple(), "DS4", 0, FaultType(0, "throttle", "max"))
