"""Planner (IDM and lane keeping), controller with rate limits, actuators and car (compiled)."""

import math

from credence.drivefi.world.compiled import helper
from credence.drivefi.world.state import (
    ACCELERATION,
    BRAKE,
    BRAKE_NOW,
    DEMAND,
    DISTANCE,
    HEADING,
    INTEGRAL,
    OFFSET,
    RAW_STEER,
    REFERENCE,
    SPEED,
    STEER_NOW,
    THROTTLE,
    THROTTLE_NOW,
    V_BRAKE,
    V_PID_IN,
    V_PID_OUT,
    V_RAW_BRAKE,
    V_RAW_STEER,
    V_RAW_THROTTLE,
    V_STEER,
    V_THROTTLE,
    clip,
    output,
)


@helper
def interaction(speed, closing, gap, standstill, stack):
    """Return the intelligent driver model's braking [m/s²] for an obstacle (Treiber et al. 2000)."""
    comfortable = 2.0 * math.sqrt(stack.comfort_acceleration_mps2 * stack.comfort_braking_mps2)
    wanted = standstill + max(0.0, speed * stack.headway_s + speed * closing / comfortable)
    ratio = wanted / max(gap, 0.5)
    return stack.comfort_acceleration_mps2 * ratio * ratio


@helper
def plan(state, scene, stage, stack, motion, obstacle, row, fault):
    """Return raw throttle, brake and steering; `motion` and `obstacle` are what measure and model_world return."""
    speed, acceleration, heading, position, curvature, blind = motion
    kind, gap, obstacle_speed, obstacle_acceleration = obstacle
    soon = max(0.0, speed + stack.foresight_s * acceleration)
    limit = stage.limit[min(int(state[DISTANCE]), stage.limit.size - 1)]
    if soon <= limit:
        demand = stack.comfort_acceleration_mps2 * (1.0 - (soon / limit) ** 4)
    else:
        demand = -min(2.0 * (soon - limit), stack.comfort_braking_mps2)
    if kind > 0.5:
        ahead = max(0.0, obstacle_speed + stack.foresight_s * obstacle_acceleration)
        standstill = stack.pedestrian_gap_m if kind < 1.5 else stack.standstill_gap_m
        demand -= interaction(soon, soon - ahead, gap, standstill, stack)
    line = stage.light[0] - state[DISTANCE]
    if scene < stage.light[1] and 0.0 < line < stack.camera_range_m:
        demand = min(demand, stack.comfort_acceleration_mps2 - interaction(soon, soon, line, 1.0, stack))
    demand = clip(demand, -stack.full_brake_mps2, stack.comfort_acceleration_mps2)
    # braking is given up gradually, taken up at once
    demand = min(demand, state[DEMAND] + stack.release_mps3 * stage.dt)
    state[DEMAND] = demand
    resistance = stack.drag_mps2 + stack.drag_per_m * speed * speed
    push = (demand + resistance) / stack.full_throttle_mps2 if demand > -resistance else 0.0
    pull = -(demand + resistance) / stack.full_brake_mps2 if demand <= -resistance else 0.0
    throttle = output(row, V_RAW_THROTTLE, clip(push, 0.0, 1.0), fault)
    brake = output(row, V_RAW_BRAKE, clip(pull, 0.0, 1.0), fault)
    raw = state[RAW_STEER]
    if not blind:
        pace = max(speed, 3.0)
        bend = curvature - 2.0 * stack.lane_damping * stack.lane_bandwidth_rad_per_s / pace * heading
        bend -= (stack.lane_bandwidth_rad_per_s / pace) ** 2 * position
        raw = math.atan(stack.wheelbase_m * bend)
    raw = output(row, V_RAW_STEER, clip(raw, -stack.steer_limit_rad, stack.steer_limit_rad), fault)
    state[RAW_STEER] = raw
    return throttle, brake, raw


@helper
def control(state, stage, stack, speed, raw, row, fault):
    """Smooth the planner's raw actuation; return throttle, brake and steering as sent to the actuators.

    Throttle and brake are limited in their change from what was last sent, so that a corrupted pedal value fades out
    instead of ending with the fault; steering is limited from where the servo stands.
    """
    raw_throttle, raw_brake, raw_steer = raw
    dt = stage.dt
    resistance = stack.drag_mps2 + stack.drag_per_m * speed * speed
    planned = raw_throttle * stack.full_throttle_mps2 - raw_brake * stack.full_brake_mps2 - resistance
    span = stack.reference_span_mps
    state[REFERENCE] = speed + clip(state[REFERENCE] + planned * dt - speed, -span, span)
    error = state[REFERENCE] - output(row, V_PID_IN, speed, fault)
    limit = stack.integral_limit
    state[INTEGRAL] = clip(state[INTEGRAL] + stack.integral_gain * error * dt, -limit, limit)
    effort = output(
        row,
        V_PID_OUT,
        clip(raw_throttle - raw_brake + stack.speed_gain * error + state[INTEGRAL], -1.0, 1.0),
        fault,
    )
    throttle = clip(
        max(effort, 0.0),
        state[THROTTLE] - stack.throttle_fall_per_s * dt,
        state[THROTTLE] + stack.throttle_rise_per_s * dt,
    )
    brake = clip(
        max(-effort, 0.0), state[BRAKE] - stack.brake_fall_per_s * dt, state[BRAKE] + stack.brake_rise_per_s * dt
    )
    throttle = output(row, V_THROTTLE, throttle, fault)
    brake = output(row, V_BRAKE, brake, fault)
    step = stack.steer_rate_rad_per_s * dt
    steer = output(row, V_STEER, clip(raw_steer, state[STEER_NOW] - step, state[STEER_NOW] + step), fault)
    state[THROTTLE] = throttle
    state[BRAKE] = brake
    return throttle, brake, steer


@helper
def _lag(now, target, time_constant, dt):
    """Return mean over a scene and end of a first-order lag towards `target`."""
    left = math.exp(-dt / time_constant)
    mean = target + (now - target) * time_constant / dt * (1.0 - left)
    return mean, target + (now - target) * left


@helper
def move(state, stage, stack, throttle, brake, steer):
    """Move the car by one scene: actuators, then the kinematic bicycle (eq. 3) relative to the road's centre line."""
    dt = stage.dt
    push, state[THROTTLE_NOW] = _lag(state[THROTTLE_NOW], throttle, stack.throttle_lag_s, dt)
    pull, state[BRAKE_NOW] = _lag(state[BRAKE_NOW], brake, stack.brake_lag_s, dt)
    span = stack.steer_servo_rad_per_s * dt
    turned = state[STEER_NOW] + clip(steer - state[STEER_NOW], -span, span)
    angle = 0.5 * (state[STEER_NOW] + turned)
    state[STEER_NOW] = turned

    speed = state[SPEED]
    acceleration = push * stack.full_throttle_mps2 - pull * stack.full_brake_mps2
    acceleration -= stack.drag_mps2 + stack.drag_per_m * speed * speed
    after = max(0.0, speed + acceleration * dt)
    way = 0.5 * (speed + after) * dt
    if after <= 0.0 and acceleration < 0.0:  # stops, or stands, within the scene
        way = 0.5 * speed * speed / -acceleration
    curvature = stage.curvature[min(int(state[DISTANCE]), stage.curvature.size - 1)]
    along = math.cos(state[HEADING]) / (1.0 - curvature * state[OFFSET])
    turn = (math.tan(angle) / stack.wheelbase_m - curvature * along) * way
    middle = state[HEADING] + 0.5 * turn
    state[DISTANCE] += math.cos(middle) / (1.0 - curvature * state[OFFSET]) * way
    state[OFFSET] = clip(state[OFFSET] + math.sin(middle) * way, -6.0, 6.0)
    state[HEADING] = clip(state[HEADING] + turn, -1.2, 1.2)
    state[ACCELERATION] = (after - speed) / dt
    state[SPEED] = after
