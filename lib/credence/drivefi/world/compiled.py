"""Compile the world's loops with numba and keep the machine code between processes."""

import hashlib
from functools import cache
from pathlib import Path

from numba import njit
from numba.core.options import DefaultOptions

HERE = Path(__file__).parent
SOURCES = (
    *(HERE / f"{name}.py" for name in ("drive", "kernel", "parameters", "perceive", "safety", "stage", "state")),
    HERE.parent / "data" / "variables.py",
)


@cache
def sources_digest(sources: tuple[Path, ...] = SOURCES) -> str:
    """Return a hash of the sources that compiled code is made from."""
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def kernel(function, **options):
    """Compile `function` on first use (``numba.njit``), cached on disk under a hash of all of `SOURCES`.

    numba's own stamp covers only the file a function stands in: after an edit of a helper or of the declared variables
    in another file, callers would go on running the old code from their caches.
    """
    dispatcher = njit(cache=True, **options)(function)
    try:
        dispatcher._cache._cache_file._source_stamp = ("credence", sources_digest())
    except AttributeError:  # another numba: rather compile each time than run stale code
        dispatcher = njit(**options)(function)
    return dispatcher


def helper(function):
    """Compile a function that kernels call and that allocates no arrays (numba refuses it otherwise).

    Its arrays belong to the caller, so it need not count references to them, which costs more than the work itself.
    """
    return kernel(function, **({"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}))
