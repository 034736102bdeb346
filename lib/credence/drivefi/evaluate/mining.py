"""Mine a scenario for critical faults with a selector and a budget, into the table of ``credence drivefi mine``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.bench.seeds import generator
from credence.drivefi.data.variables import fault_types
from credence.drivefi.select.features import pool_view
from credence.drivefi.select.pool import Purse
from credence.drivefi.select.table import SELECTORS
from credence.drivefi.world import simulate
from credence.drivefi.world.admission import require_admissible
from credence.drivefi.world.token import Replay

COLUMNS = (
    "scenario",
    "seed",
    "scene",
    "variable",
    "value",
    "duration_scenes",
    "predicted_margin_m",
    "simulated_margin_m",
    "critical",
    "replay",
    "delta_m",
)


def world_of(runs: list[tuple[str, int]], stack: str, scenes: int, duration: int = 1):
    """Return the simulations of a pool (all faults of `runs`, scene by scene) as a selector's purse wants them.

    Returns
    -------
    margins : callable
        (faults [B]) -> [B, 2]: to the closest obstacle, to the lane's edge [m].
    logs : callable
        (faults [B]) -> [B, scenes, variables].
    outcomes : dict
        Fault to its safety potential [m], filled as faults are simulated.
    """
    types = len(fault_types())
    outcomes: dict[int, float] = {}

    def split(faults):
        faults = np.asarray(faults)
        rest, kind = np.divmod(faults, types)
        return (*np.divmod(rest, scenes), kind)

    def margins(faults: np.ndarray) -> np.ndarray:
        which, scene, kind = split(faults)
        parts = np.empty((len(which), 2))
        for run in np.unique(which):
            rows = which == run
            wanted = simulate.Faults(scene[rows], kind[rows], np.full(rows.sum(), duration))
            outcome = simulate.run(*runs[run], stack, wanted)
            parts[rows] = simulate.margin_parts(outcome.min_cipo_m, outcome.max_lane_offset_m)
            outcomes.update(zip(np.asarray(faults)[rows].tolist(), outcome.delta_m.tolist(), strict=True))
        return parts

    def logs(faults: np.ndarray) -> np.ndarray:
        which, scene, kind = split(faults)
        one = (
            simulate.traces(*runs[w], simulate.Faults(np.array([s]), np.array([k]), np.array([duration])), stack)
            for w, s, k in zip(which, scene, kind, strict=True)
        )
        return np.concatenate(list(one))

    return margins, logs, outcomes


def mine(
    scenario: str, seed: int = 0, selector: str = "random", budget: int = 100, stack: str = "A", rng_seed: int = 0
) -> pd.DataFrame:
    """Simulate the faults of one scenario that a selector chooses.

    Parameters
    ----------
    scenario : str
        Name or TOML file.
    seed, rng_seed : int
        Scenario seed, and seed of the selector's own choices.
    selector : str
        One of ``select.table.SELECTORS``.
    budget : int
        Simulations that may be made, training included.
    stack : str
        Driving stack.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, one row a simulated fault, in the order run.

    Raises
    ------
    InputError
        For an unknown selector or scenario, a budget below 1, a scenario that is unsafe or unreachable.
    """
    choose(selector, SELECTORS, "selector")
    if budget < 1:
        raise InputError(f"budget is {budget}; allowed: an integer >= 1")
    require_admissible(scenario, seed, stack)
    runs = [(scenario, seed)]
    pool, golden = pool_view(runs, stack)
    scenes = len(golden[0].time_s)
    simulate_margins, simulate_logs, outcomes = world_of(runs, stack, scenes)
    purse = Purse(simulate_margins, min(budget, len(pool)), simulate_logs)
    told = SELECTORS[selector](pool, purse, generator(rng_seed, "mine", selector))
    return table(runs[0], stack, purse, outcomes, told if isinstance(told, np.ndarray) else None)


def table(run: tuple[str, int], stack: str, purse: Purse, outcomes: dict, predicted: np.ndarray | None) -> pd.DataFrame:
    """Return the simulated faults of one run as rows, in the order run (columns: `COLUMNS`)."""
    types = fault_types()
    order = np.array(purse.order, int)
    scene, kind = np.divmod(order, len(types))
    margin = purse.margins(order) if len(order) else np.empty(0)
    rows = []
    for number, fault in enumerate(order):
        item = types[kind[number]]
        replay = Replay(run[0], run[1], int(scene[number]), item.variable, item.value, 1, stack)
        rows.append(
            (
                run[0],
                run[1],
                replay.scene,
                item.variable,
                item.value,
                1,
                np.nan if predicted is None else float(predicted[fault]),
                float(margin[number]),
                bool(margin[number] <= 0.0),
                replay.line(),
                outcomes[int(fault)],
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
