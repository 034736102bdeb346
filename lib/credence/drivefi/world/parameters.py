"""Every constant of car, sensors and stack, by name: none of them is published for the paper's two stacks.

`STACKS` holds ours: A (Apollo-like) and D (DriveWorks-like: a free-space detector that knows neither classes nor lane
markings, and quicker registration). ``STACKS["A"]._replace(gate=9.0)`` is another stack.
"""

from typing import NamedTuple

from credence.bench.errors import InputError, choose


class Stack(NamedTuple):
    """Constants of one driving stack and its car; a tuple of floats, so that compiled code takes it as it is."""

    # car
    wheelbase_m: float = 2.8
    length_m: float = 4.6
    width_m: float = 1.85
    full_throttle_mps2: float = 4.0
    full_brake_mps2: float = 8.0
    drag_mps2: float = 0.1  # rolling resistance
    drag_per_m: float = 0.0005  # air, times v²
    throttle_lag_s: float = 0.25
    brake_lag_s: float = 0.15
    steer_servo_rad_per_s: float = 0.22  # the notes: 0.6 makes steering faults dominate, 0.22 removes most of them
    # sensors: ranges, errors (standard deviations), share of dropped detections
    camera_range_m: float = 80.0
    camera_error: float = 0.02  # times distance
    camera_error_m: float = 0.2
    camera_dropout: float = 0.02
    lidar_range_m: float = 110.0
    lidar_error_m: float = 0.1
    lidar_dropout: float = 0.01
    lateral_error_m: float = 0.1
    lane_error_m: float = 0.03
    heading_error_rad: float = 0.001
    curvature_error_per_m: float = 0.0001
    speed_error_mps: float = 0.05
    acceleration_error_mps2: float = 0.1
    # tracking and fusion; filter gains are those at 7.5 Hz
    gate: float = 16.0  # squared normalised innovation above which a detection is refused
    register_hits: float = 5.0  # scenes with a detection before a track is believed; fewer than 5 masks every drop
    coast_scenes: float = 4.0  # scenes without a detection before a track is dropped
    object_noise_mps2: float = 2.0  # what the constant-velocity model leaves out
    lateral_gain: float = 0.5
    lateral_rate_gain: float = 0.25
    acceleration_gain: float = 0.15
    # world model: what counts as in the path
    corridor_m: float = 1.5
    vehicle_foresight_s: float = 1.0
    pedestrian_foresight_s: float = 2.5
    free_space: float = 0.0  # 1: distance to the next occupied place, whatever it is, and road borders
    free_space_gain: float = 0.3  # of the speed told from its change
    # planner (IDM and lane keeping)
    headway_s: float = 1.4
    standstill_gap_m: float = 3.0
    pedestrian_gap_m: float = 5.0  # standstill gap before a pedestrian
    comfort_acceleration_mps2: float = 1.8
    comfort_braking_mps2: float = 3.0
    release_mps3: float = 8.0  # how fast a demand for braking may be given up
    lateral_comfort_mps2: float = 2.0  # sets the speed in turns
    foresight_s: float = 0.3  # dead time that the planner makes up for
    lane_bandwidth_rad_per_s: float = 0.8
    lane_damping: float = 0.9
    # controller
    speed_gain: float = 0.25
    integral_gain: float = 0.05
    integral_limit: float = 0.2
    reference_span_mps: float = 1.0
    throttle_rise_per_s: float = 1.5
    throttle_fall_per_s: float = 1.5
    brake_rise_per_s: float = 4.0
    brake_fall_per_s: float = 2.0
    steer_rate_rad_per_s: float = 0.5
    steer_limit_rad: float = 0.5
    # safety (Section II-B); the paper never states a_max
    a_max_mps2: float = 8.0
    obstacle_braking_mps2: float = 8.0  # an obstacle that drives ahead can brake no harder
    side_foresight_s: float = 2.5  # an object that will be in the lane so soon counts as in it


STACKS = {"A": Stack(), "D": Stack(free_space=1.0, register_hits=3.0)}


def stack(name: "str | Stack", **changes: float) -> Stack:
    """Return the constants of stack `name` (``A`` or ``D``, or a `Stack` as it is), some of them changed.

    Raises
    ------
    InputError
        For an unknown stack or constant, and for a constant that is not a finite number.
    """
    plain = name if isinstance(name, Stack) else STACKS[choose(name, STACKS, "stack")]
    for key, value in changes.items():
        choose(key, Stack._fields, "constant of the stack")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
            raise InputError(f"{key} is {value!r}; allowed: a finite number")
    return plain._replace(**{key: float(value) for key, value in changes.items()})
