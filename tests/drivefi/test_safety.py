"""d_stop by integrating eq. 3 and 5 against its closed form; d_safe; delta both ways."""

import math

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.world.safety import d_stop, d_stop_integrated, potential, safe_along


@pytest.mark.parametrize("speed", [0.5, 13.0, 33.5])
@pytest.mark.parametrize("heading", [0.0, -0.3])
@pytest.mark.parametrize("steer", [0.0, 1e-9, 1e-4, 0.1, -0.5])
def test_closed_form_is_the_integral(speed, heading, steer):
    closed = d_stop(speed, heading, steer, a_max=6.0)
    np.testing.assert_allclose(d_stop_integrated(speed, heading, steer, a_max=6.0), closed, rtol=1e-7, atol=1e-7)


def test_straight_braking_needs_the_schoolbook_distance():
    assert d_stop(20.0, a_max=8.0) == pytest.approx([25.0, 0.0])


def test_the_series_meets_the_quotient():
    # around the switch between the two branches nothing may jump
    speeds = np.full(2, 10.0)
    bends = np.array([0.99e-5, 1.01e-5]) / (10.0**2 / 16.0)
    near = d_stop(speeds, 0.2, 0.0, 8.0, curvature=-bends)
    assert np.abs(np.diff(near, axis=0)).max() < 1e-5


def test_the_papers_equation_6_is_not_what_3_and_5_say():
    # eq. 6a/6b as printed, integrated from the same start, stop elsewhere
    speed, steer, a_max, wheelbase, step = 13.0, 0.1, 6.0, 2.8, 1e-4
    x = y = theta = 0.0
    vx, vy = speed, 0.0
    for _ in range(round(speed / a_max / step)):
        turn = math.hypot(vx, vy) * math.tan(steer) / wheelbase
        x, y = x + vx * step, y + vy * step
        ax, ay = -a_max * math.sin(theta) * turn, -a_max * math.cos(theta) * turn
        vx, vy, theta = vx + ax * step, vy + ay * step, theta + turn * step
    assert math.hypot(*(np.array([x, y]) - d_stop(speed, 0.0, steer, a_max))) > 5.0


def test_steering_that_changes_can_be_integrated():
    def angle(time):
        return 0.1 - 0.2 * time

    step, theta, where = 1e-5, 0.0, np.zeros(2)
    for number in range(round(10.0 / 8.0 / step)):
        way = (10.0 - 8.0 * number * step) * step
        where += way * np.array([math.cos(theta), math.sin(theta)])
        theta += way * math.tan(angle(number * step)) / 2.8
    assert d_stop_integrated(10.0, 0.0, angle) == pytest.approx(where, abs=1e-4)


def test_an_obstacle_that_drives_away_adds_its_own_way_to_stop():
    assert safe_along(10.0, 16.0, 8.0) == pytest.approx(10.0 + 16.0)
    assert safe_along(10.0, -16.0, 8.0) == pytest.approx(10.0)
    assert safe_along(-1.0, 0.0, 8.0) == 0.0


def test_delta_both_ways():
    along, across = potential(16.0, 0.0, 0.3, 0.0, 20.0, 0.0, 3.6, 1.8, 8.0, 8.0)
    assert along == pytest.approx(20.0 - 16.0)
    assert across == pytest.approx(0.6)
    # heading for the right border: that border counts
    _, right = potential(16.0, -0.05, 0.3, 0.0, 20.0, 0.0, 3.6, 1.8, 8.0, 8.0)
    assert right == pytest.approx(0.9 + 0.3 - 16.0 * math.sin(0.05))


@pytest.mark.parametrize("wrong", [{"speed": -1.0}, {"speed": 1.0, "a_max": 0.0}, {"speed": 1.0, "wheelbase": -2.0}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match="allowed"):
        d_stop(**wrong)
