"""Runs notebooks: plan (what must run, and why), one process a run, finished runs kept whatever happens to the rest.

A run's identity is a hash over notebook, parameters, library source and data, so a second call with nothing changed
does nothing, and an interrupted batch goes on where it stopped. A run is built in a hidden folder and renamed when it
is complete: a folder ``reports/runs/<paper>/<notebook>/<run_id>`` is always a whole one.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

from credence.bench import catalogue, parameters, paths
from credence.bench.errors import InputError, choose
from credence.bench.papers import PAPERS

# Modules that only drive runs or show their results: a change in them changes no result.
_DRIVERS = {"cli", "data_cli", "runner", "execute", "sweep", "notebooks", "environment", "recorded", "run_view"}
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Notebook:
    """A notebook of the project: ``key`` is ``paper/name``, ``info`` its ``credence`` metadata."""

    key: str
    path: Path
    info: dict

    @property
    def paper(self) -> str:
        """The paper's name, the folder the notebook lies in."""
        return self.key.split("/")[0]


@dataclass
class Task:
    """One run to do or to skip: ``reasons`` says why it runs; ``done`` is the finished run's folder, if any."""

    notebook: Notebook
    parameters: dict
    given: dict
    fingerprint: dict
    run_id: str
    default_parameters: bool
    reasons: list[str] = field(default_factory=list)
    done: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the finished run lies."""
        return paths.runs_dir() / self.notebook.key / self.run_id

    @property
    def command(self) -> str:
        """The command line that runs this again."""
        words = " ".join(f"-p '{k}={json.dumps(v)}'" for k, v in self.given.items() if k != "preset")
        return f"credence run {self.notebook.key} --preset {self.parameters.get('preset', 'quick')} {words}".strip()

    def write_spec(self, folder: Path, final: Path) -> None:
        """Write what the run's process needs to know into `folder`, which it renames to `final` when it is done."""
        spec = {
            "key": self.notebook.key,
            "notebook": str(self.notebook.path),
            "parameters": self.parameters,
            "default_parameters": self.default_parameters,
            "run_id": self.run_id,
            "fingerprint": self.fingerprint,
            "command": self.command,
            "folder": str(final),
            "parent": os.getpid(),
        }
        (folder / "spec.json").write_text(json.dumps(spec))


@dataclass
class Result:
    """How a task ended: ``state`` is ``done``, ``unchanged``, ``failed`` or ``stopped``."""

    task: Task
    state: str
    seconds: float = 0.0
    failure: dict | None = None


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def notebooks() -> dict[str, Notebook]:
    """Return the notebooks of all papers by key, in their reading order."""
    import nbformat  # it takes a second or two to load, which most commands need not wait for

    found = []
    for paper in PAPERS:
        for path in sorted((paths.notebooks_dir() / paper).glob("*.ipynb")):
            info = nbformat.read(path, as_version=4).metadata.get("credence", {})
            found.append(Notebook(f"{paper}/{path.stem}", path, dict(info)))
    order = list(PAPERS)
    found.sort(key=lambda item: (order.index(item.paper), item.info.get("order", 99), item.key))
    return {item.key: item for item in found}


def select(target: str) -> list[Notebook]:
    """Return the notebooks that ``all``, a paper's name, ``paper/notebook`` or a notebook's path stand for.

    Raises
    ------
    InputError
        If there is none; the message lists what there is.
    """
    known = notebooks()
    if target == "all":
        return list(known.values())
    if target in PAPERS:
        chosen = [item for item in known.values() if item.paper == target]
        if not chosen:
            raise InputError(f"paper {target!r} has no notebooks yet")
        return chosen
    path = Path(target)
    if path.suffix == ".ipynb" and path.is_file():
        for item in known.values():
            if item.path.resolve() == path.resolve():
                return [item]
        raise InputError(f"{target} is not one of this checkout's notebooks: {', '.join(known)}")
    choose(target, [*known, *PAPERS, "all"], "notebook or paper")
    return [known[target]]


@cache
def library_hashes(paper: str) -> dict[str, str]:
    """Return SHA-256 by file of the library source that a run of `paper` depends on."""
    package = paths.PACKAGE
    files = [f for f in (package / "bench").glob("*.py") if f.stem not in _DRIVERS and "report" not in f.stem]
    files += [f for f in (package / paper).rglob("*.py") if f.stem != "cli"]
    return {str(f.relative_to(package)): _sha(f.read_bytes()) for f in sorted(files)}


def _data_hashes(notebook: Notebook) -> dict[str, str]:
    names = [*notebook.info.get("data", []), *notebook.info.get("optional_data", [])]
    found = {}
    for name in names:
        found[name] = catalogue.entry(name).sha256_content if catalogue.available(name) else "absent"
    for path in sorted((paths.data_dir() / notebook.paper).glob("*.toml")):
        found[f"data/{notebook.paper}/{path.name}"] = _sha(path.read_bytes())
    return found


def fingerprint(notebook: Notebook, values: dict) -> dict:
    """Return everything a run's result depends on, part by part, so that a change can be named."""
    import nbformat

    content = nbformat.read(notebook.path, as_version=4)
    cells = [[c.cell_type, c.source, c.metadata.get("tags", [])] for c in content.cells]
    return {
        "notebook": _sha(json.dumps([cells, content.metadata.get("credence", {})], sort_keys=True).encode()),
        "parameters": values,
        "library": library_hashes(notebook.paper),
        "data": _data_hashes(notebook),
    }


def differences(old: dict, new: dict) -> list[str]:
    """Return in words what changed between two fingerprints."""
    reasons = []
    if old.get("notebook") != new["notebook"]:
        reasons.append("notebook changed")
    for name in sorted(set(old.get("parameters", {})) | set(new["parameters"])):
        before, after = old.get("parameters", {}).get(name), new["parameters"].get(name)
        if before != after:
            reasons.append(f"parameter {name}: {before!r} -> {after!r}")
    for part, word in (("library", "library"), ("data", "data")):
        names = [
            k for k in sorted(set(old.get(part, {})) | set(new[part])) if old.get(part, {}).get(k) != new[part].get(k)
        ]
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            reasons.append(f"{word} changed: {', '.join(names[:2])}{more}")
    return reasons


def read_record(folder: Path) -> dict | None:
    """Return a run's record, or None if there is no readable one."""
    try:
        return json.loads((Path(folder) / "record.json").read_text())
    except (OSError, ValueError):
        return None


def finished(key: str = "*/*") -> list[tuple[Path, dict]]:
    """Return folder and record of the finished runs of a notebook (by default of all), oldest first."""
    found = [
        (path.parent, record)
        for path in paths.runs_dir().glob(f"{key}/*/record.json")
        if not path.parent.name.startswith((".", "failed")) and (record := read_record(path.parent))
    ]
    return sorted(found, key=lambda item: (item[1].get("started", ""), str(item[0])))


def all_runs() -> list[Path]:
    """Return the folders of all finished runs, oldest first."""
    return [folder for folder, _ in finished()]


def latest() -> dict[str, tuple[Path, dict]]:
    """Return by notebook the newest run with default parameters; a smoke run only where there is no other."""
    best: dict[str, tuple[Path, dict]] = {}
    for folder, record in finished():
        key = f"{record['paper']}/{record['notebook']}"
        if not record["default_parameters"]:
            continue
        if key not in best or record["preset"] != "smoke" or best[key][1]["preset"] == "smoke":
            best[key] = (folder, record)
    return best


def latest_runs() -> dict[str, Path]:
    """Return the folders of `latest`."""
    return {key: folder for key, (folder, _) in latest().items()}


def latest_records() -> dict[str, dict]:
    """Return the records of `latest`, as the claims board wants them."""
    return {key: record for key, (_, record) in latest().items()}


def plan(chosen: list[Notebook], given: dict, force: bool = False) -> list[Task]:
    """Return one task a notebook, each checked, with the reasons why it has to run (none: it is skipped).

    Raises
    ------
    InputError
        On an unknown or ill-typed parameter, before anything runs.
    """
    tasks = []
    for notebook in chosen:
        values = parameters.validate(notebook.path, given)
        print_now = fingerprint(notebook, values)
        run_id = _sha(json.dumps([notebook.key, print_now], sort_keys=True).encode())[:12]
        defaults = parameters.validate(notebook.path, {"preset": values["preset"]} if "preset" in values else {})
        task = Task(notebook, values, dict(given), print_now, run_id, values == defaults)
        if read_record(task.folder) and not force:
            task.done = task.folder
        elif force and task.folder.exists():
            task.reasons = ["asked for (--force)"]
        else:
            earlier = [record for _, record in finished(notebook.key)]
            # the nearest earlier run explains best: same parameters first, then the newest
            earlier.sort(key=lambda r: (r["parameters"] == values, r["started"]))
            task.reasons = differences(earlier[-1].get("fingerprint", {}), print_now) if earlier else ["first run"]
        tasks.append(task)
    return tasks


def environment(jobs: int, **extra: str) -> dict[str, str]:
    """Return the environment of a run's process: cores shared out among `jobs`, no progress bars in notebooks."""
    threads = str(max(1, (os.cpu_count() or 1) // max(1, jobs)))
    quiet = {"TQDM_DISABLE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONHASHSEED": "0"}
    limits = {name: os.environ.get(name, threads) for name in THREAD_SETTINGS}
    return {**os.environ, **limits, **quiet, **extra}


def _sweep_up(folder: Path) -> None:
    """Remove what a killed process left half-built."""
    for partial in folder.glob(".*.partial"):
        owner = partial.name.split(".")[-2]
        if not owner.isdigit() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(partial, ignore_errors=True)


def kill_tree(pid: int) -> None:
    """End a process and everything below it (a Jupyter kernel sits in a session of its own)."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    for member in psutil.wait_procs(family, timeout=5)[1]:
        member.kill()


class Batch:
    """A set of runs under way: the state is the processes, so that an interrupt can end them all."""

    def __init__(self, jobs: int, report: Callable[[Task, int, int], None] | None = None):
        self.jobs = jobs
        self.report = report or (lambda task, cell, cells: None)
        self._processes: dict[str, subprocess.Popen] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def _run(self, task: Task) -> Result:
        begun = time.monotonic()
        parent = task.folder.parent
        parent.mkdir(parents=True, exist_ok=True)
        _sweep_up(parent)
        partial = parent / f".{task.run_id}.{os.getpid()}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        task.write_spec(partial, task.folder)
        with self._lock:
            if self._stopped:
                return Result(task, "stopped")
            with (partial / "log.txt").open("w") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "credence.bench.execute", str(partial)],
                    env=environment(self.jobs),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
            self._processes[task.run_id] = process
        for line in process.stdout:
            if line.startswith("@cell "):
                self.report(task, *map(int, line.split()[1:3]))
        process.stdout.close()
        code = process.wait()
        with self._lock:
            self._processes.pop(task.run_id, None)
            stopped = self._stopped
        seconds = time.monotonic() - begun
        if code == 0:
            return Result(task, "done", seconds)
        if stopped:
            shutil.rmtree(partial, ignore_errors=True)
            return Result(task, "stopped", seconds)
        failed = parent / f"failed-{task.run_id}"
        failure = failure_of(partial, code)
        shutil.rmtree(failed, ignore_errors=True)
        if partial.exists():
            os.replace(partial, failed)
        return Result(task, "failed", seconds, failure | {"folder": paths.shown(failed)})

    def stop(self) -> None:
        """End all processes of the batch; what has finished stays."""
        with self._lock:
            self._stopped = True
            running = list(self._processes.values())
        for process in running:
            kill_tree(process.pid)

    def run(self, tasks: list[Task], ended: Callable[[Result], None] | None = None) -> list[Result]:
        """Run the tasks that have to run and return all results in the order of `tasks`.

        `ended` is called with each result as it comes. On KeyboardInterrupt every process is ended before the
        exception goes on; runs that had finished are on disk.
        """
        results = {t.run_id: Result(t, "unchanged") for t in tasks if t.done}
        with ThreadPoolExecutor(self.jobs) as pool:
            waiting = {pool.submit(self._run, t) for t in tasks if not t.done}
            try:
                while waiting:
                    # a bounded wait lets Ctrl-C through on every platform
                    ready, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in ready:
                        result = future.result()
                        results[result.task.run_id] = result
                        if ended:
                            ended(result)
            except BaseException:
                for future in waiting:
                    future.cancel()
                self.stop()
                raise
        return [results[t.run_id] for t in tasks]


def failure_of(partial: Path, code: int) -> dict:
    """Return what is known of a failed run: the cell and traceback, or the end of its log."""
    try:
        return json.loads((partial / "failure.json").read_text())
    except (OSError, ValueError):
        log = (partial / "log.txt").read_text(errors="replace") if (partial / "log.txt").exists() else ""
        word = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return {
            "cell": None,
            "source": "",
            "error": f"the run's process ended: {word}",
            "lines": log.splitlines()[-15:],
        }
