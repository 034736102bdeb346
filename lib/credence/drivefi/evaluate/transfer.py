"""Do faults that are critical in one world break the other? And what do hardware flips come to?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.seeds import generator
from credence.drivefi.data.variables import INDEX, fault_type, fault_types
from credence.drivefi.evaluate.hardware import ONE_SCENE
from credence.drivefi.world import bitflips, simulate
from credence.drivefi.world.highway import drive_highway
from credence.drivefi.world.simulate import enumerate_pool

JUMP_M = 5.0  # from one scene to the next: the stack believes in something else now
NEAR_SCENES = 8


def transferred(scenarios, seeds, per_point: int, seed: int = 0, stack: str = "A") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run critical and random faults of the own world again among highway-env's traffic.

    Parameters
    ----------
    scenarios, seeds : iterable
        Where; all single faults are enumerated in the own world.
    per_point : int
        How many critical and how many random faults of each (scenario, seed) are run again, drawn uniformly.
    seed : int
        Of that draw.
    stack : str
        ``A`` or ``D``.

    Returns
    -------
    runs : DataFrame
        scenario, seed, scene, variable, value, group (``critical`` or ``random``), margin_m (own world), there_m
        (highway-env), here and there (whether critical).
    goldens : DataFrame
        scenario, seed, golden_m (margin without fault, highway-env). Places where it is hazardous in either world have
        no runs.
    """
    types = fault_types()
    rows, goldens = [], []
    for scenario, point in track([(name, s) for name in scenarios for s in seeds], "moving faults"):
        plain = drive_highway(scenario, point, stack=stack).margin_m
        goldens.append((scenario, point, plain))
        if min(plain, simulate.golden(scenario, point, stack).margin_m) <= 0:
            continue
        pool = enumerate_pool((scenario,), (point,), stack)
        for group, part in (("critical", pool[pool["critical"]]), ("random", pool)):
            rng = generator(seed, "transfer", scenario, point, group)
            chosen = rng.choice(len(part), min(per_point, len(part)), replace=False)
            for fault in part.iloc[np.sort(chosen)].itertuples():
                there = drive_highway(scenario, point, types[fault.type], fault.scene, stack=stack).margin_m
                rows.append((scenario, point, fault.scene, fault.variable, fault.value, group, fault.margin_m, there))
    names = ["scenario", "seed", "scene", "variable", "value", "group", "margin_m", "there_m"]
    runs = pd.DataFrame(rows, columns=names)
    runs = runs.assign(here=runs["margin_m"] <= 0, there=runs["there_m"] <= 0)
    return runs, pd.DataFrame(goldens, columns=["scenario", "seed", "golden_m"])


def jumps(run: simulate.Traces) -> tuple[np.ndarray, np.ndarray]:
    """Return scenes in which the obstacle that the stack believes in jumps away (lost), and in which it jumps near
    (found).
    """
    step = np.diff(run.values[:, INDEX["obstacle_position"]], prepend=run.values[0, INDEX["obstacle_position"]])
    return np.flatnonzero(step > JUMP_M), np.flatnonzero(step < -JUMP_M)


def same_event(scene: int, here: simulate.Traces, there: simulate.Traces) -> int:
    """Return the scene of another world's golden run that stands to the tracker's events as `scene` does here.

    The last jump of the believed obstacle at or before the scene, at most `NEAR_SCENES` ago, is sought there: the one
    of its kind that is nearest in time. Without one, the scene stays as it is.
    """
    found = []
    for own, other in zip(jumps(here), jumps(there), strict=True):
        past = own[(own <= scene) & (scene - own <= NEAR_SCENES)]
        if past.size and other.size:
            found.append((past[-1], other[int(np.abs(other - past[-1]).argmin())]))
    if not found:
        return scene
    event, again = max(found)
    return int(np.clip(scene + again - event, 0, len(there.time_s) - 1))


def aligned(runs: pd.DataFrame, stack: str = "A") -> pd.DataFrame:
    """Run the critical faults of `transferred` again at the same event instead of in the same scene.

    Parameters
    ----------
    runs : DataFrame
        Of `transferred`.
    stack : str

    Returns
    -------
    DataFrame
        The critical rows, with ``scene_there`` and ``aligned_m`` (margin in highway-env at that scene) added.
    """
    rows = runs[runs["group"] == "critical"]
    scenes, margins = [], []
    for (name, seed), part in track(list(rows.groupby(["scenario", "seed"], sort=False)), "aligning faults"):
        here, there = simulate.golden(name, seed, stack), drive_highway(name, seed, stack=stack)
        for fault in part.itertuples():
            scene = same_event(fault.scene, here, there)
            kind = fault_type(fault.variable, fault.value)
            scenes.append(scene)
            margins.append(drive_highway(name, seed, kind, scene, stack=stack).margin_m)
    return rows.assign(scene_there=scenes, aligned_m=margins)


def hardware(seeds, runs: int, width: int = 1) -> pd.DataFrame:
    """Return a bit-flip campaign on one classifier for each of `seeds`: columns of `flip_campaign`, seed, accuracy."""
    frames = []
    for seed in seeds:
        layers, accuracy = bitflips.train(seed)
        found = bitflips.flip_campaign(layers, runs, width, generator(seed, "bit flips", "campaign", width))
        frames.append(found.assign(seed=seed, accuracy=accuracy))
    return pd.concat(frames, ignore_index=True)


def claim_metrics(runs: pd.DataFrame, driven: pd.DataFrame, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Return draws of the notebook's metrics: scenario seeds, and classifiers, resampled.

    The lift's random rate has half a hazard added, so that none found does not divide by zero. Silent corruption is a
    wrong actuation by way of the camera's class, after one flipped bit of an activation.

    Parameters
    ----------
    runs : DataFrame
        Of `transferred`.
    driven : DataFrame
        Of ``hardware.campaign``.
    draws, seed : int
        Of the resampling.

    Raises
    ------
    InputError
        If no critical fault could be moved: then there is no share, and 0 would be wrong.
    """
    if not (runs["group"] == "critical").any():
        raise InputError("runs hold no critical fault; allowed: at least one, try other scenarios or seeds")
    rng = generator(seed, "transfer", "draws")
    counts = {
        group: part.groupby("seed")["there"].agg(["sum", "size"]) for group, part in runs.groupby("group", sort=False)
    }
    points = sorted(runs["seed"].unique())
    table = {group: counts[group].reindex(points, fill_value=0).to_numpy() for group in counts}
    picked = rng.integers(0, len(points), (draws, len(points)))
    critical, random = (table[group][picked].sum(1) for group in ("critical", "random"))
    share = critical[:, 0] / np.maximum(critical[:, 1], 1)
    single = driven[(driven["kind"] == ONE_SCENE) & (driven["width"] == 1)]
    silent = single.groupby("classifier")["actuation"].mean().to_numpy(float)
    again = silent[rng.integers(0, silent.size, (draws, silent.size))].mean(1)
    return {
        "transfer_share": 100.0 * share,
        "transfer_lift": share * (random[:, 1] + 1.0) / (random[:, 0] + 0.5),
        "hardware_silent": 100.0 * again,
    }
