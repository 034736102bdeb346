"""Variants of the 3-TBN: forecasts over many slices, and conditionals of their own for each driving regime.

A deviation from the golden run is carried from slice to slice by the fitted conditionals; the golden run itself is
known, so that only the deviation is forecast. Regimes (an obstacle ahead or none, braking or not) are those of the
golden run: a linear network for each, chosen slice by slice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from credence.bench.errors import InputError
from credence.drivefi.infer.tbn import Conditionals, fit
from credence.drivefi.model.structure import Structure


def regimes(golden: np.ndarray, obstacle: np.ndarray, braking: np.ndarray) -> np.ndarray:
    """Return the regime of every scene, 0 to 3: whether there is an obstacle (1) and whether the brake is used (2).

    Parameters
    ----------
    golden : array [..., variables]
        Values; only its shape is used.
    obstacle, braking : array of bool [...]
        One truth value a scene.
    """
    found = np.asarray(obstacle, int) + 2 * np.asarray(braking, int)
    if found.shape != golden.shape[:-1]:
        raise InputError(f"regimes: shape {found.shape}; allowed: one a scene, {golden.shape[:-1]}")
    return found


def fit_regimes(
    graph: Structure, runs: np.ndarray, regime: np.ndarray, forced: np.ndarray | None = None, least: int = 200
) -> list[Conditionals]:
    """Fit conditionals for each regime; one with fewer than `least` scenes gets those of all scenes together.

    Parameters
    ----------
    graph, runs, forced
        As for `credence.drivefi.infer.tbn.fit`.
    regime : array of int [runs, scenes]
        Regime of every scene, from 0.
    least : int
        Scenes below which a regime is not fitted on its own.
    """
    together = fit(graph, runs, forced)
    found = []
    for number in range(int(regime.max()) + 1):
        rows = np.array(regime == number)
        rows[:, 0] = False
        found.append(fit(graph, runs, forced, rows) if rows.sum() >= least else together)
    return found


def responses(
    cpds: Sequence[Conditionals], regime: np.ndarray, horizon: int, outputs: Sequence[int], held: bool = False
) -> np.ndarray:
    """Return how the outputs deviate, slice after slice, after a unit fault of any variable in any scene.

    Parameters
    ----------
    cpds : sequence of Conditionals
        One for each regime.
    regime : array of int [scenes]
        Regimes of one golden run.
    horizon : int
        Slices after the fault's own; beyond the run's end the last regime stays.
    outputs : sequence of int
        Variables that are asked for.
    held : bool
        True: only the car's state is carried, as in the paper's one-step answer repeated; unused variables stay golden.

    Returns
    -------
    array [scenes, variables, horizon + 1, outputs]
        float32; index 0 of the third axis is the fault's own slice.
    """
    if horizon < 1:
        raise InputError(f"horizon {horizon}; allowed: at least 1 slice")
    scenes, size = len(regime), len(cpds[0].intercept)
    totals, steps = np.stack([c.total_within() for c in cpds]), np.stack([c.step() for c in cpds])
    found = np.empty((scenes, size, horizon + 1, len(outputs)), np.float32)
    # rows: what a unit of each variable has become; all scenes advance together
    state = totals[regime].transpose(0, 2, 1).copy()
    found[:, :, 0] = state[:, :, outputs]
    for ahead in range(1, horizon + 1):
        later = regime[np.minimum(np.arange(scenes) + ahead, scenes - 1)]
        if held:
            kept = np.zeros_like(state)
            kept[:, :, outputs] = state[:, :, outputs]
            state = kept if ahead > 1 else state
        state = state @ steps[later].transpose(0, 2, 1)
        # a fit that is unstable over many slices must not overflow: it is wrong by then whatever its size
        np.clip(state, -1e6, 1e6, out=state)
        found[:, :, ahead] = state[:, :, outputs]
    return found


def deviations(response: np.ndarray, scene: np.ndarray, variable: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return forecast deviations of the outputs from the golden run [queries, horizon + 1, outputs].

    Parameters
    ----------
    response : array [scenes, variables, horizon + 1, outputs]
        From `responses`.
    scene, variable : array of int [queries]
        Where the fault is.
    change : array [queries]
        Its value less the golden one.
    """
    return response[scene, variable] * np.asarray(change, np.float32)[:, None, None]
