"""Scenario files: the schema, its refusals, and the variation by seed."""

import dataclasses

import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.scenarios import parse_scenario, read_scenario, scenario, scenario_names, vary

PLAIN = """
name = "own"
description = "one car"
rate_hz = 10
scenes = 50
[ego]
speed_mps = 10
set_speed_mps = 12.0
[road]
lane_width_m = 3.5
[[road.segments]]
length_m = 50
curvature_per_m = 0.01
marked = false
[light]
position_m = 40.0
green_s = 3.0
[[actors]]
name = "TV"
kind = "vehicle"
gap_m = 30
speed_mps = -9.0
[[actors.moves]]
start_s = 1.0
duration_s = 2.0
lateral_mps = 0.5
[jitter]
gap_m = 2.0
time_s = 0.5
"""


def test_a_file_is_read_as_written(tmp_path):
    (tmp_path / "own.toml").write_text(PLAIN)
    item = read_scenario(tmp_path / "own.toml")
    assert (item.name, item.rate_hz, item.scenes, item.speed_mps) == ("own", 10.0, 50, 10.0)
    assert item.segments[0].marked is False
    assert item.light.green_s == 3.0
    assert item.actors[0].speed_mps == -9.0
    assert item.actors[0].moves[0].lateral_mps == 0.5


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("scenes = 50", "", "scenes missing"),
        ("scenes = 50", "scenes = 1", "scenes is 1; allowed: 2 to"),
        ("scenes = 50", "scenes = 50.5", "allowed: an integer"),
        ("rate_hz = 10", "rate_hz = nan", "rate_hz is nan"),
        ("rate_hz = 10", "rate_hz = true", "allowed: a number"),
        ("speed_mps = 10", "speed_mps = 10\nspeed = 3", "unknown key in own.toml, .ego. 'speed'"),
        ('kind = "vehicle"', 'kind = "bus"', "allowed: vehicle, pedestrian"),
        ("gap_m = 30", "gap_m = -1", "actor TV: gap_m is -1"),
        ("[[actors]]", "[actors]", "write .*actors"),
        ("length_m = 50", 'length_m = "50"', "road segment 1: length_m is '50'"),
        ("marked = false", "marked = 0", "allowed: true or false"),
        ("duration_s = 2.0", "", "move 1: duration_s missing"),
        ('name = "own"', 'name = "my own"', "text without blanks"),
        ("[light]", "[light", "own.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, says):
    assert old in PLAIN
    (tmp_path / "own.toml").write_text(PLAIN.replace(old, new, 1))
    with pytest.raises(InputError, match=says):
        read_scenario(tmp_path / "own.toml")


def test_two_actors_of_one_name_are_refused():
    actor = PLAIN[PLAIN.index("[[actors]]") : PLAIN.index("[[actors.moves]]")]
    with pytest.raises(InputError, match="each with a name of its own"):
        parse_scenario(PLAIN + actor, "own.toml")


def test_a_missing_file_and_an_unknown_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml"):
        read_scenario(tmp_path / "none.toml")
    with pytest.raises(InputError, match="DS1, DS2"):
        read_scenario("DS9")


def test_the_papers_scenarios_are_there_with_225_scenes():
    names = scenario_names()
    assert {f"DS{number}" for number in range(1, 7)} | {"example1", "example2"} <= set(names)
    for name in names:
        item = read_scenario(name)
        assert item.name == name
        if name.startswith("DS"):
            assert (item.scenes, item.rate_hz) == (225, 7.5)


def test_a_seed_varies_within_the_jitter_and_is_the_same_again():
    plain = read_scenario("DS5")
    several = [vary(plain, seed) for seed in range(20)]
    assert several[3] == scenario("DS5", 3)
    assert len({item.speed_mps for item in several}) == 20
    for item in several:
        assert abs(item.speed_mps - plain.speed_mps) <= plain.jitter.speed_mps
        for actor, was in zip(item.actors, plain.actors, strict=True):
            assert abs(actor.gap_m - was.gap_m) <= plain.jitter.gap_m
            assert abs(actor.trigger_gap_m - was.trigger_gap_m) <= plain.jitter.trigger_gap_m
            assert (actor.speed_mps == 0) == (was.speed_mps == 0)


def test_an_added_actor_leaves_the_others_as_they_are():
    plain = read_scenario("DS5")
    more = dataclasses.replace(plain, actors=(*plain.actors, dataclasses.replace(plain.actors[0], name="TV9")))
    assert vary(more, 4).actors[:-1] == vary(plain, 4).actors


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed is -1"):
        scenario("DS1", -1)
