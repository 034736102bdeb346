"""Compile the simulator's loops with numba and keep the machine code between processes."""

import hashlib
from functools import cache
from pathlib import Path

from numba import njit
from numba.core.options import DefaultOptions


@cache
def sources_digest(folder: Path = Path(__file__).parent) -> str:
    """Return a hash of the Python sources of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def kernel(function, **options):
    """Compile `function` on first use (``numba.njit``), cached on disk under a hash of this whole folder.

    numba's own stamp covers only the file a function stands in: after an edit of a helper in another file, callers
    would go on running the old helper from their caches.
    """
    dispatcher = njit(cache=True, **options)(function)
    try:
        dispatcher._cache._cache_file._source_stamp = ("credence", sources_digest())
    except AttributeError:  # another numba: rather compile each time than run stale code
        dispatcher = njit(**options)(function)
    return dispatcher


def helper(function):
    """Compile a function that kernels call and that allocates no arrays (numba refuses it otherwise).

    Its arrays belong to the caller, so it need not count references to them: with a dozen arrays in each of several
    tuples that counting took three quarters of a simulation's time.
    """
    return kernel(function, **({"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}))
