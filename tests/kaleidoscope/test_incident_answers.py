"""What is recorded of the four published windows, its metrics, and the runs of the test cluster."""

import os

import numpy as np
import pandas as pd
import pytest

from credence.bench import seeds
from credence.kaleidoscope.data.incidents import Incident, incident, incidents
from credence.kaleidoscope.data.measured import RUNS
from credence.kaleidoscope.evaluate import fault_runs, incident_answers
from credence.kaleidoscope.figures import localise as figures


def made_up(clients=5):
    """A window in which target 7 of projects is dead and client2 never came through."""
    shares = {name: np.zeros((clients, size)) for name, size in (("scratch", 360), ("projects", 36), ("home", 36))}
    shares["projects"][:, 7] = 1.0
    for share in shares.values():
        share[2] = 1.0
    return Incident("2020-01-01T00:00", "made up", shares, {"projects_ost_7": 0.01}, True)


def by_method(table, method):
    down = table[(table["method"] == method) & (table["state"] == "down")]
    return set(down["component"])


def test_a_made_up_window_is_answered_by_every_method():
    failed = incident_answers.answers(made_up())
    assert tuple(failed.columns) == tuple(incident_answers.COLUMNS)
    assert by_method(failed, "exact") == by_method(failed, "MAP") == {"projects_ost_7", "client2"}
    assert by_method(failed, "authors") == {"projects_ost_7"}
    assert set(failed["method"]) >= {"exact", "MAP", "authors", "NetBouncer, as published", "Flock, as published"}
    missing = incident_answers.answers(made_up(), "missing")
    assert by_method(missing, "exact") == {"projects_ost_7"}
    counted = incident_answers.counts(pd.concat([failed, missing])).set_index("method").loc["exact"]
    assert counted[["blamed", "found", "told", "extra"]].tolist() == [2, 1, 1, 1]


def test_a_method_that_blames_nothing_counts_as_such():
    rows = [
        ("w", "failed", "authors", "client0", 0.9, "down"),
        ("w", "failed", "exact", "client0", 0.1, "up"),
        ("v", "failed", "authors", "client1", 0.9, "down"),
        ("v", "failed", "Flock", "client2", 1.0, "down"),
        ("v", "failed", "exact", "client1", 0.9, "down"),
    ]
    table = pd.DataFrame(rows, columns=list(incident_answers.COLUMNS))
    counted = incident_answers.counts(table).set_index(["window", "method"])
    assert counted.loc[("w", "exact")].tolist() == [0, 0, 1, 0]
    assert counted.loc[("w", "Flock")].tolist() == [0, 0, 1, 0]
    assert counted.loc[("v", "Flock")].tolist() == [1, 0, 1, 1]
    draws = incident_answers.metrics(table, 400, 0)
    assert set(draws["windows_found"]) == {0.0, 50.0, 100.0}
    assert (draws["windows_extra"] == 0).all()


def test_the_recorded_table_holds_four_windows_and_every_component():
    table = incident_answers.read()
    exact = table[table["method"] == "exact"]
    assert (exact.groupby(["window", "reading"]).size() == 875).all()
    assert exact["window"].nunique() == 4
    assert exact["score"].between(0, 1).all()
    samplers = incident_answers.read(incident_answers.SAMPLERS)
    assert set(samplers["window"]) == set(exact["window"])


@pytest.mark.third_party
@pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set")
def test_one_recorded_window_comes_out_the_same_again():
    rng = seeds.generator(int(os.environ.get("GITHUB_RUN_NUMBER", "0")), "recorded windows")
    name, reading = rng.choice(incidents()), rng.choice(incident_answers.READINGS)
    table = incident_answers.read()
    kept = table[(table["window"] == name) & (table["reading"] == reading) & (table["method"] == "exact")]
    again = incident_answers.answers(incident(name), reading, {})
    again = again[again["method"] == "exact"].set_index("component")["score"]
    assert kept.set_index("component")["score"].to_numpy() == pytest.approx(again.to_numpy(), abs=1e-6)


def test_runs_of_the_cluster_are_named_right_or_not_at_all():
    runs = fault_runs.answers(0.25, "mixture").set_index("run")
    assert set(runs.index) == set(RUNS)
    assert runs.loc[["drop20", "slowA2"], "outcome"].tolist() == ["right", "right"]
    assert runs.loc[["base2", "syncbase"], "outcome"].tolist() == ["nothing to find"] * 2
    assert "another set" not in set(runs["outcome"])
    either = fault_runs.answers(0.25, "or").set_index("run")
    assert either.loc["drop20", "outcome"] == "another set"  # an OR of routers has no place for a lossy one
    assert either.loc["drop20", "answer"].startswith("mds")


def test_shares_of_slow_pings_are_those_of_the_log():
    shares = fault_runs.shares("slowA2", 0.25)
    slow = shares[shares["path"].str.endswith("ost_A") & ~shares["path"].str.startswith("rmex")]["slow"]
    others = shares[~shares["path"].str.endswith("ost_A")]["slow"]
    assert slow.min() > 0.9
    assert others.max() == 0


def test_figures_show_what_is_in_their_tables():
    table = incident_answers.answers(made_up())
    drawn = figures.answers(table, ["authors", "exact", "threshold, as published"])
    marks = {trace.name: set(trace.y) for trace in drawn.data}
    assert marks["exact"] == {"projects_ost_7", "client2"}
    assert marks["authors"] == {"projects_ost_7"}
    assert any("more" in note.text for note in drawn.layout.annotations)  # a threshold blames all behind client2
    nuts = table[table["method"] == "exact"].assign(method="NUTS")
    both = figures.agreement(pd.concat([table, nuts]))
    assert sum(len(trace.x) for trace in both.data) == 875
    assert len(figures.heat(made_up().failed_fraction).data) == 3
    window, found = fault_runs.judged("slowA2", 0.25)
    assert window.failed.sum() > 0
    p_up = {"a": found.table.set_index("component")["p_healthy"], "b": found.table.set_index("component")["rate"]}
    story = figures.run_story(fault_runs.shares("slowA2", 0.25), p_up, "ost_A")
    assert np.shape(story.data[0].z) == (2, 12)
    assert len(story.data[1].x) == 13
