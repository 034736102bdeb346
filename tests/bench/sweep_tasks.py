"""Made-up point functions. `PRELOAD` makes a process find this file as ``credence.ssjf.sweep_tasks``.

A grid file reaches functions of the package only, so the tests lend it a module; nothing in lib knows of it.
"""

import os
import sys
import threading
from os import getpid as imported_from_elsewhere  # noqa: F401
from pathlib import Path
from typing import Literal

import numpy as np

FOLDER = str(Path(__file__).parent)
PRELOAD = f"import credence.ssjf; credence.ssjf.__path__.append({FOLDER!r})"
WAIT_S = 60.0


def draws(x: float, kind: Literal["low", "high"] = "low", seed: int = 0, sort: bool = False) -> list[dict]:
    """Two rows of numbers whose last bits would show any detour through text or another type."""
    rng = np.random.default_rng([seed, kind == "high"])
    values = np.sort(rng.normal(x, size=2)) if sort else rng.normal(x, size=2)
    return [{"draw": i, "y": value, "note": f"é{i}", "none": None} for i, value in enumerate(values)]


def preset_size(preset: str, x: int) -> dict:
    """What a preset does to a function."""
    return {"size": len(preset) * x}


def _count(folder: str, index: int) -> None:
    with open(Path(folder) / "calls", "a") as log:  # one short line: appended whole
        log.write(f"{index} {os.getpid()}\n")


def counted(index: int, folder: str, broken: int = -1) -> dict:
    """Leave a line in ``folder/calls``; raise at `broken` until ``folder/mended`` exists."""
    _count(folder, index)
    if index == broken and not (Path(folder) / "mended").exists():
        raise ZeroDivisionError(f"no way with {index}")
    return {"twice": 2 * index}


def held(index: int, folder: str, hold: int) -> dict:
    """As `counted`; the first worker that gets the point `hold` says so through a pipe, and never comes back."""
    _count(folder, index)
    if index == hold:
        try:
            os.close(os.open(Path(folder) / "first", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return {"twice": 2 * index}
        with open(Path(folder) / "pipe", "w") as pipe:
            pipe.write(f"{os.getpid()}\n")
        threading.Event().wait(WAIT_S)
        raise TimeoutError("nobody killed this worker")
    return {"twice": 2 * index}


def leaves(x: int) -> dict:
    """Would end its worker."""
    sys.exit(f"left at {x}")


def dies(x: int) -> dict:
    """Ends its worker whatever the worker does."""
    os._exit(17)


RESULTS = {
    "nothing": None,
    "empty": [],
    "mixed": [{"a": 1}, 2],
    "array": {"a": np.zeros(3)},
    "taken": {"point_id": "x"},
    "contradiction": {"name": "other"},
    "huge": {"a": 2**70},
}


def returns(name: str) -> dict:
    """What no table can hold."""
    return RESULTS[name]


def unannotated(x) -> dict:
    """A grid can't know what x may be."""
    return {"x": x}


def starred(*values: float) -> dict:
    """A grid has names only."""
    return {"n": len(values)}


def _private(x: int) -> dict:
    return {"x": x}
