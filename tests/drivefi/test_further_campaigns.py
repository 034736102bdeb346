"""Bit flips of module outputs, and the runs of what the paper's engine selects."""

import struct

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from credence.bench.errors import InputError
from credence.bench.seeds import generator
from credence.drivefi.data.variables import INDEX, VARIABLES
from credence.drivefi.evaluate import further_campaigns as further
from credence.drivefi.figures import campaigns as figures
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
        found = further.flipped(speed, value, (bit,))
        assert found is None if not np.isfinite(naive) else float(found) == naive


def test_what_is_out_of_range_is_held_and_what_is_no_number_detected():
    throttle, kind = NAMED["throttle"], NAMED["fused_obstacle_class"]
    assert float(further.flipped(throttle, 0.5, (31,))) == throttle.low  # the sign
    assert further.flipped(NAMED["vehicle_velocity"], 1.5, (30,)) is None  # exponent of all ones
    assert further.flipped(kind, 0, (0,)) == f"class:{kind.categories[1]}"
    assert further.flipped(kind, 0, (7,)) is None
    assert further.flipped(kind, 1, (0, 1)) == f"class:{kind.categories[2]}"  # 01 to 10
    assert further.flipped(kind, 0, (0, 1)) is None  # 11 is no class
    for bits in ((8,), (1, 1), ()):
        with pytest.raises(InputError, match="fused_obstacle_class"):
            further.flipped(kind, 0, bits)


def test_two_bits_and_double_precision_by_hand():
    speed = NAMED["vehicle_velocity"]
    assert float(further.flipped(speed, 1.5, (63,), "double")) == -1.5
    assert float(further.flipped(speed, 1.5, (63, 51), "double")) == -1.0  # the sign, and the half
    assert float(further.flipped(speed, 1.5, (31, 22))) == -1.0
    assert float(further.flipped(speed, 1.5, (0,), "double")) == 1.5 + 2.0**-52
    assert float(further.flipped(speed, 1.5, (0,))) == 1.5 + 2.0**-23
    assert further.flipped(speed, 1.5, (62,), "double") is None  # exponent of all ones
    with pytest.raises(InputError, match="half"):
        further.flipped(speed, 1.5, (0,), "half")
    for width, precision in ((3, "single"), (1, "half")):
        with pytest.raises(InputError, match="allowed"):
            further.flip_runs("DS5", "A", [0], 3, width=width, precision=precision)


def test_widths_and_precisions_strike_the_same_places():
    every = [further.flip_runs("DS5", "A", [0], 40, 0, w, p) for w in (1, 2) for p in further.PRECISIONS]
    assert len({one["campaign"].iloc[0] for one in every}) == 4
    for one, width in zip(every, (1, 1, 2, 2), strict=True):
        assert one[["scene", "variable"]].equals(every[0][["scene", "variable"]])
        assert one["bits"].map(len).eq(width).all()
    assert every[1]["bits"].map(max).max() > 31
    # the first is what it was when there was only one bit in single precision
    rng = generator(0, further.GPU, "DS5", 0)
    assert every[0]["scene"].tolist() == rng.integers(0, 225, 40).tolist()


def test_an_actuation_error_is_the_largest_share_of_a_range():
    plain = np.zeros((5, len(VARIABLES)))
    values = np.zeros((2, 5, len(VARIABLES)))
    values[1, 3, INDEX["steer"]] = 0.02  # of a range of 1 rad
    values[1, 2, INDEX["brake"]] = -0.015
    values[1, 0, INDEX["vehicle_velocity"]] = 9.0
    assert further.actuation_error(values, plain).tolist() == [0.0, 0.02]


def test_intervals_are_those_of_clopper_and_pearson():
    share, low, high = further.share_interval(0, 100)
    assert (share, low) == (0.0, 0.0)
    assert high == pytest.approx(100 * (1 - 0.025 ** (1 / 100)))  # none of n: closed form
    share, low, high = further.share_interval(3, 20)
    assert binom.sf(2, 20, low / 100) == pytest.approx(0.025)
    assert binom.cdf(3, 20, high / 100) == pytest.approx(0.025)
    for hits, size in ((0, 0), (3, 2), (-1, 4)):
        with pytest.raises(InputError, match="allowed"):
            further.share_interval(hits, size)


def test_more_than_double_of_what_has_no_bound_is_detected():
    speed, throttle = NAMED["vehicle_velocity"], NAMED["throttle"]
    assert further.believable(speed, 12.0, "24.0")
    assert further.believable(speed, 12.0, "-12.0")
    assert not further.believable(speed, 12.0, further.flipped(speed, 12.0, (26,)))  # 3,072 m/s
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
    assert table["runs"].tolist() == [len(flips), len(selected)]
    assert table.loc[(further.kind(1, "single"), "A"), ["due", "masked", "sdc"]].sum() == pytest.approx(100.0)
    assert table.loc[(further.PGM, "A"), "hazard [%]"] == pytest.approx(100 * selected["critical"].mean())
    hits = int(selected["critical"].sum())
    assert table.loc[(further.PGM, "A"), ["hazard [%]", "low", "high"]].tolist() == pytest.approx(
        further.share_interval(hits, len(selected))
    )


def test_the_papers_row_is_what_it_prints():
    row = further.printed().iloc[0]
    assert (row["sdc"], row["due"], row["hazard [%]"], row["runs"]) == (1.93, 7.35, 0.0, 2400)
    assert row["masked"] == pytest.approx(90.72)
    assert row["high"] == pytest.approx(further.share_interval(0, 2400)[2])
    ours = further.summary(further.flip_runs("DS5", "A", [0], 5), further.selected_runs("DS5", "A", [0]))
    assert list(ours.columns) == list(further.printed().columns)
    bars = figures.flip_outcomes(pd.concat([ours, further.printed()]))
    assert [bar.name for bar in bars.data] == ["masked", "detected (DUE)", "wrong actuation (SDC)"]
    assert np.sum([bar.x for bar in bars.data], axis=0) == pytest.approx([100.0, 100.0])  # 1-PGM has no outcomes
    assert bars.data[2].x[0] == 1.93
