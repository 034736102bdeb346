"""Runs in which the camera's classifier gets pictures wrong for good: its class is looked up in every scene.

A fault of the fault table replaces an output by one value. A flipped weight does not: what the classifier makes of a
scene depends on what is to be seen there, and that depends on what the car did because of the scenes before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from credence.bench.errors import InputError
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.data.variables import OBJECT_CLASSES, VARIABLES
from credence.drivefi.world import kernel, perceive
from credence.drivefi.world.parameters import Stack
from credence.drivefi.world.parameters import stack as load_stack
from credence.drivefi.world.simulate import margin
from credence.drivefi.world.stage import stage as build_stage
from credence.drivefi.world.state import V_CAMERA_CLASS

NO_FAULT = (-1, 1.0, 0.0)


class Misread(NamedTuple):
    """What became of a run.

    Attributes
    ----------
    values : array [scenes, variables]
        Module outputs; NaN after a detection.
    judged : array [scenes, 4]
        As ``kernel.traced``; NaN after a detection.
    detected : int
        Scene in which the classifier's scores were no finite numbers; -1: never. The run ends there.
    wrong : int
        Scenes whose class was not that of what was to be seen.
    """

    values: np.ndarray
    judged: np.ndarray
    detected: int
    wrong: int

    @property
    def min_cipo_m(self) -> float:
        """Return the smallest gap to the closest in-path obstacle [m]; NaN if the run was cut short."""
        return float(self.judged[:, kernel.CIPO].min())

    @property
    def max_lane_offset_m(self) -> float:
        """Return the largest distance from the lane's centre [m]; NaN if the run was cut short."""
        return float(self.judged[:, kernel.LANE].max())

    @property
    def margin_m(self) -> float:
        """Return the run's margin [m], as ``simulate.margin``."""
        return float(margin(self.min_cipo_m, self.max_lane_offset_m))


def misread_run(scenario: Scenario, stack: str | Stack, reported: np.ndarray) -> Misread:
    """Run a scenario with a camera whose object class is looked up.

    Where the camera would report `k` in scene `t`, it reports ``reported[t, k]``. As in the whole stack, a class
    reported where nothing is to be seen makes no object: there is no detection that it could belong to.

    Parameters
    ----------
    scenario : Scenario
        As varied by its seed.
    stack : str or Stack
    reported : array of int [scenes, 3]
        Index of a class, or -1: the fault is detected.

    Raises
    ------
    InputError
        For a table of another shape, or with what is no class.
    """
    constants = load_stack(stack)
    stage = build_stage(scenario, constants)
    reported = np.asarray(reported)
    allowed = range(-1, len(OBJECT_CLASSES))
    if reported.shape != (stage.scenes, len(OBJECT_CLASSES)):
        raise InputError(
            f"reported has the shape {reported.shape}; allowed: {(stage.scenes, len(OBJECT_CLASSES))}, "
            "a class for each scene and true class"
        )
    if not np.isin(reported, allowed).all():
        raise InputError(f"reported holds {reported[~np.isin(reported, allowed)][0]}; allowed: -1 to {allowed[-1]}")
    state = kernel.first_state(stage)
    values = np.full((stage.scenes, len(VARIABLES)), np.nan)
    judged = np.full((stage.scenes, 4), np.nan)
    truth, found = perceive.empty_scratch(stage.actors.shape[0])
    wrong = 0
    for scene in range(stage.scenes):
        before = state.copy()
        kernel.one_scene(state, scene, stage, constants, NO_FAULT, values[scene], judged[scene], truth, found)
        true = int(values[scene, V_CAMERA_CLASS])
        said = int(reported[scene, true])
        if said < 0:
            values[scene] = judged[scene] = np.nan
            return Misread(values, judged, scene, wrong)
        if said != true:
            wrong += 1
            state = before
            fault = (V_CAMERA_CLASS, 0.0, float(said))
            kernel.one_scene(state, scene, stage, constants, fault, values[scene], judged[scene], truth, found)
    return Misread(values, judged, -1, wrong)
