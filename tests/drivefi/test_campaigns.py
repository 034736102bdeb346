"""Campaigns of Table II: what is drawn, how vulnerability is counted, compensation, shortest faults."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.bench.seeds import generator
from credence.drivefi.data.paper import paper_values
from credence.drivefi.data.variables import INDEX, FaultType, fault_types
from credence.drivefi.evaluate import campaigns
from credence.drivefi.figures import campaigns as figures
from credence.drivefi.world.simulate import golden, run, traced


def test_table_ii_has_a_random_and_six_fixed_campaigns_of_each_length():
    assert len(campaigns.CAMPAIGNS) == 14
    names = {(row.variable, row.value) for row in fault_types()}
    assert set(campaigns.TARGETS.values()) <= names


def test_draws_are_uniform_over_scenes_types_and_lengths():
    faults = campaigns.draw_faults(campaigns.CAMPAIGNS["M-Random"], 20_000, 225, np.random.default_rng(0))
    assert (faults.duration.min(), faults.duration.max()) == (10, 100)
    assert (faults.scene.min(), faults.scene.max()) == (0, 224)
    assert abs(faults.duration.mean() - 55) < 1
    assert np.bincount(faults.type, minlength=41).min() > 400
    one = campaigns.draw_faults(campaigns.CAMPAIGNS["1-Fixed_lane_rem"], 10, 225, np.random.default_rng(0))
    assert (one.duration == 1).all()
    assert {fault_types()[kind].name for kind in one.type} == {"lane_type=class:none"}


def test_campaign_rows_are_runs():
    found = campaigns.campaign_runs("M-Fixed_throttle_max", "DS5", "A", [0, 3], 5)
    assert len(found) == 10
    row = found.iloc[7]
    told = traced(
        "DS5",
        int(row["seed"]),
        FaultType(0, row["variable"], row["value"]),
        row["scene"],
        row["duration"],
    )
    assert told.margin_m == row["margin_m"]
    again = campaigns.campaign_runs("M-Fixed_throttle_max", "DS5", "A", [3], 5)
    pd.testing.assert_frame_equal(again, found[found["seed"] == 3].reset_index(drop=True))


@pytest.mark.parametrize(
    ("name", "size", "says"), [("M-Fixed", 5, "unknown campaign"), ("M-Random", 0, "per_seed is 0")]
)
def test_what_cannot_be_run_is_refused(name, size, says):
    with pytest.raises(InputError, match=says):
        campaigns.campaign_runs(name, "DS5", "A", [0], size)


def test_vulnerability_is_worse_than_the_worst_safe_golden_run():
    goldens = pd.DataFrame(
        {
            "scenario": "X",
            "stack": "A",
            "seed": [0, 1, 2],
            "min_cipo_m": [5.0, 4.0, 0.5],
            "max_lane_offset_m": [0.1, 0.3, 0.2],
            "margin_m": [0.5, 0.5, -0.5],
        }
    )
    runs = pd.DataFrame(
        {
            "scenario": "X",
            "stack": "A",
            "seed": [0, 0, 1, 1],
            "min_cipo_m": [4.5, 3.9, 4.0, 9.0],
            "max_lane_offset_m": [0.1, 0.1, 0.3, 0.31],
        }
    )
    judged = campaigns.vulnerability(runs, goldens)
    assert judged["worse"].tolist() == [False, True, False, True]
    assert judged["worse_than_own"].tolist() == [True, True, False, False]


def test_shares_resample_seeds_not_runs():
    runs = pd.DataFrame({"seed": np.repeat([0, 1], 50), "critical": np.repeat([True, False], 50)})
    found = campaigns.shares(runs, "critical", 400, generator(0, "test"))
    assert set(found) == {0.0, 50.0, 100.0}


def test_compensation_is_the_sum_of_extra_braking():
    found = campaigns.compensation("DS1", 0, "D", 60)
    assert (found["compensation"][:60] == 0).all()
    faulty = traced("DS1", 0, FaultType(0, "throttle", "max"), 60, 30, "D").values[:, INDEX["brake"]]
    plain = golden("DS1", 0, "D").values[:, INDEX["brake"]]
    assert found["compensation"].iloc[-1] == pytest.approx(faulty.sum() - plain.sum())
    assert found["compensation"].iloc[-1] > 1


def test_the_shortest_hazard_is_one_and_nothing_shorter_is():
    found = campaigns.shortest_hazard("DS5", 0, "A", 10).set_index(["variable", "value"])
    assert np.isnan(found.loc[("camera_object_class", "class:none"), "scenes"])
    kind = next(row for row in fault_types() if row.name == "obstacle_position=double")
    shortest = int(found.loc[("obstacle_position", "double"), "scenes"])
    starts = np.arange(225)
    for length in (shortest, shortest - 1):
        faults = campaigns.Faults(starts, np.full(225, kind.index), np.full(225, length))
        assert run("DS5", 0, "A", faults).critical.any() == (length == shortest)


def test_figures_hold_what_was_found_and_what_the_paper_says():
    goldens = campaigns.golden_runs("DS6", "A", [0, 1])
    names = ("1-Random", "M-Fixed_steer_max")
    runs = pd.concat([campaigns.campaign_runs(name, "DS6", "A", [0, 1], 8) for name in names])
    paper = paper_values("fig11_campaigns")
    figure = figures.boxes(goldens, runs, paper, "A", "Apollo")
    boxes = [trace for trace in figure.data if trace.type == "box"]
    assert {trace.y[0] for trace in boxes} == {"golden", *names}
    told = [trace for trace in figure.data if trace.name == "paper, median"]
    assert 11.19 in told[0].x
    table = pd.DataFrame(
        [("Apollo, ours: A", "steer_max", 90.0, 80.0, 95.0)], columns=["platform", "target", "mean", "lo", "hi"]
    )
    bars = figures.vulnerability(table, paper_values("vulnerability")).data
    assert bars[0].y[0] == 90.0
    assert 46 in bars[1].y
    found = pd.DataFrame([("throttle", "max", 3.0), ("brake", "max", np.nan)], columns=["variable", "value", "scenes"])
    assert len(figures.shortest(found).data[0].x) == found["scenes"].notna().sum()


def test_an_unknown_table_of_the_paper_is_refused():
    with pytest.raises(InputError, match="fig11_campaigns"):
        paper_values("fig99")
