"""The animation of a scene shows the two runs where they are, opened at the smallest margin."""

import numpy as np
import pytest

from credence.drivefi.data.scenarios import scenario
from credence.drivefi.data.variables import INDEX
from credence.drivefi.figures import animation
from credence.drivefi.world import simulate
from credence.drivefi.world.token import parse

RUN = parse("scenario=DS5 seed=0 scene=105 variable=throttle value=max duration=1")
PLACE = scenario("DS5", 0)
GOLDEN = simulate.golden("DS5", 0)
FAULTY = simulate.traced("DS5", 0, RUN.fault, RUN.scene, RUN.duration)
WORST = int(np.argmin(simulate.margin(FAULTY.cipo_m, FAULTY.lane_offset_m)))


@pytest.fixture(scope="module")
def figure():
    return animation.scene_animation(RUN, GOLDEN, FAULTY, PLACE)


def test_it_opens_at_the_smallest_margin(figure):
    slider = figure.layout.sliders[0]
    frame = figure.frames[slider.active]
    assert frame.name == str(WORST)
    for trace, drawn in zip(figure.data, frame.data, strict=True):
        assert list(trace.x) == list(drawn.x)
    assert f"{FAULTY.cipo_m[WORST]:.1f} m faulty" in slider.steps[slider.active].label


def test_fault_and_smallest_margin_are_shown_and_frames_are_few(figure):
    names = [int(frame.name) for frame in figure.frames]
    assert {RUN.scene, WORST} <= set(names)
    assert names == sorted(names)
    assert len(names) <= animation.MOST_FRAMES
    assert "the fault is set" in figure.layout.sliders[0].steps[names.index(RUN.scene)].label
    few, _ = animation.shown_scenes(RUN, FAULTY, most=6)
    assert len(few) <= 6


def test_a_frame_draws_what_the_traces_hold(figure):
    frame = next(one for one in figure.frames if one.name == str(WORST))
    car, others, stop, free, believed = frame.data[5:]
    assert max(x for x in car.x if x is not None) == 0.0
    near = FAULTY.actors[WORST]
    near = near[(near[:, 0] > -animation.BEHIND_M) & (np.abs(near[:, 1]) <= animation.SIDE_M)]
    assert min(x for x in others.x if x is not None) == pytest.approx(near[:, 0].min(), abs=0.006)
    assert stop.x[1] == pytest.approx(FAULTY.speed_mps[WORST] ** 2 / 16.0, abs=0.006)
    assert free.x[1] - stop.x[1] == pytest.approx(FAULTY.delta_along_m[WORST], abs=0.02)
    assert believed.x[0] == pytest.approx(FAULTY.values[WORST, INDEX["fused_obstacle_distance"]], abs=0.006)


def test_an_obstacle_that_is_not_believed_in_is_out_of_the_picture(figure):
    seen = {int(frame.name): frame.data[4].x[0] for frame in figure.frames}
    for scene, place in seen.items():
        assert (place == animation.AWAY_M) == (GOLDEN.values[scene, INDEX["fused_obstacle_class"]] == 0)
    assert animation.AWAY_M in seen.values()
