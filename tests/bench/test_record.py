import json

import numpy as np
import plotly.graph_objects as go
import pytest

from credence.bench import record as recording
from credence.bench.errors import InputError


@pytest.fixture(autouse=True)
def fresh():
    recording.reset()
    yield
    recording.reset()


def test_nothing_is_written_by_hand(checkout):
    recording.record("measured", toy_metric=[1.0, 2.0])
    assert not list(checkout.rglob("record.json"))


def test_a_run_s_folder_gets_metrics_with_draws(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENCE_RUN_DIR", str(tmp_path))
    table = recording.record("measured", toy_metric=np.array([1.0, 2.0, 3.0]), lone=4)
    content = json.loads((tmp_path / "record.json").read_text())
    assert content["metrics"]["toy_metric"] == {"value": 2.0, "draws": [1.0, 2.0, 3.0], "kind": "measured"}
    assert content["metrics"]["lone"]["draws"] is None
    assert "numpy" in content["versions"]
    assert "reproduced" in repr(table)
    assert "<td>2 [1.1, 2.9] s</td>" in table._repr_html_()


@pytest.mark.parametrize("value", [[], [[1.0]], np.nan, [1.0, np.inf], np.zeros(recording.MAX_DRAWS + 1)])
def test_unusable_metrics_are_refused(checkout, value):
    with pytest.raises(InputError, match="'odd'"):
        recording.record("measured", odd=value)


def test_kind_is_one_of_three(checkout):
    with pytest.raises(InputError, match="third party"):
        recording.record("real", toy_metric=1.0)


def test_one_main_figure(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENCE_RUN_DIR", str(tmp_path))
    fig = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
    assert recording.figure(fig, "one", "first", main=True) is fig
    recording.figure(fig, "one", "again", main=True)
    with pytest.raises(InputError, match="one main"):
        recording.figure(fig, "two", main=True)
    with pytest.raises(InputError, match="figure name"):
        recording.figure(fig, "a b")
    content = json.loads((tmp_path / "record.json").read_text())
    assert [(f["name"], f["title"]) for f in content["figures"]] == [("one", "again")]


def test_an_atomic_write_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file.txt"
    recording.write_atomic(path, "old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(recording.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        recording.write_atomic(path, "new")
    assert path.read_text() == "old"
