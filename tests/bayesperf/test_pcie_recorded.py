"""Recorded runs of the case study: complete, and one of them, trained again, comes out as recorded."""

import numpy as np
import pytest

from credence.bayesperf.evaluate import pcie, pcie_recorded
from credence.bench import catalogue

pytestmark = pytest.mark.skipif(pcie_recorded.RUNS not in catalogue.names(), reason="no runs are recorded yet")


def test_every_run_has_ten_seeds_and_every_system():
    runs = pcie_recorded.read("runs")
    plain = runs[runs["break"] == pcie_recorded.NONE]
    for _, rows in plain.groupby("errors"):
        assert len(rows) == len(pcie.SYSTEMS) * len(pcie.SEEDS)
    judged = runs[(runs["errors"] == "paper") & runs["break"].isin(pcie.BREAKS)]
    found = {(name, strength) for name, strength in zip(judged["break"], judged["strength"], strict=True)}
    assert found == {(name, x) for name, values in pcie.BREAKS.items() for x in values}
    assert len(judged) == 2 * len(pcie.SEEDS) * len(found)
    assert np.isfinite(runs.select_dtypes("number")).all(axis=None)


def test_curves_start_untrained_and_belong_to_the_runs():
    runs, curves = pcie_recorded.read("runs"), pcie_recorded.read("curves")
    assert curves.loc[curves["iteration"] == 0, "loss"].between(0.9, 1.1).all()
    plain = runs[runs["break"] == pcie_recorded.NONE]
    assert set(zip(curves["errors"], curves["system"], curves["seed"], strict=True)) == set(
        zip(plain["errors"], plain["system"], plain["seed"], strict=True)
    )


def test_one_recorded_run_chosen_at_random_comes_out_again():
    runs = pcie_recorded.read("runs")
    cells = runs[runs["break"].isin(pcie.BREAKS)]
    row = cells.iloc[np.random.default_rng().integers(len(cells))]
    seed = int(row["seed"])
    again = pcie_recorded.point(row["errors"], row["break"], float(row["strength"]), [seed])[0]
    again = again.set_index("system").loc[row["system"]]
    same = ["errors", "break", "strength", "system"]
    cell = cells[(cells[same] == row[same]).all(axis=1)]
    for name in ("iterations", "final_loss", "learning_ms", "filtering_ms"):
        # rounding of another machine may lead training elsewhere, though not out of what other seeds give
        slack = 0.05 * cell[name].mean()
        assert cell[name].min() - slack <= again[name] <= cell[name].max() + slack, (name, row.to_dict())
