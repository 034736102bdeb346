"""`credence drivefi mine` and `replay`: the table's columns, what a line gives back, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from credence.bench.errors import InputError
from credence.drivefi.cli import app
from credence.drivefi.data.scenarios import scenario
from credence.drivefi.evaluate.mining import COLUMNS, mine
from credence.drivefi.world.simulate import golden, traced
from credence.drivefi.world.token import parse

SHORT = """
name = "short"
description = "a car ahead brakes"
rate_hz = 7.5
scenes = 40
[ego]
speed_mps = 15.0
set_speed_mps = 15.0
[road]
lane_width_m = 3.6
[[actors]]
name = "TV<b>"
kind = "vehicle"
gap_m = 20.0
speed_mps = 15.0
[[actors.moves]]
start_s = 1.0
duration_s = 2.0
acceleration_mps2 = -3.0
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "short.toml").write_text(SHORT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_random_mining_writes_the_table_in_the_order_run(folder):
    text = call("mine", "--scenario", "short.toml", "--selector", "random", "--budget", "30", "--out", "faults.csv")
    assert "30 simulations" in text
    found = pd.read_csv("faults.csv")
    assert tuple(found.columns) == COLUMNS
    assert len(found) == 30
    assert not found.duplicated(["scene", "variable", "value"]).any()
    assert found["predicted_margin_m"].isna().all()
    assert (found["critical"] == (found["simulated_margin_m"] <= 0)).all()
    again = mine("short.toml", 0, "random", 30)
    np.testing.assert_array_equal(again["simulated_margin_m"], found["simulated_margin_m"])


def test_exhaustive_mining_ignores_a_budget_above_the_pool(folder):
    call("mine", "--scenario", "short.toml", "--selector", "exhaustive", "--budget", "999999", "--out", "all.csv")
    found = pd.read_csv("all.csv")
    assert len(found) == 40 * 41
    assert found["scene"].is_monotonic_increasing


def test_every_replay_line_gives_its_row_back_bit_for_bit(folder):
    found = mine("short.toml", 3, "random", 12)
    for row in found.itertuples():
        run = parse(row.replay)
        told = traced(run.scenario, run.seed, run.fault, run.scene, run.duration, run.stack)
        assert told.margin_m == row.simulated_margin_m
        assert min(told.delta_along_m.min(), told.delta_across_m.min()) == row.delta_m


def test_replay_says_what_came_of_it_and_writes_a_page_that_needs_no_other(folder):
    line = "scenario=short.toml seed=0 scene=10 variable=brake value=0.5 duration=3"
    text = call("replay", line, "--html", "out.html")
    assert f"margin {golden('short.toml', 0).margin_m:.6f}" in text
    page = (folder / "out.html").read_text()
    assert line in page
    assert "<script src" not in page
    assert "<link" not in page


def test_names_from_a_file_are_escaped_in_the_page(folder):
    from credence.drivefi.figures.replay import page

    (folder / "a<b>.toml").write_text(SHORT)
    run = parse("scenario='a<b>.toml' seed=0 scene=1 variable=throttle value=max")
    plain = golden("short.toml", 0)
    assert "a<b>" not in page(run, plain, plain, scenario("short.toml", 0))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--selector", "magic"), "unknown selector 'magic'"),
        (("--selector", "random", "--budget", "0"), "budget is 0"),
        (("--selector", "random", "--seed", "-1"), "--seed is -1"),
        (("--selector", "random", "--out", "nowhere/f.csv"), "allowed: a path whose folder exists"),
        (("--selector", "random", "--out", "short.toml"), "is the file that is read"),
        (("--selector", "random", "--stack", "B"), "allowed: A, D"),
        (("--selector", "random", "--scenario", "none.toml"), "none.toml"),
    ],
)
def test_what_cannot_be_mined_is_refused(folder, arguments, says):
    given = {"--scenario": "short.toml", "--out": "faults.csv"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    with pytest.raises(InputError, match=says):
        call("mine", *(word for pair in given.items() for word in pair))


def test_an_unsafe_scenario_is_refused_with_the_reason(folder):
    near = SHORT.replace("gap_m = 20.0", "gap_m = 4.0").replace("speed_mps = 15.0\n[[", "[[")
    (folder / "near.toml").write_text(near)
    with pytest.raises(InputError, match=r"initially unsafe: at 15\.0 m/s and a gap of 4\.0 m"):
        call("mine", "--scenario", "near.toml", "--selector", "random", "--out", "faults.csv")


def test_the_readme_of_the_scenarios_names_every_key():
    import dataclasses

    from credence.bench import paths
    from credence.drivefi.data.scenarios import Actor, Jitter, Light, Move, Scenario, Segment

    text = (paths.data_dir() / "drivefi" / "scenarios" / "README.md").read_text()
    for kind in (Actor, Jitter, Light, Move, Scenario, Segment):
        for field in dataclasses.fields(kind):
            assert field.name == "seed" or field.name in text, field.name


@pytest.mark.parametrize("selector", ["gp", "tbn"])
def test_selectors_that_learn_stay_within_the_budget_and_say_what_they_expect(folder, selector):
    found = mine("DS5", 3, selector, 70)
    assert len(found) == 70
    assert found["predicted_margin_m"].notna().all()
    assert not found.duplicated(["scene", "variable", "value"]).any()


@pytest.mark.parametrize("budget", [1, 2, 30, 31])
@pytest.mark.parametrize("selector", ["gp", "gp-plain", "gp-mean", "srmf", "size", "tbn", "tbn-regimes"])
def test_small_budgets_are_spent_and_no_more(folder, selector, budget):
    found = mine("short.toml", 0, selector, budget, "A", 0)
    assert len(found) == budget
    assert not found.duplicated(["scene", "variable", "value"]).any()


def test_a_completed_matrix_ends_with_the_faults_that_do_something(folder):
    # faults that leave the golden value as it is cannot be told apart and are not tried
    found = mine("short.toml", 0, "srmf", 40 * 41, "A", 0)
    assert 0.5 * 40 * 41 < len(found) < 40 * 41
