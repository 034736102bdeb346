"""Two rows of Table II beside the fault table: 1-PGM (what eq. 1 selects) and 1-GPU (bit flips).

The paper flips bits of destination registers of GPU instructions; there is no GPU here, so that bits flip in the values
that modules hand to one another, single precision. Caches, addresses and control flow cannot be struck.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.seeds import generator
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.data.variables import INDEX, VARIABLES, FaultType, Variable
from credence.drivefi.evaluate.race import declared_pool
from credence.drivefi.infer.critical import critical
from credence.drivefi.select import forecasts
from credence.drivefi.select.gp_selector import spread
from credence.drivefi.select.pool import Purse
from credence.drivefi.world.admission import refusal
from credence.drivefi.world.simulate import Faults, golden, run, traces

PGM, GPU = "1-PGM", "1-GPU, bits of outputs"
TRAINING = 60  # random faulty runs that the network of one scenario is trained on
ACTUATION = ("throttle", "brake", "steer")
ERROR = 0.01  # share of an actuator's range from which on an actuation is wrong


def selected_runs(scenario: str, stack: str, seeds, seed: int = 0) -> pd.DataFrame:
    """Return the runs of all faults that the paper's engine selects (eq. 1, one slice), simulated.

    Parameters
    ----------
    scenario, stack : str
    seeds : iterable of int
        Scenario seeds; those that are refused are left out.
    seed : int
        Of the training faults' draw.

    Returns
    -------
    DataFrame
        As ``campaigns.campaign_runs``, less ``delta_m`` and ``changed``.

    Raises
    ------
    InputError
        If every seed is refused, or nothing is selected.
    """
    frames = []
    for point in track(list(seeds), "faults of eq. 1"):
        if refusal(scenario, point, stack) is not None:
            continue
        pool = declared_pool(point, stack, (scenario,))
        chosen = spread(pool.view, TRAINING, generator(seed, PGM, scenario, point), pool.view.active)
        cpds = forecasts.train(pool.view, Purse(pool.simulate, TRAINING, pool.logs), chosen)
        picked = critical(*forecasts.delta(pool.view, cpds)) & pool.view.active
        names = ["scenario", "seed", "scene", "duration", "variable", "value", "min_cipo_m", "max_lane_offset_m"]
        frames.append(pool.truth.loc[picked, [*names, "margin_m", "critical"]])
    if not frames or not sum(len(frame) for frame in frames):
        raise InputError(f"scenario {scenario}: no fault is selected; allowed: a scenario that is safe without one")
    return pd.concat(frames, ignore_index=True).assign(campaign=PGM, stack=stack)


def flipped(item: Variable, value: float, bit: int) -> str | None:
    """Return a module output after one bit of it has flipped, as a fault's value; None if that is detected.

    A class is a byte: an unknown one is detected. Anything else is a single-precision number: what is not finite is
    detected, what leaves the declared range of a bounded output is held at its end, as receiving modules do.

    Parameters
    ----------
    item : Variable
    value : float
        Golden value [item.unit]; of a class, its index.
    bit : int
        0 to 7 of a class, else 0 to 31 (the sign).
    """
    if item.kind == "categorical":
        found = int(value) ^ (1 << bit)
        return f"class:{item.categories[found]}" if found < len(item.categories) else None
    word = np.array(value, np.float32).view(np.uint32) ^ np.uint32(1 << bit)
    found = float(word.view(np.float32))
    if not np.isfinite(found):
        return None
    return repr(float(np.clip(found, item.low, item.high))) if item.kind == "bounded" else repr(found)


def flip_runs(scenario: str, stack: str, seeds, per_seed: int, seed: int = 0) -> pd.DataFrame:
    """Flip one bit of one module output in one scene, drawn uniformly, and run on.

    Parameters
    ----------
    scenario, stack : str
    seeds : iterable of int
        Scenario seeds; those that are refused are left out.
    per_seed : int
        Flips for each.
    seed : int
        Of their draw.

    Returns
    -------
    DataFrame
        As ``campaigns.campaign_runs`` without ``delta_m`` (a detected flip has no run: NaN), with ``bit``, ``outcome``
        (``due``: detected; ``masked``: no actuation differs by 1 % of its range in any scene; ``sdc``: one does) and
        ``changed``, the proof that the value was another.
    """
    injectable = [item for item in VARIABLES if item.injectable]
    frames = []
    for point in track(list(seeds), "bit flips"):
        if refusal(scenario, point, stack) is not None:
            continue
        rng, item = generator(seed, GPU, scenario, point), load_scenario(scenario, point)
        plain = golden(item, point, stack)
        rows, types = [], []
        for scene, which in zip(
            rng.integers(0, item.scenes, per_seed), rng.integers(0, len(injectable), per_seed), strict=True
        ):
            struck = injectable[which]
            bit = int(rng.integers(8 if struck.kind == "categorical" else 32))
            value = flipped(struck, plain.values[scene, INDEX[struck.name]], bit)
            rows.append((scene, struck.name, bit, value))
            types.append(FaultType(len(types), struck.name, value or "nothing"))
        frame = pd.DataFrame(rows, columns=["scene", "variable", "bit", "value"])
        frames.append(_judged(frame, types, item, point, stack, plain.values))
    if not frames:
        raise InputError(f"scenario {scenario}: every seed is refused; allowed: one that is safe without a fault")
    return pd.concat(frames, ignore_index=True).assign(campaign=GPU, scenario=scenario, stack=stack, duration=1)


def _judged(frame: pd.DataFrame, types: list[FaultType], item, point: int, stack: str, plain: np.ndarray):
    """Return flips with what became of them; those that are detected are not run."""
    runs = frame["value"].notna().to_numpy()
    kept = tuple(FaultType(i, one.variable, one.value) for i, one in enumerate(np.array(types, object)[runs]))
    size = len(kept)
    faults = Faults(frame["scene"].to_numpy()[runs], np.arange(size), np.ones(size, np.int64), kept)
    outcome, values = run(item, point, stack, faults), traces(item, point, faults, stack)
    spans = np.array([VARIABLES[INDEX[name]].high - VARIABLES[INDEX[name]].low for name in ACTUATION])
    columns = [INDEX[name] for name in ACTUATION]
    wrong = (np.abs(values[:, :, columns] - plain[None][:, :, columns]) / spans).max(axis=(1, 2)) > ERROR
    found = frame.assign(seed=point, outcome="due", critical=False, changed=True)
    for name in ("min_cipo_m", "max_lane_offset_m", "margin_m"):
        found.loc[runs, name] = getattr(outcome, name)
    found.loc[runs, "critical"] = outcome.critical
    found.loc[runs, "changed"] = outcome.changed
    found.loc[runs, "outcome"] = np.where(wrong, "sdc", "masked")
    return found
