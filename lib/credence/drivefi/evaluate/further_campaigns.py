"""Two rows of Table II beside the fault table: 1-PGM (what eq. 1 selects) and 1-GPU (bit flips).

The paper flips bits of destination registers of GPU instructions; there is no GPU here, so that bits flip in the values
that modules hand to one another, single precision. Caches, addresses and control flow cannot be struck.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
from credence.drivefi.world.bitflips import OUTCOMES, corrupted_value
from credence.drivefi.world.simulate import Faults, golden, run, traces

PGM, GPU = "1-PGM", "1-GPU, bits of outputs"
TRAINING = 60  # random faulty runs that the network of one scenario is trained on
ERROR = 0.01  # share of an actuator's range from which on an actuation is wrong


def admitted(scenario: str, stack: str, seeds: Iterable[int], doing: str) -> Iterator[int]:
    """Yield the seeds at which a scenario is safe without a fault, and show the progress.

    Raises
    ------
    InputError
        If there is none.
    """
    found = [point for point in seeds if refusal(scenario, point, stack) is None]
    if not found:
        raise InputError(f"scenario {scenario}: every seed is refused; allowed: one that is safe without a fault")
    yield from track(found, doing)


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
    for point in admitted(scenario, stack, seeds, "faults of eq. 1"):
        pool = declared_pool(point, stack, (scenario,))
        chosen = spread(pool.view, TRAINING, generator(seed, PGM, scenario, point), pool.view.active)
        cpds = forecasts.train(pool.view, Purse(pool.simulate, TRAINING, pool.logs), chosen)
        picked = critical(*forecasts.delta(pool.view, cpds)) & pool.view.active
        names = ["scenario", "seed", "scene", "duration", "variable", "value", "min_cipo_m", "max_lane_offset_m"]
        frames.append(pool.truth.loc[picked, [*names, "margin_m", "critical"]])
    if not sum(len(frame) for frame in frames):
        raise InputError(f"scenario {scenario}: no fault is selected; allowed: a scenario with one that eq. 1 selects")
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
    found = corrupted_value(value, (bit,), "single")
    if not np.isfinite(found):
        return None
    return repr(float(np.clip(found, item.low, item.high))) if item.kind == "bounded" else repr(found)


def believable(item: Variable, before: float, value: str | None) -> bool:
    """Return whether the stack takes a flipped value for one that can be.

    The paper doubles unbounded values at most, since the stack would detect what is larger (footnote 5).

    Parameters
    ----------
    item : Variable
    before : float
        Golden value [item.unit].
    value : str or None
        Of `flipped`; None is detected already.
    """
    return value is not None and (item.kind != "unbounded" or abs(float(value)) <= 2.0 * abs(before))


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
        (``due``: detected, by `flipped` or as not `believable`; ``masked``: no actuation differs by 1 % of its range in
        any scene; ``sdc``: one does) and
        ``changed``, the proof that the value was another.
    """
    injectable = [item for item in VARIABLES if item.injectable]
    frames = []
    for point in admitted(scenario, stack, seeds, "bit flips"):
        rng, item = generator(seed, GPU, scenario, point), load_scenario(scenario, point)
        plain = golden(item, point, stack)
        rows = []
        for scene, which in zip(
            rng.integers(0, item.scenes, per_seed), rng.integers(0, len(injectable), per_seed), strict=True
        ):
            struck = injectable[which]
            bit = int(rng.integers(8 if struck.kind == "categorical" else 32))
            before = plain.values[scene, INDEX[struck.name]]
            value = flipped(struck, before, bit)
            rows.append((scene, struck.name, bit, value if believable(struck, before, value) else None))
        frame = pd.DataFrame(rows, columns=["scene", "variable", "bit", "value"])
        frames.append(_judged(frame, item, point, stack, plain.values))
    return pd.concat(frames, ignore_index=True).assign(campaign=GPU, scenario=scenario, stack=stack, duration=1)


def _judged(frame: pd.DataFrame, item, point: int, stack: str, plain: np.ndarray) -> pd.DataFrame:
    """Return flips with what became of them; those that are detected are not run."""
    runs = frame["value"].notna()
    kept = frame[runs]
    types = tuple(FaultType(i, one.variable, one.value) for i, one in enumerate(kept.itertuples()))
    faults = Faults(kept["scene"].to_numpy(), np.arange(len(types)), np.ones(len(types), np.int64), types)
    outcome, values = run(item, point, stack, faults), traces(item, point, faults, stack)
    pedals = list(forecasts.PEDALS)
    spans = np.array([VARIABLES[i].high - VARIABLES[i].low for i in pedals])
    wrong = (np.abs(values[:, :, pedals] - plain[:, pedals]) / spans).max(axis=(1, 2)) > ERROR
    # a flipped bit that is detected has changed the value, or it would not have been
    found = frame.assign(seed=point, outcome="due", critical=False, changed=True)
    for name in ("min_cipo_m", "max_lane_offset_m", "margin_m", "critical", "changed"):
        found.loc[runs, name] = getattr(outcome, name)
    found.loc[runs, "outcome"] = np.where(wrong, "sdc", "masked")
    return found


def summary(flips: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
    """Return what came of both campaigns, one row a campaign and stack; outcomes of flips only [%].

    Parameters
    ----------
    flips, selected : DataFrame
        Of `flip_runs` and `selected_runs`.
    """
    keys = ["campaign", "stack"]
    found = (
        pd.concat([flips, selected])
        .groupby(keys)
        .agg(runs=("critical", "size"), hazard=("critical", "mean"), gap=("min_cipo_m", "median"))
    )
    outcomes = 100 * flips.groupby(keys)["outcome"].value_counts(normalize=True).unstack()
    outcomes = outcomes.reindex(columns=list(OUTCOMES)).fillna(0.0)
    found["hazard"] *= 100
    return found.rename(columns={"hazard": "hazard [%]", "gap": "median min-CIPO [m]"}).join(outcomes)
