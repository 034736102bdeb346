"""CommonRoad XML as a scenario: recorded or scripted traffic along the lane in which the planning problem starts.

What others did is replayed, whatever the ego does. Their recorded positions become speeds and lateral speeds over
pieces of half a second along the ego's lane; who starts behind the ego is left out, as in the paper nobody trails it.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np

from credence.bench.errors import InputError
from credence.drivefi.data.scenarios import MOST_ACTORS, Actor, Jitter, Move, Scenario, Segment

PIECE_S = 0.5
EGO_LENGTH_M = 4.6
LENGTHS_M = {"vehicle": 4.6, "pedestrian": 0.5}
SIDE_M = 9.0  # objects further from the lane's centre than this are not taken over
AHEAD_M = 200.0
FEWEST_SCENES = 20


def _centre_line(network, start: np.ndarray, heading: float) -> tuple[np.ndarray, float]:
    """Return the centre line [n, 2] of the ego's lane, with what follows it, and the lane's width [m]."""
    found = network.find_lanelet_by_position([start])[0]
    if not found:
        raise InputError("the planning problem starts outside every lanelet; allowed: on the road")

    def turned(identifier: int) -> float:
        line = network.find_lanelet_by_id(identifier).center_vertices
        near = min(int(np.argmin(np.linalg.norm(line - start, axis=1))), len(line) - 2)
        along = line[near + 1] - line[near]
        return abs(np.angle(np.exp(1j * (np.arctan2(along[1], along[0]) - heading))))

    lanelet = network.find_lanelet_by_id(min(found, key=turned))
    nearest = int(np.argmin(np.linalg.norm(lanelet.center_vertices - start, axis=1)))
    width = float(np.linalg.norm(lanelet.left_vertices[nearest] - lanelet.right_vertices[nearest]))
    parts, seen = [lanelet.center_vertices], {lanelet.lanelet_id}
    while lanelet.successor and lanelet.successor[0] not in seen:
        lanelet = network.find_lanelet_by_id(lanelet.successor[0])
        seen.add(lanelet.lanelet_id)
        parts.append(lanelet.center_vertices)
    line = np.concatenate(parts)
    return line[np.concatenate([[True], np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-6])], width


def along_line(line: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return way along a polyline and distance to its left [points, 2] of `points` [points, 2], all in metres.

    Beyond its ends the polyline goes straight on.
    """
    steps = np.diff(line, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    units = steps / lengths[:, None]
    places = np.empty((len(points), 2))
    for row, point in enumerate(points):
        way = ((point - line[:-1]) * units).sum(axis=1)
        low = np.where(np.arange(len(way)) == 0, -np.inf, 0.0)
        high = np.where(np.arange(len(way)) == len(way) - 1, np.inf, lengths)
        way = np.clip(way, low, high)
        off = point - (line[:-1] + way[:, None] * units)
        best = int(np.argmin((off**2).sum(axis=1)))
        side = units[best, 0] * off[best, 1] - units[best, 1] * off[best, 0]
        places[row] = starts[best] + way[best], side
    return places


def _segments(line: np.ndarray, begin: float, piece_m: float = 20.0) -> tuple[Segment, ...]:
    """Return the lane's curvature from `begin` [m] on, in pieces; straight where the map ends."""
    ways = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    knots = np.arange(begin, ways[-1], piece_m)
    if len(knots) < 3:
        return (Segment(1.0),)
    points = np.stack([np.interp(knots, ways, line[:, axis]) for axis in (0, 1)], axis=1)
    headings = np.unwrap(np.arctan2(*np.diff(points, axis=0).T[::-1]))
    bends = np.clip(np.diff(headings) / piece_m, -0.12, 0.12)
    return (*(Segment(piece_m, float(bend)) for bend in bends), Segment(1.0))


def _actor(name: str, kind: str, places: np.ndarray, begin: float, dt: float) -> Actor:
    """Return an actor that goes along `places` [steps, 2] (way, left), which are `dt` [s] apart."""
    rear = places[:, 0] - begin - EGO_LENGTH_M / 2 - LENGTHS_M[kind] / 2
    every = max(1, round(PIECE_S / dt))
    times = np.arange(0, len(places), every)
    piece = every * dt
    speeds = np.diff(rear[times]) / piece if len(times) > 1 else np.zeros(1)
    sides = np.diff(places[times, 1]) / piece if len(times) > 1 else np.zeros(1)
    # each piece's mean speed is met in its middle, so that way and speed both fit
    gains = np.clip(np.diff(speeds) / piece, -10.0, 10.0)
    moves = [Move(k * piece, piece, 0.0, float(side)) for k, side in enumerate(np.clip(sides, -20, 20))]
    moves += [Move((k + 0.5) * piece, piece, float(gain)) for k, gain in enumerate(gains)]
    speed = float(np.clip(speeds[0], -60.0, 60.0))
    return Actor(name, kind, max(0.0, float(rear[0])), float(places[0, 1]), speed, moves=tuple(moves))


def _open(path: Path):
    """Return scenario and planning problems as commonroad-io reads them, without what it says about old formats."""
    logger = logging.getLogger("commonroad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the protobuf it imports
        from commonroad.common.file_reader import CommonRoadFileReader

        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            return CommonRoadFileReader(str(path)).open()
        finally:
            logger.setLevel(before)


def read_commonroad(path: Path) -> Scenario:
    """Return a CommonRoad file as a scenario without jitter: a seed then varies the sensors' errors only.

    Raises
    ------
    InputError
        If the file is no CommonRoad XML, has no planning problem, or the ego does not start on a lane.
    """
    try:
        recorded, problems = _open(path)
        problem = next(iter(problems.planning_problem_dict.values()))
    except Exception as error:  # the reader raises whatever its parsers do
        raise InputError(
            f"{path.name}: {type(error).__name__}: {error}; allowed: CommonRoad XML with a planning problem"
        ) from None
    ego = problem.initial_state
    try:
        line, width = _centre_line(recorded.lanelet_network, np.asarray(ego.position), float(ego.orientation))
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None
    begin = float(along_line(line, np.asarray(ego.position)[None])[0, 0])
    actors, last = [], FEWEST_SCENES
    for obstacle in recorded.dynamic_obstacles:
        if obstacle.prediction is not None and not hasattr(obstacle.prediction, "trajectory"):
            raise InputError(
                f"{path.name}: obstacle {obstacle.obstacle_id} has a set of places instead of a trajectory; "
                "allowed: files with trajectories"
            )
        states = [obstacle.initial_state]
        if obstacle.prediction is not None:
            states += obstacle.prediction.trajectory.state_list
        if states[0].time_step != 0:
            continue  # appears later: it would stand in the road until then
        kind = "pedestrian" if "pedestrian" in obstacle.obstacle_type.value else "vehicle"
        places = along_line(line, np.array([state.position for state in states]))
        ahead = places[0, 0] - begin - EGO_LENGTH_M / 2 - LENGTHS_M[kind] / 2
        if 0.0 <= ahead <= AHEAD_M and abs(places[0, 1]) <= SIDE_M:
            actors.append(_actor(f"{kind}{obstacle.obstacle_id}", kind, places, begin, recorded.dt))
            last = max(last, len(states))
    actors = tuple(sorted(actors, key=lambda one: one.gap_m)[:MOST_ACTORS])
    speed = float(ego.velocity)
    return Scenario(
        name="".join(c if c.isalnum() or c in "-_." else "_" for c in path.stem),
        description=f"CommonRoad {path.stem}: traffic as recorded or scripted there.",
        rate_hz=1.0 / recorded.dt,
        scenes=last,
        speed_mps=speed,
        set_speed_mps=max(1.1 * speed, 5.0),
        lane_width_m=float(np.clip(width, 2.4, 4.8)),
        segments=_segments(line, begin),
        actors=actors,
        light=None,
        jitter=Jitter(),
    )
