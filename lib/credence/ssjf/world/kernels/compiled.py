"""Compile the simulator's loops with numba and keep the machine code between processes."""

import hashlib
from functools import cache
from pathlib import Path

from numba import njit


@cache
def sources_digest(folder: Path = Path(__file__).parent) -> str:
    """Return a hash of the Python sources of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def kernel(function):
    """Compile `function` on first use (``numba.njit``), cached on disk under a hash of this whole folder.

    numba's own stamp covers only the file a function stands in: after an edit of a helper in another file, callers
    would go on running the old helper from their caches.
    """
    dispatcher = njit(cache=True)(function)
    try:
        dispatcher._cache._cache_file._source_stamp = ("credence", sources_digest())
    except AttributeError:  # another numba: rather compile each time than run stale code
        dispatcher = njit(function)
    return dispatcher
