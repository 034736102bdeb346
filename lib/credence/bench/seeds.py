"""Seeds by named axis: the same words give the same numbers, and no two axes share a stream."""

import hashlib

import numpy as np


def generator(seed: int, *axes: str | int | float) -> np.random.Generator:
    """Return the generator of one point of an experiment.

    Parameters
    ----------
    seed : int
        The run's seed, from its parameters; not negative.
    *axes : str, int or float
        What this stream is for, coarse to fine: ``generator(seed, "arrivals", load, replication)``.

    Returns
    -------
    numpy.random.Generator
        Independent of every other combination of axes (``numpy.random.SeedSequence``); it does not depend on
        the order in which the points are run.
    """
    words = []
    for axis in axes:
        # repr tells 1 from 1.0 and "1"; a cryptographic hash keeps far-apart and near-by axes equally apart
        digest = hashlib.sha256(f"{type(axis).__name__}:{axis!r}".encode()).digest()
        words.append(int.from_bytes(digest[:8], "little"))
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=tuple(words)))
