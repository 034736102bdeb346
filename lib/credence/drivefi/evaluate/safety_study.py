"""What the safety potential says: the two worked examples, equation 6, and what unpublished constants are worth."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.seeds import generator
from credence.drivefi.data.scenarios import Scenario, read_scenario, vary
from credence.drivefi.data.variables import FaultType, fault_types
from credence.drivefi.world.parameters import Stack
from credence.drivefi.world.parameters import stack as load_stack
from credence.drivefi.world.safety import d_stop
from credence.drivefi.world.simulate import Faults, every_fault, golden, run

THROTTLE = FaultType(0, "throttle", "0.6")  # example 1: 0.2 becomes 0.6
DROPPED = FaultType(0, "fused_obstacle_class", "class:none")
# the paper gives neither; longer delays end in a crash wherever the vehicle is, so that the verdict must not hang on
# which delays are tried
JUDGED_GAP_M, JUDGED_DELAY = 160.0, 40


def equation_6(speed: float, steer: float, a_max: float = 8.0, wheelbase: float = 2.8, step_s: float = 1e-3):
    """Return the stop displacement [2] that eq. 6 gives as printed, by Euler steps, until eq. 5's time to stop."""
    x = y = heading = 0.0
    vx, vy = speed, 0.0
    for _ in range(math.ceil(speed / a_max / step_s)):
        turn = math.hypot(vx, vy) * math.tan(steer) / wheelbase
        x, y = x + vx * step_s, y + vy * step_s
        vx -= a_max * math.sin(heading) * turn * step_s
        vy -= a_max * math.cos(heading) * turn * step_s
        heading += turn * step_s
    return np.array([x, y])


def equation_6_errors(speeds, steers, a_max: float = 8.0) -> pd.DataFrame:
    """Return how far eq. 6 as printed stops from where eq. 3 and 5 stop: speed_mps, steer_rad, error_m."""
    rows = [
        (speed, steer, float(np.linalg.norm(equation_6(speed, steer, a_max) - d_stop(speed, 0.0, steer, a_max))))
        for speed in speeds
        for steer in steers
    ]
    return pd.DataFrame(rows, columns=["speed_mps", "steer_rad", "error_m"])


def example_one(seeds, durations, stack: str | Stack = "A") -> pd.DataFrame:
    """Return what a throttle of 0.6 does to delta in example 1, at the scene where it does most.

    Returns
    -------
    DataFrame
        One row a seed and duration: seed, duration (scenes), golden_m (smallest delta along the lane without a fault),
        faulty_m (with it), change_m, closest_m (closest approach of that run).
    """
    rows = []
    for seed in seeds:
        plain = golden("example1", seed, stack)
        # from the beginning to two seconds after delta is smallest
        last = min(int(plain.delta_along_m.argmin()) + 60, len(plain.time_s) - 1)
        starts = np.arange(last)
        for duration in durations:
            faults = Faults(starts, np.zeros(last, int), np.full(last, duration), (THROTTLE,))
            outcome = run("example1", seed, stack, faults)
            worst = int(outcome.delta_along_m.argmin())
            before, after = float(plain.delta_along_m.min()), float(outcome.delta_along_m[worst])
            rows.append((seed, duration, before, after, after - before, float(outcome.min_cipo_m[worst])))
    names = ["seed", "duration", "golden_m", "faulty_m", "change_m", "closest_m"]
    return pd.DataFrame(rows, columns=names)


def _nearer(plain: Scenario, gap_m: float) -> Scenario:
    actors = tuple(dataclasses.replace(a, gap_m=gap_m) if a.name == "TV2" else a for a in plain.actors)
    return dataclasses.replace(plain, actors=actors)


def example_two(seeds, gaps_m, delays, stack: str | Stack = "A") -> pd.DataFrame:
    """Return what becomes of example 2 by where the hidden vehicle is, and by how long its detection is delayed.

    Parameters
    ----------
    seeds : iterable of int
        Scenario seeds.
    gaps_m : iterable of float
        Distance of the hidden vehicle at the start [m].
    delays : iterable of int
        Scenes in which the fused obstacle is struck off, from the scene in which the lead vehicle starts to leave.
    stack : str or Stack
        Driving stack.

    Returns
    -------
    DataFrame
        One row a seed, gap and delay (0: no fault): seed, gap_m, delay, margin_m, hazard.
    """
    rows = []
    for seed in seeds:
        for gap in gaps_m:
            item = vary(_nearer(read_scenario("example2"), gap), seed)
            start = int(item.actors[0].moves[0].start_s * item.rate_hz)
            rows.append((seed, gap, 0, golden(item, seed, stack).margin_m))
            wanted = [delay for delay in delays if delay > 0]
            faults = Faults(np.full(len(wanted), start), np.zeros(len(wanted), int), np.array(wanted), (DROPPED,))
            margins = run(item, seed, stack, faults).margin_m
            rows += [(seed, gap, delay, margin) for delay, margin in zip(wanted, margins.tolist(), strict=True)]
    found = pd.DataFrame(rows, columns=["seed", "gap_m", "delay", "margin_m"])
    return found.assign(hazard=found["margin_m"] <= 0.0)


def unpublished() -> tuple[str, ...]:
    """Return the names of all constants of car, sensors and stack that are not 0: none of them is in the paper."""
    return tuple(name for name in Stack._fields if getattr(load_stack("A"), name) != 0.0)


def sensitivity(
    scenario: str, seeds, names=None, factors=(0.75, 1.25), stack: str | Stack = "A", every: int = 1
) -> pd.DataFrame:
    """Return how the truth depends on each constant, one at a time.

    Parameters
    ----------
    scenario : str
        Name or file.
    seeds : iterable of int
        Scenario seeds.
    names : iterable of str, optional
        Constants; default: all of `unpublished`.
    factors : iterable of float
        What each is multiplied by.
    stack : str or Stack
        Stack that is varied.
    every : int
        Only every so many-th fault of the enumeration is run.

    Returns
    -------
    DataFrame
        One row a constant and factor (first row: none, 1): constant, factor, value, golden_margin_m (smallest over
        seeds), unsafe_scenes_pct (golden scenes with delta <= 0), critical_pct (of all single faults, seeds whose
        golden run is not hazardous; NaN if all are).
    """
    plain = load_stack(stack)
    seeds = list(seeds)
    known = unpublished()
    for name in names or ():
        if name not in known:
            raise InputError(f"constant {name!r}; allowed: {', '.join(known)}")
    points = [("none", 1.0), *((name, factor) for name in names or known for factor in factors)]
    rows = []
    for name, factor in track(points, "constants"):
        varied = plain if name == "none" else plain._replace(**{name: getattr(plain, name) * factor})
        margins, unsafe, critical = [], [], []
        for seed in seeds:
            told = golden(scenario, seed, varied)
            margins.append(told.margin_m)
            unsafe.append(np.mean(np.minimum(told.delta_along_m, told.delta_across_m) <= 0))
            if told.margin_m > 0:
                full = every_fault(len(told.time_s))
                some = Faults(full.scene[::every], full.type[::every], full.duration[::every])
                critical.append(run(scenario, seed, varied, some).critical.mean())
        value = np.nan if name == "none" else getattr(varied, name)
        share = 100 * float(np.mean(critical)) if critical else np.nan
        rows.append((name, factor, value, float(min(margins)), 100 * float(np.mean(unsafe)), share))
    names = ["constant", "factor", "value", "golden_margin_m", "unsafe_scenes_pct", "critical_pct"]
    return pd.DataFrame(rows, columns=names)


def by_a_max(scenarios, seeds, values_mps2, stack: str | Stack = "A") -> pd.DataFrame:
    """Return the share of golden scenes with delta <= 0 by a_max, which the paper never states.

    Returns
    -------
    DataFrame
        One row a value and scenario: a_max_mps2, scenario, unsafe_scenes_pct (mean over seeds), smallest_m (delta).
    """
    rows = []
    for value in values_mps2:
        varied = load_stack(stack)._replace(a_max_mps2=float(value), obstacle_braking_mps2=float(value))
        for scenario in scenarios:
            told = [golden(scenario, seed, varied) for seed in seeds]
            deltas = np.array([np.minimum(one.delta_along_m, one.delta_across_m) for one in told])
            rows.append((value, scenario, 100 * float((deltas <= 0).mean()), float(deltas.min())))
    return pd.DataFrame(rows, columns=["a_max_mps2", "scenario", "unsafe_scenes_pct", "smallest_m"])


def types_named(names) -> tuple[FaultType, ...]:
    """Return rows of the fault table by their names (``throttle=max``)."""
    table = {row.name: row for row in fault_types()}
    return tuple(table[name] for name in names)


def claim_metrics(
    first: pd.DataFrame, second: pd.DataFrame, wrong: pd.DataFrame, draws: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the metrics of the claims about the worked examples, as draws over scenario seeds.

    Parameters
    ----------
    first, second, wrong : DataFrame
        Of `example_one`, `example_two` (judged at `JUDGED_GAP_M`, delays of at most `JUDGED_DELAY` scenes) and
        `equation_6_errors` (resampled over its rows).
    draws, seed : int
        Of the resampling.
    """

    def resampled(values, *axes: str) -> np.ndarray:
        values = np.asarray(values, float)
        picked = generator(seed, "claims", *axes).integers(0, len(values), (draws, len(values)))
        return values[picked].mean(axis=1)

    reference = second[(second["gap_m"] == JUDGED_GAP_M) & (second["delay"] <= JUDGED_DELAY)]
    return {
        "example1_delta_change": resampled(first.loc[first["duration"] == 1, "change_m"], "one"),
        "example2_hazards": resampled(100.0 * reference.loc[reference["delay"] == 0, "hazard"], "two"),
        "example2_delayed_hazards": resampled(
            100.0 * reference[reference["delay"] > 0].groupby("seed")["hazard"].max(), "delayed"
        ),
        "equation6_error": resampled(wrong["error_m"], "six"),
    }
