"""The recorded replay: one issue, drawn anew in every run of the tests, comes out again; its tables add up."""

import numpy as np
import pytest

from credence.bench import catalogue
from credence.kaleidoscope.evaluate import production, production_breaks
from credence.kaleidoscope.evaluate import production_tables as tables


@pytest.fixture(scope="module")
def issues():
    return tables.read("issues")


@pytest.fixture(scope="module")
def quiet():
    return tables.read("quiet")


@pytest.fixture(scope="module")
def months():
    return tables.read("months")


def test_a_randomly_chosen_issue_comes_out_again(issues):
    rng = np.random.default_rng()
    singles = [label for label in issues["method"].unique() if "," in label and "named" not in label]
    label = str(rng.choice(singles))
    # a month is simulated from its start: early windows keep the test short
    early = issues[(issues["method"] == label) & (issues["first"] % production.issues.MONTH < 1500)]
    row = early.iloc[rng.integers(len(early))]
    again = production.again(production.scene(), tables.read("tuning"), int(row["event"]), [label]).iloc[0]
    assert again["localised"] == row["localised"], row.to_dict()
    assert again["named"] == row["named"], row.to_dict()


def test_a_randomly_chosen_strength_comes_out_again():
    rows = tables.read("breaks")
    rows = rows[rows["method"] == "ours, tuned"]
    row = rows.iloc[np.random.default_rng().integers(len(rows))]
    again = production_breaks.point(
        production.scene(), tables.read("tuning"), row["break"], row["strength"], methods=["ours, tuned"]
    ).iloc[0]
    assert again["found"] == row["found"]
    assert again["false_per_day"] == pytest.approx(row["false_per_day"])


def test_all_843_issues_are_there_for_every_method(issues):
    rows = issues[~issues["method"].str.contains("group named")]
    assert (rows.groupby("method")["event"].nunique() == 843).all()
    one = tables.table_one(issues)
    assert one.loc["all", "of"] == 843
    assert one.loc["reliability", "found"] + one.loc["overload", "found"] == one.loc["all", "found"]


def test_alarms_are_split_without_rest(quiet, months):
    assert (quiet["event"] + quiet["false"] <= quiet["onsets"]).all()
    assert (months["event"] + months["false"] <= months["alarms"]).all()
    assert quiet.groupby("method")["window"].nunique().eq(2000).all()
    assert months.groupby("method")["month"].nunique().eq(24).all()


def test_table_two_scales_the_sampled_alarms_to_six_months(issues, quiet):
    table = tables.six_months(issues, quiet)
    per_window = quiet[quiet["method"] == "ours, tuned"]["onsets"].mean()
    assert table.loc["ours, tuned", "alarms"] == pytest.approx(per_window * 6 * production.issues.MONTH)
    assert not any("#" in name for name in table.index)


def test_metrics_have_draws_around_their_estimates(issues, quiet):
    found = tables.metrics(issues, quiet, draws=200, seed=3)
    one = tables.table_one(issues)
    assert found["localised"].mean() == pytest.approx(one.loc["all", "percent"], abs=0.3)
    assert found["alarms_over_netbouncer"].std() > 0
    assert all(np.isfinite(draws).all() for draws in found.values())


def test_the_note_says_how_it_was_made():
    for name in tables.TABLES:
        note = catalogue.entry(tables.PREFIX + name).note
        assert "credence.kaleidoscope.evaluate.production" in note
        assert "generated" in note
