"""The loop: one scene of sensors, stack, car and safety; a golden run; any number of faulty runs (compiled)."""

import math

import numpy as np

from credence.drivefi.world.compiled import helper, kernel
from credence.drivefi.world.drive import control, move, plan
from credence.drivefi.world.perceive import (
    T_GAP,
    T_LATERAL,
    T_SIDEWAYS,
    T_SPEED,
    detect,
    empty_scratch,
    fuse,
    measure,
    model_world,
    place_actors,
    track,
)
from credence.drivefi.world.safety import potential
from credence.drivefi.world.state import (
    ACTOR,
    DISTANCE,
    HEADING,
    NO_OBSTACLE_M,
    OBSTACLE_SPEED,
    OBSTACLE_WHO,
    OFFSET,
    PER_ACTOR,
    REFERENCE,
    SPEED,
    STEER_NOW,
    TRIGGER,
)

# what is measured of a scene
CIPO, LANE, DELTA_ALONG, DELTA_ACROSS = 0, 1, 2, 3


@kernel
def first_state(stage):
    """Return the state before the first scene."""
    count = stage.actors.shape[0]
    state = np.zeros(ACTOR + PER_ACTOR * count)
    state[SPEED] = stage.start[0]
    state[REFERENCE] = stage.start[0]
    state[OBSTACLE_WHO] = -1.0
    state[OBSTACLE_SPEED] = stage.start[0]
    for actor in range(count):
        state[ACTOR + PER_ACTOR * actor + TRIGGER] = -1.0
    return state


@helper
def judge(state, stage, stack, truth, out):
    """Fill `out` [4]: gap to the closest in-path obstacle, distance from the lane's centre, delta along and across."""
    closest = NO_OBSTACLE_M  # in the car's own width: the campaign's hazard
    in_lane, in_lane_speed = NO_OBSTACLE_M, 0.0  # in the lane, or on the way into it: the safety potential
    for actor in range(truth.shape[0]):
        gap = truth[actor, T_GAP]
        if gap < -(stage.actors[actor, 1] + stack.length_m) or gap > NO_OBSTACLE_M:
            continue
        gap = max(gap, 0.0)
        lateral = truth[actor, T_LATERAL]
        if abs(lateral - state[OFFSET]) < 0.5 * (stage.actors[actor, 2] + stack.width_m):
            closest = min(closest, gap)
        later = lateral + truth[actor, T_SIDEWAYS] * stack.side_foresight_s
        reach = 0.5 * (stage.actors[actor, 2] + stage.lane_width)
        if gap < in_lane and (abs(lateral) < reach or abs(later) < reach or lateral * later < 0.0):
            in_lane, in_lane_speed = gap, truth[actor, T_SPEED]
    here = min(int(state[DISTANCE]), stage.curvature.size - 1)
    bend = math.tan(state[STEER_NOW]) / stack.wheelbase_m - stage.curvature[here]
    out[CIPO] = closest
    out[LANE] = abs(state[OFFSET])
    out[DELTA_ALONG], out[DELTA_ACROSS] = potential(
        state[SPEED],
        state[HEADING],
        state[OFFSET],
        bend,
        in_lane,
        in_lane_speed,
        stage.lane_width,
        stack.width_m,
        stack.a_max_mps2,
        stack.obstacle_braking_mps2,
    )


@helper
def one_scene(state, scene, stage, stack, fault, row, out, truth, found):
    """Judge where things stand, let the stack see it and act, and move on to the next scene."""
    place_actors(state, scene, stage, truth)
    judge(state, stage, stack, truth, out)
    motion = measure(state, scene, stage, stack, row, fault)
    detect(scene, stage, stack, truth, found, row, fault)
    track(state, scene, stage, stack, truth, found, motion[1])
    who, kind, distance = fuse(state, stack, truth.shape[0], row, fault)
    obstacle = model_world(state, scene, stage, stack, truth, who, kind, distance, motion[0], row, fault)
    raw = plan(state, scene, stage, stack, motion, obstacle, row, fault)
    throttle, brake, steer = control(state, stage, stack, motion[0], raw, row, fault)
    move(state, stage, stack, throttle, brake, steer)


@kernel
def traced(stage, stack, fault, begin, duration, variables):
    """Run all scenes with a log.

    Returns
    -------
    snapshots : array [scenes, state]
        State at the beginning of each scene.
    values : array [scenes, variables]
        Module outputs.
    judged : array [scenes, 4]
        What `judge` says.
    actors : array [scenes, A, 5]
        Where the actors are: gap [m], lateral [m], speed [m/s], in sight, lateral speed [m/s].
    """
    count = stage.actors.shape[0]
    state = first_state(stage)
    snapshots = np.empty((stage.scenes, state.size))
    values = np.empty((stage.scenes, variables))
    judged = np.empty((stage.scenes, 4))
    actors = np.empty((stage.scenes, count, 5))
    truth, found = empty_scratch(count)
    none = (-1, 1.0, 0.0)
    for scene in range(stage.scenes):
        snapshots[scene] = state
        active = fault if begin <= scene < begin + duration else none
        one_scene(state, scene, stage, stack, active, values[scene], judged[scene], truth, found)
        actors[scene] = truth
    return snapshots, values, judged, actors


@helper
def _same(left, right):
    for index in range(left.size):  # noqa: SIM110 - all() of a generator does not compile
        if left[index] != right[index]:
            return False
    return True


@kernel
def inject(stage, stack, snapshots, values, judged, variable, factor, addend, begin, duration, shortcuts):
    """Run `B` faulty runs; return extremes [B, 4], whether the value changed [B] and the scenes computed [B].

    A run equals the golden run before its fault, so it starts from the golden snapshot; once its whole state is, bit
    for bit, the golden one after the fault has ended, the rest is the golden run's. `shortcuts` False does neither.
    """
    runs = begin.size
    scenes = stage.scenes
    before = np.empty((scenes + 1, 4))
    after = np.empty((scenes + 1, 4))
    start = np.array([np.inf, 0.0, np.inf, np.inf])
    before[0] = start
    after[scenes] = start
    for scene in range(scenes):
        _worse(before[scene], judged[scene], before[scene + 1])
    for scene in range(scenes - 1, -1, -1):
        _worse(after[scene + 1], judged[scene], after[scene])
    extremes = np.empty((runs, 4))
    changed = np.zeros(runs, np.bool_)
    computed = np.zeros(runs, np.int64)
    truth, found = empty_scratch(stage.actors.shape[0])
    row = np.empty(values.shape[1])
    out = np.empty(4)
    none = (-1, 1.0, 0.0)
    for run in range(runs):
        first = begin[run]
        end = first + duration[run]
        fault = (variable[run], factor[run], addend[run])
        scene = first if shortcuts else 0
        state = snapshots[scene].copy()
        worst = extremes[run]
        worst[:] = before[scene]
        while scene < scenes:
            if shortcuts and scene >= end and _same(state, snapshots[scene]):
                _worse(worst, after[scene], worst)
                break
            struck = first <= scene < end
            one_scene(state, scene, stage, stack, fault if struck else none, row, out, truth, found)
            _worse(worst, out, worst)
            if struck and row[variable[run]] != values[scene, variable[run]]:
                changed[run] = True
            scene += 1
            computed[run] += 1
    return extremes, changed, computed


@helper
def _worse(left, right, out):
    out[CIPO] = min(left[CIPO], right[CIPO])
    out[LANE] = max(left[LANE], right[LANE])
    out[DELTA_ALONG] = min(left[DELTA_ALONG], right[DELTA_ALONG])
    out[DELTA_ACROSS] = min(left[DELTA_ACROSS], right[DELTA_ACROSS])
