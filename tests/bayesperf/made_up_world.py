"""A made-up PMU and program for tests of schedules and baselines: six events, two identities."""

import numpy as np

from credence.bayesperf.data.pmu import Pmu

EVENTS = ("CYCLES", "LOADS", "HITS", "MISSES", "FAR", "NEAR", "BRANCHES")
FIXED = ("CYCLES",)


class MadeUpRelation:
    """As `model.relations.Relation`."""

    def __init__(self, kind, **coefficients):
        self.name, self.kind, self.coefficients, self.constant = "made up", kind, coefficients, 0.0


RELATIONS = [
    MadeUpRelation("eq", LOADS=1.0, HITS=-1.0, MISSES=-1.0),
    MadeUpRelation("eq", MISSES=1.0, FAR=-1.0, NEAR=-1.0),
    MadeUpRelation("le", FAR=1.0, MISSES=-1.0),
]


def pmu(counters=2, **constraints):
    return Pmu("made up", counters, FIXED, EVENTS[1:], constraints)


def counts(slices=120, seed=0):
    """Counts of a program that obeys the relations [slices, events]."""
    rng = np.random.default_rng(seed)
    wander = np.exp(0.3 * np.cumsum(rng.standard_normal((slices, 4)), axis=0) / 3)
    hits, far, near, branches = (wander * [4000, 50, 300, 900]).round().T
    cycles = 2 * hits + 30 * far + 5 * near + branches
    return np.stack([cycles, hits + far + near, hits, far + near, far, near, branches], axis=1)


def readings(slices=120, seed=0):
    """The same in four readings a slice [slices, 4, events]."""
    return np.repeat(counts(slices, seed)[:, None] / 4, 4, axis=1)
