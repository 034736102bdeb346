"""Safety potential (Section II-B): how far the car needs to stop, how far it may go, and what is left between the two.

The paper's eq. 6a/6b do not follow from its eq. 3 and 5 (the derivative of ``v cos θ`` is
``-a_max cos θ - v sin θ dθ/dt``); here eq. 3 and 5 are integrated as they stand, and their closed form for constant
steering is used where speed matters.
"""

import math

import numpy as np

from credence.bench.errors import InputError
from credence.drivefi.world.compiled import helper
from credence.drivefi.world.state import NO_OBSTACLE_M


@helper
def stop_displacement(speed, heading, bend, a_max):
    """Return the displacement [m] along and across until standstill, braking at `a_max` with the wheel held (eq. 7).

    The path is an arc of length ``v²/(2 a_max)`` and curvature `bend`, whatever the braking.

    Parameters
    ----------
    speed : float
        [m/s].
    heading : float
        Against the axis that "along" means [rad].
    bend : float
        ``tan(φ)/L`` less the curvature of that axis [1/m].
    a_max : float
        [m/s²].
    """
    way = speed * speed / (2.0 * a_max)
    turn = bend * way
    if abs(turn) < 1e-5:  # series: the quotient below loses its digits
        middle = heading + 0.5 * turn
        return way * math.cos(middle), way * math.sin(middle)
    return (math.sin(heading + turn) - math.sin(heading)) / bend, (math.cos(heading) - math.cos(heading + turn)) / bend


def d_stop(speed, heading=0.0, steer=0.0, a_max=8.0, wheelbase=2.8, curvature=0.0):
    """Return d_stop (Definition 1) in closed form.

    Parameters
    ----------
    speed, heading, steer : float or array
        [m/s], [rad], [rad].
    a_max : float
        Largest comfortable deceleration [m/s²]; the paper does not state it.
    wheelbase : float
        [m].
    curvature : float or array
        Of the road [1/m]; 0: along and across are the axes at the start.

    Returns
    -------
    array [..., 2]
        Displacement along and across [m].
    """
    _check(speed, a_max, wheelbase)
    one = np.vectorize(stop_displacement, otypes=[float, float])
    along, across = one(
        np.asarray(speed, float), heading, np.tan(steer) / wheelbase - np.asarray(curvature, float), a_max
    )
    return np.stack([along, across], axis=-1)


def _check(speed, a_max: float, wheelbase: float) -> None:
    if not np.all(np.asarray(speed) >= 0):
        raise InputError(f"speed is {speed}; allowed: >= 0 m/s")
    for name, value in (("a_max", a_max), ("wheelbase", wheelbase)):
        if not value > 0:
            raise InputError(f"{name} is {value}; allowed: > 0")


def d_stop_integrated(
    speed: float, heading: float = 0.0, steer=0.0, a_max: float = 8.0, wheelbase: float = 2.8, step_s: float = 0.001
) -> np.ndarray:
    """Return d_stop by integrating eq. 3 and 5 with Runge–Kutta, for any steering.

    Parameters
    ----------
    speed, heading, a_max, wheelbase : float
        As in `d_stop`.
    steer : float or callable
        Steering angle [rad], or a function of the time since braking began [s] (the paper's eq. 5 holds it).
    step_s : float
        Time step [s].

    Returns
    -------
    array [2]
        Displacement along and across [m].
    """
    _check(speed, a_max, wheelbase)
    angle = steer if callable(steer) else lambda _: steer

    def slope(time: float, where: np.ndarray) -> np.ndarray:
        pace = max(speed - a_max * time, 0.0)
        return pace * np.array([math.cos(where[2]), math.sin(where[2]), math.tan(angle(time)) / wheelbase])

    where = np.array([0.0, 0.0, heading])
    until = speed / a_max
    steps = max(1, math.ceil(until / step_s))
    step = until / steps
    for number in range(steps):
        time = number * step
        first = slope(time, where)
        second = slope(time + 0.5 * step, where + 0.5 * step * first)
        third = slope(time + 0.5 * step, where + 0.5 * step * second)
        fourth = slope(time + step, where + step * third)
        where = where + step / 6.0 * (first + 2 * second + 2 * third + fourth)
    return where[:2]


@helper
def safe_along(gap, obstacle_speed, obstacle_braking):
    """Return d_safe along the lane [m]: up to the obstacle, and as far as it goes itself when it brakes.

    The second part is ours: without it no car could follow another at speed (Example 1: delta of 20 m at 33.5 m/s).
    """
    ahead = max(obstacle_speed, 0.0)
    return min(max(gap, 0.0) + ahead * ahead / (2.0 * obstacle_braking), NO_OBSTACLE_M)


@helper
def potential(speed, heading, offset, bend, gap, obstacle_speed, lane_width, width, a_max, obstacle_braking):
    """Return the safety potential delta = d_safe - d_stop along and across the lane [m] (Definition 3).

    Parameters
    ----------
    speed, heading, offset : float
        Of the car: [m/s], [rad] and [m] against the lane's centre line.
    bend : float
        ``tan(φ)/L`` less the lane's curvature [1/m].
    gap, obstacle_speed : float
        Of the closest object in the lane [m], [m/s].
    lane_width, width : float
        Of lane and car [m]; the lane's borders count as objects.
    a_max, obstacle_braking : float
        [m/s²].
    """
    along, across = stop_displacement(speed, heading, bend, a_max)
    room = 0.5 * (lane_width - width)
    left = room - offset if across >= 0.0 else room + offset
    return safe_along(gap, obstacle_speed, obstacle_braking) - along, left - abs(across)
