"""Every single fault among recorded traffic: NGSIM scenes of CommonRoad, replayed around the same stack."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from credence.bench import catalogue
from credence.bench.progress import track
from credence.drivefi.data.commonroad import read_commonroad
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.world import simulate
from credence.drivefi.world.admission import refusal

NGSIM = "commonroad-ngsim"


def recorded_scenes() -> list[Scenario]:
    """Return the catalogue's NGSIM scenes as scenarios; needs the mirror, or their origin.

    Raises
    ------
    InputError
        If a file cannot be read as CommonRoad XML.
    """
    lines = catalogue.frame(NGSIM)
    names = [Path(name).name for name in catalogue.entry(NGSIM).file]
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
