"""The 3-TBN at work on a pool: trained on paid runs, asked about every fault.

Training runs are faults of the pool, spread over types and runs, with their traces; they are paid from the purse like
any other simulation, and their margins are known afterwards.
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


def train(pool: PoolView, purse: Purse, faults: np.ndarray, by_regime: bool = False) -> list[tbn.Conditionals]:
    """Fit the 3-TBN to golden runs and to paid runs of `faults`; one network, or one for each regime.

    Parameters
    ----------
    pool, purse
        As for every selector; the purse must log traces.
    faults : array of int
        Training faults; those already simulated cost nothing again.
    by_regime : bool
        Conditionals of their own for each regime.
    """
    plain = np.stack([run.values for run in pool.traces])
    faulty = purse.traces(faults) if len(faults) else np.empty((0, *plain.shape[1:]))
    runs = np.concatenate([plain, faulty])
    forced = np.concatenate([np.zeros(plain.shape, bool), set_by(pool, faults, plain.shape[1])])
    if not by_regime:
        return [tbn.fit(GRAPH, runs, forced)]
    return rolling.fit_regimes(GRAPH, runs, obstacle_and_brake(runs), forced)


def actuation(cpds: tbn.Conditionals, golden: Sequence[simulate.Traces]) -> np.ndarray:
    """Return what the network says that each fault does to throttle, brake and steering in its own scene [faults,
    3].
    """
    types = fault_types()
    moved = np.concatenate([changes(run.values, types) for run in golden])
    variable = [INDEX[item.variable] for item in types]
    total = cpds.total_within()[np.ix_(PEDALS, variable)]
    values = np.concatenate([run.values for run in golden])[:, None, list(PEDALS)]
    low = np.array([VARIABLES[i].low for i in PEDALS])
    high = np.array([VARIABLES[i].high for i in PEDALS])
    # an actuator cannot leave its range, however far a linear network would take it
    return (np.clip(values + moved[:, :, None] * total.T[None], low, high) - values).reshape(-1, len(PEDALS))


def with_effects(pool: PoolView, cpds: tbn.Conditionals) -> PoolView:
    """Return the pool with the network's actuation effects as further pair features."""
    effect = actuation(cpds, pool.traces)
    pedal = np.arcsinh(3.0 * (effect[:, 0] - effect[:, 1]))
    wheel = np.arcsinh(20.0 * effect[:, 2])
    return replace(pool, pair_features=np.column_stack([pool.pair_features, pedal, wheel]))


def stopping(speed: np.ndarray, heading: np.ndarray, bend: np.ndarray, a_max: float) -> np.ndarray:
    """Return d_stop along and across [..., 2] [m] (eq. 7, closed form), as ``world.safety.stop_displacement`` does."""
    way = speed * speed / (2.0 * a_max)
    turn = bend * way
    middle = heading + 0.5 * turn
    # a chord of an arc: its length is way * sin(turn / 2) / (turn / 2)
    chord = way * np.sinc(turn / (2.0 * np.pi))
    return np.stack([chord * np.cos(middle), chord * np.sin(middle)], axis=-1)


def delta(
    pool: PoolView, cpds: Sequence[tbn.Conditionals], horizon: int = 1, a_max: float = 8.0, wheelbase: float = 2.8
) -> tuple[np.ndarray, np.ndarray]:
    """Return golden and predicted safety potential of every fault, the lowest over the slices that are forecast.

    Parameters
    ----------
    pool : PoolView
        With its golden runs.
    cpds : sequence of Conditionals
        One network, or one for each regime.
    horizon : int
        Slices after the fault; 1 is the paper's eq. 9.
    a_max, wheelbase : float
        Of the stack [m/s²], [m].

    Returns
    -------
    golden, predicted : array [faults, 2]
        Along and across [m]; golden in the fault's own slice.
    """
    types = fault_types()
    variable = np.array([INDEX[item.variable] for item in types])
    before, after = [], []
    for run in pool.traces:
        scenes, period = len(run.time_s), float(run.time_s[1] - run.time_s[0])
        regime = obstacle_and_brake(run.values) if len(cpds) > 1 else np.zeros(scenes, int)
        response = rolling.responses(cpds, regime, horizon, MOTION)[:, variable]
        moved = changes(run.values, types)
        curvature = run.values[:, INDEX["lane_curvature"]]
        truth = np.stack([run.delta_along_m, run.delta_across_m], axis=1)
        lowest, lost = np.full((scenes, len(types), 2), np.inf), np.zeros((scenes, len(types)))
        for ahead in range(1, horizon + 1):
            later = np.minimum(np.arange(scenes) + ahead, scenes - 1)
            move = response[:, :, ahead] * moved[:, :, None]
            speed, heading, steer = (part[later][:, None] for part in (run.speed_mps, run.heading_rad, run.steer_rad))
            road = curvature[later][:, None]
            forecast = np.maximum(speed + move[..., 0], 0.0)
            bent = np.tan(np.clip(steer + move[..., 2], -0.6, 0.6)) / wheelbase - road
            plain = stopping(speed, heading, np.tan(steer) / wheelbase - road, a_max)
            new = stopping(forecast, heading + move[..., 1], bent, a_max)
            # way that the car has made beyond the golden run's eats up the room ahead
            lost += period * (forecast - speed)
            change = np.abs(plain) - np.abs(new)
            change[..., 0] -= lost
            lowest = np.minimum(lowest, truth[later][:, None] + change)
        before.append(np.repeat(truth, len(types), axis=0))
        after.append(lowest.reshape(-1, 2))
    return np.concatenate(before), np.concatenate(after)


def ranking(golden: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return a number a fault, lowest most critical: predicted delta of what is safe in the golden run (eq. 1)."""
    found = predicted.min(axis=1)
    # eq. 1 leaves out scenes that are unsafe anyway; they come after all others
    return np.where(golden.min(axis=1) > 0, found, 1e6 + found)


def with_prediction(pool: PoolView, golden: np.ndarray, predicted: np.ndarray) -> PoolView:
    """Return the pool with predicted margins: the golden run's, less what the network takes off delta."""
    fall = np.minimum(predicted - golden, 0.0)
    return replace(pool, predicted=pool.golden[pool.run[pool.scene]] + fall)
