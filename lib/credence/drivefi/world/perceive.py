"""Perception: what lane camera, object camera and LiDAR report, tracking, fusion, and the world model (compiled)."""

import numpy as np

from credence.drivefi.world import stage as noise_columns
from credence.drivefi.world.compiled import helper, kernel
from credence.drivefi.world.state import (
    ACCELERATION,
    ACTOR,
    CURVATURE,
    DISTANCE,
    GAP,
    HEADING,
    HITS,
    KIND,
    LATERAL,
    LATERAL_RATE,
    MISSES,
    NO_OBSTACLE_M,
    OBSTACLE_ACCELERATION,
    OBSTACLE_GAP,
    OBSTACLE_SPEED,
    OBSTACLE_WHO,
    OFFSET,
    P_BOTH,
    P_GAP,
    P_RATE,
    PER_ACTOR,
    POSITION,
    RATE,
    SPEED,
    TRIGGER,
    V_ACCELERATION,
    V_CAMERA,
    V_CAMERA_CLASS,
    V_CURVATURE,
    V_FUSED,
    V_FUSED_CLASS,
    V_HEADING,
    V_LANE_TYPE,
    V_LANE_WIDTH,
    V_LIDAR,
    V_LIDAR_CLASS,
    V_OBSTACLE,
    V_OBSTACLE_ACCELERATION,
    V_OBSTACLE_SPEED,
    V_POSITION,
    V_VELOCITY,
    output,
)

N_LANE, N_HEADING, N_CURVATURE = noise_columns.LANE, noise_columns.HEADING, noise_columns.CURVATURE
N_SPEED, N_ACCELERATION, N_FREE = noise_columns.SPEED, noise_columns.ACCELERATION, noise_columns.FREE
N_ACTORS, N_EACH = noise_columns.ACTORS, noise_columns.PER_ACTOR
N_CAMERA, N_LIDAR, N_LATERAL = noise_columns.CAMERA, noise_columns.LIDAR, noise_columns.LATERAL
N_CAMERA_DROP, N_LIDAR_DROP = noise_columns.CAMERA_DROP, noise_columns.LIDAR_DROP
PEDESTRIAN = noise_columns.PEDESTRIAN

# columns of the scene's truth, one row an actor
T_GAP, T_LATERAL, T_SPEED, T_SEEN, T_SIDEWAYS = 0, 1, 2, 3, 4
# columns of the scene's detections
D_CAMERA, D_CAMERA_CLASS, D_LIDAR, D_LIDAR_CLASS = 0, 1, 2, 3
PEDESTRIAN_REACH_M = 5.0
GAINS_HZ = 7.5  # the rate for which the stack's filter gains are given


@helper
def place_actors(state, scene, stage, truth):
    """Fill `truth` [A, 5]: gap [m], lateral position [m], speed [m/s], in sight (1) or not, lateral speed [m/s]."""
    count = stage.actors.shape[0]
    for actor in range(count):
        base = ACTOR + PER_ACTOR * actor
        if state[base + TRIGGER] < 0.0:
            over = stage.actors[actor, 4] - (stage.actors[actor, 3] + stage.paths[actor, 0, 0] - state[DISTANCE])
            if stage.actors[actor, 4] <= 0.0 or scene == 0:
                state[base + TRIGGER] = 0.0 if stage.actors[actor, 4] <= 0.0 or over >= 0.0 else -1.0
            elif over >= 0.0:
                # the ego was there within the scene that has passed: else the outcome would hang on rounding to scenes
                state[base + TRIGGER] = scene - min(1.0, over / max(state[SPEED] * stage.dt, 1e-6))
        since = max(0.0, scene - state[base + TRIGGER]) if state[base + TRIGGER] >= 0.0 else 0.0
        low = int(since)
        high = min(low + 1, stage.scenes - 1)
        share = since - low
        path = stage.paths[actor]
        truth[actor, T_GAP] = stage.actors[actor, 3] + path[low, 0] + share * (path[high, 0] - path[low, 0])
        truth[actor, T_GAP] -= state[DISTANCE]
        truth[actor, T_LATERAL] = path[low, 1] + share * (path[high, 1] - path[low, 1])
        truth[actor, T_SPEED] = path[low, 2] + share * (path[high, 2] - path[low, 2])
        truth[actor, T_SIDEWAYS] = path[low, 3] if state[base + TRIGGER] >= 0.0 else 0.0
    for actor in range(count):
        gap, lateral = truth[actor, T_GAP], truth[actor, T_LATERAL]
        seen = gap > 0.0 and abs(lateral) <= stage.actors[actor, 5]
        for other in range(count):
            between = truth[other, T_GAP]
            if seen and other != actor and 0.0 < between < gap - 1.0 and stage.actors[other, 0] != PEDESTRIAN:
                # the line of sight from the ego's middle to the actor passes through the other vehicle
                ray = state[OFFSET] + (lateral - state[OFFSET]) * between / gap
                seen = abs(ray - truth[other, T_LATERAL]) >= 0.5 * stage.actors[other, 2]
        truth[actor, T_SEEN] = 1.0 if seen else 0.0


@helper
def measure(state, scene, stage, stack, row, fault):
    """Measure the car's motion and the lane; return speed, acceleration, heading, lane type, position, curvature."""
    noise = stage.noise[scene]
    speed = output(row, V_VELOCITY, max(0.0, state[SPEED] + stack.speed_error_mps * noise[N_SPEED]), fault)
    acceleration = output(
        row, V_ACCELERATION, state[ACCELERATION] + stack.acceleration_error_mps2 * noise[N_ACCELERATION], fault
    )
    heading = output(row, V_HEADING, state[HEADING] + stack.heading_error_rad * noise[N_HEADING], fault)

    last = stage.marked.size - 1
    here = min(int(state[DISTANCE]), last)
    marked = stage.marked[here] > 0.0
    lane = output(row, V_LANE_TYPE, 1.0 if marked else 0.0, fault)
    width = output(row, V_LANE_WIDTH, stage.lane_width, fault)
    ahead = min(int(state[DISTANCE] + stack.foresight_s * state[SPEED]), last)
    curvature = stage.curvature[ahead] + stack.curvature_error_per_m * noise[N_CURVATURE]
    # dead reckoning from the last position: what is left where no markings are seen
    position = state[POSITION] + speed * stage.dt * heading
    if lane > 0.5 and marked:
        left_border = 0.5 * stage.lane_width - state[OFFSET] + stack.lane_error_m * noise[N_LANE]
        position = 0.5 * width - left_border
    elif lane > 0.5:  # a lane reported where there is none: the camera draws it straight on
        curvature = 0.0
    elif marked and stack.free_space > 0.0:  # the road's borders, more coarsely
        position = state[OFFSET] + 5.0 * stack.lane_error_m * noise[N_LANE]
    elif marked:  # nothing to steer by
        curvature = state[CURVATURE]
    curvature = output(row, V_CURVATURE, curvature, fault)
    position = output(row, V_POSITION, position, fault)
    state[CURVATURE] = curvature
    state[POSITION] = position
    blind = lane < 0.5 and marked and stack.free_space <= 0.0
    return speed, acceleration, heading, position, curvature, blind


@helper
def detect(scene, stage, stack, truth, found, row, fault):
    """Fill `found` [A, 4] with distances [m] (negative: no detection) and classes by camera and LiDAR."""
    count = truth.shape[0]
    for actor in range(count):
        noise = stage.noise[scene, N_ACTORS + N_EACH * actor : N_ACTORS + N_EACH * (actor + 1)]
        gap = truth[actor, T_GAP]
        found[actor, D_CAMERA] = -1.0
        found[actor, D_LIDAR] = -1.0
        found[actor, D_CAMERA_CLASS] = stage.actors[actor, 0]
        found[actor, D_LIDAR_CLASS] = stage.actors[actor, 0]
        if truth[actor, T_SEEN] > 0.0 and gap < stack.camera_range_m and noise[N_CAMERA_DROP] >= stack.camera_dropout:
            error = stack.camera_error * gap + stack.camera_error_m
            found[actor, D_CAMERA] = max(0.0, gap + error * noise[N_CAMERA])
        if truth[actor, T_SEEN] > 0.0 and gap < stack.lidar_range_m and noise[N_LIDAR_DROP] >= stack.lidar_dropout:
            found[actor, D_LIDAR] = max(0.0, gap + stack.lidar_error_m * noise[N_LIDAR])
    _report(stack, truth, found, D_CAMERA, D_CAMERA_CLASS, V_CAMERA, V_CAMERA_CLASS, row, fault)
    _report(stack, truth, found, D_LIDAR, D_LIDAR_CLASS, V_LIDAR, V_LIDAR_CLASS, row, fault)


@helper
def _report(stack, truth, found, distance, kind, variable, variable_class, row, fault):
    """Report a sensor's nearest object in the path (a pedestrian also beside it), where faults strike."""
    who = -1
    for actor in range(truth.shape[0]):
        reach = PEDESTRIAN_REACH_M if found[actor, kind] == PEDESTRIAN else stack.corridor_m
        if (
            found[actor, distance] >= 0.0
            and abs(truth[actor, T_LATERAL]) <= reach
            and (who < 0 or found[actor, distance] < found[who, distance])
        ):
            who = actor
    if who < 0:
        output(row, variable_class, 0.0, fault)
        output(row, variable, NO_OBSTACLE_M, fault)
        return
    found[who, kind] = output(row, variable_class, found[who, kind], fault)
    if found[who, kind] < 0.5:
        found[who, distance] = -1.0
        output(row, variable, NO_OBSTACLE_M, fault)
    else:
        found[who, distance] = output(row, variable, found[who, distance], fault)


@helper
def _update(state, base, distance, error, gate):
    """Kalman update of a track with one detection; return whether the gate let it in."""
    spread = state[base + P_GAP] + error * error
    innovation = distance - state[base + GAP]
    if innovation * innovation > gate * spread:
        return False
    gain_gap = state[base + P_GAP] / spread
    gain_rate = state[base + P_BOTH] / spread
    state[base + GAP] += gain_gap * innovation
    state[base + RATE] += gain_rate * innovation
    state[base + P_RATE] -= gain_rate * state[base + P_BOTH]
    state[base + P_BOTH] *= 1.0 - gain_gap
    state[base + P_GAP] *= 1.0 - gain_gap
    return True


@helper
def track(state, scene, stage, stack, truth, found, acceleration):
    """Move every actor's track on by a scene: predict, gate and update, register, coast, drop."""
    dt = stage.dt
    noise = stack.object_noise_mps2**2
    pace = dt * GAINS_HZ
    lateral_gain = 1.0 - (1.0 - stack.lateral_gain) ** pace
    rate_gain = stack.lateral_rate_gain * pace * pace
    for actor in range(found.shape[0]):
        base = ACTOR + PER_ACTOR * actor
        lidar, camera = found[actor, D_LIDAR], found[actor, D_CAMERA]
        if state[base + HITS] > 0.0:
            state[base + GAP] += (state[base + RATE] - 0.5 * acceleration * dt) * dt
            state[base + RATE] -= acceleration * dt
            state[base + LATERAL] += state[base + LATERAL_RATE] * dt
            state[base + P_GAP] += dt * (2.0 * state[base + P_BOTH] + dt * state[base + P_RATE]) + noise * dt**4 / 4.0
            state[base + P_BOTH] += dt * state[base + P_RATE] + noise * dt**3 / 2.0
            state[base + P_RATE] += noise * dt**2
        accepted = False
        lateral = truth[actor, T_LATERAL]
        lateral += stack.lateral_error_m * stage.noise[scene, N_ACTORS + N_EACH * actor + N_LATERAL]
        camera_error = stack.camera_error * max(camera, 1.0) + stack.camera_error_m
        if state[base + HITS] <= 0.0:
            if lidar >= 0.0 or camera >= 0.0:
                state[base + GAP] = lidar if lidar >= 0.0 else camera
                state[base + P_GAP] = stack.lidar_error_m**2 if lidar >= 0.0 else camera_error**2
                state[base + RATE] = 0.0  # not known at first sight: one more detection tells
                state[base + P_BOTH] = 0.0
                state[base + P_RATE] = 400.0
                state[base + LATERAL] = lateral
                state[base + LATERAL_RATE] = 0.0
                state[base + KIND] = found[actor, D_LIDAR_CLASS] if lidar >= 0.0 else found[actor, D_CAMERA_CLASS]
                accepted = True
        else:
            if lidar >= 0.0:
                accepted = _update(state, base, lidar, stack.lidar_error_m, stack.gate)
            if camera >= 0.0:
                accepted = _update(state, base, camera, camera_error, stack.gate) or accepted
            # a track changes its class only if both sensors say so
            if lidar >= 0.0 and camera >= 0.0 and found[actor, D_LIDAR_CLASS] == found[actor, D_CAMERA_CLASS]:
                state[base + KIND] = found[actor, D_LIDAR_CLASS]
            if accepted:
                surprise = lateral - state[base + LATERAL]
                state[base + LATERAL] += lateral_gain * surprise
                state[base + LATERAL_RATE] += rate_gain * surprise / dt
        if accepted:
            state[base + HITS] = min(state[base + HITS] + 1.0, 99.0)
            state[base + MISSES] = 0.0
        elif state[base + HITS] > 0.0:
            state[base + MISSES] += 1.0
            if state[base + MISSES] > stack.coast_scenes:
                state[base : base + KIND + 1] = 0.0


@helper
def _in_path(state, base, stack):
    """Return whether a track is in the path, or will be within the foresight for its class."""
    lateral, rate = state[base + LATERAL], state[base + LATERAL_RATE]
    foresight = stack.pedestrian_foresight_s if state[base + KIND] == PEDESTRIAN else stack.vehicle_foresight_s
    if abs(lateral) < stack.corridor_m:
        return True
    later = lateral + rate * foresight
    return abs(later) < stack.corridor_m or later * lateral < 0.0


@helper
def fuse(state, stack, count, row, fault):
    """Choose the closest in-path obstacle among the registered tracks; return actor (-1: none), class, distance."""
    who = -1
    for actor in range(count):
        base = ACTOR + PER_ACTOR * actor
        if (
            state[base + HITS] >= stack.register_hits
            and state[base + GAP] > -1.0
            and _in_path(state, base, stack)
            and (who < 0 or state[base + GAP] < state[ACTOR + PER_ACTOR * who + GAP])
        ):
            who = actor
    base = ACTOR + PER_ACTOR * who
    kind = output(row, V_FUSED_CLASS, state[base + KIND] if who >= 0 else 0.0, fault)
    if who >= 0 and kind < 0.5:  # the obstacle is struck off: its track has to register anew
        state[base : base + KIND + 1] = 0.0
        who = -1
    elif who >= 0:
        state[base + KIND] = kind
    distance = output(row, V_FUSED, max(0.0, state[base + GAP]) if who >= 0 else NO_OBSTACLE_M, fault)
    return who, kind, distance


@helper
def model_world(state, scene, stage, stack, truth, who, kind, distance, speed, row, fault):
    """Return the obstacle that the planner sees: class (0: none), distance, speed and acceleration along the lane."""
    seen = speed
    gain = 0.0
    if kind > 0.5 and who >= 0:
        seen = speed + state[ACTOR + PER_ACTOR * who + RATE]
        if state[OBSTACLE_WHO] == who:
            change = (seen - state[OBSTACLE_SPEED]) / stage.dt
            gain = state[OBSTACLE_ACCELERATION]
            gain += stack.acceleration_gain * stage.dt * GAINS_HZ * (change - gain)
    if stack.free_space > 0.0:
        free = NO_OBSTACLE_M
        for actor in range(truth.shape[0]):
            reach = 0.5 * (stage.actors[actor, 2] + stack.width_m)
            if abs(truth[actor, T_LATERAL] - state[OFFSET]) < reach and 0.0 < truth[actor, T_GAP] < free:
                free = truth[actor, T_GAP]
        if free < stack.lidar_range_m:
            free = max(0.0, free + 2.0 * stack.lidar_error_m * stage.noise[scene, N_FREE])
            if kind < 0.5 or free < distance - 2.0:
                # occupied space has no speed of its own: it is told from how its distance changes; at first it stands
                if abs(free - state[OBSTACLE_GAP]) < 5.0:
                    seen = speed + (free - state[OBSTACLE_GAP]) / stage.dt
                    weight = stack.free_space_gain * stage.dt * GAINS_HZ
                    seen = state[OBSTACLE_SPEED] + weight * (seen - state[OBSTACLE_SPEED])
                else:
                    seen = 0.0
                gain = 0.0
                distance = free
                kind = max(kind, 2.0)
    seen = output(row, V_OBSTACLE_SPEED, seen, fault)
    gain = output(row, V_OBSTACLE_ACCELERATION, gain, fault)
    state[OBSTACLE_WHO] = who
    state[OBSTACLE_SPEED] = seen
    state[OBSTACLE_ACCELERATION] = gain
    distance = output(row, V_OBSTACLE, distance, fault)
    state[OBSTACLE_GAP] = distance
    return kind, distance, seen, gain


@kernel
def empty_scratch(count):
    """Return room for a scene's truth and detections."""
    return np.zeros((count, 5)), np.zeros((count, 4))
