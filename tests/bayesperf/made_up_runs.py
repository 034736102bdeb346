"""Runs made from the model itself: six events of rank four, two of them on a counter at a time."""

from types import SimpleNamespace

import numpy as np

EVENTS = ("LOADS", "HIT", "MISS", "BR", "TAKEN", "NTAKEN")


def relation(kind="eq", constant=0.0, **coefficients):
    return SimpleNamespace(kind=kind, coefficients=coefficients, constant=constant, name="made up", source="")


IDENTITIES = (relation(LOADS=1, HIT=-1, MISS=-1), relation(BR=1, TAKEN=-1, NTAKEN=-1))


def made_up(rng, slices=120, groups=((0, 3), (1, 4))):
    """Return observations, true counts and what was on."""
    level, decay = np.array([1000.0, 50.0, 200.0, 100.0]), 0.8
    moves = np.zeros((slices, 4))
    moves[0] = rng.normal(size=4) * 0.2
    root = np.linalg.cholesky(0.5 * np.eye(4) + 0.5) * 0.2 * np.sqrt(1 - decay**2)
    for t in range(1, slices):
        moves[t] = decay * moves[t - 1] + root @ rng.normal(size=4)
    hit, miss, taken, not_taken = (level * (1 + moves)).T
    truth = np.column_stack([hit + miss, hit, miss, taken + not_taken, taken, not_taken])
    on = np.zeros(truth.shape, bool)
    for t in range(slices):
        on[t, list(groups[t % len(groups)])] = True
    mean = np.where(on, truth * (1 + 0.004 * rng.normal(size=truth.shape)), np.nan)
    return SimpleNamespace(events=EVENTS, mean=mean), truth, on
