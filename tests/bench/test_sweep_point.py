"""One point, as a worker computes it: rows or the last lines of a failure, and nothing that kills the worker."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import credence.ssjf
from credence.bench import catalogue, execute, runner
from credence.bench.sweep import point

TASKS = "credence.ssjf.sweep_tasks"


@pytest.fixture(autouse=True)
def _tasks(monkeypatch, checkout):
    from bench import sweep_tasks

    monkeypatch.setattr(credence.ssjf, "__path__", [*credence.ssjf.__path__, sweep_tasks.FOLDER])
    point.loaded_fingerprint.cache_clear()
    yield
    point.loaded_fingerprint.cache_clear()
    sys.modules.pop(TASKS, None)
    vars(credence.ssjf).pop("sweep_tasks", None)


def compute(what: str, target: str, /, **parameters) -> dict:
    source = point.digest(point.fingerprint(what, target))
    task = {"kind": what, "target": target, "parameters": parameters, "source": source}
    return json.loads(point.compute_point(json.dumps(task)))


def test_numbers_arrive_to_the_last_bit():
    from bench import sweep_tasks

    answer = compute("function", f"{TASKS}:draws", x=0.1, kind="high", seed=5, sort=True)
    assert answer["rows"] == sweep_tasks.draws(0.1, "high", 5, True)
    assert answer["seconds"] >= 0


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -0.0, 5e-324, np.float32(0.1), np.int64(3), np.True_])
def test_awkward_numbers_arrive(monkeypatch, value):
    from credence.ssjf import sweep_tasks as lent

    monkeypatch.setitem(lent.RESULTS, "awkward", {"a": value})
    (row,) = compute("function", f"{TASKS}:returns", name="awkward")["rows"]
    assert repr(row["a"]) == repr(value.item() if isinstance(value, np.generic) else value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "returned None; allowed: a dict"),
        ("empty", "neither empty"),
        ("mixed", "list of dicts"),
        ("array", "column 'a' is ndarray"),
        ("taken", "'point_id'; allowed"),
        ("contradiction", "returned name = 'other', but was called with 'contradiction'"),
        ("huge", "column 'a' is int"),
    ],
)
def test_what_a_table_cannot_hold(name, message):
    assert message in "\n".join(compute("function", f"{TASKS}:returns", name=name)["failure"])


def test_a_failure_shows_where_and_why():
    lines = compute("function", f"{TASKS}:counted", index=1, folder=".", broken=1)["failure"]
    assert lines[-1] == "ZeroDivisionError: no way with 1"
    assert any("sweep_tasks.py" in line for line in lines)


def test_leaving_is_a_failure_like_others():
    assert compute("function", f"{TASKS}:leaves", x=3)["failure"][-1] == "SystemExit: left at 3"


def test_a_worker_with_another_library_refuses(monkeypatch):
    task = {"kind": "function", "target": f"{TASKS}:preset_size", "parameters": {"preset": "full", "x": 1}}
    task["source"] = point.digest(point.fingerprint("function", task["target"]))
    assert json.loads(point.compute_point(json.dumps(task)))["rows"] == [{"size": 4}]
    task["source"] = "0" * 12
    (line,) = json.loads(point.compute_point(json.dumps(task)))["failure"]
    assert "differ from the caller's" in line


def test_a_worker_answers_for_what_it_has_loaded(monkeypatch):
    """Files that change under a running worker must not be taken for the modules it imported."""
    before = point.loaded_fingerprint("function", f"{TASKS}:draws")
    monkeypatch.setattr(runner, "library_hashes", lambda paper: {"ssjf/model.py": "new"})
    assert point.fingerprint("function", f"{TASKS}:draws")["library"] == {"ssjf/model.py": "new"}
    assert point.loaded_fingerprint("function", f"{TASKS}:draws") == before


def test_settings_in_git_belong_to_a_function_s_source(checkout):
    target = f"{TASKS}:draws"
    before = point.fingerprint("function", target)
    (checkout / "data/ssjf").mkdir()
    (checkout / "data/ssjf/profiles.toml").write_text("a = 1\n")
    after = point.fingerprint("function", target)
    assert point.digest(after) != point.digest(before)
    assert point.differences(before, after) == "data changed: data/ssjf/profiles.toml"


def test_data_sets_of_the_paper_belong_to_a_function_s_source(monkeypatch):
    entries = {"lengths": "a" * 64}
    monkeypatch.setattr(catalogue, "names", lambda paper=None: list(entries) if paper == "ssjf" else [])
    monkeypatch.setattr(catalogue, "entry", lambda name: SimpleNamespace(sha256_content=entries[name]))
    before = point.fingerprint("function", f"{TASKS}:draws")
    entries["lengths"] = "b" * 64
    assert point.differences(before, point.fingerprint("function", f"{TASKS}:draws")) == "data changed: lengths"


def test_rows_of_a_notebook_s_record(monkeypatch):
    draws = [float(value) for value in range(101)]
    record = {
        "metrics": {
            "cut": {"value": 50.0, "draws": draws, "kind": "measured"},
            "count": {"value": 7, "draws": None, "kind": "simulated"},
        },
        "diagnostics": [{"name": "a", "passed": True}, {"name": "b", "passed": False}],
        "missing_data": ["azure", "mooncake"],
    }
    monkeypatch.setattr(execute, "execute_point", lambda notebook, given: record | {"seen": (notebook, given)})
    cut, count = compute("notebook", "ssjf/toy", seed=1)["rows"]
    assert (cut.pop("lo"), cut.pop("hi")) == pytest.approx((5.0, 95.0))
    assert cut == {
        "metric": "cut",
        "value": 50.0,
        "n_draws": 101,
        "kind": "measured",
        "diagnostics_passed": False,
        "missing_data": "azure,mooncake",
    }
    assert (count["value"], count["lo"], count["hi"], count["n_draws"]) == (7.0, None, None, 0)


def test_a_notebook_without_gates_has_no_word_on_them(monkeypatch):
    record = {"metrics": {"m": {"value": 1.0, "draws": None, "kind": "measured"}}, "diagnostics": []}
    monkeypatch.setattr(execute, "execute_point", lambda notebook, given: record)
    (row,) = compute("notebook", "ssjf/toy")["rows"]
    assert row["diagnostics_passed"] is None
    assert row["missing_data"] == ""


def test_a_notebook_s_failure_keeps_its_own_lines_only(monkeypatch):
    def fail(notebook, given):
        raise RuntimeError("ssjf/toy: ValueError: the toy broke\nline 1\nline 2")

    monkeypatch.setattr(execute, "execute_point", fail)
    lines = compute("notebook", "ssjf/toy")["failure"]
    assert lines == ["RuntimeError: ssjf/toy: ValueError: the toy broke", "line 1", "line 2"]
