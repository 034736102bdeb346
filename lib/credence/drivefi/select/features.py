"""What is known of a pool of faults before anything is simulated: golden runs and the fault table, as features.

Every selector of the race gets these and nothing else. Golden runs are free (the paper needs them too, before it looks
for faults); a selector that trains on faulty runs pays for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from credence.drivefi.data.variables import INDEX, VARIABLES, FaultType, fault_effect, fault_types
from credence.drivefi.select.pool import PoolView
from credence.drivefi.world import simulate

LOOKED_AHEAD_S = (1.0, 3.0)
LONG_S = 4.0  # beyond this, "how long ago" and "how soon" are all the same
FAR_M = 60.0


def _until(events: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the time to the next event of every scene [s], at most `LONG_S`."""
    found, away = np.empty(len(events)), LONG_S
    for scene in range(len(events) - 1, -1, -1):
        away = 0.0 if events[scene] else min(away + 1.0 / rate_hz, LONG_S)
        found[scene] = away
    return found


def _ahead(values: np.ndarray, scenes: int, best) -> np.ndarray:
    """Return the extreme of the next `scenes` values, from each scene on."""
    padded = np.concatenate([values, np.repeat(values[-1], scenes)])
    return best(np.lib.stride_tricks.sliding_window_view(padded, scenes + 1), axis=1)[: len(values)]


def scene_features(golden: simulate.Traces, rate_hz: float) -> pd.DataFrame:
    """Return what each scene of a golden run is like: state, surroundings, actuation, and what is to come.

    Parameters
    ----------
    golden : Traces
        One golden run.
    rate_hz : float
        Scenes a second.

    Returns
    -------
    pandas.DataFrame
        One row a scene; distances beyond `FAR_M` are all the same.
    """
    value = {name: golden.values[:, index] for name, index in INDEX.items()}
    gap = np.minimum(golden.cipo_m, FAR_M)
    believed = np.minimum(value["obstacle_position"], FAR_M)
    seen = value["fused_obstacle_class"]
    closing = np.where(gap < FAR_M, golden.speed_mps - value["obstacle_velocity"] * (seen > 0), 0.0)
    changes = np.r_[False, np.diff(seen) != 0]
    closest = np.arange(len(gap)) == int(np.argmin(golden.cipo_m))
    found = {
        "speed": golden.speed_mps,
        "acceleration": value["vehicle_acceleration"],
        "gap": np.sqrt(gap),
        "believed_gap": np.sqrt(np.maximum(believed, 0.0)),
        "closing": closing,
        "inverse_time_to_collision": np.clip(closing / np.maximum(gap, 1.0), -0.5, 2.0),
        "pedestrian": (seen == 1) * 1.0,
        "vehicle": (seen == 2) * 1.0,
        "throttle": value["throttle"],
        "brake": value["brake"],
        "steer": value["steer"],
        "offset": golden.offset_m,
        "heading": golden.heading_rad,
        "curvature": value["lane_curvature"],
        "lane": value["lane_type"],
        "delta_along": np.clip(golden.delta_along_m, -5.0, 30.0),
        "delta_across": np.clip(golden.delta_across_m, -1.0, 1.0),
        "since_change": _until(changes[::-1], rate_hz)[::-1],
        "until_change": _until(changes, rate_hz),
        "until_closest": _until(closest, rate_hz),
        "since_closest": _until(closest[::-1], rate_hz)[::-1],
    }
    for seconds in LOOKED_AHEAD_S:
        scenes = round(seconds * rate_hz)
        found[f"gap_in_{seconds:g}_s"] = np.sqrt(_ahead(gap, scenes, np.min))
        found[f"brake_in_{seconds:g}_s"] = _ahead(value["brake"], scenes, np.max)
        found[f"offset_in_{seconds:g}_s"] = _ahead(golden.lane_offset_m, scenes, np.max)
        found[f"delta_in_{seconds:g}_s"] = np.clip(_ahead(golden.delta_along_m, scenes, np.min), -5.0, 30.0)
    return pd.DataFrame(found)


def embedding(types: Sequence[FaultType] = fault_types()) -> pd.DataFrame:
    """Return fault types as points: module, variable, and what is done to the value; near ones act alike.

    Columns are indicators, so that the distance of two types counts in how much they differ.
    """
    declared = {item.name: item for item in VARIABLES}
    rows = []
    for item in types:
        variable = declared[item.variable]
        up = {"max": 1.0, "double": 1.0, "min": -1.0, "half": -1.0, "class:none": -1.0}.get(item.value, 0.0)
        rows.append({f"module {variable.module}": 1.0, f"variable {item.variable}": 1.0, "up": up})
        rows[-1] |= {f"value {item.value}": 1.0}
    return pd.DataFrame(rows).fillna(0.0)


def changes(values: np.ndarray, types: Sequence[FaultType] = fault_types()) -> np.ndarray:
    """Return by how much each fault type moves its variable in each scene [scenes, types], in the variable's unit.

    Parameters
    ----------
    values : array [scenes, variables]
        Golden module outputs.
    types : sequence of FaultType
    """
    declared = {item.name: item for item in VARIABLES}
    found = np.empty((len(values), len(types)))
    for column, item in enumerate(types):
        scales, number = fault_effect(declared[item.variable], item.value)
        golden = values[:, INDEX[item.variable]]
        found[:, column] = golden * (number - 1.0) if scales else number - golden
    return found


def view_of(golden: Sequence[simulate.Traces]) -> PoolView:
    """Return every single fault of golden runs, of whichever world, as a pool: run by run, scene by scene, by type.

    Parameters
    ----------
    golden : sequence of Traces
        One a run, all with the same scenes a second.
    """
    types = fault_types()
    tables = [scene_features(run, 1.0 / float(run.time_s[1] - run.time_s[0])) for run in golden]
    features = pd.concat(tables, ignore_index=True).to_numpy()
    deviation = features.std(axis=0)
    moved = np.concatenate([changes(run.values, types) for run in golden])
    spans = np.array([VARIABLES[INDEX[item.variable]].high - VARIABLES[INDEX[item.variable]].low for item in types])
    scenes = [len(run.time_s) for run in golden]
    scene, kind = (part.ravel() for part in np.indices(moved.shape))
    return PoolView(
        scene_features=(features - features.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1.0),
        fault_embedding=embedding(types).to_numpy(),
        pair_features=np.arcsinh(4.0 * moved / spans).reshape(-1, 1),
        scene=scene,
        type=kind,
        run=np.repeat(np.arange(len(golden)), scenes),
        position=np.concatenate([np.arange(size) for size in scenes]),
        golden=np.stack([run.margin_parts_m for run in golden]),
        active=(np.abs(moved) > 1e-12).ravel(),
        traces=tuple(golden),
    )


def pool_view(runs: Sequence[tuple[str, int]], stack: str = "A") -> tuple[PoolView, list[simulate.Traces]]:
    """Return every single fault of some scenarios as a pool, scene by scene as ``simulate.enumerate_pool`` orders them.

    Parameters
    ----------
    runs : sequence of (str, int)
        Scenario and seed.
    stack : str
        Driving stack.

    Returns
    -------
    PoolView, list of Traces
        The pool, and the golden runs it was made from.
    """
    golden = [simulate.golden(name, seed, stack) for name, seed in runs]
    return view_of(golden), golden
