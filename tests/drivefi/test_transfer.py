"""What the transfer notebook computes from runs."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.drivefi.evaluate import transfer


def made_up(there_critical, there_random):
    rows = []
    for seed in range(3):
        rows += [("critical", seed, hit) for hit in there_critical] + [("random", seed, hit) for hit in there_random]
    runs = pd.DataFrame(rows, columns=["group", "seed", "there"])
    flips = pd.DataFrame({"seed": np.repeat([0, 1], 10), "outcome": ["sdc"] + ["masked"] * 9 + ["due"] * 10})
    return transfer.claim_metrics(runs, flips, 200, 0)


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
