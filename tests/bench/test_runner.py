import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from credence.bench import execute, runner
from credence.bench.errors import InputError
from toy import build_checkout, enter


def run(given=None, **options):
    tasks = runner.plan(runner.select("ssjf/toy"), given or {}, **options)
    return runner.Batch(1).run(tasks)[0]


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory):
    """A checkout in which the toy has run once, to be copied."""
    tree = tmp_path_factory.mktemp("ran") / "tree"
    build_checkout(tree)
    with pytest.MonkeyPatch.context() as patch:
        enter(tree, patch)
        result = run()
    assert result.state == "done", result.failure
    return tree, result.task.run_id


@pytest.fixture
def finished(ran_once, tmp_path, monkeypatch):
    """A checkout of the test's own in which the toy has run once, and that run's folder."""
    template, run_id = ran_once
    tree = enter(Path(shutil.copytree(template, tmp_path / "tree")), monkeypatch)
    return tree, tree / "reports/runs/ssjf/toy" / run_id


def test_a_run_leaves_a_whole_folder(finished):
    checkout, folder = finished
    assert sorted(p.name for p in folder.iterdir()) == ["executed.ipynb", "log.txt", "params.yaml", "record.json"]
    record = runner.read_record(folder)
    assert record["run_id"] == folder.name
    assert record["metrics"]["toy_metric"]["draws"] == [1.0, 2.0, 3.0]
    assert record["preset"] == "quick"
    assert record["default_parameters"]
    assert record["seed"] == 0
    executed = (folder / "executed.ipynb").read_text()
    assert str(checkout) not in executed
    assert runner.latest_runs() == {"ssjf/toy": folder}


def test_unchanged_is_skipped_and_each_change_is_named(finished, monkeypatch):
    checkout, _ = finished
    assert run().state == "unchanged"

    task = runner.plan(runner.select("ssjf/toy"), {"seed": 3})[0]
    assert task.reasons == ["parameter seed: 0 -> 3"]

    path = checkout / "notebooks/ssjf/toy.ipynb"
    content = nbformat.read(path, as_version=4)
    content.cells[0].source += "\n\nOne more sentence."
    nbformat.write(content, path)
    assert runner.plan(runner.select("ssjf/toy"), {})[0].reasons == ["notebook changed"]

    (checkout / "data/ssjf").mkdir()
    (checkout / "data/ssjf/profiles.toml").write_text("x = 1")
    changed = {**runner.library_hashes("ssjf"), "ssjf/infer.py": "0"}
    monkeypatch.setattr(runner, "library_hashes", lambda paper: changed)
    assert runner.plan(runner.select("ssjf/toy"), {})[0].reasons == [
        "notebook changed",
        "library changed: ssjf/infer.py",
        "data changed: data/ssjf/profiles.toml",
    ]


def test_stored_outputs_change_nothing(finished):
    checkout, _ = finished
    path = checkout / "notebooks/ssjf/toy.ipynb"
    content = nbformat.read(path, as_version=4)
    content.cells[2].outputs = [nbformat.v4.new_output("stream", text="something")]
    nbformat.write(content, path)
    assert run().state == "unchanged"


def test_force_runs_again(finished):
    result = run(force=True)
    assert result.state == "done"
    assert result.task.reasons == ["asked for (--force)"]


def test_own_parameters_do_not_replace_the_run_of_record(finished):
    _, first = finished
    other = run({"seed": 5})
    assert other.state == "done"
    assert runner.latest_runs() == {"ssjf/toy": first}
    assert len(runner.all_runs()) == 2
    assert runner.read_record(other.task.folder)["command"] == "credence run ssjf/toy --preset quick -p 'seed=5'"


def test_a_default_given_by_hand_is_the_same_run(finished):
    assert run({"seed": 0}).state == "unchanged"


@pytest.mark.parametrize(
    ("mode", "cell", "word"),
    [
        ("raise", 2, "ValueError: the toy broke at seed 0"),
        ("silent", None, "recorded no metrics"),
        ("nofigure", None, "recorded no figures"),
        ("die", None, "kernel"),
    ],
)
def test_a_failure_is_described_and_the_half_run_kept_apart(checkout, mode, cell, word):
    result = run({"mode": mode})
    assert result.state == "failed"
    assert word.lower() in (result.failure["error"] + " ".join(result.failure["lines"])).lower()
    assert (result.failure["cell"] is not None) == (cell is not None)
    assert not result.task.folder.exists()
    assert (result.task.folder.parent / f"failed-{result.task.run_id}").is_dir()
    assert runner.all_runs() == []
    # and it is tried again, not taken for done
    assert runner.plan(runner.select("ssjf/toy"), {"mode": mode})[0].done is None


def test_bad_parameters_start_nothing(checkout):
    with pytest.raises(InputError, match="did you mean 'seed'"):
        runner.plan(runner.select("ssjf/toy"), {"sead": 1})
    assert not (checkout / "reports/runs").exists()


@pytest.mark.parametrize("target", ["ssjf/tay", "nothing", "drivefi", "missing.ipynb"])
def test_an_unknown_target_is_named(checkout, target):
    with pytest.raises(InputError, match=target):
        runner.select(target)


def test_targets(checkout):
    for target in ("all", "ssjf", "ssjf/toy", "notebooks/ssjf/toy.ipynb"):
        assert [item.key for item in runner.select(target)] == ["ssjf/toy"]


def start_hanging(checkout, tmp_path):
    """Start `credence run` on a notebook that hangs; return it and the kernel's pid once it hangs."""
    flag = tmp_path / "flag"
    words = [sys.executable, "-m", "credence.bench.cli", "run", "ssjf/toy", "-p", "mode=hang"]
    process = subprocess.Popen(
        words,
        env={**os.environ, "CREDENCE_TEST_FLAG": str(flag)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell without job control starts background jobs deaf to Ctrl-C, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: flag.exists() and flag.read_text())
    return process, int(flag.read_text())


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_lost_or_left_running_when_the_runner_dies(finished, tmp_path, how):
    checkout, first = finished
    process, kernel = start_hanging(checkout, tmp_path)
    os.kill(process.pid, how)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(kernel))
    if how == signal.SIGINT:
        assert "finished runs are kept" in message
        assert "Traceback" not in message
    # what had finished is whole, and the next call goes on and tidies up
    assert runner.all_runs() == [first]
    assert run().state == "unchanged"
    assert run({"seed": 1}).state == "done"
    assert not list(first.parent.glob(".*.partial"))


def test_a_point_of_a_sweep_runs_in_a_scratch_folder(checkout):
    record = execute.execute_point("ssjf/toy", {"seed": 4, "preset": "smoke"})
    assert record["metrics"]["toy_metric"]["draws"] == [1.0, 2.0, 7.0]
    assert runner.all_runs() == []
    with pytest.raises(RuntimeError, match="the toy broke at seed 9"):
        execute.execute_point("ssjf/toy", {"seed": 9, "mode": "raise"})


def test_an_undeclared_data_set_fails_the_run(checkout, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    notebook = nbformat.v4.new_notebook(metadata={"credence": {"data": ["known"]}})
    nbformat.write(notebook, folder / "executed.ipynb")
    content = {"metrics": {"m": 1}, "figures": [1], "data": [{"name": "known"}, {"name": "other"}]}
    (folder / "record.json").write_text(json.dumps(content))
    with pytest.raises(RuntimeError, match=r"not declared.*other"):
        execute._complete({"key": "ssjf/toy", "parameters": {}}, folder, None)


@pytest.mark.parametrize(("deaths", "runs"), [(0, 1), (2, 3), (3, 3)])
def test_a_kernel_that_never_started_is_started_again(checkout, tmp_path, monkeypatch, deaths, runs):
    import papermill

    calls = []

    def execute_notebook(*_, **__):
        calls.append(1)
        if len(calls) <= deaths:
            raise RuntimeError(execute.NEVER_STARTED)

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    for name in ("CREDENCE_RUN_DIR", "CREDENCE_NOTEBOOK"):
        monkeypatch.setenv(name, "")
    spec = {"key": "ssjf/toy", "notebook": "notebooks/ssjf/toy.ipynb", "parameters": {}}
    if deaths == 3:
        with pytest.raises(RuntimeError, match="Kernel died"):
            execute._run_notebook(spec, tmp_path)
    else:
        execute._run_notebook(spec, tmp_path)
    assert len(calls) == runs


def test_another_error_is_not_tried_again(checkout, tmp_path, monkeypatch):
    import papermill

    calls = []

    def execute_notebook(*_, **__):
        calls.append(1)
        raise RuntimeError("Kernel died")

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    for name in ("CREDENCE_RUN_DIR", "CREDENCE_NOTEBOOK"):
        monkeypatch.setenv(name, "")
    spec = {"key": "ssjf/toy", "notebook": "notebooks/ssjf/toy.ipynb", "parameters": {}}
    with pytest.raises(RuntimeError, match="Kernel died"):
        execute._run_notebook(spec, tmp_path)
    assert len(calls) == 1
