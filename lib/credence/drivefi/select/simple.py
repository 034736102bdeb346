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


def lowest_predicted(pool: PoolView, purse: Purse, rng: np.random.Generator) -> None:
    """Simulate in the order of the predicted margin, the lowest first; ties in random order.

    With the 3-TBN's forecast as prediction this is the paper's engine, given a budget: F_crit comes first, and what is
    left of the budget goes to the faults that the criterion misses by least.
    """
    order = np.lexsort([rng.random(len(pool)), pool.predicted])
    fresh = order[~np.isin(order, purse.order)]
    purse.margins(fresh[: purse.left])
