"""The worked examples, equation 6 as printed, and the sensitivity to constants that are not published."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.variables import INDEX
from credence.drivefi.evaluate import safety_study as study
from credence.drivefi.figures import replay as replays
from credence.drivefi.figures import safety as figures
from credence.drivefi.world.parameters import Stack
from credence.drivefi.world.simulate import Faults, golden, run, traced
from credence.drivefi.world.token import Replay


def test_equation_6_never_stops_on_a_straight_road():
    # by eq. 6 nothing brakes where nothing turns: twice the way in the same time
    np.testing.assert_allclose(study.equation_6(16.0, 0.0, 8.0), [32.0, 0.0], rtol=1e-3)
    assert study.equation_6_errors([16.0], [0.0])["error_m"].iloc[0] == pytest.approx(16.0, rel=1e-3)


def test_example_one_takes_the_scene_where_the_fault_does_most():
    found = study.example_one([0], (1, 15))
    one = found.iloc[0]
    assert one["golden_m"] == pytest.approx(golden("example1", 0).delta_along_m.min())
    assert one["change_m"] == pytest.approx(one["faulty_m"] - one["golden_m"])
    assert found["faulty_m"].is_monotonic_decreasing
    some = Faults(np.array([40]), np.array([0]), np.array([1]), (study.THROTTLE,))
    assert one["faulty_m"] <= run("example1", 0, "A", some).delta_along_m[0]


def test_example_two_gets_no_better_by_delay_nor_by_nearness():
    found = study.example_two([0], (100.0, 160.0), (0, 20, 40)).pivot(index="delay", columns="gap_m", values="hazard")
    assert not found.loc[0].any()
    assert found.loc[40, 100.0]
    assert (found[100.0] >= found[160.0]).all()


def test_every_constant_that_is_not_zero_can_be_varied():
    assert set(study.unpublished()) == set(Stack._fields) - {"free_space"}


def test_sensitivity_varies_one_constant_at_a_time():
    found = study.sensitivity("DS5", [0], ["full_brake_mps2", "lidar_range_m"], (0.75, 1.25), every=40)
    assert found["constant"].tolist() == ["none", *["full_brake_mps2"] * 2, *["lidar_range_m"] * 2]
    assert found["value"].tolist()[1:] == [6.0, 10.0, 82.5, 137.5]
    # weaker brakes: the car without a fault already hits the pedestrian, so there is no base rate
    weak = found.iloc[1]
    assert weak["golden_margin_m"] < 0
    assert np.isnan(weak["critical_pct"])
    with pytest.raises(InputError, match="constant 'brakes'"):
        study.sensitivity("DS5", [0], ["brakes"])


def test_a_weaker_a_max_makes_more_scenes_unsafe():
    found = study.by_a_max(["DS2"], [0], (3, 6, 9))
    assert found["unsafe_scenes_pct"].is_monotonic_decreasing
    assert found["unsafe_scenes_pct"].iloc[0] > found["unsafe_scenes_pct"].iloc[-1]


def test_figures_show_what_they_are_given():
    found = study.example_one([0, 1], (1,))
    assert len(figures.example_one(found).data) == 2
    heat = figures.example_two(study.example_two([0], (100.0,), (0, 40))).data[0]
    assert np.asarray(heat.z).tolist() == [[0.0], [100.0]]
    stop = figures.stop_paths(13.0, (0.0, 0.1), 8.0, 2.8, 3.6, 1.85)
    for line, end in zip(stop.data[::2], stop.data[1::2], strict=True):
        assert (line.x[0], line.y[0]) == pytest.approx((end.x[0], end.y[0]))
    table = study.sensitivity("DS4", [0], ["gate"], every=400)
    assert set(figures.sensitivity(table).data[0].y) == {"gate"}


def test_the_story_of_a_fault_names_the_variables_that_differ():
    plain = golden("DS5", 0)
    seen = int(np.argmax(plain.values[:, INDEX["camera_object_class"]] > 0))
    line = Replay("DS5", 0, seen, "camera_object_class", "class:none")
    faulty = traced("DS5", 0, line.fault, seen, 1)
    assert replays.told(line, plain, faulty)[0] == "camera_object_class"
    assert replays.told(line, plain, plain) == []
    figure = replays.trace_figure(line, plain, faulty, ["throttle", "lane_type"])
    assert len(figure.data) == 4
    assert len(replays.safety_figure(line, plain, faulty).data) == 8


def test_the_verdict_on_example_two_does_not_hang_on_the_delays_tried():
    first, wrong = pd.DataFrame({"duration": [1], "change_m": [0.0]}), pd.DataFrame({"error_m": [0.0]})
    short = study.example_two([0, 1, 2], (160.0,), (0, 20, 40))
    long = study.example_two([0, 1, 2], (140.0, 160.0), (0, 20, 40, 60))
    assert long.loc[long["delay"] == 60, "hazard"].all()
    found = [study.claim_metrics(first, second, wrong, 50, 0)["example2_delayed_hazards"] for second in (short, long)]
    assert np.array_equal(*found)
    assert found[0].mean() < 100
