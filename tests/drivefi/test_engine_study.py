"""Eq. 1 with a perfect forecast: against single runs with their trace, and a recorded row made again."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.variables import fault_types
from credence.drivefi.evaluate import engine_study, race, race_recorded
from credence.drivefi.figures import network as figures
from credence.drivefi.infer.critical import critical
from credence.drivefi.select import forecasts
from credence.drivefi.world import simulate

SEED = 105


@pytest.fixture(scope="module")
def pool():
    return race.declared_pool(SEED, scenarios=("DS2", "DS5"))


@pytest.mark.parametrize("slices", [1, 15, engine_study.REST])
def test_the_perfect_forecast_is_what_single_runs_show(pool, slices):
    golden, faulty, beside = engine_study.perfect(pool, slices)
    rng = np.random.default_rng()
    last = np.flatnonzero(pool.truth["scene"] == 224)[:2]
    hazards = rng.choice(np.flatnonzero(pool.critical), 4, replace=False)
    for fault in [*rng.choice(len(pool.truth), 12, replace=False), *hazards, *last]:
        row = pool.truth.iloc[fault]
        plain = simulate.golden(row.scenario, SEED)
        run = simulate.traced(row.scenario, SEED, fault_types()[row.type], row.scene)
        deltas = np.stack([run.delta_along_m, run.delta_across_m], axis=1)
        safe = np.stack([plain.delta_along_m, plain.delta_across_m], axis=1)
        # the run's last scene has no slice after it: its own stands for it, as in the 3-TBN's forecast
        later = slice(min(row.scene + 1, len(deltas) - 1), row.scene + 1 + slices)
        assert faulty[fault] == pytest.approx(deltas[later].min(axis=0), abs=1e-12)
        assert golden[fault] == pytest.approx(safe[row.scene], abs=1e-12)
        apart = np.where(safe[later] > 0, deltas[later], np.inf).min(axis=0)
        assert beside[fault] == pytest.approx(apart, abs=1e-12)


def test_looking_further_finds_no_less(pool):
    near, far = (engine_study.perfect(pool, slices) for slices in (1, engine_study.REST))
    assert (far[1] <= near[1]).all()
    assert (near[2] >= near[1]).all()
    with pytest.raises(InputError, match="slices is 0"):
        engine_study.perfect(pool, 0)


def test_a_forecast_falls_nowhere_in_slices_in_which_the_golden_run_is_unsafe(pool):
    cpds = engine_study.trained(pool, 41)
    later = forecasts.delta(pool.view, cpds, 1)[1]
    lifted = forecasts.delta(engine_study.where_golden_is_safe(pool.view), cpds, 1)[1]
    after = np.concatenate([run.delta_along_m[np.minimum(np.arange(225) + 1, 224)] for run in pool.view.traces])
    unsafe = np.repeat(after, 41) <= 0
    assert unsafe.any()
    assert np.isinf(lifted[unsafe, 0]).all()
    assert (lifted[~unsafe, 0] == later[~unsafe, 0]).all()


def test_critical_faults_that_eq_1_cannot_see(pool):
    found = engine_study.limits(pool)
    golden, faulty, _ = engine_study.perfect(pool, engine_study.REST)
    seen = critical(golden, faulty) & pool.critical
    assert found["visible"] == seen.sum() < found["critical"] == pool.critical.sum()
    parts = pool.truth.loc[pool.critical, "max_lane_offset_m"] >= simulate.HAZARD_LANE_M
    assert found["lane"] == parts.sum()


def test_recorded_rows_of_a_seed_again():
    rows, every = engine_study.read("study"), engine_study.read("limits")
    assert set(rows["seed"]) == set(every["seed"]) == set(race.FIRST_SEEDS)
    assert not rows.duplicated([*engine_study.KEYS, "seed"]).any()
    seed = int(np.random.default_rng().choice(race.FIRST_SEEDS))
    pool = race.declared_pool(seed)
    assert engine_study.limits(pool) == every[every["seed"] == seed].iloc[0].to_dict()
    golden, faulty, beside = engine_study.perfect(pool, engine_study.LONG)
    for counted, later in {"all": faulty, "golden safe": beside}.items():
        picked = critical(golden[:, 0], later[:, 0]) & pool.view.active
        row = rows[(rows["seed"] == seed) & (rows["forecast"] == "perfect") & (rows["slices"] == engine_study.LONG)]
        row = row[(row["counted"] == counted) & (row["directions"] == "along the lane")].squeeze()
        assert (row["size"], row["found"]) == (picked.sum(), (picked & pool.critical).sum())
    counts = engine_study.counts(seed, pool.truth)
    recorded = engine_study.read("counts")
    assert counts.equals(recorded[recorded["seed"] == seed].reset_index(drop=True))
    assert len(recorded["seed"].unique()) == 30


def test_the_networks_of_the_study_are_those_of_the_race():
    rows, engine = engine_study.read("study"), race_recorded.read("engine")
    ours = rows[(rows["forecast"] == "3-TBN") & (rows["training"] == race_recorded.TRAINING)]
    ours = ours[(ours["directions"] == "both") & (ours["counted"] == "all")].sort_values(["slices", "seed"])
    theirs = engine[engine["variant"].isin(["one slice (paper)", "15 slices"])]
    theirs = theirs.assign(slices=theirs["variant"].map(race_recorded.HORIZONS)).sort_values(["slices", "seed"])
    # a linear algebra library's rounding may move a fault over the border
    assert ours["size"].to_numpy() == pytest.approx(theirs["size"].to_numpy(), rel=0.01)
    assert ours["found"].to_numpy() == pytest.approx(theirs["found"].to_numpy(), rel=0.05, abs=1)


def test_no_critical_fault_is_found_across_the_lane_alone():
    rows = engine_study.read("study").pivot(index=[*engine_study.KEYS[:-1], "seed"], columns="directions")
    assert rows["found", "both"].equals(rows["found", "along the lane"])
    table = engine_study.side_by_side(engine_study.summary(engine_study.read("study")))
    last = table[(table["forecast"] == "3-TBN, 1,640 runs") & (table["counted"] == "all")].squeeze()
    key = ("3-TBN", engine_study.PAPERS_TRAINING, 1, "all")
    assert last["along: faults"] == rows["size", "along the lane"].loc[key].mean() < last["faults"]


def test_the_summary_sums_over_seeds_and_empty_sets_are_drawn_as_such():
    fixed = {"forecast": "perfect", "training": 0, "counted": "golden safe", "directions": "both", "pool": 1000}
    rows = [(1, 100, 4, 10, 10, 1.0), (2, 100, 6, 30, 20, 3.0), (1, 1, 0, 10, 0, 0.0), (2, 1, 0, 30, 0, 0.0)]
    names = ["seed", "slices", "found", "critical", "size", "random_found"]
    frame = pd.DataFrame(rows, columns=names).assign(**fixed).replace({"slices": {100: engine_study.LONG}})
    long, one = engine_study.summary(frame).itertuples()
    assert (long.precision, long.recall, long.selected) == pytest.approx((100 / 3, 25.0, 1.5))
    assert (one.precision, one.size) == (0.0, 0.0)
    (line,) = (trace for trace in figures.engine_study(engine_study.summary(frame)).data)
    assert line.text == ("15 slices, 15 a seed", "one slice, 0.0 a seed")
    assert line.y[1] == figures.NONE
    assert line.marker.symbol[1] == "triangle-down-open"


def test_kinds_of_faults_add_up_to_the_study_and_are_named_by_type(pool):
    rows, study = engine_study.read("kinds"), engine_study.read("study")
    one = study[(study["slices"] == 1) & (study["directions"] == "both") & (study["counted"] == "all")]
    for name, training in {"perfect": 0, "3-TBN": race_recorded.TRAINING}.items():
        mine = rows[rows["set"] == name].groupby("seed")[["size", "found"]].sum()
        theirs = one[(one["forecast"] == name) & (one["training"] == training)].set_index("seed")[["size", "found"]]
        assert mine.equals(theirs)
    again = engine_study.kinds(pool)
    golden, faulty, _ = engine_study.perfect(pool, 1)
    steer = pool.truth["variable"] == "steer"
    found = again[(again["set"] == "perfect") & (again["variable"] == "steer")]["size"].sum()
    assert found == (critical(golden, faulty) & pool.view.active & steer).sum() > 0
    table = engine_study.kinds_table(again, least=0.0)
    assert table.iloc[:-1].sum().tolist() == pytest.approx(table.loc["all"].tolist())
