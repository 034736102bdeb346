"""The process of one run: ``python -m credence.bench.execute FOLDER``, where FOLDER holds ``spec.json``.

papermill changes the working directory of its whole process, hence one process a run. It prints ``@cell i n`` as it
goes, and renames FOLDER to the run's final place when everything is there.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from credence.bench import catalogue
from credence.bench.record import write_atomic

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
LAST_LINES = 15
NEVER_STARTED = "Kernel died before replying to kernel_info"


def _watch_parent(parent: int) -> None:
    """End this process and its kernel when the runner is gone (kill -9 leaves no chance to tidy up)."""
    from credence.bench.runner import kill_tree

    while os.getppid() == parent:
        time.sleep(1)
    for child in _children():
        kill_tree(child)
    os._exit(1)


def _children() -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process().children()]


def _engine():
    """Return a papermill engine that reports each cell as it ends."""
    from papermill.engines import NBClientEngine, papermill_engines

    class Reporting(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **settings):
            total, complete, done = len(nb_man.nb.cells), nb_man.cell_complete, [0]

            def report(*args, **keywords):
                done[0] += 1
                print(f"@cell {min(done[0], total)} {total}", flush=True)
                return complete(*args, **keywords)

            nb_man.cell_complete = report
            return super().execute_managed_notebook(nb_man, kernel_name, **settings)

    papermill_engines.register("credence", Reporting)
    return "credence"


def _run_notebook(spec: dict, folder: Path) -> None:
    import papermill

    os.environ["CREDENCE_RUN_DIR"] = str(folder)
    os.environ["CREDENCE_NOTEBOOK"] = spec["key"]
    engine = _engine()
    for last in (False, False, True):
        try:
            papermill.execute_notebook(
                spec["notebook"],
                str(folder / "executed.ipynb"),
                parameters=spec["parameters"],
                engine_name=engine,
                kernel_name="python3",
                progress_bar=False,
                # where JupyterLab and nbval run it too
                cwd=str(Path(spec["notebook"]).parent),
            )
            return
        except RuntimeError as error:
            # a kernel's ports are chosen before it binds them, and a neighbour may take one; no cell has run by then
            if last or NEVER_STARTED not in str(error):
                raise
            print(f"{error}; starting another kernel", file=sys.stderr)


def _complete(spec: dict, folder: Path, started: datetime) -> dict:
    """Check that the notebook left a result, add what only the runner knows, and return the record."""
    path = folder / "record.json"
    if not path.exists():
        raise RuntimeError("the notebook ended without recording anything; its last cells must call record(...)")
    record = json.loads(path.read_text())
    for part in ("metrics", "figures"):
        if not record[part]:
            raise RuntimeError(f"the notebook recorded no {part}")
    import nbformat

    content = nbformat.read(folder / "executed.ipynb", as_version=4)
    # papermill stores the machine's paths; they tell a reader nothing
    content.metadata.pop("papermill", None)
    for cell in content.cells:
        cell.metadata.pop("papermill", None)
    nbformat.write(content, folder / "executed.ipynb")
    paper, name = spec["key"].split("/")
    info = content.metadata.get("credence", {})
    read = {item["name"] for item in record["data"]}
    declared = [*info.get("data", []), *info.get("optional_data", [])]
    if undeclared := read - set(declared):
        raise RuntimeError(
            f"data sets read but not declared in the notebook's metadata: {', '.join(sorted(undeclared))}"
        )
    record |= {
        "paper": paper,
        "notebook": name,
        "run_id": spec["run_id"],
        "preset": spec["parameters"].get("preset", ""),
        "parameters": spec["parameters"],
        "default_parameters": spec["default_parameters"],
        "title": info.get("title", name),
        "claim_sentence": info.get("claim", ""),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
        "seed": spec["parameters"].get("seed"),
        "missing_data": [n for n in declared if n not in read and not catalogue.available(n)],
        "command": spec["command"],
        "fingerprint": spec["fingerprint"],
    }
    write_atomic(path, json.dumps(record, ensure_ascii=False, allow_nan=False))
    return record


def _describe(error: BaseException) -> dict:
    """Return a failure as the runner shows it: cell, error, last lines."""
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        lines = _ANSI.sub("", "\n".join(error.traceback)).splitlines()
        return {
            "cell": error.cell_index,
            "source": error.source[:500],
            "error": f"{error.ename}: {error.evalue}",
            "lines": lines[-LAST_LINES:],
        }
    return {"cell": None, "source": "", "error": f"{type(error).__name__}: {error}", "lines": []}


def main(folder: Path) -> int:
    """Run the notebook that ``folder/spec.json`` names; return the exit code (3: the notebook failed)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
    spec = json.loads((folder / "spec.json").read_text())
    threading.Thread(target=_watch_parent, args=(spec["parent"],), daemon=True).start()
    started = datetime.now(UTC)
    try:
        _run_notebook(spec, folder)
        _complete(spec, folder, started)
    except Exception as error:  # whatever a notebook does, the batch shows it and goes on
        write_atomic(folder / "failure.json", json.dumps(_describe(error)))
        print(error, file=sys.stderr)
        return 3
    import yaml

    (folder / "params.yaml").write_text(yaml.safe_dump(spec["parameters"], sort_keys=False))
    (folder / "spec.json").unlink()
    final = Path(spec["folder"])
    # an earlier run of the same identity is replaced (--force); the folder in between is gone for an instant only
    if final.exists():
        old = final.with_name(f".{final.name}.{os.getpid()}.partial")
        os.replace(final, old)
        os.replace(folder, final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(folder, final)
    return 0


def execute_point(notebook: str, given: dict) -> dict:
    """Run a notebook with these parameters in a scratch folder and return its record (a sweep's point).

    Parameters
    ----------
    notebook : str
        ``paper/name``, found among this machine's own notebooks.
    given : dict
        Parameters; those not named keep the notebook's defaults.

    Raises
    ------
    InputError
        On an unknown notebook or parameter.
    RuntimeError
        If the notebook fails; the message has the cell and the last lines.
    """
    from credence.bench import runner

    task = runner.plan(runner.select(notebook), given, force=True)[0]
    with tempfile.TemporaryDirectory(prefix="credence-") as scratch:
        folder = Path(scratch) / "partial"
        folder.mkdir()
        task.write_spec(folder, Path(scratch) / "done")
        with (Path(scratch) / "log.txt").open("w") as log:
            code = subprocess.run(
                [sys.executable, "-m", "credence.bench.execute", str(folder)],
                env=runner.environment(1),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            ).returncode
        if code:
            failure = runner.failure_of(folder, code)
            raise RuntimeError("\n".join([f"{notebook}: {failure['error']}", *failure["lines"]]))
        return json.loads((Path(scratch) / "done" / "record.json").read_text())


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main(Path(sys.argv[1])))
