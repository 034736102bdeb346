"""A scenario as arrays: road by the metre, each actor's path by the scene, and all random numbers of the sensors.

The random numbers are drawn once for (scenario, seed) and used by every run on it, faulty or not: two runs differ by
their fault alone ("common random numbers").
"""

from typing import NamedTuple

import numpy as np

from credence.bench.seeds import generator
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.world.parameters import Stack

PEDESTRIAN, VEHICLE = 1.0, 2.0  # as the categories of the object classes
SIZES = {"pedestrian": (0.5, 0.6), "vehicle": (4.6, 1.85)}
# columns of Stage.noise: first the ego's own, then for each actor camera and LiDAR
LANE, HEADING, CURVATURE, SPEED, ACCELERATION, FREE, ACTORS = 0, 1, 2, 3, 4, 5, 6
CAMERA, LIDAR, LATERAL, CAMERA_DROP, LIDAR_DROP, PER_ACTOR = 0, 1, 2, 3, 4, 5


class Stage(NamedTuple):
    """What compiled code needs of a scenario.

    Attributes
    ----------
    dt : float
        One scene [s].
    scenes : int
        Number of scenes.
    start : array [2]
        Initial speed and set speed of the ego [m/s].
    curvature, limit, marked : array [metres]
        Of the road: curvature [1/m], speed the planner may drive [m/s], 1 where there are lane markings.
    lane_width : float
        [m].
    light : array [2]
        Position [m] of the stop line (huge: none) and the scene in which it turns green.
    actors : array [A, 6]
        Class, length [m], width [m], initial rear position [m] along the road, trigger gap [m] (0: none), and from
        which lateral distance on it is hidden [m].
    paths : array [A, scenes, 4]
        By scenes since the trigger: distance travelled [m], lateral position [m], speed [m/s], lateral speed [m/s].
    noise : array [scenes, 6 + 5 A]
        Standard normal numbers; the dropout columns are uniform.
    """

    dt: float
    scenes: int
    start: np.ndarray
    curvature: np.ndarray
    limit: np.ndarray
    marked: np.ndarray
    lane_width: float
    light: np.ndarray
    actors: np.ndarray
    paths: np.ndarray
    noise: np.ndarray


def _road(scenario: Scenario, stack: Stack, metres: int):
    ends = np.cumsum([segment.length_m for segment in scenario.segments])
    middle = np.arange(metres) + 0.5
    which = np.minimum(np.searchsorted(ends, middle, side="right"), len(ends) - 1)
    curvature = np.array([segment.curvature_per_m for segment in scenario.segments])[which]
    marked = np.array([float(segment.marked) for segment in scenario.segments])[which]
    # a steering wheel needs time: curvature changes over 10 m, as on a real road
    smooth = np.convolve(np.pad(curvature, 5, mode="edge"), np.ones(11) / 11, mode="valid")
    with np.errstate(divide="ignore"):
        limit = np.minimum(scenario.set_speed_mps, np.sqrt(stack.lateral_comfort_mps2 / np.abs(smooth)))
    for metre in range(metres - 2, -1, -1):  # brake in time for what comes
        limit[metre] = min(limit[metre], np.sqrt(limit[metre + 1] ** 2 + 2 * 1.5))
    return smooth, limit, marked


def _path(actor, dt: float, scenes: int) -> np.ndarray:
    """Return one actor's path [scenes, 4], by scenes since its trigger."""
    path = np.zeros((scenes, 4))
    travelled, lateral, speed = 0.0, actor.lateral_m, actor.speed_mps
    direction = -1.0 if speed < 0 else 1.0
    for scene in range(scenes):
        # the mean over the scene that follows: moves need not begin or end on a scene
        shares = [
            (move, max(0.0, min((scene + 1) * dt, move.start_s + move.duration_s) - max(scene * dt, move.start_s)))
            for move in actor.moves
        ]
        sideways = sum(move.lateral_mps * share for move, share in shares) / dt
        path[scene] = travelled, lateral, speed, sideways
        gain = sum(move.acceleration_mps2 * share for move, share in shares)
        following = direction * max(0.0, direction * speed + gain)  # braking ends at standstill
        travelled += 0.5 * (speed + following) * dt
        lateral += sideways * dt
        speed = following
    return path


def stage(scenario: Scenario, stack: Stack) -> Stage:
    """Return `scenario` as arrays for a car and stack."""
    dt, scenes = 1.0 / scenario.rate_hz, scenario.scenes
    metres = int(70.0 * dt * scenes) + 200  # no car of ours is faster than 70 m/s
    curvature, limit, marked = _road(scenario, stack, metres)
    light = scenario.light
    actors = np.zeros((len(scenario.actors), 6))
    paths = np.zeros((len(scenario.actors), scenes, 4))
    noise = np.empty((scenes, ACTORS + PER_ACTOR * len(scenario.actors)))
    noise[:, :ACTORS] = generator(scenario.seed, scenario.name, "ego noise").standard_normal((scenes, ACTORS))
    for index, actor in enumerate(scenario.actors):
        kind = PEDESTRIAN if actor.kind == "pedestrian" else VEHICLE
        length, width = SIZES[actor.kind]
        actors[index] = kind, length, width, actor.gap_m, actor.trigger_gap_m, actor.visible_lateral_m
        paths[index] = _path(actor, dt, scenes)
        rng = generator(scenario.seed, scenario.name, "sensor noise", actor.name)
        block = noise[:, ACTORS + PER_ACTOR * index : ACTORS + PER_ACTOR * (index + 1)]
        block[:, :CAMERA_DROP] = rng.standard_normal((scenes, CAMERA_DROP))
        block[:, CAMERA_DROP:] = rng.random((scenes, PER_ACTOR - CAMERA_DROP))
    return Stage(
        dt,
        scenes,
        np.array([scenario.speed_mps, scenario.set_speed_mps]),
        curvature,
        limit,
        marked,
        scenario.lane_width_m,
        np.array([light.position_m, light.green_s / dt] if light else [1e9, 0.0]),
        actors,
        paths,
        noise,
    )
