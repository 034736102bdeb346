"""Selectors that learn nothing: all faults, faults at random, and the lowest predicted first."""

from __future__ import annotations

import numpy as np

from credence.drivefi.select.pool import PoolView, Purse


def exhaustive(pool: PoolView, purse: Purse, rng: np.random.Generator) -> None:
    """Simulate the whole pool, in its order (as far as the budget goes)."""
    purse.margins(np.arange(min(len(pool), purse.left)))


def random(pool: PoolView, purse: Purse, rng: np.random.Generator) -> None:
    """Simulate faults drawn without replacement."""
    purse.margins(rng.choice(len(pool), min(purse.left, len(pool)), replace=False))


def lowest_first(predicted: np.ndarray, purse: Purse, rng: np.random.Generator) -> None:
    """Spend what is left in the order of a prediction [faults], the lowest first; ties in random order."""
    order = np.lexsort([rng.random(len(predicted)), predicted])
    fresh = order[~np.isin(order, purse.order)]
    purse.margins(fresh[: purse.left])
