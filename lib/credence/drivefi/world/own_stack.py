"""A user's own driving stack in this world: any class that declares its outputs and drives, one run at a time.

A stack is told what sensors report and returns throttle, brake and steering; it passes every output through `out`,
which logs it and, in the faulty scenes, corrupts it. Fault table, traces and margins then work as for ours::

    class Mine:
        variables = (
            Variable("gap", "lidar", "unbounded", 0, 120, unit="m"),
            Variable("pedal", "planner", "bounded", -1, 1),
        )

        def begin(self, scenario): ...

        def drive(self, sensed, out):
            gap = out("gap", min((o.lidar_m for o in sensed.objects if o.lidar_m is not None), default=120.0))
            pedal = out("pedal", 0.5 if gap > 3 * sensed.speed_mps else -1.0)
            return max(pedal, 0.0), max(-pedal, 0.0), -0.1 * sensed.offset_m
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.data.variables import VARIABLES, FaultType, Variable, fault_effect
from credence.drivefi.world import kernel, perceive
from credence.drivefi.world.drive import move
from credence.drivefi.world.parameters import Stack
from credence.drivefi.world.parameters import stack as load_stack
from credence.drivefi.world.simulate import margin
from credence.drivefi.world.stage import stage as build_stage
from credence.drivefi.world.state import DISTANCE

NO_FAULT = (-1, 1.0, 0.0)


@dataclass(frozen=True)
class Sighted:
    """One object as the sensors report it: distances [m] (None: not detected), lateral position [m], class index."""

    camera_m: float | None
    lidar_m: float | None
    lateral_m: float
    kind: int


@dataclass(frozen=True)
class Sensed:
    """What the sensors report of one scene.

    Attributes
    ----------
    time_s, speed_mps, acceleration_mps2, heading_rad : float
        Own motion, with the sensors' errors; heading against the lane.
    offset_m, curvature_per_m, lane_width_m : float
        Position in the lane (left is positive), curvature a little ahead, and the lane.
    limit_mps : float
        Speed that the road allows here.
    objects : tuple of Sighted
        The scenario's actors in their order, also those not detected.
    """

    time_s: float
    speed_mps: float
    acceleration_mps2: float
    heading_rad: float
    offset_m: float
    curvature_per_m: float
    lane_width_m: float
    limit_mps: float
    objects: tuple[Sighted, ...]


class OwnStack(Protocol):
    """What a stack must offer."""

    variables: tuple[Variable, ...]

    def begin(self, scenario: Scenario) -> None:
        """Forget everything: a new run starts."""

    def drive(self, sensed: Sensed, out: Callable[[str, float], float]) -> tuple[float, float, float]:
        """Return throttle [0, 1], brake [0, 1] and steering angle [rad] for the next scene."""


def _sense(state, scene, stage, constants, truth, found, row) -> Sensed:
    speed, acceleration, heading, position, curvature, _ = perceive.measure(
        state, scene, stage, constants, row, NO_FAULT
    )
    perceive.detect(scene, stage, constants, truth, found, row, NO_FAULT)
    objects = tuple(
        Sighted(
            float(camera) if camera >= 0 else None,
            float(lidar) if lidar >= 0 else None,
            float(place[perceive.T_LATERAL]),
            int(kind),
        )
        for (camera, kind, lidar, _), place in zip(found, truth, strict=True)
    )
    limit = float(stage.limit[min(int(state[DISTANCE]), stage.limit.size - 1)])
    return Sensed(scene * stage.dt, speed, acceleration, heading, position, curvature, stage.lane_width, limit, objects)


def drive_own(
    own: OwnStack,
    scenario: Scenario | str,
    seed: int = 0,
    fault: FaultType | None = None,
    scene: int = 0,
    duration: int = 1,
    car: str | Stack = "A",
) -> tuple[pd.DataFrame, float]:
    """Run a scenario with a user's stack.

    Parameters
    ----------
    own : OwnStack
        The stack; `begin` is called first.
    scenario, seed
        As for the built-in stacks.
    fault : FaultType, optional
        Of ``fault_types(own.variables)``, or with a number as value.
    scene, duration : int
        First faulty scene, and how many.
    car : str or Stack
        Whose car and sensors.

    Returns
    -------
    DataFrame
        One row a scene: the outputs by name, then cipo_m, lane_offset_m, delta_along_m, delta_across_m.
    float
        The run's margin [m]; at most 0 is a hazard.

    Raises
    ------
    InputError
        If the stack passes an undeclared output or none at all, or returns something else than three finite numbers.
    """
    item = scenario if isinstance(scenario, Scenario) else load_scenario(scenario, seed)
    constants = load_stack(car)
    stage = build_stage(item, constants)
    declared = {variable.name: variable for variable in own.variables}
    effect = (True, 1.0)
    if fault is not None:
        effect = fault_effect(declared[choose(fault.variable, declared, "variable of this stack")], fault.value)
    state = kernel.first_state(stage)
    truth, found = perceive.empty_scratch(len(item.actors))
    row, judged = np.empty(len(VARIABLES)), np.empty((stage.scenes, 4))
    logs: list[dict[str, float]] = []
    own.begin(item)
    for number in range(stage.scenes):
        struck = fault is not None and scene <= number < scene + duration
        log: dict[str, float] = {}

        def out(name: str, value: float, log=log, struck=struck) -> float:
            choose(name, declared, "output of this stack")
            if struck and name == fault.variable:
                value = effect[1] * value if effect[0] else effect[1]
            log[name] = float(value)
            return log[name]

        perceive.place_actors(state, number, stage, truth)
        kernel.judge(state, stage, constants, truth, judged[number])
        sensed = _sense(state, number, stage, constants, truth, found, row)
        answer = np.asarray(own.drive(sensed, out), float)
        if answer.shape != (3,) or not np.isfinite(answer).all():
            raise InputError(f"drive returned {answer.tolist()}; allowed: throttle, brake and steering, finite")
        if missing := set(declared) - set(log):
            raise InputError(
                f"scene {number}: output {', '.join(sorted(missing))} not passed to out; allowed: all of them"
            )
        logs.append(log)
        limit = constants.steer_limit_rad
        throttle, brake, steer = np.clip(answer, [0.0, 0.0, -limit], [1.0, 1.0, limit])
        move(state, stage, constants, throttle, brake, steer)
    frame = pd.DataFrame(logs, columns=list(declared))
    names = ("cipo_m", "lane_offset_m", "delta_along_m", "delta_across_m")
    frame = frame.assign(**{name: judged[:, column] for column, name in enumerate(names)})
    return frame, float(margin(judged[:, 0].min(), judged[:, 1].max()))
