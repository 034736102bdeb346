"""Small windows: six events of rank four, two of them on a counter at a time."""

from dataclasses import replace

import numpy as np

from credence.bayesperf.model.window import Window, simulate

EVENTS = ("LOADS", "HIT", "MISS", "BR", "TAKEN", "NTAKEN")
SCALE = np.array([1000.0, 800.0, 200.0, 300.0, 180.0, 120.0])
IDENTITIES = np.array([[1.0, -1.0, -1.0, 0, 0, 0], [0, 0, 0, 1.0, -1.0, -1.0]])


def made_up(slices=6, degrees=None, seed=0, **changes) -> Window:
    """Return a window with values drawn from its own model."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.svd(IDENTITIES * SCALE, full_matrices=True)[2][2:].T
    mixed = rng.normal(size=(2, 4, 4)) / 2
    slot = np.repeat(np.arange(slices), 2)
    event = np.array([(0, 3), (1, 4)])[np.arange(slices) % 2].ravel()
    empty = Window(
        events=EVENTS,
        slices=slices,
        scale=SCALE,
        offset=np.ones(6),
        basis=np.ascontiguousarray(basis),
        decays=np.array([0.9, 0.2]),
        covariances=0.04 * (0.3 * np.eye(4) + mixed @ mixed.transpose(0, 2, 1)),
        level=0.02 * np.eye(4),
        slot=slot,
        event=event,
        value=np.ones(slot.size),
        spread=np.full(slot.size, 0.02),
        degrees=degrees,
    )
    return replace(simulate(empty, rng)[1], **changes)
