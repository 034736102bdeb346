"""How large an effect to expect of a fault before anything is simulated: the amplitude of the fault process.

Most faults do nothing; a process with the same variance everywhere would look for hazards where nothing can happen. The
expected size of an effect, in golden margins, is a log-linear function of what is physically plain: how far pedals and
wheel are moved, whether the obstacle vanishes, and how tight the scene is or becomes. Its coefficients were fitted to
the enumerated truth of scenario seeds 0 to 9 (Poisson regression) and are part of the kernel; no fault type is named in
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from credence.drivefi.data.variables import FaultType, fault_types
from credence.drivefi.select.features import scene_features
from credence.drivefi.select.pool import PoolView

NEAR_S = 4.0
LEAST = 0.02


def terms(pool: PoolView, types: Sequence[FaultType] = fault_types()) -> pd.DataFrame:
    """Return the regression's inputs, one row a fault.

    Parameters
    ----------
    pool : PoolView
        With the network's actuation effects among its pair features (`forecasts.with_effects`).
    types : sequence of FaultType
    """
    tables = [scene_features(run, 1.0 / float(run.time_s[1] - run.time_s[0])) for run in pool.traces]
    scene = pd.concat(tables, ignore_index=True)
    seen = scene["pedestrian"] + scene["vehicle"]
    tight = pd.DataFrame(
        {
            "gap in 1 s": scene["gap_in_1_s"],
            "gap in 3 s": scene["gap_in_3_s"],
            "brake in 1 s": scene["brake_in_1_s"],
            "brake in 3 s": scene["brake_in_3_s"],
            "delta in 1 s": scene["delta_in_1_s"] / 10.0,
            "delta in 3 s": scene["delta_in_3_s"] / 10.0,
            "until closest": scene["until_closest"],
            "since closest": scene["since_closest"],
            "since change": scene["since_change"],
            "until change": scene["until_change"],
            "speed": scene["speed"] / 10.0,
            "throttle": scene["throttle"],
            "brake": scene["brake"],
            "closing": scene["closing"] / 10.0,
            "obstacle": seen,
            "closest is near": (scene["until_closest"] < NEAR_S) * 1.0,
            "closest was": (scene["since_closest"] < NEAR_S) * 1.0,
        }
    )
    found = tight.iloc[pool.scene].reset_index(drop=True)
    vanishes = np.array([item.value == "class:none" and item.variable.startswith("fused") for item in types])
    moved, pedal, wheel = pool.pair_features[:, :3].T
    found["pedal moved"] = np.log(LEAST + np.abs(pedal))
    found["accelerates"] = (pedal > LEAST) * 1.0
    found["value moved"] = np.log(LEAST + np.abs(moved))
    found["wheel moved"] = np.log(LEAST + np.abs(wheel))
    found["obstacle vanishes"] = vanishes[pool.type] * seen.to_numpy()[pool.scene]
    return found


def fit(inputs: pd.DataFrame, effects: np.ndarray) -> pd.Series:
    """Return the log-linear coefficients of the expected absolute effect, the constant as ``constant``."""
    from sklearn.linear_model import PoissonRegressor

    model = PoissonRegressor(alpha=1e-4, max_iter=1000).fit(inputs, np.abs(effects))
    return pd.Series(np.r_[model.coef_, model.intercept_], index=[*inputs.columns, "constant"])


def expected(inputs: pd.DataFrame, coefficients: pd.DataFrame) -> np.ndarray:
    """Return the expected absolute effect on each part [faults, parts], in golden margins.

    Parameters
    ----------
    inputs : pandas.DataFrame
        From `terms`.
    coefficients : pandas.DataFrame
        One row a term (and ``constant``), one column a part.
    """
    slopes = coefficients.loc[list(inputs.columns)].to_numpy()
    return np.exp(np.clip(inputs.to_numpy() @ slopes + coefficients.loc["constant"].to_numpy(), -8.0, 0.0))
