"""Every single fault among traffic of others: CommonRoad scenes, NGSIM's among them, replayed around the same stack.

And whether what is critical in one set of scenes tells what is critical in another: faults are compared by type and by
their phase, the time to the closest approach of the run without a fault.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.bench.progress import track
from credence.drivefi.data.commonroad import read_commonroad
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.world import simulate
from credence.drivefi.world.admission import refusal

NGSIM = "commonroad-ngsim"
SETS = (NGSIM, "commonroad-crime")
PHASES_S = (-4.0, -2.0, 0.0)  # before the closest approach


def recorded_scenes(name: str = NGSIM) -> list[Scenario]:
    """Return the catalogue's CommonRoad scenes of a set as scenarios; needs the mirror, or their origin.

    Parameters
    ----------
    name : str
        One of `SETS`.

    Raises
    ------
    InputError
        If a file cannot be read as CommonRoad XML.
    """
    lines = catalogue.frame(name)
    names = [Path(file).name for file in catalogue.entry(name).file]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, part in lines.groupby("file"):
            path = Path(folder) / names[int(number)]
            path.write_text("\n".join(part["line"]))
            found.append(read_commonroad(path))
    return found


def enumerated(scenes: list[Scenario], stack: str = "A") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate every single fault of every scene that is safe without one.

    Parameters
    ----------
    scenes : list of Scenario
    stack : str
        ``A`` or ``D``.

    Returns
    -------
    scenes : DataFrame
        ``scenario``, ``seconds`` [s], ``others`` (traffic taken over), ``margin_m`` (golden run) [m], ``faults``,
        ``critical``, ``lowest_m`` (smallest margin of all faults) [m], ``by`` (the fault that has it), ``refused`` (why
        nothing was simulated there, else empty).
    faults : DataFrame
        ``simulate.enumerate_pool``'s rows of all of them.
    """
    rows, pools = [], []
    for scene in track(scenes, "recorded scenes"):
        why = refusal(scene, 0, stack)
        margin = simulate.golden(scene, 0, stack).margin_m
        pool = None
        if why is None:
            pool = simulate.enumerate_pool((scene,), (0,), stack)
            pools.append(pool.assign(scenario=scene.name))
        row = {"scenario": scene.name, "seconds": scene.scenes / scene.rate_hz, "others": len(scene.actors)}
        row |= {"margin_m": margin, "faults": 0, "critical": 0, "lowest_m": margin, "by": "", "refused": why or ""}
        if pool is not None:
            worst = pool.loc[pool["margin_m"].idxmin()]
            row |= {"faults": len(pool), "critical": int(pool["critical"].sum()), "lowest_m": worst["margin_m"]}
            row |= {"by": f"{worst['variable']}={worst['value']} in scene {worst['scene']}"}
        rows.append(row)
    return pd.DataFrame(rows), pd.concat(pools, ignore_index=True) if pools else pd.DataFrame()


def with_phase(pool: pd.DataFrame, scenes: dict[str, Scenario] | None = None, stack: str = "A") -> pd.DataFrame:
    """Return a pool with a column ``phase``: when a fault strikes, against the golden run's closest approach.

    Parameters
    ----------
    pool : DataFrame
        ``simulate.enumerate_pool``'s rows.
    scenes : dict, optional
        Scenarios by name, where they are not those of this repository.
    stack : str

    Returns
    -------
    DataFrame
        ``phase``: 0 to 2 before the closest approach (more than 4 s, 4 to 2 s, 2 to 0 s), 3 after it, -1 where nothing
        is ever in the path.
    """
    parts = []
    for (name, seed), part in pool.groupby(["scenario", "seed"], sort=False):
        run = simulate.golden((scenes or {}).get(name, name), seed, stack)
        away = run.time_s - run.time_s[int(run.cipo_m.argmin())]
        phase = np.searchsorted(PHASES_S, away, side="right")
        if run.cipo_m.min() >= simulate.NO_OBSTACLE_M:
            phase[:] = -1
        parts.append(part.assign(phase=phase[part["scene"].to_numpy()]))
    return pd.concat(parts)


def carried(source: pd.DataFrame, target: pd.DataFrame, share: float = 0.05) -> dict[str, float]:
    """Return how well the critical faults of one pool tell those of another.

    Faults of the target are taken in the order of the rate of critical faults that their type has in their phase in the
    source; where rates are equal, in no order (expected numbers).

    Parameters
    ----------
    source, target : DataFrame
        `with_phase`'s rows.
    share : float
        Of the target that is taken.

    Returns
    -------
    dict
        ``faults``, ``critical`` and ``base`` [%] of the target, ``found`` [%] of its critical faults in the share
        taken, and ``lift`` over as many random ones (both NaN if nothing is critical).
    """
    rate = source.groupby(["type", "phase"])["critical"].mean()
    score = rate.reindex(pd.MultiIndex.from_frame(target[["type", "phase"]])).fillna(0.0).to_numpy()
    critical = target["critical"].to_numpy()
    levels = pd.DataFrame({"score": score, "critical": critical}).groupby("score")["critical"].agg(["sum", "size"])
    levels = levels.sort_index(ascending=False)
    left, hits = share * len(target), 0.0
    for count, size in levels.to_numpy():
        part = min(1.0, left / size)
        hits, left = hits + part * count, left - part * size
    total = int(critical.sum())
    found = hits / total if total else np.nan
    row = {"faults": len(target), "critical": total, "base": 100.0 * critical.mean()}
    return row | {"found": 100.0 * found, "lift": found / share}


def both_ways(own: pd.DataFrame, other: pd.DataFrame, share: float = 0.05) -> pd.DataFrame:
    """Return `carried` from the own world to another pool and back, one row a direction."""
    rows = {"own world to these": carried(own, other, share), "these to the own world": carried(other, own, share)}
    return pd.DataFrame.from_dict(rows, orient="index")


def rates(pools: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the share of critical faults [%] by variable and pool; variables never critical are left out."""
    found = pd.DataFrame({name: 100.0 * pool.groupby("variable")["critical"].mean() for name, pool in pools.items()})
    return found[found.gt(0).any(axis=1)].fillna(0.0).sort_values(next(iter(pools)), ascending=False)
