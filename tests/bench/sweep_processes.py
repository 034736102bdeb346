"""A scheduler and workers in processes of their own, for tests."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from distributed import Client
from distributed.utils import json_load_robust

from bench import sweep_tasks

PATIENCE_S = 30


@contextmanager
def processes(folder: Path, n_workers: int = 2):
    """A scheduler and workers as someone would start them by hand; yield its address and the workers."""
    started = []

    def start(module: str, *words: str) -> subprocess.Popen:
        log = open(folder / f"{len(started)}.log", "w")  # noqa: SIM115
        with log:
            command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))
        return started[-1]

    try:
        file = str(folder / "scheduler.json")
        start(
            "dask_scheduler",
            *("--host", "127.0.0.1", "--port", "0", "--scheduler-file", file),
            *("--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
        )
        place = ("--scheduler-file", file, "--host", "127.0.0.1", "--local-directory", str(folder))
        kind = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--preload", sweep_tasks.PRELOAD)
        workers = [start("dask_worker", *place, *kind) for _ in range(n_workers)]
        address = json_load_robust(file, timeout=PATIENCE_S)["address"]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=PATIENCE_S)
        yield address, workers
    finally:
        # not asked to end: Dask's tidy end may wait half a minute for a peer that has gone before
        for process in started:
            process.kill()
        for process in started:
            process.wait(PATIENCE_S)
