"""The race's bookkeeping, and one recorded row made again."""

import numpy as np
import pandas as pd
import pytest

from credence.bench import catalogue
from credence.bench.errors import InputError
from credence.drivefi.evaluate import race, race_recorded, race_tables, tuning
from credence.drivefi.figures import race as figures
from credence.drivefi.select import searchers, table
from credence.drivefi.select.pool import Purse

TRUTH = pd.DataFrame(
    {
        "scenario": ["A"] * 12,
        "scene": np.arange(12) // 2,
        "type": [0, 1] * 6,
        "critical": [True, False, True, False, True, False, True, False, True, False, False, True],
    }
)


def test_scores_count_hazards_kinds_and_places():
    found = race.score(TRUTH, [0, 1, 2, 3])
    assert (found["hazards"], found["critical"], found["simulations"]) == (2, 6, 4)
    assert found["recall"] == pytest.approx(1 / 3)
    assert found["precision"] == 0.5
    assert (found["types_often"], found["types_to_find"], found["scenes"]) == (1, 1, 2)
    assert race.score(TRUTH, [1, 3])["types_often"] == 0


def test_the_tables_fit_their_race():
    for kind in race_recorded.NAMES:
        catalogue.frame(race_recorded.NAMES[kind])
    rows = race_recorded.read("rows")
    assert set(rows["seed"]) == set(race.JUDGING_SEEDS)
    assert not set(race.JUDGING_SEEDS) & {*race.TUNING_SEEDS, *race.FIRST_SEEDS}
    assert (
        set(race_recorded.read("engine")["seed"]) == set(race_recorded.read("first")["seed"]) == set(race.FIRST_SEEDS)
    )
    # six scenarios a seed, but for the one that has a scenario hazardous without a fault
    budget = np.where(rows["seed"] == 207, round(race.BUDGET * 46125), round(race.BUDGET * 55350))
    assert (rows["simulations"] == budget).all()
    assert (rows["critical"] < 0.02 * 46125).all()
    assert (rows["hazards"] <= rows["critical"]).all()
    assert not rows.duplicated(["training", "selector", "seed"]).any()


def test_tuning_refuses_the_judging_seeds():
    with pytest.raises(InputError, match="100"):
        tuning.main(["--seeds", "0", "100"])


def test_a_recorded_row_is_what_the_race_gives_again():
    rows = race_recorded.read("rows")
    cheap = rows[(rows["training"] == "paid") & rows["selector"].isin(["random", "srmf", "taliro"])]
    row = cheap.iloc[int(np.random.default_rng().integers(len(cheap)))]
    pool = race.declared_pool(int(row["seed"]))
    again, _ = race_recorded.make(pool, "paid", row["selector"])
    assert again["critical"].iloc[0] == row["critical"]
    # simulations are the same to the last bit; a linear algebra library's rounding may swap two faults
    assert abs(again["recall"].iloc[0] - row["recall"]) < 0.05


def test_peers_by_size_search_a_list_and_pay_for_its_training():
    pool = race.declared_pool(0, scenarios=("DS1",))
    purse = Purse(pool.simulate, 60, pool.logs)
    table.by_size(searchers.tpe, pool.view, purse, np.random.default_rng(3), keep=0.9)
    # thirty training runs of the network, then the list, which is shorter than what is left
    assert len(purse.order) == len(set(purse.order)) == 60
    size = table.informed(pool.view, Purse(pool.simulate, 60, pool.logs), np.random.default_rng(3), 30)[0].amplitude[
        :, 0
    ]
    listed = purse.order[30:]
    assert size[listed].min() >= np.sort(np.delete(size * pool.view.active, purse.order[:30]))[-54]


def test_metrics_resample_seeds():
    rows = race_recorded.read("rows")
    found = race_tables.race_metrics(rows[rows["training"] == "paid"], draws=200)
    assert all(len(values) == 200 for values in found.values())
    assert found["gp_recall_worst"].mean() < found["gp_recall"].mean()


def test_shares_are_of_what_is_selected_and_of_what_is_critical():
    engine = pd.DataFrame({"variant": [race_tables.PAPER] * 2 + ["other"], "size": [100, 300, 7]})
    engine[["share_throttle", "share_pid_input", "share_fused_class"]] = [[0.1, 0, 0], [0.3, 0, 0.5], [1, 1, 1]]
    truth = TRUTH.assign(variable=np.where(TRUTH["scene"] < 2, "throttle", "steer"))
    rows = [(100, "throttle", 30), (109, "steer", 60), (109, "brake", 10), (200, "throttle", 5), (200, "speed", 95)]
    counts = pd.DataFrame(rows, columns=["seed", "variable", "critical"])
    found = race_tables.shares(engine, race.Pool(0, None, truth), counts, least=20.0)
    # three outputs that the paper names, then those with a fifth of a draw: brake has a tenth
    assert found.index.tolist() == ["throttle", "pid_measured_value", "fused_obstacle_class", "speed", "steer"]
    assert found["selected here"].iloc[:3].tolist() == pytest.approx([25.0, 0.0, 37.5])
    assert found["100-109"].tolist() == pytest.approx([30.0, 0.0, 0.0, 0.0, 60.0])
    assert found["200-209"].tolist() == pytest.approx([5.0, 0.0, 0.0, 95.0, 0.0])
    assert found["0 (live)"].iloc[[0, 4]].tolist() == pytest.approx([100 * 2 / 6, 100 * 4 / 6])


def test_speed_ups_by_hand():
    found = race_tables.speed_ups(1000, 50_000, 250, 860)
    assert found["ours"].tolist()[1:] == ["50", "40", "20"]
    # 14,760 hours over 58 of mining and validation, with 123 to 307.5 of training, with 246
    assert found["paper"].tolist() == ["3,690", "254", "40 to 82", "49"]


def test_curves_of_recall_and_precision_by_hand():
    rows = [(1, 1, 0, 0.0), (1, 4, 2, 0.5), (2, 1, 1, 0.25), (2, 4, 4, 1.0)]
    curves = pd.DataFrame(rows, columns=["seed", "simulations", "hazards", "recall"]).assign(selector="gp")
    recall = figures.curves_of(curves, ["gp"]).data
    assert recall[1].y[[0, -1]].tolist() == pytest.approx([12.5, 75.0])  # means of 0 and 25 %, 50 and 100 %
    precision = figures.curves_of(curves, ["gp"], "precision").data
    assert precision[1].y[[0, -1]].tolist() == pytest.approx([50.0, 75.0])  # 0 of 1 and 1 of 1; 2 of 4 and 4 of 4
    assert len(figures.curves_of(curves, ["gp"], bands=()).data) == 1
    with pytest.raises(InputError, match=r"'speed'.*recall.*precision"):
        figures.curves_of(curves, ["gp"], "speed")
