"""Runs: shortcuts change nothing, batches equal single runs, and the same line gives the same bits."""

import dataclasses

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.scenarios import scenario
from credence.drivefi.data.variables import INDEX, VARIABLES, fault_types
from credence.drivefi.world.admission import refusal, require_admissible
from credence.drivefi.world.parameters import STACKS, stack
from credence.drivefi.world.simulate import Faults, enumerate_pool, golden, run, traced, traces
from credence.drivefi.world.token import Replay, parse

TYPES = fault_types()


def some_faults(rng, size, scenes=225, longest=30):
    return Faults(rng.integers(0, scenes, size), rng.integers(0, len(TYPES), size), rng.integers(1, longest, size))


@pytest.mark.parametrize("name", ["DS1", "DS3", "DS5", "DS6"])
def test_starting_late_and_stopping_early_change_no_bit(name):
    faults = some_faults(np.random.default_rng(0), 400)
    quick, whole = run(name, 2, "A", faults), run(name, 2, "A", faults, shortcuts=False)
    for field in dataclasses.fields(quick):
        if field.name != "scenes_computed":
            np.testing.assert_array_equal(getattr(quick, field.name), getattr(whole, field.name), err_msg=field.name)
    assert (whole.scenes_computed == 225).all()
    assert quick.scenes_computed.mean() < 150


def test_a_run_of_a_batch_is_the_run_alone_and_the_traced_run():
    rng = np.random.default_rng(1)
    faults = some_faults(rng, 12)
    together = run("DS5", 0, "A", faults)
    logs = traces("DS5", 0, faults)
    for number in range(12):
        one = Faults(*(np.array([column[number]]) for column in (faults.scene, faults.type, faults.duration)))
        alone = run("DS5", 0, "A", one)
        assert alone.margin_m[0] == together.margin_m[number]
        told = traced("DS5", 0, TYPES[one.type[0]], int(one.scene[0]), int(one.duration[0]))
        assert told.margin_m == together.margin_m[number]
        np.testing.assert_array_equal(told.values, logs[number])
        assert told.delta_along_m.min() == together.delta_along_m[number]
        changed = (told.values != golden("DS5", 0).values)[:, INDEX[TYPES[one.type[0]].variable]]
        struck = slice(one.scene[0], one.scene[0] + one.duration[0])
        assert changed[struck].any() == together.changed[number]


def test_before_the_fault_nothing_differs_and_at_the_fault_the_value_is_what_was_asked():
    plain = golden("DS5", 0)
    for kind, value in ((TYPES[0], None), (next(t for t in TYPES if t.name == "throttle=max"), 1.0)):
        told = traced("DS5", 0, kind, 100, 3)
        column = INDEX[kind.variable]
        np.testing.assert_array_equal(told.values[:100], plain.values[:100])
        np.testing.assert_array_equal(told.values[100, :column], plain.values[100, :column])
        if value is not None:
            assert (told.values[100:103, column] == value).all()
        else:
            assert told.values[100, column] == 2 * plain.values[100, column]


def test_traces_know_their_columns():
    frame = golden("DS6", 0).frame()
    assert list(frame.columns[-len(VARIABLES) :]) == [item.name for item in VARIABLES]
    assert np.isfinite(frame.to_numpy()).all()
    assert golden("DS6", 0).actors.shape == (225, len(scenario("DS6").actors), 5)


def test_a_scenario_at_hand_and_its_name_give_the_same_run():
    np.testing.assert_array_equal(golden("DS2", 7).values, golden(scenario("DS2", 7)).values)
    assert not np.array_equal(golden("DS2", 7).values, golden("DS2", 8).values)


def test_free_space_masks_a_struck_off_obstacle():
    # the paper's two stacks: obstacle removal is harmless where free space is seen as well
    drop = next(row for row in TYPES if row.name == "fused_obstacle_class=class:none")
    faults = Faults(np.arange(30, 90), np.zeros(60, int), np.full(60, 40), (drop,))
    assert run("DS1", 0, "A", faults).critical.sum() > 5
    assert run("DS1", 0, "D", faults).critical.sum() == 0


def test_the_pool_holds_every_fault_once():
    pool = enumerate_pool(["DS4"], [0, 1])
    assert len(pool) == 2 * 225 * 41
    assert not pool.duplicated(["scenario", "seed", "scene", "type"]).any()
    assert (pool["critical"] == (pool["margin_m"] <= 0)).all()
    assert pool.loc[:40, "type"].tolist() == list(range(41))


def test_a_place_that_is_hazardous_without_a_fault_is_not_in_the_pool():
    assert run("DS6", 19, "A").critical[0]
    assert set(enumerate_pool(["DS4", "DS6"], [19])["scenario"]) == {"DS4"}
    with pytest.raises(InputError, match=r"DS6.*19.*safe without a fault"):
        enumerate_pool(["DS6"], [19])


@pytest.mark.parametrize(
    ("scene", "kind", "duration", "says"),
    [(225, 0, 1, "scene 225 of fault 0; allowed: 0 to 224"), (0, 41, 1, "fault type 41"), (0, 0, 0, "1 or more")],
)
def test_faults_that_cannot_be_are_named(scene, kind, duration, says):
    with pytest.raises(InputError, match=says):
        run("DS4", 0, "A", Faults(np.array([scene]), np.array([kind]), np.array([duration])))


def test_an_unknown_stack_or_constant_is_refused():
    with pytest.raises(InputError, match="allowed: A, D"):
        golden("DS4", 0, "B")
    with pytest.raises(InputError, match="did you mean 'gate'"):
        stack("A", gates=3.0)
    with pytest.raises(InputError, match="allowed: a finite number"):
        stack("A", gate=float("nan"))
    assert stack("D", gate=9).gate == 9.0
    assert STACKS["D"].gate == 16.0


def test_a_line_of_text_names_a_run():
    text = "scenario=DS5 seed=0 scene=101 variable=throttle value=max duration=1"
    one = parse(text)
    assert one == Replay("DS5", 0, 101, "throttle", "max")
    assert one.line() == text
    assert parse("value=0.6 variable=throttle scene=3 seed=2 scenario='DS1' stack=D").line().endswith("stack=D")
    again = [traced(r.scenario, r.seed, r.fault, r.scene, r.duration, r.stack) for r in (one, parse(one.line()))]
    np.testing.assert_array_equal(again[0].values, again[1].values)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scene": "225"}, "allowed: an integer 0 to 224"),
        ({"seed": "-1"}, "seed is '-1'"),
        ({"variable": "raw_brake"}, "logged only"),
        ({"variable": "throtle"}, "did you mean 'throttle'"),
        ({"value": "double"}, "allowed: min, max, a number"),
        ({"duration": "0"}, "an integer >= 1"),
        ({"stack": "B"}, "allowed: A, D"),
        ({"scenario": "DS7"}, "unknown scenario 'DS7'"),
        ({"colour": "red"}, "unknown key"),
    ],
)
def test_what_is_wrong_in_a_line_is_named(change, says):
    parts = {"scenario": "DS5", "seed": "0", "scene": "1", "variable": "throttle", "value": "max"} | change
    with pytest.raises(InputError, match=says):
        parse(" ".join(f"{key}={value}" for key, value in parts.items()))


@pytest.mark.parametrize("text", ["scenario=DS5 seed=0", "DS5", "seed=0 seed=1", "scenario='DS5"])
def test_a_line_must_be_whole(text):
    with pytest.raises(InputError):
        parse(text)


def test_embedded_scenarios_may_be_mined():
    for name in ("DS1", "DS2", "DS3", "DS4", "DS5", "DS6", "example1", "example2"):
        assert refusal(name, 0) is None, name


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gap_m": 0.0}, "initially unsafe: pedestrian stands where the ego starts"),
        ({"gap_m": 8.0}, "initially unsafe: at 1"),
        (
            {"trigger_gap_m": 1.0, "gap_m": 900.0, "lateral_m": -9.0},
            "unreachable: pedestrian moves when the ego is within 1 m",
        ),
        ({"trigger_gap_m": 18.0, "gap_m": 190.0, "lateral_m": -4.5}, "unsafe without a fault: closest approach"),
    ],
)
def test_a_scenario_that_cannot_be_mined_is_refused_with_the_reason(changes, says):
    plain = scenario("DS5", 0)
    place = {"lateral_m": 0.0, "trigger_gap_m": 0.0, "moves": ()} if "lateral_m" not in changes else {}
    actor = dataclasses.replace(plain.actors[-1], **place, **changes)
    with pytest.raises(InputError, match=says):
        require_admissible(dataclasses.replace(plain, actors=(*plain.actors[:-1], actor)))
