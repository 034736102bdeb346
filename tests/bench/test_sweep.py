"""Sweeps end to end: against a scheduler and two workers in processes of their own, and on a local cluster."""

import json
import os
import select
import signal
import socket
import sys
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dask
import psutil
import pyarrow.parquet
import pytest
from distributed import LocalCluster
from distributed.comm import CommClosedError

import credence.ssjf
from bench import sweep_tasks
from bench.sweep_processes import PATIENCE_S, processes
from credence.bench import runner, sweep
from credence.bench.errors import InputError
from credence.bench.sweep import cluster, point, store
from credence.bench.sweep import grid as grids

TASKS = "credence.ssjf.sweep_tasks"


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with processes(tmp_path_factory.mktemp("cluster")) as (address, _):
        yield address


@pytest.fixture(autouse=True)
def _tasks(monkeypatch):
    monkeypatch.setattr(credence.ssjf, "__path__", [*credence.ssjf.__path__, sweep_tasks.FOLDER])
    point.loaded_fingerprint.cache_clear()
    yield
    point.loaded_fingerprint.cache_clear()
    sys.modules.pop(TASKS, None)
    vars(credence.ssjf).pop("sweep_tasks", None)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a grid file over a function; results go below the test's own folder."""
    monkeypatch.setenv("CREDENCE_REPORTS", str(tmp_path / "reports"))

    def write(function: str, axes: dict, fixed: dict | None = None, name: str = "g") -> Path:
        content = {"function": f"{TASKS}:{function}", "parameters": axes} | ({"fixed": fixed} if fixed else {})
        path = tmp_path / f"{name}.grid.yaml"
        path.write_text(json.dumps(content))  # JSON is YAML
        return path

    return write


def calls(folder: Path) -> list[int]:
    log = folder / "calls"
    return [int(line.split()[0]) for line in log.read_text().splitlines()] if log.exists() else []


def rows(table: Path) -> list[dict]:
    return pyarrow.parquet.read_table(table).to_pylist()


def forbid(*_args, **_keywords):
    raise AssertionError("nothing should be computed")


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path, write):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    grid = write("held", {"index": list(range(8))}, {"folder": str(tmp_path), "hold": 3})

    def kill_the_holder(pids: set[int]) -> int:
        # both ends at once, so that neither side waits for the other to open
        descriptor = os.open(pipe, os.O_RDWR)
        try:
            assert select.select([descriptor], [], [], PATIENCE_S)[0], "no worker got the point to hold"
            pid = int(os.read(descriptor, 100))
        finally:
            os.close(descriptor)
        assert pid in pids
        os.kill(pid, signal.SIGKILL)
        return pid

    with processes(tmp_path) as (address, workers), ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_the_holder, {worker.pid for worker in workers})
        table = sweep.run(grid, scheduler=address, progress=False)
        killed = killing.result(PATIENCE_S)
        (victim,) = (worker for worker in workers if worker.pid == killed)
        assert victim.wait(PATIENCE_S) == -signal.SIGKILL
    found = rows(table)
    assert [(row["index"], row["twice"]) for row in found] == [(index, 2 * index) for index in range(8)]
    assert len({row["point_id"] for row in found}) == 8
    log = [tuple(map(int, line.split())) for line in (tmp_path / "calls").read_text().splitlines()]
    holders = [pid for index, pid in log if index == 3]
    assert len(holders) == 2
    assert holders[0] == killed != holders[1]


def test_scheduler_local_cluster_and_no_cluster_agree(scheduler, write, tmp_path, monkeypatch):
    grid = write("draws", {"x": [0.1, 1e9], "kind": ["low", "high"], "seed": [0, 7]})
    remote = rows(sweep.run(grid, scheduler=scheduler, out=tmp_path / "remote.parquet", progress=False))
    monkeypatch.setenv("CREDENCE_REPORTS", str(tmp_path / "elsewhere"))
    before, listening, collect = set(psutil.Process().children(recursive=True)), [], cluster.collect

    def look_then_collect(*arguments):
        family = {psutil.Process(), *psutil.Process().children(recursive=True)} - before
        sockets = [item for process in family for item in process.net_connections("tcp")]
        listening.extend(item.laddr.ip for item in sockets if item.status == psutil.CONN_LISTEN)
        return collect(*arguments)

    monkeypatch.setattr(cluster, "collect", look_then_collect)
    with dask.config.set({"distributed.worker.preload": [sweep_tasks.PRELOAD]}):
        local = rows(sweep.run(grid, jobs=2, out=tmp_path / "local.parquet", progress=False))
    assert set(listening) == {"127.0.0.1"}

    checked = grids.read(grid)
    print_now = point.fingerprint(checked.kind, checked.target)
    serial = []
    for given in checked.points:
        name = store.point_id(checked, print_now, given)
        serial += [given | row | {"point_id": name} for row in sweep_tasks.draws(**given)]
    assert len(serial) == 16
    for found in (remote, local):
        assert [{k: v for k, v in row.items() if k != "seconds"} for row in found] == serial


def test_a_failing_point_costs_itself_and_is_tried_again(scheduler, write, tmp_path, capfd, monkeypatch):
    grid = write("counted", {"index": [0, 1, 2, 3]}, {"folder": str(tmp_path), "broken": 2})
    assert sweep.main(grid, scheduler) == 1
    told = capfd.readouterr().err
    assert "4 points" in told
    assert "0 done, 4 to do" in told
    assert f"(index=2, folder='{tmp_path}', broken=2)" in told
    assert told.count("ZeroDivisionError: no way with 2") == 2  # as it happens, and in the summary
    assert "1 of 4 points failed" in told
    table = tmp_path / "reports/sweeps/g/g.parquet"
    assert [row["index"] for row in rows(table)] == [0, 1, 3]
    note = json.loads(pyarrow.parquet.read_schema(table).metadata[b"credence"])
    assert (note["points"], note["finished"]) == (4, 3)

    with pytest.raises(sweep.SweepFailed, match="1 of 4") as caught:
        sweep.run(grid, scheduler=scheduler, progress=False)
    assert caught.value.path == table
    assert [failure["parameters"]["index"] for failure in caught.value.failures] == [2]
    assert sorted(calls(tmp_path)) == [0, 1, 2, 2, 3]

    (tmp_path / "mended").touch()
    assert sweep.main(grid, scheduler) == 0
    assert "3 done, 1 to do" in capfd.readouterr().err
    assert [row["twice"] for row in rows(table)] == [0, 2, 4, 6]
    assert sorted(calls(tmp_path)) == [0, 1, 2, 2, 2, 3]

    monkeypatch.setattr(cluster, "local", forbid)
    monkeypatch.setattr(cluster, "remote", forbid)
    before = rows(table)
    table.unlink()
    assert sweep.run(grid, progress=False) == table
    assert rows(table) == before


def test_resume_point_by_point(scheduler, write, tmp_path, capfd):
    """Missing, cut and foreign point files are computed again, and no others."""
    grid = write("counted", {"index": [0, 1, 2, 3]}, {"folder": str(tmp_path)})
    table = sweep.run(grid, scheduler=scheduler, progress=False)
    files = {row["index"]: table.parent / f"points/{row['point_id']}.json" for row in rows(table)}
    files[0].unlink()
    files[1].write_text(files[1].read_text()[:-9])
    files[2].write_bytes(files[3].read_bytes())
    (tmp_path / "calls").unlink()
    sweep.run(grid, scheduler=scheduler)
    assert sorted(calls(tmp_path)) == [0, 1, 2]
    told = capfd.readouterr().err
    assert "1 done, 3 to do; 2 of them again, their files were not whole" in told
    assert [row["twice"] for row in rows(table)] == [0, 2, 4, 6]

    wider = write("counted", {"index": [5, 3, 0]}, {"folder": str(tmp_path)})
    (tmp_path / "calls").unlink()
    sweep.run(wider, scheduler=scheduler, progress=False)
    assert calls(tmp_path) == [5]
    assert [row["index"] for row in rows(table)] == [5, 3, 0]


def test_ctrl_c_keeps_what_is_finished(scheduler, write, tmp_path, capfd, monkeypatch):
    grid = write("counted", {"index": list(range(6))}, {"folder": str(tmp_path)})
    keep, kept = store.Store.write, []

    def keep_two(self, *arguments):
        kept.append(keep(self, *arguments))
        if len(kept) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return kept[-1]

    monkeypatch.setattr(store.Store, "write", keep_two)
    # a shell without job control starts background jobs deaf to Ctrl-C, and the tests with them
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(grid, scheduler=scheduler)
    signal.signal(signal.SIGINT, before)
    assert "interrupted: 2 of 6 points are kept" in capfd.readouterr().err
    monkeypatch.setattr(store.Store, "write", keep)
    table = tmp_path / "reports/sweeps/g/g.parquet"
    assert len(rows(table)) == 2
    sweep.run(grid, scheduler=scheduler)
    assert "2 done, 4 to do" in capfd.readouterr().err
    assert [row["twice"] for row in rows(table)] == [0, 2, 4, 6, 8, 10]


def test_a_changed_library_gives_new_ids_and_says_so(write, tmp_path, capfd, monkeypatch):
    grid = write("counted", {"index": [0, 1]}, {"folder": str(tmp_path)})

    @contextmanager
    def here(*_arguments):
        yield None

    def serially(_client, tasks, ended, _notice):
        for name, task in tasks.items():
            ended(name, json.loads(point.compute_point(task)))

    monkeypatch.setattr(cluster, "local", here)
    monkeypatch.setattr(cluster, "collect", serially)
    first = rows(sweep.run(grid))
    assert "again" not in capfd.readouterr().err
    monkeypatch.setattr(runner, "library_hashes", lambda paper: {"ssjf/model.py": "new"})
    point.loaded_fingerprint.cache_clear()
    second = rows(sweep.run(grid))
    told = capfd.readouterr().err
    assert "0 done, 2 to do; 2 of them again under new ids: library changed" in told
    assert not {row["point_id"] for row in first} & {row["point_id"] for row in second}
    assert len(list((tmp_path / "reports/sweeps/g/points").glob("*.json"))) == 4


def test_metadata_of_the_table(scheduler, write, tmp_path):
    grid = write("draws", {"x": [1]}, {"kind": "high"})
    table = sweep.run(grid, scheduler=scheduler, out=tmp_path / "new/t.parquet", progress=False)
    assert table == tmp_path / "new/t.parquet"
    note = json.loads(pyarrow.parquet.read_schema(table).metadata[b"credence"])
    assert note["grid"] == json.loads(grid.read_text())
    assert note["command"] == f"credence sweep g.grid.yaml --scheduler {scheduler}"
    assert note["fingerprint"]["library"] == runner.library_hashes("ssjf")
    assert {"python", "credence", "numpy"} <= set(note["versions"])
    assert str(tmp_path) not in json.dumps(note)
    columns = pyarrow.parquet.read_schema(table).names
    assert columns == ["x", "kind", "seed", "sort", "draw", "y", "note", "none", "point_id", "seconds"]


@pytest.mark.slow
def test_a_notebook_s_points(checkout, capfd):
    (checkout / "toy.grid.yaml").write_text("notebook: ssjf/toy\npreset: smoke\nparameters: {mode: [fine, raise]}\n")
    assert sweep.main("toy.grid.yaml", jobs=2) == 1
    told = capfd.readouterr().err
    assert "mode='raise'" in told
    assert "the toy broke at seed 0" in told
    (row,) = rows(checkout / "reports/sweeps/toy/toy.parquet")
    assert (row["preset"], row["seed"], row["mode"]) == ("smoke", 0, "fine")
    assert (row["metric"], row["value"], row["n_draws"], row["kind"]) == ("toy_metric", 2.0, 3, "measured")
    assert (row["lo"], row["hi"]) == pytest.approx((1.1, 2.9))
    assert not list((checkout / "reports").glob("runs/*/*/*"))


def test_a_point_that_kills_every_worker_is_a_failure(write, tmp_path):
    grid = write("dies", {"x": [1]})
    with (
        dask.config.set(
            {"distributed.worker.preload": [sweep_tasks.PRELOAD], "distributed.scheduler.allowed-failures": 0}
        ),
        pytest.raises(sweep.SweepFailed) as caught,
    ):
        sweep.run(grid, jobs=1, progress=False)
    (failure,) = caught.value.failures
    assert "KilledWorker" in failure["lines"][0]
    assert caught.value.path is None


class Made:
    """A future that answers as told: what it raises or returns, one after the other."""

    def __init__(self, key: str, *answers):
        self.key, self.answers, self.lost = key, list(answers), False

    def add_done_callback(self, function):
        function(self)

    def result(self, timeout):
        answer = self.answers.pop(0)
        if not isinstance(answer, Exception):
            return answer
        self.lost = isinstance(answer, CancelledError)
        raise answer

    def cancelled(self):
        return self.lost


class MadeClient:
    def __init__(self, answers: dict[str, list], workers: int = 1):
        self.answers, self.workers = answers, workers

    def map(self, function, tasks, key, pure):
        assert function is point.compute_point
        assert not pure
        return [Made(name, *self.answers[name.partition("-")[0]]) for name in key]

    def scheduler_info(self):
        return {"workers": dict.fromkeys(range(self.workers))}


def test_a_result_that_was_lost_is_waited_for(monkeypatch):
    monkeypatch.setattr(cluster, "RETRY_S", 0.0)
    answers = {"a": [TimeoutError(), '{"rows": 1}'], "b": [CommClosedError("broken"), '{"rows": 2}']}
    ended, notices = {}, []
    cluster.collect(MadeClient(answers, workers=0), dict.fromkeys(answers, ""), ended.__setitem__, notices.append)
    assert ended == {"a": {"rows": 1}, "b": {"rows": 2}}
    (notice,) = notices
    assert "no worker is connected" in notice


def test_a_lost_scheduler_leaves_the_rest_undone():
    answers = {"a": ['{"rows": 1}'], "b": [CancelledError("b")], "c": [CancelledError("c")]}
    ended, notices = {}, []
    cluster.collect(MadeClient(answers), dict.fromkeys(answers, ""), ended.__setitem__, notices.append)
    assert ended == {"a": {"rows": 1}}
    assert notices == ["the scheduler was lost; 2 points are left undone"]


def test_points_left_undone_are_no_success(write, tmp_path, monkeypatch, capfd):
    @contextmanager
    def here(*_arguments):
        yield None

    monkeypatch.setattr(cluster, "local", here)
    monkeypatch.setattr(cluster, "collect", lambda *_arguments: None)
    assert sweep.main(write("draws", {"x": [1, 2]})) == 1
    assert "0 of 2 points failed, 2 were not computed" in capfd.readouterr().err
    assert not (tmp_path / "reports/sweeps/g/g.parquet").exists()


# --- what can't work is said before anything runs


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:8786", "tcp://127.0.0.1", "tcp://:8786", "tcp://a:0", "tcp://a:70000", "inproc://a:1"]
)
def test_bad_addresses(write, address):
    with pytest.raises(InputError, match=r"--scheduler .*; allowed: tcp://host:port"):
        sweep.run(write("draws", {"x": [1]}), scheduler=address)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jobs": 0}, r"--jobs 0; allowed: 1\.\.1024"),
        ({"jobs": True}, "--jobs True"),
        ({"jobs": 2, "scheduler": "tcp://a:1"}, "--jobs or --scheduler"),
        ({"out": "table.csv"}, r"'table\.csv'; allowed: a file whose name ends in \.parquet"),
    ],
)
def test_bad_arguments(write, monkeypatch, arguments, message):
    monkeypatch.setattr(cluster, "local", forbid)
    with pytest.raises(InputError, match=message):
        sweep.run(write("draws", {"x": [1]}), **arguments)


def test_results_need_a_folder(write, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "local", forbid)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file can't hold results"):
        sweep.run(write("draws", {"x": [1]}), out=tmp_path / "file/t.parquet")
    (tmp_path / "d.parquet").mkdir()
    with pytest.raises(InputError, match=r"d\.parquet"):
        sweep.run(write("draws", {"x": [1]}), out=tmp_path / "d.parquet")


def test_nobody_listens(write, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: the port refuses
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"{address}: no Dask scheduler answered within 0\.3 s"):
            sweep.run(write("draws", {"x": [1]}), scheduler=address, progress=False)


def test_a_scheduler_without_workers(write, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    with (
        LocalCluster(
            n_workers=0,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        ) as empty,
        pytest.raises(InputError, match=r"no worker within 0\.3 s; start some: `dask worker tcp://"),
    ):
        sweep.run(write("draws", {"x": [1]}), scheduler=empty.scheduler_address, progress=False)


def test_workers_with_other_versions(scheduler, write, monkeypatch):
    from distributed import versions

    real = versions.get_versions

    def other(packages=None):
        found = real(packages)
        return found | {"packages": found["packages"] | {"numpy": "1.0"}}

    monkeypatch.setattr(versions, "get_versions", other)
    with pytest.raises(InputError, match=r"worker tcp://.* has numpy \d.*; allowed: 1\.0, as this process has"):
        sweep.run(write("draws", {"x": [1]}), scheduler=scheduler, progress=False)


def test_workers_with_another_library(scheduler, write, monkeypatch):
    real = runner.library_hashes("ssjf")
    monkeypatch.setattr(runner, "library_hashes", lambda paper: real | {"ssjf/model.py": "new"})
    with pytest.raises(InputError, match=r"worker tcp://.* differs .*library changed: ssjf/model\.py.*restart it"):
        sweep.run(write("draws", {"x": [1]}), scheduler=scheduler, progress=False)


def test_workers_that_lack_the_notebook(scheduler, checkout):
    (checkout / "toy.grid.yaml").write_text("notebook: ssjf/toy\nseeds: [1]\n")
    with pytest.raises(InputError, match=r"worker tcp://.* can't run ssjf/toy: InputError: unknown notebook"):
        sweep.run("toy.grid.yaml", scheduler=scheduler, progress=False)
