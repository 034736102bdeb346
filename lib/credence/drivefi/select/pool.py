"""What a selector sees of a pool of faults, and the purse that every simulation is paid from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from credence.bench.errors import InputError


@dataclass(frozen=True)
class PoolView:
    """A pool of single faults: what is known about each without simulating it.

    Everything here follows from golden runs, which are free, and from the fault table. Scenes and fault types are
    stored once; a fault is a pair of them.

    Attributes
    ----------
    scene_features : array [scenes, features]
        What the stack and the road are like in each scene, standardised.
    fault_embedding : array [types, dimensions]
        Fault types as points; near ones act alike.
    pair_features : array [faults, features]
        What depends on both: how far the fault moves the value from the golden one.
    scene, type : array of int [faults]
        Rows of the two tables.
    run, position : array of int [scenes]
        Run (scenario) of each scene, and the scene's number in it.
    golden : array [runs, parts]
        Margins of the golden runs, part by part (gap, lane) [m].
    active : array of bool [faults]
        False where the fault leaves the golden value as it is: such a run is the golden run.
    amplitude : array [faults, parts] or None
        How large an effect on each part is expected before anything is simulated, in golden margins [1].
    predicted : array [faults, parts] or None
        Margins that a model predicts [m], if one was fitted (and paid for).
    traces : tuple
        The golden runs themselves, where a selector wants more than features.
    """

    scene_features: np.ndarray
    fault_embedding: np.ndarray
    pair_features: np.ndarray
    scene: np.ndarray
    type: np.ndarray
    run: np.ndarray
    position: np.ndarray
    golden: np.ndarray
    active: np.ndarray
    amplitude: np.ndarray | None = None
    predicted: np.ndarray | None = None
    traces: tuple = ()

    def __post_init__(self):
        size = len(self.scene)
        if not len(self.type) == len(self.pair_features) == size or len(self.run) != len(self.scene_features):
            raise InputError(
                f"pool: {size} scenes, {len(self.type)} types, {len(self.pair_features)} pair features, "
                f"{len(self.run)} runs; allowed: one of each a fault, one run a scene"
            )
        for name in ("scene_features", "fault_embedding", "pair_features"):
            if not np.isfinite(getattr(self, name)).all():
                raise InputError(f"pool: {name} holds values that are not finite; allowed: finite values")

    def __len__(self) -> int:
        return len(self.scene)

    @property
    def features(self) -> np.ndarray:
        """Return scene and pair features of every fault [faults, features]."""
        return np.hstack([self.scene_features[self.scene], self.pair_features])

    @property
    def embedding(self) -> np.ndarray:
        """Return the fault type's point of every fault [faults, dimensions]."""
        return self.fault_embedding[self.type]


class BudgetSpent(Exception):
    """A selector asked for more simulations than it may have."""


@dataclass
class Purse:
    """Simulations, counted: the only way in which a selector learns what a fault does.

    A fault that was simulated before costs nothing again. Training runs go through `traces` and are paid like any
    other.

    Attributes
    ----------
    simulate : callable
        (faults [B]) -> margins by part [B, parts] [m]: to the closest obstacle, to the lane's edge. The smallest part
        is the fault's margin; at most 0 is critical.
    budget : int
        Simulations that may be made.
    simulate_traces : callable or None
        (faults [B]) -> logged values [B, scenes, variables], for selectors that train on whole runs.
    order : list of int
        Faults in the order in which they were simulated.
    """

    simulate: Callable[[np.ndarray], np.ndarray]
    budget: int
    simulate_traces: Callable[[np.ndarray], np.ndarray] | None = None
    order: list[int] = field(default_factory=list)
    known: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Return how many simulations may still be made."""
        return self.budget - len(self.order)

    def parts(self, faults) -> np.ndarray:
        """Simulate faults and return their margins by part [B, parts] [m].

        Raises
        ------
        BudgetSpent
            If more new ones are asked for than are left; none is then simulated.
        """
        faults = [int(fault) for fault in np.atleast_1d(faults)]
        new = list(dict.fromkeys(fault for fault in faults if fault not in self.known))
        if len(new) > self.left:
            raise BudgetSpent(f"{len(new)} simulations asked for, {self.left} of {self.budget} left")
        if new:
            found = np.asarray(self.simulate(np.array(new)), dtype=float)
            if found.ndim != 2 or len(found) != len(new) or not np.isfinite(found).all():
                raise InputError(f"simulation: margins of shape {found.shape}; allowed: finite, [{len(new)}, parts]")
            self.order += new
            self.known |= dict(zip(new, found, strict=True))
        return np.array([self.known[fault] for fault in faults])

    def margins(self, faults) -> np.ndarray:
        """Simulate faults and return their margins [B] [m], the smallest part each; errors as for `parts`."""
        found = self.parts(faults)
        return found.min(axis=1) if len(found) else np.empty(0)

    def traces(self, faults) -> np.ndarray:
        """Return the logged runs of faults [B, scenes, variables], each paid for as a simulation (its margin is known
        then).
        """
        if self.simulate_traces is None:
            raise InputError("simulation: this world logs no traces; allowed: a world with simulate_traces")
        self.margins(faults)
        return self.simulate_traces(np.atleast_1d(faults))
