"""The same driving stack in an independent closed-loop world: highway-env's IDM and MOBIL traffic, which reacts.

Vehicles that go the ego's way are driven by highway-env: a scenario gives them a start and, at any time, a wish for a
speed and a lane, and IDM (following), MOBIL (changing lanes) and its controller and kinematics decide what they
do, also with respect to the ego. Oncoming vehicles and pedestrians keep to their script. Three more vehicles join, one
of them behind the ego, so that braking has a price for somebody. The ego's stack, car, sensors, random numbers and
judgement are those of `simulate`, so a difference between the worlds comes from the others.

highway-env's raw ``Road`` is used, without gymnasium; the road's coordinates are along and across the ego's lane.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from credence.bench.errors import InputError
from credence.bench.seeds import generator
from credence.drivefi.data.scenarios import Actor, Scenario
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.data.variables import VARIABLES, FaultType, fault_effect
from credence.drivefi.data.variables import variable as declared
from credence.drivefi.world import kernel, perceive
from credence.drivefi.world.drive import control, move, plan
from credence.drivefi.world.parameters import Stack
from credence.drivefi.world.parameters import stack as load_stack
from credence.drivefi.world.simulate import Traces, _traces
from credence.drivefi.world.stage import stage as build_stage
from credence.drivefi.world.state import ACTOR, DISTANCE, HEADING, OFFSET, PER_ACTOR, SPEED, TRIGGER

SUBSTEPS = 3  # of highway-env within a scene: 0.044 s, well below its drivers' reaction constants
NO_FAULT = (-1, 1.0, 0.0)
LENGTH_M, WIDTH_M = 4.6, 1.85
TRAFFIC = "traffic"


def with_traffic(item: Scenario, vehicles: int = 3) -> Scenario:
    """Return a varied scenario with `vehicles` more of them: the first behind the ego, the others to its left."""
    rng = generator(item.seed, "highway traffic", item.name)
    added = []
    for number in range(vehicles):
        behind = -rng.uniform(35.0, 50.0) if number == 0 else 60.0 * number + rng.uniform(-15.0, 15.0)
        speed = item.speed_mps * rng.uniform(0.95, 1.05)
        lateral = 0.0 if number == 0 else item.lane_width_m
        added.append(Actor(f"{TRAFFIC}{number}", "vehicle", behind, lateral, speed))
    return dataclasses.replace(item, actors=(*item.actors, *added))


def reacts(actor: Actor, lane_width_m: float) -> bool:
    """Return whether highway-env drives this actor: a vehicle that goes the ego's way, in a lane, from the start on."""
    lane = abs(actor.lateral_m) < 1.5 * lane_width_m
    return actor.kind == "vehicle" and actor.speed_mps > 0 and actor.trigger_gap_m == 0 and lane


def _road(lane_width: float, metres: float, seed: int):
    # no window, no greeting on standard output
    os.environ.setdefault("SDL_VIDEODRIVER", "offscreen")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from highway_env.road.lane import StraightLane
    from highway_env.road.road import Road, RoadNetwork

    network = RoadNetwork()
    for lane in (-1, 0, 1):
        across = lane * lane_width
        network.add_lane("a", "b", StraightLane([-500.0, across], [metres, across], width=lane_width, speed_limit=60.0))
    return Road(network, np_random=np.random.RandomState(seed % 2**32), record_history=False)


def _sized(vehicle):
    vehicle.LENGTH, vehicle.WIDTH = LENGTH_M, WIDTH_M
    return vehicle


def _populate(road, item: Scenario):
    """Put the ego's stand-in and all that react on the road; return the stand-in and {actor's index: vehicle}."""
    from highway_env.vehicle.behavior import IDMVehicle
    from highway_env.vehicle.kinematics import Vehicle

    ego = _sized(Vehicle(road, [-0.5 * LENGTH_M, 0.0], 0.0, item.speed_mps))
    ego.collidable = False  # contact is judged here, and must not throw the car about
    road.vehicles.append(ego)
    others = {}
    for index, actor in enumerate(item.actors):
        if reacts(actor, item.lane_width_m):
            lane = ("a", "b", 1 + round(actor.lateral_m / item.lane_width_m))
            vehicle = IDMVehicle(
                road,
                [actor.gap_m + 0.5 * LENGTH_M, actor.lateral_m],
                0.0,
                actor.speed_mps,
                target_lane_index=lane,
                target_speed=actor.speed_mps,
                enable_lane_change=actor.name.startswith(TRAFFIC),
            )
            others[index] = _sized(vehicle)
            road.vehicles.append(vehicle)
    return ego, others


def _wishes(path: np.ndarray, scene: int, lane_width: float) -> tuple[float, int]:
    """Return the speed [m/s] and lane (0 to 2) that the script wants by the end of the move that runs now."""
    end = scene
    while end + 1 < len(path) and path[end, 3] != 0.0:
        end += 1
    return max(0.0, float(path[scene, 2])), int(np.clip(1 + round(path[end, 1] / lane_width), 0, 2))


def drive_highway(
    scenario: Scenario | str,
    seed: int = 0,
    fault: FaultType | None = None,
    scene: int = 0,
    duration: int = 1,
    stack: str | Stack = "A",
    vehicles: int = 3,
) -> Traces:
    """Run a scenario among highway-env's traffic.

    Parameters
    ----------
    scenario, seed, stack
        As for `simulate.golden`.
    fault : FaultType, optional
        Any of the fault table; none: the golden run.
    scene, duration : int
        First faulty scene, and how many.
    vehicles : int
        How many vehicles join those of the scenario.

    Returns
    -------
    Traces
        As in the own world; `actors` has the joining vehicles last.

    Raises
    ------
    InputError
        For a scene, duration or number of vehicles that cannot be.
    """
    item = load_scenario(scenario, seed) if not isinstance(scenario, Scenario) else scenario
    if fault is not None and not 0 <= scene < item.scenes:
        raise InputError(f"scene is {scene}; allowed: 0 to {item.scenes - 1}")
    if duration < 1:
        raise InputError(f"duration is {duration}; allowed: an integer >= 1")
    if not 0 <= vehicles <= 6:
        raise InputError(f"vehicles is {vehicles}; allowed: 0 to 6")
    item = with_traffic(item, vehicles)
    constants = load_stack(stack)
    stage = build_stage(item, constants)
    script = stage.paths.copy()
    effect = NO_FAULT if fault is None else _effect(fault)
    road = _road(stage.lane_width, 70.0 * stage.dt * stage.scenes + 1000.0, item.seed)
    ego, others = _populate(road, item)
    state = kernel.first_state(stage)
    truth, found = perceive.empty_scratch(len(item.actors))
    snapshots = np.empty((stage.scenes, state.size))
    values = np.empty((stage.scenes, len(VARIABLES)))
    judged = np.empty((stage.scenes, 4))
    actors = np.empty((stage.scenes, len(item.actors), 5))
    for now in range(stage.scenes):
        for index, vehicle in others.items():
            state[ACTOR + PER_ACTOR * index + TRIGGER] = 0.0
            along = vehicle.position[0] - 0.5 * LENGTH_M - stage.actors[index, 3]
            sideways = vehicle.speed * np.sin(vehicle.heading)
            stage.paths[index, now] = along, vehicle.position[1], vehicle.speed * np.cos(vehicle.heading), sideways
        snapshots[now] = state
        active = effect if fault is not None and scene <= now < scene + duration else NO_FAULT
        _stack_scene(state, now, stage, constants, active, values[now], judged[now], truth, found)
        actors[now] = truth
        for index, vehicle in others.items():
            if not item.actors[index].name.startswith(TRAFFIC):
                vehicle.target_speed, lane = _wishes(script[index], now, stage.lane_width)
                vehicle.target_lane_index = ("a", "b", lane)
        for _ in range(SUBSTEPS):
            road.act()
            road.step(stage.dt / SUBSTEPS)
        # the stand-in only shows the others where the ego is
        ego.position = np.array([state[DISTANCE] - 0.5 * LENGTH_M, state[OFFSET]])
        ego.heading, ego.speed = float(state[HEADING]), float(state[SPEED])
        ego.on_state_update()
    return _traces(stage, (snapshots, values, judged, actors))


def _effect(fault: FaultType) -> tuple[int, float, float]:
    index = [item.name for item in VARIABLES].index(declared(fault.variable).name)
    multiply, number = fault_effect(declared(fault.variable), fault.value)
    return (index, float(number), 0.0) if multiply else (index, 0.0, float(number))


def _stack_scene(state, scene, stage, constants, fault, row, out, truth, found) -> None:
    """Do what `kernel.one_scene` does, where the others have just been put."""
    perceive.place_actors(state, scene, stage, truth)
    kernel.judge(state, stage, constants, truth, out)
    motion = perceive.measure(state, scene, stage, constants, row, fault)
    perceive.detect(scene, stage, constants, truth, found, row, fault)
    perceive.track(state, scene, stage, constants, truth, found, motion[1])
    who, kind, distance = perceive.fuse(state, constants, truth.shape[0], row, fault)
    obstacle = perceive.model_world(state, scene, stage, constants, truth, who, kind, distance, motion[0], row, fault)
    raw = plan(state, scene, stage, constants, motion, obstacle, row, fault)
    throttle, brake, steer = control(state, stage, constants, motion[0], raw, row, fault)
    move(state, stage, constants, throttle, brake, steer)
