"""Bit flips of module outputs, and the runs of what the paper's engine selects."""

import struct

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.variables import INDEX, VARIABLES
from credence.drivefi.evaluate import further_campaigns as further
from credence.drivefi.world import simulate

NAMED = {item.name: item for item in VARIABLES}
ACTUATION = ("throttle", "brake", "steer")


def test_a_flip_is_that_of_the_bit_pattern():
    speed = NAMED["vehicle_velocity"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        value, bit = float(np.float32(rng.uniform(-40, 40))), int(rng.integers(32))
        word = struct.unpack("<I", struct.pack("<f", value))[0] ^ (1 << bit)
        naive = struct.unpack("<f", struct.pack("<I", word))[0]
        found = further.flipped(speed, value, bit)
        assert found is None if not np.isfinite(naive) else float(found) == naive


def test_what_is_out_of_range_is_held_and_what_is_no_number_detected():
    throttle, kind = NAMED["throttle"], NAMED["fused_obstacle_class"]
    assert float(further.flipped(throttle, 0.5, 31)) == throttle.low  # the sign
    assert further.flipped(NAMED["vehicle_velocity"], 1.5, 30) is None  # exponent of all ones
    assert further.flipped(kind, 0, 0) == f"class:{kind.categories[1]}"
    assert further.flipped(kind, 0, 7) is None


def test_more_than_double_of_what_has_no_bound_is_detected():
    speed, throttle = NAMED["vehicle_velocity"], NAMED["throttle"]
    assert further.believable(speed, 12.0, "24.0")
    assert further.believable(speed, 12.0, "-12.0")
    assert not further.believable(speed, 12.0, further.flipped(speed, 12.0, 26))  # 3,072 m/s
    assert not further.believable(speed, 12.0, None)
    assert further.believable(throttle, 0.1, "1.0")  # held at the end of its range
    found = further.flip_runs("DS5", "A", [0, 1], 60)
    run = found[found["outcome"] != "due"]
    before = simulate.golden("DS5", 0).values
    for row in run[run["seed"] == 0].itertuples():
        if NAMED[row.variable].kind == "unbounded":
            assert abs(float(row.value)) <= 2 * abs(before[row.scene, INDEX[row.variable]])


def test_flips_are_run_and_judged():
    found = further.flip_runs("DS5", "A", [0, 1], 30)
    assert len(found) == 60
    assert set(found["outcome"]) <= {"due", "masked", "sdc"}
    due = found["outcome"] == "due"
    assert found.loc[due, "margin_m"].isna().all()
    assert found.loc[~due, "margin_m"].notna().all()
    masked = found[(found["outcome"] == "masked") & (found["seed"] == 0)]
    plain = simulate.golden("DS5", 0)
    for row in masked.head(4).itertuples():
        fault = simulate.FaultType(0, row.variable, row.value)
        again = simulate.traced("DS5", 0, fault, row.scene)
        assert again.margin_m == row.margin_m
        moved = np.abs(again.values - plain.values)[:, [INDEX[name] for name in ACTUATION]]
        spans = [NAMED[name].high - NAMED[name].low for name in ACTUATION]
        assert (moved / spans).max() <= further.ERROR


def test_what_eq_1_selects_is_what_the_enumeration_says():
    found = further.selected_runs("DS5", "A", [0])
    assert set(found["campaign"]) == {further.PGM}
    truth = simulate.enumerate_pool(("DS5",), (0,)).set_index(["scene", "variable", "value"])["margin_m"]
    some = found.head(50)
    assert [truth[row.scene, row.variable, row.value] for row in some.itertuples()] == some["margin_m"].tolist()


def test_a_scenario_that_is_hazardous_itself_is_refused():
    with pytest.raises(InputError, match="DS6"):
        further.flip_runs("DS6", "A", [107], 5)
    with pytest.raises(InputError, match="DS6"):
        further.selected_runs("DS6", "A", [107])


def test_the_summary_counts_runs_hazards_and_outcomes():
    flips = further.flip_runs("DS5", "A", [0], 40)
    selected = further.selected_runs("DS5", "A", [0])
    table = further.summary(flips, selected)
    assert table["runs"].tolist() == [len(flips), len(selected)] or table["runs"].tolist() == [
        len(selected),
        len(flips),
    ]
    assert table.loc[(further.GPU, "A"), ["due", "masked", "sdc"]].sum() == pytest.approx(100.0)
    assert table.loc[(further.PGM, "A"), "hazard [%]"] == pytest.approx(100 * selected["critical"].mean())
