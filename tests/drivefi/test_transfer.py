"""What the transfer notebook computes from runs."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.variables import INDEX, VARIABLES, fault_types
from credence.drivefi.evaluate import transfer
from credence.drivefi.evaluate.hardware import FOR_GOOD, ONE_SCENE
from credence.drivefi.world.highway import drive_highway


def made_up(there_critical, there_random):
    rows = []
    for seed in range(3):
        rows += [("critical", seed, hit) for hit in there_critical] + [("random", seed, hit) for hit in there_random]
    runs = pd.DataFrame(rows, columns=["group", "seed", "there"])
    driven = pd.DataFrame({"classifier": np.repeat([0, 1], 10), "actuation": [True] + [False] * 19})
    driven = driven.assign(kind=ONE_SCENE, width=1)
    # neither two bits nor weights are what is claimed
    others = driven.assign(width=2, actuation=True), driven.assign(kind=FOR_GOOD, actuation=True)
    return transfer.claim_metrics(runs, pd.concat([driven, *others]), 200, 0)


def test_metrics_of_runs_counted_by_hand():
    metrics = made_up([True, True, True, False], [False] * 10)
    assert np.allclose(metrics["transfer_share"], 75.0)
    assert np.allclose(metrics["transfer_lift"], 0.75 * 31 / 0.5)
    assert set(np.round(metrics["hardware_silent"], 6)) == {0.0, 5.0, 10.0}


def test_no_transfer_is_no_lift():
    metrics = made_up([False] * 4, [True, False])
    assert (metrics["transfer_share"] == 0).all()
    assert (metrics["transfer_lift"] == 0).all()


def test_without_critical_faults_there_is_no_share():
    with pytest.raises(InputError, match="no critical fault"):
        made_up([], [False])


def test_hardware_names_its_classifier(monkeypatch):
    given = iter([0.9, 0.8])
    monkeypatch.setattr(transfer.bitflips, "train", lambda seed: ([], next(given)))
    frame = pd.DataFrame({"outcome": ["masked"]})
    monkeypatch.setattr(transfer.bitflips, "flip_campaign", lambda layers, runs, width, rng: frame)
    found = transfer.hardware((4, 7), 1)
    assert found["seed"].tolist() == [4, 7]
    assert found["accuracy"].tolist() == [0.9, 0.8]


def believing(distances):
    values = np.zeros((len(distances), len(VARIABLES)))
    values[:, INDEX["obstacle_position"]] = distances
    return SimpleNamespace(values=values, time_s=np.arange(len(distances)) / 7.5)


def test_a_fault_goes_where_the_same_event_is():
    # lost in scene 10 and found in 14; there both are five scenes later
    here = believing([30.0] * 10 + [120.0] * 4 + [20.0] * 26)
    there = believing([30.0] * 15 + [120.0] * 4 + [20.0] * 21)
    assert [list(part) for part in transfer.jumps(here)] == [[10], [14]]
    assert transfer.same_event(11, here, there) == 16
    assert transfer.same_event(15, here, there) == 20
    assert transfer.same_event(9, here, there) == 9  # before anything happens
    assert transfer.same_event(30, here, there) == 30  # too long after
    assert transfer.same_event(11, here, believing([30.0] * 40)) == 11  # nothing happens there
    assert transfer.same_event(15, here, believing([120.0] * 39 + [20.0])) == 39  # never beyond the end


def test_aligned_runs_are_those_of_highway_env():
    row = {"scenario": "DS1", "seed": 1, "scene": 78, "variable": "lidar_object_distance", "value": "min"}
    runs = pd.DataFrame([row | {"group": "critical"}, row | {"group": "random"}])
    found = transfer.aligned(runs)
    assert len(found) == 1
    kind = next(item for item in fault_types() if (item.variable, item.value) == (row["variable"], row["value"]))
    again = drive_highway("DS1", 1, kind, int(found["scene_there"].iloc[0]))
    assert found["aligned_m"].iloc[0] == again.margin_m
