"""Two rows of Table II beside the fault table: 1-PGM (what eq. 1 selects) and 1-GPU (bit flips).

The paper flips bits of destination registers of GPU instructions; there is no GPU here, so that bits flip in the values
that modules hand to one another: one or two, single or double precision. Caches, addresses and control flow cannot be
struck. What a wrong class of the camera's classifier comes to is `hardware`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.bench.progress import track
from credence.bench.seeds import generator
from credence.drivefi.data.paper import paper_values
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
PRINTED = "1-GPU, paper"
WIDTHS, PRECISIONS = (1, 2), {"single": 32, "double": 64}
CLASS_BITS = 8
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


def kind(width: int, precision: str) -> str:
    """Return the campaign's name by how many bits flip, and in which representation.

    Raises
    ------
    InputError
        For another width than 1 or 2, or a precision other than ``single`` and ``double``.
    """
    choose(precision, PRECISIONS, "precision")
    if width not in WIDTHS:
        raise InputError(f"width is {width}; allowed: 1 or 2 bits")
    return f"1-GPU, {width} bit{'s' * (width > 1)}, {precision}"


def flipped(item: Variable, value: float, bits: tuple[int, ...], precision: str = "single") -> str | None:
    """Return a module output after bits of it have flipped, as a fault's value; None if that is detected.

    A class is a byte: an unknown one is detected. Anything else is a floating-point number: what is not finite is
    detected, what leaves the declared range of a bounded output is held at its end, as receiving modules do.

    Parameters
    ----------
    item : Variable
    value : float
        Golden value [item.unit]; of a class, its index.
    bits : tuple of int
        0 to 7 of a class; else 0 to 31 (single precision's sign) or 63 (double precision's).
    precision : str
        ``single`` or ``double``; a class is the same byte in both.
    """
    choose(precision, PRECISIONS, "precision")
    if item.kind == "categorical":
        if len(set(bits)) != len(bits) or not bits or not all(0 <= bit < CLASS_BITS for bit in bits):
            raise InputError(f"bits of {item.name} are {bits}; allowed: different ones of 0 to {CLASS_BITS - 1}")
        found = int(value) ^ sum(1 << bit for bit in bits)
        return f"class:{item.categories[found]}" if found < len(item.categories) else None
    found = corrupted_value(value, bits, precision)
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


def flip_runs(
    scenario: str, stack: str, seeds, per_seed: int, seed: int = 0, width: int = 1, precision: str = "single"
) -> pd.DataFrame:
    """Flip bits of one module output in one scene, drawn uniformly, and run on.

    Scenes and outputs are the same for every width and precision.

    Parameters
    ----------
    scenario, stack : str
    seeds : iterable of int
        Scenario seeds; those that are refused are left out.
    per_seed : int
        Flips for each.
    seed : int
        Of their draw.
    width : int
        Bits of one value: 1 or 2.
    precision : str
        ``single`` or ``double``: how a value stands when it is struck (a class is a byte).

    Returns
    -------
    DataFrame
        As ``campaigns.campaign_runs`` without ``delta_m`` (a detected flip has no run: NaN), with ``bits``, ``outcome``
        (``due``: detected, by `flipped` or as not `believable`; ``masked``: no actuation differs by 1 % of its range in
        any scene; ``sdc``: one does) and
        ``changed``, the proof that the value was another.
    """
    name = kind(width, precision)
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
            length = CLASS_BITS if struck.kind == "categorical" else PRECISIONS[precision]
            drawn = [rng.integers(length)] if width == 1 else rng.choice(length, width, replace=False)
            bits = tuple(int(bit) for bit in drawn)
            before = plain.values[scene, INDEX[struck.name]]
            value = flipped(struck, before, bits, precision)
            rows.append((scene, struck.name, bits, value if believable(struck, before, value) else None))
        frame = pd.DataFrame(rows, columns=["scene", "variable", "bits", "value"])
        frames.append(judged(frame.assign(duration=1), item, point, stack, plain.values))
    return pd.concat(frames, ignore_index=True).assign(
        campaign=name, scenario=scenario, stack=stack, width=width, precision=precision
    )


def actuation_error(values: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Return the largest difference of throttle, brake or steering over a run [...], as a share of its range [1].

    Parameters
    ----------
    values : array [..., scenes, variables]
        Module outputs of faulty runs.
    plain : array [scenes, variables]
        Of the golden run.
    """
    pedals = list(forecasts.PEDALS)
    spans = np.array([VARIABLES[i].high - VARIABLES[i].low for i in pedals])
    return (np.abs(values[..., pedals] - plain[:, pedals]) / spans).max(axis=(-2, -1))


def judged(frame: pd.DataFrame, item, point: int, stack: str, plain: np.ndarray) -> pd.DataFrame:
    """Return faults with what became of them; those that are detected are not run.

    Parameters
    ----------
    frame : DataFrame
        scene, duration, variable, value (None: detected).
    item : Scenario
    point : int
        Its seed.
    stack : str
    plain : array [scenes, variables]
        Module outputs of the golden run.

    Returns
    -------
    DataFrame
        `frame` with seed, outcome, min_cipo_m, max_lane_offset_m, margin_m, critical and changed, as `flip_runs`.
    """
    runs = frame["value"].notna()
    kept = frame[runs]
    types = tuple(FaultType(i, one.variable, one.value) for i, one in enumerate(kept.itertuples()))
    faults = Faults(kept["scene"].to_numpy(), np.arange(len(types)), kept["duration"].to_numpy(), types)
    # a flipped bit that is detected has changed the value, or it would not have been
    found = frame.assign(seed=point, outcome="due", critical=False, changed=True)
    names = ("min_cipo_m", "max_lane_offset_m", "margin_m", "critical", "changed")
    found = found.assign(**dict.fromkeys(names[:3], np.nan))
    if types:
        outcome, values = run(item, point, stack, faults), traces(item, point, faults, stack)
        for name in names:
            found.loc[runs, name] = getattr(outcome, name)
        found.loc[runs, "outcome"] = np.where(actuation_error(values, plain) > ERROR, "sdc", "masked")
    return found


def share_interval(hits: int, size: int, level: float = 0.95) -> tuple[float, float, float]:
    """Return a share [%] with its Clopper-Pearson interval; runs count as independent.

    Raises
    ------
    InputError
        If there is no run, or more hits than runs.
    """
    from scipy.special import betaincinv

    if not 0 <= hits <= size or size < 1:
        raise InputError(f"hits are {hits} of {size}; allowed: 0 to {max(size, 0)} of at least 1")
    tail = (1.0 - level) / 2.0
    low = betaincinv(hits, size - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, size - hits, 1.0 - tail) if hits < size else 1.0
    return 100.0 * hits / size, 100.0 * float(low), 100.0 * float(high)


def summary(flips: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
    """Return what came of both campaigns, one row a campaign and stack; outcomes of flips only [%].

    Hazards are of all runs, detected flips included (95 %, Clopper-Pearson); the gap is the median min-CIPO.

    Parameters
    ----------
    flips, selected : DataFrame
        Of `flip_runs` (one or several, under each other) and `selected_runs`.
    """
    keys = ["campaign", "stack"]
    rows = pd.concat([flips, selected]).groupby(keys, sort=False)
    found = rows.agg(runs=("critical", "size"), gap=("min_cipo_m", "median"))
    hazards = [share_interval(int(one["critical"].sum()), len(one)) for _, one in rows]
    found[["hazard [%]", "low", "high"]] = hazards
    outcomes = 100 * flips.groupby(keys)["outcome"].value_counts(normalize=True).unstack()
    outcomes = outcomes.reindex(columns=list(OUTCOMES)).fillna(0.0)
    found = found.join(outcomes).rename(columns={"gap": "gap [m]"})
    return found[["runs", *OUTCOMES, "hazard [%]", "low", "high", "gap [m]"]]


def printed() -> pd.DataFrame:
    """Return the paper's 1-GPU campaign as a row of `summary`.

    Another quantity: its bits flip in registers of GPU instructions, most of them far from any module's output. Its
    interval is ours, from the number of runs. The closest approach is drawn like the golden runs', whose median stands
    here.
    """
    told = paper_values("gpu_flips").set_index("quantity")["percent"]
    runs = int(paper_values("gpu_flips")["runs"].iloc[0])
    golden_gap = paper_values("fig11_campaigns").query(
        "platform == 'DriveAV' and quantity == 'min_cipo_m' and campaign == 'golden'"
    )["median"]
    hazard = share_interval(round(runs * told["hazard"] / 100.0), runs)
    row = [runs, 100.0 - told["actuation"] - told["detected"], told["actuation"], told["detected"], *hazard]
    columns = ["runs", *OUTCOMES, "hazard [%]", "low", "high", "gap [m]"]
    index = pd.MultiIndex.from_tuples([(PRINTED, "DriveAV")], names=["campaign", "stack"])
    return pd.DataFrame([[*row, float(golden_gap.iloc[0])]], columns=columns, index=index)
