"""Where the paper's engine falls short: ``python -m credence.drivefi.evaluate.engine_study``.

Eq. 1 asks whether the safety potential is above zero in the fault's slice and at or below zero in a later one that is
forecast. Three things can make its answer differ from the hazard of Section VI: the forecast's error, how far it looks
ahead, and the potential itself. Here each fault of a pool is simulated, and the *true* potential is put in place of the
forecast (``perfect``), over one slice, 15, or the rest of the run; the 3-TBN stands beside it, trained on 110 runs as
in the race, or on 1,640, the paper's effort. All faults of the seeds 100 to 109 are judged by the enumerated truth.

Looking far ahead, eq. 1 also selects faults before a slice in which the golden run falls to zero by itself; ``counted``
set to ``golden safe`` leaves such slices out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue, catalogue_entries, paths
from credence.bench.compiled import compilers
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.seeds import generator
from credence.bench.tables import write_parquet
from credence.drivefi.data.variables import fault_types
from credence.drivefi.evaluate import race
from credence.drivefi.evaluate.race_recorded import TRAINING
from credence.drivefi.infer import tbn
from credence.drivefi.infer.critical import critical, scores
from credence.drivefi.select import forecasts
from credence.drivefi.select.gp_selector import spread
from credence.drivefi.select.pool import PoolView, Purse
from credence.drivefi.world import simulate
from credence.drivefi.world.compiled import SOURCES
from credence.drivefi.world.kernel import DELTA_ACROSS, DELTA_ALONG, one_scene
from credence.drivefi.world.parameters import stack as load_stack
from credence.drivefi.world.perceive import empty_scratch

PAPERS_TRAINING = 41 * 40  # the paper: 41 types, 20 to 50 runs each
LONG = 15  # slices, 2 s
REST = 10_000  # slices: to the end of any run
NETWORKS = {TRAINING: (1, LONG), PAPERS_TRAINING: (1,)}  # training runs -> slices forecast
PERFECT = (1, LONG, REST)
KEYS = ("forecast", "training", "slices", "counted", "directions")
KINDS = ("study", "limits", "kinds", "counts")
NAMES = {kind: f"drivefi-engine-{kind}" for kind in KINDS}
FILES = {kind: f"drivefi/recorded-engine-{kind}.parquet" for kind in KINDS}

_kernel, _ = compilers((*SOURCES, Path(__file__)))


@_kernel
def _lowest(stage, stack, snapshots, variables, judged, effect, begin, slices):
    """Return the lowest delta [B, 2] in the `slices` after each fault's own (after a run's last scene: that scene's),
    and the lowest over those in which the golden run's is above 0 [B, 2] (inf: there is none).
    """
    variable, factor, addend = effect
    found, beside = np.full((begin.size, 2), np.inf), np.full((begin.size, 2), np.inf)
    truth, scratch = empty_scratch(stage.actors.shape[0])
    row, out, none = np.empty(variables), np.empty(4), (-1, 1.0, 0.0)
    for run in range(begin.size):
        first = begin[run]
        state = snapshots[first].copy()
        # a scene is judged before the stack acts in it: the fault's own slice shows nothing of it yet
        for scene in range(first, min(first + slices + 1, stage.scenes)):
            active = (variable[run], factor[run], addend[run]) if scene == first else none
            one_scene(state, scene, stage, stack, active, row, out, truth, scratch)
            if scene > first or first == stage.scenes - 1:
                for part, place in enumerate((DELTA_ALONG, DELTA_ACROSS)):
                    found[run, part] = min(found[run, part], out[place])
                    if judged[scene, place] > 0.0:
                        beside[run, part] = min(beside[run, part], out[place])
    return found, beside


def perfect(pool: race.Pool, slices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `forecasts.delta` would return if it were always right: every fault simulated.

    Parameters
    ----------
    pool : Pool
    slices : int
        Slices after the fault's own of which the lowest safety potential counts; 1 is the paper's eq. 9.

    Returns
    -------
    golden, faulty : array [faults, 2]
        Along and across [m]; golden in the fault's own slice.
    beside : array [faults, 2]
        As `faulty`, of slices alone in which the golden run is safe; inf: there is none.
    """
    if slices < 1:
        raise InputError(f"slices is {slices}; allowed: at least 1")
    constants, before, after, beside = load_stack(pool.stack), [], [], []
    effects = simulate._table(fault_types())
    for name, part in pool.truth.groupby("scenario", sort=False):
        kind, begin = part["type"].to_numpy(), part["scene"].to_numpy()
        stage, (snapshots, values, judged, _) = simulate._prepared(simulate._scenario(name, pool.seed), constants)
        effect = tuple(column[kind] for column in effects)
        lowest = _lowest(stage, constants, snapshots, values.shape[1], judged, effect, begin, slices)
        after.append(lowest[0])
        beside.append(lowest[1])
        before.append(judged[begin][:, [DELTA_ALONG, DELTA_ACROSS]])
    return np.concatenate(before), np.concatenate(after), np.concatenate(beside)


def trained(pool: race.Pool, runs: int) -> list[tbn.Conditionals]:
    """Return the 3-TBN trained on `runs` random faults; the race's 110 are the first of them."""
    chosen = spread(pool.view, runs, generator(pool.seed, "engine"), pool.view.active)
    return forecasts.train(pool.view, Purse(pool.simulate, runs, pool.logs), chosen)


def where_golden_is_safe(view: PoolView) -> PoolView:
    """Return a pool whose golden runs have a potential of inf where it is at or below 0: no forecast falls there."""
    runs = []
    for run in view.traces:
        lifted = {name: getattr(run, name) for name in ("delta_along_m", "delta_across_m")}
        runs.append(replace(run, **{name: np.where(delta > 0, delta, np.inf) for name, delta in lifted.items()}))
    return replace(view, traces=tuple(runs))


def study(pool: race.Pool) -> pd.DataFrame:
    """Return what eq. 1 selects of a pool by each forecast: one row a variant, columns of `COLUMNS`."""
    answers = {}
    for slices in PERFECT:
        golden, faulty, beside = perfect(pool, slices)
        answers["perfect", 0, slices, "all"] = golden, faulty
        answers["perfect", 0, slices, "golden safe"] = golden, beside
    safe = where_golden_is_safe(pool.view)
    for runs, horizons in NETWORKS.items():
        cpds = trained(pool, runs)
        for slices in horizons:
            golden, later = forecasts.delta(pool.view, cpds, slices)
            answers["3-TBN", runs, slices, "all"] = golden, later
            answers["3-TBN", runs, slices, "golden safe"] = golden, forecasts.delta(safe, cpds, slices)[1]
    rows = []
    for key, (golden, later) in answers.items():
        for directions, columns in {"both": [0, 1], "along the lane": [0]}.items():
            picked = critical(golden[:, columns], later[:, columns]) & pool.view.active
            label = dict(zip(KEYS, (*key, directions), strict=True))
            random_found = pool.critical.mean() * picked.sum()
            rows.append(label | {"seed": pool.seed, "pool": len(pool.view), "critical": int(pool.critical.sum())})
            rows[-1] |= scores(picked, pool.critical) | {"random_found": random_found}
    return pd.DataFrame(rows)


def limits(pool: race.Pool) -> dict[str, int]:
    """Return how many critical faults of a pool eq. 1 cannot see even with a perfect forecast of the whole run.

    Returns
    -------
    dict
        ``seed``, ``critical``; of these ``lane`` (by the lane's border, the others by the gap), ``unsafe_before`` (the
        golden potential is at or below 0 in the fault's slice), ``never_below`` (the faulty one never is, in no slice
        and direction: a hazard by the gap alone), ``visible`` (neither of the two) [1].
    """
    golden, faulty, _ = (part.min(axis=1)[pool.critical] for part in perfect(pool, REST))
    before, never = golden <= 0, faulty > 0
    lane = (pool.parts[pool.critical, 1] <= 0).sum()
    found = {"critical": pool.critical.sum(), "lane": lane, "unsafe_before": before.sum(), "never_below": never.sum()}
    found["visible"] = (~before & ~never).sum()
    return {"seed": pool.seed, **{name: int(value) for name, value in found.items()}}


def kinds(pool: race.Pool) -> pd.DataFrame:
    """Return which fault types sets of a pool are made of, one slice ahead: columns of `COLUMNS`, empty rows left out.

    Sets: F_crit by the ``perfect`` forecast, by the ``3-TBN`` of 110 runs, by ``both``; faults whose potential along
    the lane is more than 1 m below the golden one, in truth (``true fall``) and by the network (``forecast fall``).
    """
    golden, faulty, _ = perfect(pool, 1)
    forecast = forecasts.delta(pool.view, trained(pool, TRAINING), 1)[1]
    runs, types = pool.view.traces, len(fault_types())
    after = np.concatenate([np.r_[run.delta_along_m[1:], run.delta_along_m[-1]] for run in runs]).repeat(types)
    sets = {"perfect": critical(golden, faulty), "3-TBN": critical(golden, forecast)}
    sets["both"] = sets["perfect"] & sets["3-TBN"]
    sets |= {"true fall": faulty[:, 0] < after - 1.0, "forecast fall": forecast[:, 0] < after - 1.0}
    frames = []
    for name, mask in sets.items():
        part = pool.truth[mask & pool.view.active].groupby(["variable", "value"], sort=False)["critical"]
        sizes = part.agg(size="size", found="sum").reset_index()
        frames.append(sizes.assign(seed=pool.seed, set=name))
    return pd.concat(frames, ignore_index=True)[["seed", "set", "variable", "value", "size", "found"]]


def kinds_table(rows: pd.DataFrame, least: float = 5.0) -> pd.DataFrame:
    """Return recorded `kinds` as faults a seed: one row a fault type with `least` in one set, then all of them."""
    named = rows.assign(fault=rows["variable"] + " " + rows["value"])
    table = named.pivot_table(index="fault", columns="set", values="size", aggfunc="sum", fill_value=0, sort=False)
    table = table / rows["seed"].nunique()
    shown = table[table.max(axis=1) >= least]
    every = pd.concat([shown, table.sum().to_frame("all").T])
    return every[["perfect", "3-TBN", "both", "true fall", "forecast fall"]].rename_axis(columns=None)


def counts(seed: int, truth: pd.DataFrame) -> pd.DataFrame:
    """Return how many critical faults strike each module output: ``seed``, ``variable``, ``critical`` [1]."""
    every = pd.unique(pd.Series([item.variable for item in fault_types()]))
    found = truth.loc[truth["critical"], "variable"].value_counts().reindex(every, fill_value=0)
    return pd.DataFrame({"seed": seed, "variable": every, "critical": found.to_numpy()})


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return recorded rows over all seeds, one row a variant.

    Returns
    -------
    DataFrame
        ``selected`` [% of the pool], ``size`` and ``hazards`` (means a seed), ``precision`` and ``recall`` [%] (of the
        sums), ``times random`` (hazards over those among as many faults at random).
    """
    reach = {1: "one slice", LONG: f"{LONG} slices", REST: "rest of run"}
    named = rows.assign(reach=rows["slices"].map(reach))
    by = named.groupby([name if name != "slices" else "reach" for name in KEYS], sort=False)
    total = by[["size", "found", "critical", "pool", "random_found"]].sum()
    found = pd.DataFrame(
        {
            "selected": 100.0 * total["size"] / total["pool"],
            "size": by["size"].mean(),
            "hazards": by["found"].mean(),
            "precision": 100.0 * total["found"] / total["size"].clip(lower=1),
            "recall": 100.0 * total["found"] / total["critical"],
            "times random": total["found"] / total["random_found"].clip(lower=1e-9),
        }
    )
    return found.reset_index()


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a `summary` with both directions in one row: ``forecast``, ``looks at``, ``counted``, ``faults`` a seed,
    ``precision`` [%], both again ``along`` the lane alone, ``recall`` [%] (of both directions).
    """
    both, along = (rows[rows["directions"] == name].reset_index(drop=True) for name in ("both", "along the lane"))
    runs = np.where(both["training"] > 0, both["training"].map(", {:,} runs".format), "")
    return pd.DataFrame(
        {
            "forecast": both["forecast"] + runs,
            "looks at": both["reach"],
            "counted": both["counted"],
            "faults": both["size"],
            "precision": both["precision"],
            "along: faults": along["size"],
            "along: precision": along["precision"],
            "recall": both["recall"],
        }
    )


COLUMNS = {
    "forecast": "whose safety potential eq. 1 is asked of: the 3-TBN's, or the true one, simulated (perfect) [name]",
    "training": "training runs; 0: none is needed [1]",
    "slices": "slices after the fault's own that are looked at; 10000: the rest of the run [1]",
    "counted": "all of them, or those alone in which the golden run is safe [name]",
    "directions": "directions of the safety potential that count [name]",
    "seed": "scenario seed [1]",
    "set": "F_crit by a perfect forecast, the 3-TBN's, both; or a fall of more than 1 m against the golden run [name]",
    "variable": "module output struck [name]",
    "value": "what it is set to [name]",
    "pool": "faults in the pool [1]",
    "critical": "critical faults, enumerated [1]",
    "lane": "of these, critical by the lane's border [1]",
    "unsafe_before": "of these, with a golden safety potential of at most 0 in the fault's slice [1]",
    "never_below": "of these, with a faulty safety potential above 0 in all later slices [1]",
    "visible": "of these, neither of the two: what eq. 1 could select with a perfect forecast of the whole run [1]",
    "size": "faults selected by eq. 1 [1]",
    "found": "critical faults among them [1]",
    "precision": "critical faults of those selected [1]",
    "recall": "critical faults found, of all [1]",
    "f1": "harmonic mean of precision and recall [1]",
    "random_found": "critical faults expected among as many random faults [1]",
}
TITLES = {
    "study": "Simulated: what eq. 1 selects with a perfect forecast and with the 3-TBN's, on ten judging seeds",
    "limits": "Simulated: critical faults that eq. 1 cannot see however good the forecast, on ten judging seeds",
    "kinds": "Simulated: fault types that eq. 1 selects one slice ahead, by a perfect forecast and by the 3-TBN's",
    "counts": "Simulated: critical single faults by the module output struck, on thirty scenario seeds",
}


def make_study(seeds: Sequence[int] = race.FIRST_SEEDS) -> pd.DataFrame:
    """Return `study` of the pools of some seeds."""
    return pd.concat([study(race.declared_pool(s)) for s in track(seeds, "engine study")], ignore_index=True)


def make_limits(seeds: Sequence[int] = race.FIRST_SEEDS) -> pd.DataFrame:
    """Return `limits` of the pools of some seeds."""
    return pd.DataFrame([limits(race.declared_pool(seed)) for seed in seeds])


def make_kinds(seeds: Sequence[int] = race.FIRST_SEEDS) -> pd.DataFrame:
    """Return `kinds` of the pools of some seeds."""
    return pd.concat([kinds(race.declared_pool(seed)) for seed in seeds], ignore_index=True)


def make_counts(seeds: Sequence[int] = (*race.TUNING_SEEDS, *race.FIRST_SEEDS, *race.JUDGING_SEEDS)) -> pd.DataFrame:
    """Return `counts` of the pools of some seeds."""
    return pd.concat([counts(seed, simulate.enumerate_pool(seeds=(seed,))) for seed in seeds], ignore_index=True)


def read(kind: str = "study") -> pd.DataFrame:
    """Return ``"study"``, ``"limits"``, ``"kinds"`` or ``"counts"`` as recorded, through the catalogue."""
    return catalogue.frame(NAMES[kind])


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the tables and enter them into the catalogue (about ten minutes of one core)."""
    parser = argparse.ArgumentParser(prog="python -m credence.drivefi.evaluate.engine_study", description=main.__doc__)
    parser.add_argument("--only", choices=KINDS, help="one of the tables; default: all")
    given = parser.parse_args(arguments)
    makers = {"study": make_study, "limits": make_limits, "kinds": make_kinds, "counts": make_counts}
    for kind in [given.only] if given.only else makers:
        try:
            frame = makers[kind]()
        except InputError as error:
            sys.exit(f"error: {error}")
        path = paths.data_dir() / FILES[kind]
        write_parquet(frame, path, compression="zstd", compression_level=19)
        fields = {
            "name": NAMES[kind],
            "title": TITLES[kind],
            "paper": "drivefi",
            "kind": "simulated",
            "generator": f"credence.drivefi.evaluate.engine_study:make_{kind}",
            "seed": 0,
            "note": f"generated, not measured. Recorded {datetime.now(UTC):%Y-%m-%d} with: python -m "
            f"credence.drivefi.evaluate.engine_study --only {kind}",
        }
        print(catalogue_entries.enter(path, fields, COLUMNS))


if __name__ == "__main__":
    main()
