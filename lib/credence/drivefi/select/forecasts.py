"""The 3-TBN at work on a pool: trained on paid runs, asked about every fault.

Training runs are faults of the pool, spread over types and runs, with their traces; they are paid from the purse like any
other simulation, and their margins are known afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from credence.drivefi.data.variables import INDEX, VARIABLES, FaultType, fault_types
from credence.drivefi.infer import rolling, tbn
from credence.drivefi.model.structure import structure
from credence.drivefi.select.features import changes
from credence.drivefi.select.pool import PoolView, Purse
from credence.drivefi.world import simulate

GRAPH = structure(VARIABLES)
# do() on these acts through what reads them, not through the car's own motion: they are measurements of it
MEASUREMENTS = tuple(INDEX[item.name] for item in VARIABLES if item.module == "measurement")
MOTION = tuple(INDEX[name] for name in ("vehicle_velocity", "vehicle_heading", "steer"))
PEDALS = tuple(INDEX[name] for name in ("throttle", "brake", "steer"))


def set_by(pool: PoolView, faults: np.ndarray, scenes: int, types: Sequence[FaultType] = fault_types()) -> np.ndarray:
    """Return which logged values single faults have set: bool [faults, scenes, variables]."""
    faults = np.asarray(faults, int)
    found = np.zeros((len(faults), scenes, len(VARIABLES)), bool)
    variable = np.array([INDEX[item.variable] for item in types])[pool.type[faults]]
    found[np.arange(len(faults)), pool.position[pool.scene[faults]], variable] = True
    return found


def obstacle_and_brake(values: np.ndarray) -> np.ndarray:
    """Return the regime of each scene [...]: an obstacle is believed in (1), the brake is used (2), both (3)."""
    seen = values[..., INDEX["fused_obstacle_class"]] > 0
    return rolling.regimes(values, seen, values[..., INDEX["brake"]] > 0)


def train(
    pool: PoolView, purse: Purse, golden: Sequence[simulate.Traces], faults: np.ndarray, by_regime: bool = False
) -> list[tbn.Conditionals]:
    """Fit the 3-TBN to golden runs and to paid runs of `faults`; one network, or one for each regime.

    Parameters
    ----------
    pool, purse
        As for every selector; the purse must log traces.
    golden : sequence of Traces
        Golden runs, free.
    faults : array of int
        Training faults; those already simulated cost nothing again.
    by_regime : bool
        Conditionals of their own for each regime.
    """
    plain = np.stack([run.values for run in golden])
    faulty = purse.traces(faults) if len(faults) else np.empty((0, *plain.shape[1:]))
    runs = np.concatenate([plain, faulty])
    forced = np.concatenate([np.zeros(plain.shape, bool), set_by(pool, faults, plain.shape[1])])
    if not by_regime:
        return [tbn.fit(GRAPH, runs, forced)]
    return rolling.fit_regimes(GRAPH, runs, obstacle_and_brake(runs), forced)


def actuation(cpds: tbn.Conditionals, golden: Sequence[simulate.Traces]) -> np.ndarray:
    """Return what the network says that each fault does to throttle, brake and steering in its own scene [faults, 3]."""
    types = fault_types()
    moved = np.concatenate([changes(run.values, types) for run in golden])
    variable = [INDEX[item.variable] for item in types]
    total = cpds.total_within()[np.ix_(PEDALS, variable)]
    values = np.concatenate([run.values for run in golden])[:, None, list(PEDALS)]
    low = np.array([VARIABLES[i].low for i in PEDALS])
    high = np.array([VARIABLES[i].high for i in PEDALS])
    # an actuator cannot leave its range, however far a linear network would take it
    return (np.clip(values + moved[:, :, None] * total.T[None], low, high) - values).reshape(-1, len(PEDALS))


def with_effects(pool: PoolView, cpds: tbn.Conditionals, golden: Sequence[simulate.Traces]) -> PoolView:
    """Return the pool with the network's actuation effects as further pair features."""
    effect = actuation(cpds, golden)
    pedal = np.arcsinh(3.0 * (effect[:, 0] - effect[:, 1]))
    wheel = np.arcsinh(20.0 * effect[:, 2])
    return replace(pool, pair_features=np.column_stack([pool.pair_features, pedal, wheel]))
