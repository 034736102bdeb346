"""Compile loops with numba and keep the machine code between processes, under a hash of all sources it is made from."""

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from numba import njit
from numba.core.options import DefaultOptions


@cache
def sources_digest(sources: tuple[Path, ...]) -> str:
    """Return a hash of the files that compiled code is made from."""
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def compilers(sources: Iterable[Path]) -> tuple[Callable, Callable]:
    """Return two decorators, ``kernel`` and ``helper``, for functions that are compiled together.

    ``kernel`` compiles a function on first use (``numba.njit``), cached on disk under a hash of all of `sources`.
    numba's own stamp covers only the file a function stands in: after an edit of a helper in another file, callers
    would go on running the old helper from their caches.

    ``helper`` is for functions that kernels call and that allocate no arrays (numba refuses it otherwise). Their arrays
    belong to the caller, so they need not count references to them: with a dozen arrays in each of several tuples that
    counting took three quarters of a simulation's time.
    """
    sources = tuple(sources)

    def kernel(function, **options):
        dispatcher = njit(cache=True, **options)(function)
        try:
            dispatcher._cache._cache_file._source_stamp = ("credence", sources_digest(sources))
        except AttributeError:  # another numba: rather compile each time than run stale code
            dispatcher = njit(**options)(function)
        return dispatcher

    def helper(function):
        return kernel(function, **({"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}))

    return kernel, helper
