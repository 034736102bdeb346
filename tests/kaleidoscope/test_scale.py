"""Grown graphs, accuracy by size with a recorded row computed again, and what a confidence is worth."""

import time

import numpy as np
import pandas as pd
import pytest

from credence.bench import catalogue
from credence.bench.errors import InputError
from credence.kaleidoscope.evaluate import confidence, scale
from credence.kaleidoscope.figures import scale as figures
from credence.kaleidoscope.infer import exact_posterior
from credence.kaleidoscope.world.grown import faults, grow, observe


def test_a_grown_graph_is_blue_waters_in_shape():
    graph = grow(6, 216)
    assert graph.components == 875
    assert graph.paths.cells == 6 * 432
    # client 5 crosses the second network; the pair of a target's server is its group
    row = graph.paths.series[5 * 432 + 9]
    assert row[:5].tolist() == [5, 6, 8, 11 + 432 + 9, 7]
    assert graph.paths.members[graph.paths.groups[9, 0]].tolist() == [11 + 8, 11 + 9]
    assert (graph.paths.series[: 5 * 432, 4] == -1).all()
    with pytest.raises(InputError, match="pairs"):
        grow(6, 2)


def test_what_is_down_fails_and_nothing_else():
    graph = grow(4, 6)
    rng = np.random.default_rng(0)
    first_server = 4 + 2 + 3
    target = first_server + 12 + 3
    window = observe(graph, np.array([target, first_server, first_server + 1]), rng, up_rate=1 - 1e-12, failed=(1, 1e9))
    dead = (window.succeeded == 0).reshape(4, 12)
    assert dead[:, [0, 1, 3]].all()
    assert not dead[:, [2, *range(4, 12)]].any()
    # one server alone does not show, and a rate of one's own holds for all cells
    assert (observe(graph, np.array([first_server]), rng, up_rate=1 - 1e-12).succeeded == 5).all()
    own = observe(graph, np.array([0]), rng, own=np.array([0.6]), sent=400).succeeded.reshape(4, 12)
    assert own[0].mean() == pytest.approx(0.6 * 0.9972 * 400, rel=0.03)
    assert own[1:].min() > 390


def test_units_take_a_pair_for_its_targets():
    graph = grow(4, 6)
    servers, targets = 9, 21
    assert scale.units(graph, [servers + 2, servers + 3]) == scale.units(graph, [targets + 2, targets + 3])
    assert scale.units(graph, [servers + 3, servers + 4]) == {("component", 12), ("component", 13)}
    assert scale.agreement(graph, [0, targets, targets + 1], [0, 1, servers, servers + 1]) == (
        1.0,
        pytest.approx(2 / 3),
    )
    assert scale.agreement(graph, [], [0]) == (1.0, 0.0)


def test_faults_are_components_that_show():
    graph = grow(6, 216)
    for seed in range(10):
        down = faults(graph, 5, np.random.default_rng(seed))
        assert confidence.visible(graph, down)[down].all()


def test_a_recorded_row_computed_again():
    recorded = catalogue.frame("kaleidoscope-recorded-scale")
    small = recorded[(recorded["cells"] < 20_000) & recorded["method"].isin(scale.FAST)]
    rng = np.random.default_rng(time.time_ns())
    row = small.iloc[int(rng.integers(len(small)))]
    size = scale.Size(int(row["clients"]), int(row["pairs"]), int(row["faults"]))
    again = scale.compare(size, int(row["seed"]), [row["method"]]).query("method == @row.method").iloc[0]
    for name in ("blamed", "precision", "recall", "components", "cells"):
        assert again[name] == pytest.approx(row[name]), (row["method"], size, row["seed"], name)


def test_figures_of_recorded_rows():
    rows = scale.summary(catalogue.frame("kaleidoscope-recorded-scale"))
    names = {trace.name for trace in figures.time_by_size(rows).data}
    assert {"search", "exact", "Flock", "less than reading every cell once"} <= names
    assert len(figures.accuracy_by_size(rows).data) >= 12


def test_a_right_model_is_calibrated():
    graph = grow(3, 12)
    priors = confidence.Priors(p_up=dict.fromkeys(("client", "network", "metadata", "server", "target"), 0.95))
    table = confidence.confidences(graph, confidence.Break(sent=1), priors, count=60, seed=3)
    found = confidence.by_confidence(table)
    assert table["p_down"].between(0.05, 0.95).sum() > 100
    middle = found[found["count"] > 15]
    # a 90 % interval may miss now and then; a bias of a tenth does not happen
    assert (np.abs(middle["frequency"] - middle["confidence"]) < 0.15).all()


def test_the_rule_in_numbers():
    table = pd.DataFrame(
        {
            "window": [0, 0, 1, 1],
            "p_down": [0.9, 0.8, 0.76, 0.3],
            "down": [True, False, True, True],
        }
    )
    found = confidence.rule(table)
    assert (found["flagged"], found["right"], found["found"]) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    draws = confidence.draws_of_right(table, 2, np.random.default_rng(0))
    assert set(np.round(draws)) <= {50, 67, 100}


def test_behind_a_dead_metadata_server_nothing_is_blamed():
    graph = grow(4, 6)
    window, server, behind = confidence.behind_a_dead_metadata_server(graph)
    found = exact_posterior(graph.paths, window)
    assert found.p_up[server] < 0.01
    assert (found.p_up[behind] > 0.99).all()
    assert len(behind) == 8
