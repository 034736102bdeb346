"""Run scenarios, golden and faulty: one run with every module's trace, or a hundred thousand with their margins."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.data.variables import INDEX, VARIABLES, FaultType, fault_effect, fault_types
from credence.drivefi.world import kernel
from credence.drivefi.world.parameters import Stack
from credence.drivefi.world.parameters import stack as load_stack
from credence.drivefi.world.stage import Stage
from credence.drivefi.world.stage import stage as build_stage
from credence.drivefi.world.state import DISTANCE, HEADING, NO_OBSTACLE_M, OFFSET, SPEED, STEER_NOW

HAZARD_GAP_M = 1.0  # Section VI: closer than this to the closest in-path obstacle
HAZARD_LANE_M = 0.8  # or further than this from the lane's centre


@dataclass(frozen=True)
class Faults:
    """Which fault strikes each of `B` runs.

    Attributes
    ----------
    scene, type, duration : array of int [B]
        First faulty scene, row of `types`, and number of scenes.
    types : tuple of FaultType
        The fault table; by default the 41 types of the declaration.
    """

    scene: np.ndarray
    type: np.ndarray
    duration: np.ndarray
    types: tuple[FaultType, ...] = fault_types()


@dataclass(frozen=True)
class Outcome:
    """What became of `B` runs; extremes over all scenes of a run.

    Attributes
    ----------
    margin_m : array [B]
        ``min(min_cipo_m - 1.0, 0.8 - max_lane_offset_m)``; at most 0: a hazard (Section VI).
    min_cipo_m : array [B]
        Smallest gap to the closest in-path obstacle; 120: there was none.
    max_lane_offset_m : array [B]
        Largest distance from the lane's centre.
    delta_along_m, delta_across_m : array [B]
        Smallest safety potential along and across the lane (Definition 3).
    changed : array of bool [B]
        Whether the fault changed the value it strikes, against the golden run: proof of activation.
    scenes_computed : array of int [B]
        Scenes that had to be simulated.
    """

    margin_m: np.ndarray
    min_cipo_m: np.ndarray
    max_lane_offset_m: np.ndarray
    delta_along_m: np.ndarray
    delta_across_m: np.ndarray
    changed: np.ndarray
    scenes_computed: np.ndarray

    @property
    def delta_m(self) -> np.ndarray:
        """Return the smaller of the two safety potentials [B]."""
        return np.minimum(self.delta_along_m, self.delta_across_m)

    @property
    def critical(self) -> np.ndarray:
        """Return which runs were hazardous [B]."""
        return self.margin_m <= 0.0


@dataclass(frozen=True)
class Traces:
    """Everything about one run, by scene.

    Attributes
    ----------
    values : array [scenes, variables]
        Module outputs in the order of ``VARIABLES``; categories as indices.
    time_s : array [scenes]
    x_m, offset_m, heading_rad, speed_mps, steer_rad : array [scenes]
        The car itself: way along the road, against the lane's centre, speed, and wheel.
    cipo_m, lane_offset_m, delta_along_m, delta_across_m : array [scenes]
        What is judged.
    actors : array [scenes, A, 5]
        Gap [m], lateral position [m], speed [m/s], in sight (1) or not, lateral speed [m/s], of the scenario's actors
        in their order.
    """

    values: np.ndarray
    time_s: np.ndarray
    x_m: np.ndarray
    offset_m: np.ndarray
    heading_rad: np.ndarray
    speed_mps: np.ndarray
    steer_rad: np.ndarray
    cipo_m: np.ndarray
    lane_offset_m: np.ndarray
    delta_along_m: np.ndarray
    delta_across_m: np.ndarray
    actors: np.ndarray

    @property
    def margin_m(self) -> float:
        """Return the run's margin [m]."""
        return float(margin(self.cipo_m.min(), self.lane_offset_m.max()))

    @property
    def margin_parts_m(self) -> np.ndarray:
        """Return the run's margins to the gap and to the lane's border [2] [m]."""
        return margin_parts(self.cipo_m.min(), self.lane_offset_m.max())

    @property
    def worst_scene(self) -> int:
        """Return the first scene in which the margin is smallest."""
        return int(np.argmin(margin(self.cipo_m, self.lane_offset_m)))

    def frame(self) -> pd.DataFrame:
        """Return one row a scene: time, car, judgement, then every variable by its name."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("values", "actors")}
        return pd.DataFrame(own | {item.name: self.values[:, i] for i, item in enumerate(VARIABLES)})


def margin(min_cipo_m, max_lane_offset_m):
    """Return the safety margin of runs [m]; at most 0 is the campaign's hazard (Section VI)."""
    return margin_parts(min_cipo_m, max_lane_offset_m).min(axis=-1)


def margin_parts(min_cipo_m, max_lane_offset_m) -> np.ndarray:
    """Return what the smallest gap leaves of the hazard's, and the largest offset of the lane's [..., 2] [m]."""
    return np.stack([np.asarray(min_cipo_m) - HAZARD_GAP_M, HAZARD_LANE_M - np.asarray(max_lane_offset_m)], axis=-1)


@lru_cache(maxsize=64)
def _prepared(scenario: Scenario, stack: Stack) -> tuple[Stage, tuple]:
    stage = build_stage(scenario, stack)
    return stage, kernel.traced(stage, stack, (-1, 1.0, 0.0), 0, 0, len(VARIABLES))


def _scenario(scenario: Scenario | str, seed: int) -> Scenario:
    """Return the scenario as varied by `seed`; one that has been varied already is refused with another seed."""
    return load_scenario(scenario, seed) if not isinstance(scenario, Scenario) else scenario


def _traces(stage: Stage, run: tuple) -> Traces:
    snapshots, values, judged, actors = run
    car = snapshots[:, [DISTANCE, OFFSET, HEADING, SPEED, STEER_NOW]].T.copy()
    return Traces(values, np.arange(stage.scenes) * stage.dt, *car, *judged.T.copy(), actors)


def golden(scenario: Scenario | str, seed: int = 0, stack: str | Stack = "A") -> Traces:
    """Return the run without a fault.

    Parameters
    ----------
    scenario : Scenario or str
        A name or TOML file, which `seed` varies; or a `Scenario`, taken as it is.
    seed : int
        Scenario seed.
    stack : str or Stack
        ``A``, ``D``, or constants of one's own.
    """
    stage, run = _prepared(_scenario(scenario, seed), load_stack(stack))
    return _traces(stage, tuple(part.copy() for part in run))


def _table(types: tuple[FaultType, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return variable, factor and addend of each row of a fault table."""
    effects = [fault_effect(VARIABLES[INDEX[row.variable]], row.value) for row in types]
    variable = np.array([INDEX[row.variable] for row in types])
    factor = np.array([number if scales else 0.0 for scales, number in effects])
    addend = np.array([0.0 if scales else number for scales, number in effects])
    return variable, factor, addend


def _checked(faults: Faults, scenes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scene, kind, duration = (
        np.atleast_1d(np.asarray(a, np.int64)) for a in (faults.scene, faults.type, faults.duration)
    )
    scene, kind, duration = np.broadcast_arrays(scene, kind, duration)
    for name, array, low, high in (
        ("scene", scene, 0, scenes - 1),
        ("fault type", kind, 0, len(faults.types) - 1),
        ("duration", duration, 1, None),
    ):
        wrong = (array < low) | (array > (np.inf if high is None else high))
        if wrong.any():
            upto = "" if high is None else f" to {high}"
            raise InputError(
                f"{name} {array[wrong][0]} of fault {int(np.argmax(wrong))}; allowed: {low}{upto or ' or more'}"
            )
    return tuple(map(np.ascontiguousarray, (scene, kind, duration)))


def run(
    scenario: Scenario | str,
    seed: int = 0,
    stack: str | Stack = "A",
    faults: Faults | None = None,
    shortcuts: bool = True,
) -> Outcome:
    """Run a scenario once for each fault (one run without a fault if None) and return what became of it.

    Parameters
    ----------
    scenario, seed, stack
        As in `golden`.
    faults : Faults, optional
        `B` faults.
    shortcuts : bool
        Start at the fault and stop when the run is bit for bit back on the golden one; False computes every scene.
        The result is the same.
    """
    constants = load_stack(stack)
    stage, (snapshots, values, judged, _) = _prepared(_scenario(scenario, seed), constants)
    if faults is None:
        extremes = np.array([[judged[:, 0].min(), judged[:, 1].max(), judged[:, 2].min(), judged[:, 3].min()]])
        changed, computed = np.zeros(1, bool), np.array([stage.scenes])
    else:
        begin, kind, duration = _checked(faults, stage.scenes)
        variable, factor, addend = (column[kind] for column in _table(faults.types))
        extremes, changed, computed = kernel.inject(
            stage, constants, snapshots, values, judged, variable, factor, addend, begin, duration, shortcuts
        )
    return Outcome(margin(extremes[:, 0], extremes[:, 1]), *extremes.T.copy(), changed, computed)


def traced(
    scenario: Scenario | str, seed: int, fault: FaultType, scene: int, duration: int = 1, stack: str | Stack = "A"
) -> Traces:
    """Return one faulty run with every module's trace."""
    constants = load_stack(stack)
    stage, _ = _prepared(_scenario(scenario, seed), constants)
    one = Faults(np.array([scene]), np.array([0]), np.array([duration]), (fault,))
    _checked(one, stage.scenes)
    variable, factor, addend = _table((fault,))
    effect = (int(variable[0]), float(factor[0]), float(addend[0]))
    return _traces(stage, kernel.traced(stage, constants, effect, scene, duration, len(VARIABLES)))


def traces(scenario: Scenario | str, seed: int, faults: Faults, stack: str | Stack = "A") -> np.ndarray:
    """Return the module outputs [B, scenes, variables] of `B` faulty runs."""
    constants = load_stack(stack)
    stage, _ = _prepared(_scenario(scenario, seed), constants)
    begin, kind, duration = _checked(faults, stage.scenes)
    effects = [(int(v), float(f), float(a)) for v, f, a in zip(*_table(faults.types), strict=True)]
    every = zip(kind, begin, duration, strict=True)
    logs = [kernel.traced(stage, constants, effects[k], b, d, len(VARIABLES))[1] for k, b, d in every]
    return np.stack(logs) if logs else np.empty((0, stage.scenes, len(VARIABLES)))


def every_fault(scenes: int, duration: int = 1, types: tuple[FaultType, ...] = fault_types()) -> Faults:
    """Return every fault type in every scene, scene by scene."""
    scene, kind = np.divmod(np.arange(scenes * len(types)), len(types))
    return Faults(scene, kind, np.full(scene.size, duration), types)


def enumerate_pool(
    scenarios=("DS1", "DS2", "DS3", "DS4", "DS5", "DS6"), seeds=(0,), stack: str | Stack = "A", duration: int = 1
) -> pd.DataFrame:
    """Return the truth about every single fault: each type in each scene of each scenario and seed, simulated.

    A scenario that is hazardous at some seed without any fault is left out there: every fault would count as critical.

    Returns
    -------
    DataFrame
        One row a fault: scenario, seed, scene, type (row of `fault_types`), variable, value, duration, margin_m,
        min_cipo_m, max_lane_offset_m, delta_m, changed, critical.

    Raises
    ------
    InputError
        If nothing is left.
    """
    table = fault_types()
    names = np.array([row.variable for row in table], object), np.array([row.value for row in table], object)
    frames = []
    points = [(scenario, seed) for scenario in scenarios for seed in seeds]
    for scenario, seed in track(points, "enumerating"):
        item = _scenario(scenario, seed)
        if run(item, item.seed, stack).critical[0]:
            continue
        faults = every_fault(item.scenes, duration)
        outcome = run(item, item.seed, stack, faults)
        frames.append(
            pd.DataFrame(
                {
                    "scenario": item.name,
                    "seed": item.seed,
                    "scene": faults.scene,
                    "type": faults.type,
                    "variable": names[0][faults.type],
                    "value": names[1][faults.type],
                    "duration": faults.duration,
                    "margin_m": outcome.margin_m,
                    "min_cipo_m": outcome.min_cipo_m,
                    "max_lane_offset_m": outcome.max_lane_offset_m,
                    "delta_m": outcome.delta_m,
                    "changed": outcome.changed,
                    "critical": outcome.critical,
                }
            )
        )
    if not frames:
        raise InputError(f"golden runs of {points} are all hazardous; allowed: one that is safe without a fault")
    return pd.concat(frames, ignore_index=True)


__all__ = [
    "NO_OBSTACLE_M",
    "Faults",
    "Outcome",
    "Traces",
    "enumerate_pool",
    "every_fault",
    "golden",
    "run",
    "traced",
    "traces",
]
