"""What a bit flip in the camera's classifier comes to in the closed loop: class, actuation, hazard. Simulated.

In each scene the classifier gets a picture of what the camera reports there; the class it makes of it is what the stack
reads. Only pictures that are classified right without a flip are shown (the camera of the golden run makes no such
mistake), so that a wrong class is the flip's. A flip in an activation lasts for one scene, a flip in a weight to the
end of the run.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.bench.seeds import generator
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.data.variables import INDEX, OBJECT_CLASSES
from credence.drivefi.evaluate.further_campaigns import ERROR, actuation_error, admitted, judged, share_interval
from credence.drivefi.world import bitflips
from credence.drivefi.world.misread import misread_run
from credence.drivefi.world.simulate import golden

CAMERA, FUSED = "camera_object_class", "fused_obstacle_class"
LEVELS = {"detected": "detected", "wrong": "wrong class", "actuation": "wrong actuation", "critical": "hazard"}
ONE_SCENE, FOR_GOOD, ALONE = "activation", "weight, to the end", "after fusion"
MISTAKES = ("object missed", "object of another class", "nothing taken for an object")
LENGTHS = ("min_cipo_m", "max_lane_offset_m", "margin_m")
COLUMNS = ["scene", "duration", "variable", "layer", "bits", "activated", "true", "faulty", "outcome"]
COLUMNS += ["detected", "wrong", "actuation", "critical", "changed", *LENGTHS]


def class_runs(
    scenario: str,
    stack: str,
    seeds,
    per_seed: int,
    classifiers,
    width: int = 1,
    seed: int = 0,
    variable: str = CAMERA,
) -> pd.DataFrame:
    """Flip bits of one of the classifier's activations in one scene, and drive on with the class that it reports.

    Parameters
    ----------
    scenario, stack : str
    seeds : iterable of int
        Scenario seeds; those that are refused are left out.
    per_seed : int
        Flips for each: scene, layer, element and bits are drawn uniformly.
    classifiers : sequence of int
        Seeds of trained classifiers, taken in turn.
    width : int
        Bits of one value: 1 or 2.
    seed : int
        Of the draw.
    variable : str
        Which output the class stands in: ``camera_object_class``, or ``fused_obstacle_class`` for what would be if
        nothing but the camera's classifier told classes.

    Returns
    -------
    DataFrame
        One row a flip: scene, duration (1), variable, layer, bits, activated (the bits differ), true and faulty (index
        of the class; -1: detected), outcome (of the classifier: ``masked``, ``sdc``, ``due``), then whether it was
        detected, gave a wrong class, a wrong actuation (1 % of a range in any scene) and a hazard (critical), whether
        the stack's variable changed, and min_cipo_m, max_lane_offset_m, margin_m (NaN: detected, no run). A flip that
        leaves the class leaves the run: it is the golden one.
    """
    choose(variable, (CAMERA, FUSED), "variable")
    frames = []
    for number, (point, item, plain, layers) in enumerate(_points(scenario, stack, seeds, classifiers)):
        rng = generator(seed, "class in the loop", scenario, point, width)
        scene = rng.integers(0, item.scenes, per_seed)
        true = plain.values[scene, INDEX[variable]].astype(int)
        flips = bitflips.flip_campaign(layers, per_seed, width, rng, true)
        wrong = flips["outcome"] == "sdc"
        value = [f"class:{OBJECT_CLASSES[one]}" if one >= 0 else None for one in flips["faulty"]]
        frame = flips.assign(scene=scene, duration=1, variable=variable, value=value)
        driven = judged(frame[wrong].drop(columns="outcome"), item, point, stack, plain.values)
        frame = frame.assign(**_golden_end(plain)).assign(detected=flips["outcome"] == "due", wrong=wrong)
        frame.loc[frame["detected"], list(LENGTHS)] = np.nan
        for name in ("critical", "changed", *LENGTHS):
            frame.loc[wrong, name] = driven[name]
        frame.loc[wrong, "actuation"] = driven["outcome"] == "sdc"
        frames.append(frame[COLUMNS].assign(seed=point, classifier=classifiers[number % len(classifiers)]))
    return pd.concat(frames, ignore_index=True).assign(scenario=scenario, stack=stack, width=width)


def weight_runs(
    scenario: str, stack: str, seeds, per_seed: int, classifiers, width: int = 1, seed: int = 0
) -> pd.DataFrame:
    """Flip bits of one of the classifier's weights in some scene, for good, and drive on.

    Each scene has one picture for each class that could be there; which of them is shown is what the camera of the
    faulty run would report. The first scores that are no finite numbers detect the fault and end the run.

    Parameters
    ----------
    scenario, stack, seeds, per_seed, classifiers, width, seed
        As for `class_runs`; scene, layer, weight and bits are drawn uniformly.

    Returns
    -------
    DataFrame
        As `class_runs`; ``duration`` reaches to the run's end, ``true`` and ``faulty`` are those of the first wrong
        scene of the golden run (-1: there is none).
    """
    frames = []
    every = range(len(OBJECT_CLASSES))
    for number, (point, item, plain, layers) in enumerate(_points(scenario, stack, seeds, classifiers)):
        rng = generator(seed, "weight in the loop", scenario, point, width)
        seen, _ = bitflips.rightly_seen(layers, np.tile(every, item.scenes), rng)
        true = plain.values[:, INDEX[CAMERA]].astype(int)
        # most flips change no class that is to be seen: what the layers before the flip make of it is known
        shown = bitflips.readings(layers, seen[np.arange(item.scenes) * len(every) + true])
        rows = []
        for begin in rng.integers(0, item.scenes, per_seed):
            flip = bitflips.random_weight_flip(layers, width, rng)
            said = bitflips.classes(flip.layers, shown[flip.which][begin:], flip.which)
            off = np.flatnonzero(said != true[begin:])
            row = _golden_end(plain) | {
                "scene": begin,
                "duration": item.scenes - begin,
                "layer": flip.layer,
                "bits": flip.bits,
                "activated": flip.before.tobytes() != flip.after.tobytes(),
                "true": bitflips.DETECTED,
                "faulty": bitflips.DETECTED,
                "outcome": "masked",
            }
            rows.append(row | (_driven(flip, seen, begin, begin + off[0], item, stack, plain) if off.size else {}))
        frame = pd.DataFrame(rows).assign(variable=CAMERA)
        frames.append(frame[COLUMNS].assign(seed=point, classifier=classifiers[number % len(classifiers)]))
    return pd.concat(frames, ignore_index=True).assign(scenario=scenario, stack=stack, width=width)


def campaign(places, seeds, classifiers, activations: int, weights: int, widths=(1, 2), seed: int = 0) -> pd.DataFrame:
    """Return the flips of `class_runs` and `weight_runs` at several places, under each other.

    Parameters
    ----------
    places : iterable of (str, str)
        Scenarios with their stacks.
    seeds : iterable of int
        Scenario seeds.
    classifiers : sequence of int
    activations, weights : int
        Flips of each for each place, seed and width.
    widths : iterable of int
    seed : int
        Of the draws.

    Returns
    -------
    DataFrame
        With ``kind``: `ONE_SCENE`, `FOR_GOOD`, or `ALONE` (what if the fused class were the camera's alone).
    """
    frames = []
    for scenario, stack in places:
        for width in widths:
            where = (scenario, stack, seeds)
            drawn = (classifiers, width, seed)
            frames += [
                class_runs(*where, activations, *drawn).assign(kind=ONE_SCENE),
                weight_runs(*where, weights, *drawn).assign(kind=FOR_GOOD),
                class_runs(*where, activations, *drawn, FUSED).assign(kind=ALONE),
            ]
    return pd.concat(frames, ignore_index=True)


def _points(scenario, stack, seeds, classifiers):
    """Yield each admitted seed with its scenario, golden run and classifier."""
    if not len(classifiers):
        raise InputError("classifiers is empty; allowed: at least one seed of a trained classifier")
    for number, point in enumerate(admitted(scenario, stack, seeds, "bits of a classifier")):
        item = load_scenario(scenario, point)
        layers, _ = bitflips.train(classifiers[number % len(classifiers)])
        yield point, item, golden(item, point, stack), layers


def _golden_end(plain) -> dict:
    """Return the judgement of a run whose class stays right: the golden run's."""
    return {
        "detected": False,
        "wrong": False,
        "actuation": False,
        "critical": False,
        "changed": False,
        "min_cipo_m": float(plain.cipo_m.min()),
        "max_lane_offset_m": float(plain.lane_offset_m.max()),
        "margin_m": plain.margin_m,
    }


def _driven(flip, seen, begin: int, first: int, item, stack: str, plain) -> dict:
    """Return what became of a run with a flipped weight that misreads `first` of the golden run's scenes."""
    every = np.arange(len(OBJECT_CLASSES))
    said = np.tile(every, (item.scenes, 1))
    said[begin:] = bitflips.classes(flip.layers, seen).reshape(item.scenes, every.size)[begin:]
    found = misread_run(item, stack, said)
    true = int(plain.values[first, INDEX[CAMERA]])
    row = {"true": true, "faulty": int(said[first, true]), "changed": True} | dict.fromkeys(LENGTHS, np.nan)
    if found.detected >= 0:
        return row | {"outcome": "due", "detected": True}
    return row | {
        "outcome": "sdc" if found.wrong else "masked",
        "wrong": found.wrong > 0,
        "actuation": bool(actuation_error(found.values, plain.values) > ERROR),
        "critical": found.margin_m <= 0.0,
        "min_cipo_m": found.min_cipo_m,
        "max_lane_offset_m": found.max_lane_offset_m,
        "margin_m": found.margin_m,
    }


def levels(runs: pd.DataFrame, keys=("kind",)) -> pd.DataFrame:
    """Return how far flips got: one row a group and level, with the share of all flips [%] and its 95 % interval.

    Parameters
    ----------
    runs : DataFrame
        Of `class_runs` and `weight_runs`, under each other, with the columns `keys`.
    keys : sequence of str
        What makes a group.

    Returns
    -------
    DataFrame
        `keys`, level (of `LEVELS`), hits, flips, percent, low, high. Runs count as independent.
    """
    rows = []
    for key, part in runs.groupby(list(keys), sort=False):
        for column, name in LEVELS.items():
            hits = int(part[column].sum())
            rows.append((*key, name, hits, len(part), *share_interval(hits, len(part))))
    return pd.DataFrame(rows, columns=[*keys, "level", "hits", "flips", "percent", "low", "high"])


def level_table(found: pd.DataFrame, keys=("kind",)) -> pd.DataFrame:
    """Return `levels` side by side: a row a group, shares of all flips [%], and the upper limit of the hazards'."""
    index = [*keys, "flips"]
    shares = found.pivot(index=index, columns="level", values="percent")[list(LEVELS.values())]
    most = found[found["level"] == LEVELS["critical"]].set_index(index)["high"]
    table = shares.assign(**{"at most": most}).loc[[*dict.fromkeys(found.set_index(index).index)]]
    return table.rename_axis(columns="% of flips").reset_index("flips")


def mistakes(runs: pd.DataFrame, keys=("kind",)) -> pd.DataFrame:
    """Return wrong classes by what was mistaken: their number, and how many reached the actuation and a hazard.

    A class that the camera reports where nothing is to be seen makes no object in this stack: there is no detection to
    bear it. After fusion it makes one at the end of the sensors' range.
    """
    wrong = runs[runs["wrong"]]
    mistake = np.select([wrong["true"] == 0, wrong["faulty"] == 0], [MISTAKES[2], MISTAKES[0]], MISTAKES[1])
    rows = wrong.assign(mistake=mistake).groupby([*keys, "mistake"], sort=False)
    found = rows.agg(wrong=("wrong", "sum"), actuation=("actuation", "sum"), hazards=("critical", "sum"))
    groups = runs[[*keys]].drop_duplicates().itertuples(index=False, name=None)
    order = [(*group, name) for group in groups for name in MISTAKES]
    found = found.reindex(pd.MultiIndex.from_tuples(order, names=[*keys, "mistake"]), fill_value=0)
    return found.rename(columns={"wrong": "wrong classes", "actuation": "wrong actuations"})
