"""Checks that need no truth: orders, held-out turns, on a simulated stand-in and on the real series where at hand."""

import numpy as np
import pandas as pd
import pytest

from credence.bayesperf.data import real_hardware
from credence.bayesperf.evaluate import hardware
from credence.bench import claims
from credence.bench import seeds as named


@pytest.fixture(scope="module")
def predicted():
    return hardware.stand_in_held_out(120, 0)


def test_half_of_a_groups_turns_are_hidden_and_nothing_else():
    log = hardware.stand_in(100, 0)
    groups = real_hardware.emon_groups(log)
    assert len(groups) == 5
    away = hardware.hidden(log, groups[2], named.generator(0, "x"))
    assert away.sum() == 10
    assert set(np.flatnonzero(away) % 5) == {2}


def test_held_out_counts_are_foretold_with_intervals(predicted):
    assert len(predicted) == 5
    assert 0.75 < predicted["coverage_90"].mean() <= 1
    assert predicted["wape"].mean() < predicted["hold"].mean()


def test_hidden_counts_have_no_part_in_their_prediction():
    log = hardware.stand_in(60, 0)
    group = real_hardware.emon_groups(log)[0]
    away = hardware.hidden(log, group, named.generator(0, "y"))
    first = hardware._predicted(log, group, away)
    log.count[np.ix_(away, [0, 1])] *= 100
    second = hardware._predicted(log, group, away)
    assert first["coverage_90"] > 0.5
    assert second["coverage_90"] < 0.2


def test_orders_are_counted_slice_by_slice():
    name, other = real_hardware.ORDERS[0]
    counts = np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0], [5.0, 1.0]])
    assert hardware.violations(counts, (name, other)) == {f"{name} ≤ {other}": 0.5}
    assert hardware.violations(counts[:, :1], (name,)) == {}


def test_claims_are_means_over_workloads(predicted):
    broken = pd.DataFrame({"program": ["a", "a", "b"], "order": ["x", "y", "x"], "log": [0.3, 0.1, 0.2]})
    broken["posterior"] = [0.1, 0.1, 0.2]
    found = hardware.claim_metrics(broken, predicted, draws=400)
    assert found["order_cut"].mean() == pytest.approx(5, abs=1)
    assert np.ptp(found["emon_coverage90"]) == pytest.approx(0, abs=1e-9)
    wanted = {claim.metric for claim in claims.registry("bayesperf") if claim.notebook == "bayesperf/real_hardware"}
    assert wanted == set(found)


@pytest.mark.third_party
def test_real_series_are_foretold():
    predicted = hardware.held_out(["502.gcc_r"], 200)
    assert predicted["coverage_90"].between(0.5, 1).all()
    broken = hardware.orders(["502.gcc_r"], 150)
    assert broken[["log", "posterior"]].to_numpy().max() <= 1
    assert len(broken) == 7
