"""A wrong class of the camera's classifier in the closed loop."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.paper import paper_values
from credence.drivefi.data.scenarios import scenario
from credence.drivefi.data.variables import INDEX, OBJECT_CLASSES, VARIABLES, FaultType
from credence.drivefi.evaluate import hardware
from credence.drivefi.figures import transfer as figures
from credence.drivefi.world import bitflips, simulate
from credence.drivefi.world.misread import misread_run

PEDALS = {name: VARIABLES[INDEX[name]].high - VARIABLES[INDEX[name]].low for name in ("throttle", "brake", "steer")}


def moved(again, plain):
    """Return the largest actuation error, by name and range instead of by column."""
    off = np.abs(again.values - plain.values).max(axis=0)
    return max(off[INDEX[name]] / span for name, span in PEDALS.items())


@pytest.fixture(scope="module")
def flips():
    return hardware.class_runs("DS6", "D", [0, 1], 500, (0,))


def test_the_picture_shows_what_the_camera_reports(flips):
    assert len(flips) == 1000
    assert flips["activated"].all()
    for point, part in flips.groupby("seed"):
        plain = simulate.golden("DS6", point, "D").values[:, INDEX["camera_object_class"]]
        assert (plain[part["scene"]] == part["true"]).all()
    assert set(flips["true"]) == {0, 1, 2}


def test_a_class_that_stays_right_leaves_the_golden_run(flips):
    masked = flips[flips["outcome"] == "masked"]
    assert not masked[["detected", "wrong", "actuation", "critical", "changed"]].any(axis=None)
    assert (masked["faulty"] == masked["true"]).all()
    for point, part in masked.groupby("seed"):
        plain = simulate.golden("DS6", point, "D")
        assert (part["margin_m"] == plain.margin_m).all()
        # and were it run, it would be the golden one, bit for bit
        row = part.iloc[0]
        fault = FaultType(0, "camera_object_class", f"class:{OBJECT_CLASSES[row['faulty']]}")
        again = simulate.traced("DS6", point, fault, row["scene"], 1, "D")
        assert np.array_equal(again.values, plain.values)


def test_a_wrong_class_is_run_as_that_class_fault(flips):
    wrong = flips[flips["wrong"]]
    assert len(wrong) > 5
    assert wrong["changed"].all()
    for row in wrong.itertuples():
        fault = FaultType(0, "camera_object_class", f"class:{OBJECT_CLASSES[row.faulty]}")
        again = simulate.traced("DS6", row.seed, fault, row.scene, 1, "D")
        assert again.margin_m == row.margin_m
        assert row.critical == (again.margin_m <= 0)
        assert row.actuation == (moved(again, simulate.golden("DS6", row.seed, "D")) > hardware.ERROR)


def test_a_wrong_class_may_reach_the_actuation():
    found = hardware.class_runs("DS5", "A", [0, 1], 400, (0,), variable=hardware.FUSED)
    wrong = found[found["wrong"]]
    assert 0 < wrong["actuation"].sum() < len(wrong)
    for row in wrong.itertuples():
        fault = FaultType(0, "fused_obstacle_class", f"class:{OBJECT_CLASSES[row.faulty]}")
        again = simulate.traced("DS5", row.seed, fault, row.scene)
        assert row.actuation == (moved(again, simulate.golden("DS5", row.seed)) > hardware.ERROR)


def test_what_is_detected_has_no_run(monkeypatch):
    real = bitflips.flip_campaign
    monkeypatch.setattr(bitflips, "flip_campaign", lambda *given: real(*given).assign(faulty=-1, outcome="due"))
    found = hardware.class_runs("DS5", "A", [0], 5, (0,))
    assert found["detected"].all()
    assert not found[["wrong", "actuation", "critical"]].any(axis=None)
    assert found["margin_m"].isna().all()


def always(kind):
    """Return a draw of a weight flip after which the score of `kind` is huge."""

    def draw(layers, width, rng):
        bias = layers[3].bias.detach().numpy()
        assert bias[kind] > 0, "bit 30 of a small negative number makes it hugely negative"
        return bitflips.flip_weight(layers, 3, 3 * 24 + kind, (30,))

    return draw


def test_a_weight_that_always_says_one_class_is_that_fault_to_the_end(monkeypatch):
    layers, _ = bitflips.train(0)
    kind = int(np.argmax(layers[3].bias.detach().numpy()))
    monkeypatch.setattr(bitflips, "random_weight_flip", always(kind))
    found = hardware.weight_runs("DS6", "A", [0, 1], 6, (0,))
    assert found["wrong"].any()
    for row in found.itertuples():
        plain = simulate.golden("DS6", row.seed)
        fault = FaultType(0, "camera_object_class", f"class:{OBJECT_CLASSES[kind]}")
        again = simulate.traced("DS6", row.seed, fault, row.scene, row.duration)
        assert row.scene + row.duration == 225
        assert again.margin_m == row.margin_m
        assert row.critical == (again.margin_m <= 0)
        assert row.actuation == (moved(again, plain) > hardware.ERROR)
        ahead = plain.values[row.scene :, INDEX["camera_object_class"]]
        assert row.wrong == (ahead != kind).any()
        if row.wrong:
            assert (row.true, row.faulty) == (ahead[ahead != kind][0], kind)


def test_weights_without_finite_scores_are_detected(monkeypatch):
    def infinite(layers, width, rng):
        broken = bitflips.flip_weight(layers, 3, 0, (31,))
        broken.layers[3].bias.data[0] = np.inf
        return broken

    monkeypatch.setattr(bitflips, "random_weight_flip", infinite)
    found = hardware.weight_runs("DS5", "A", [0], 3, (0,))
    assert (found["outcome"] == "due").all()
    assert found["detected"].all()
    assert not found["critical"].any()
    assert found["margin_m"].isna().all()


def test_a_lookup_sees_what_the_car_sees():
    item, every = scenario("DS5", 0), np.tile(np.arange(3), (225, 1))
    plain = simulate.golden(item, 0)
    same = misread_run(item, "A", every)
    assert np.array_equal(same.values, plain.values)
    assert (same.margin_m, same.wrong, same.detected) == (plain.margin_m, 0, -1)
    # the pedestrian is missed from scene 20 on; other classes do not occur in this scenario
    said = every.copy()
    said[20:, 1] = 0
    missed = misread_run(item, "A", said)
    again = simulate.traced(item, 0, FaultType(0, "camera_object_class", "class:none"), 20, 205)
    assert np.array_equal(missed.values, again.values)
    first = int(np.flatnonzero(plain.values[20:, INDEX["camera_object_class"]] == 1)[0]) + 20
    said[:, 1] = -1
    cut = misread_run(item, "A", said)
    assert cut.detected <= first
    assert np.array_equal(cut.values[: cut.detected], plain.values[: cut.detected])
    assert np.isnan(cut.values[cut.detected :]).all()
    assert np.isnan(cut.margin_m)


def test_levels_and_mistakes_counted_by_hand():
    runs = pd.DataFrame(
        {
            "kind": ["a"] * 4 + ["b"] * 2,
            "detected": [True, False, False, False, False, False],
            "wrong": [False, True, True, True, False, True],
            "actuation": [False, False, True, False, False, True],
            "critical": [False, False, False, False, False, True],
            "true": [1, 1, 2, 0, 1, 2],
            "faulty": [-1, 0, 1, 2, 1, 0],
        }
    )
    table = hardware.levels(runs).set_index(["kind", "level"])
    assert table["hits"].tolist() == [1, 3, 1, 0, 0, 1, 1, 1]
    assert table.loc[("a", "wrong class"), "percent"] == 75.0
    assert table.loc[("b", "hazard"), "percent"] == 50.0
    assert (table["low"] <= table["percent"]).all()
    found = hardware.mistakes(runs)
    assert found.loc[("a", "object missed")].tolist() == [1, 0, 0]
    assert found.loc[("a", "object of another class")].tolist() == [1, 1, 0]
    assert found.loc[("a", "nothing taken for an object")].tolist() == [1, 0, 0]
    assert found.loc[("b", "object missed")].tolist() == [1, 1, 1]
    assert found.loc[("b", "nothing taken for an object")].tolist() == [0, 0, 0]
    told = hardware.level_table(hardware.levels(runs))
    assert told.index.tolist() == ["a", "b"]
    assert told.loc["b", "hazard"] == 50.0
    assert told.loc["a", "at most"] == pytest.approx(100 * (1 - 0.025**0.25))  # none of 4
    assert told["flips"].tolist() == [4, 2]


def test_the_figure_draws_upper_limits_where_there_is_none():
    rows = [("D", "a", name, 0, 40, 0.0, 0.0, 8.8) for name in hardware.LEVELS.values()]
    rows[1] = ("D", "a", "wrong class", 2, 40, 5.0, 0.6, 16.9)
    found = pd.DataFrame(rows, columns=["stack", "kind", "level", "hits", "flips", "percent", "low", "high"])
    shown = figures.levels(found, paper_values("gpu_flips"), (0.0, 0.0, 0.15))
    ours, paper = shown.data
    assert list(ours.x) == [8.8, 5.0, 8.8, 8.8]
    assert list(ours.marker.symbol) == ["triangle-left", "circle", "triangle-left", "triangle-left"]
    assert list(paper.x) == [7.35, 0.02, 1.93, 0.15]
    assert list(paper.marker.symbol) == ["diamond"] * 3 + ["triangle-left"]
    assert (np.diff(ours.y) < 0).all()


def test_a_campaign_has_every_kind_at_every_place():
    places, counts = [("DS5", "A"), ("DS1", "D")], (12, 3)
    found = hardware.campaign(places, [0], (0,), *counts)
    sizes = found.groupby(["scenario", "stack", "kind", "width"]).size().unstack("kind")
    assert len(sizes) == 4
    assert (sizes[[hardware.ONE_SCENE, hardware.ALONE]] == 12).all(axis=None)
    assert (sizes[hardware.FOR_GOOD] == 3).all()
    assert (found["variable"] == "fused_obstacle_class").equals(found["kind"] == hardware.ALONE)
    assert found["bits"].map(len).eq(found["width"]).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="DS6"):
        hardware.class_runs("DS6", "A", [107], 5, (0,))
    with pytest.raises(InputError, match="classifiers"):
        hardware.class_runs("DS5", "A", [0], 5, ())
    with pytest.raises(InputError, match="lidar_object_class"):
        hardware.class_runs("DS5", "A", [0], 5, (0,), variable="lidar_object_class")
    with pytest.raises(InputError, match="width"):
        hardware.weight_runs("DS5", "A", [0], 5, (0,), width=3)
    item = scenario("DS5", 0)
    with pytest.raises(InputError, match="shape"):
        misread_run(item, "A", np.zeros((10, 3), int))
    with pytest.raises(InputError, match="holds 3"):
        misread_run(item, "A", np.full((225, 3), 3))
