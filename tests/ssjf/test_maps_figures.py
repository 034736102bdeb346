"""Figures of the maps: what is drawn is what the frame says, every axis has its unit."""

import numpy as np
import pandas as pd
import pytest

from credence.ssjf.evaluate import breaks, maps, maps_checks, replays
from credence.ssjf.figures import maps as figures
from credence.ssjf.figures import maps_curves as curves

LOADS, SLOTS = (0.5, 0.8, 0.95), (1, 4)
CUTS = {(0.5, 1): 8.0, (0.8, 1): 25.0, (0.95, 1): 39.0, (0.5, 4): 1.0, (0.8, 4): 11.0, (0.95, 4): 29.6}


def made_up(predictors=("five classes (paper)", "tau 0.3", "tau 1")):
    rows = []
    for name in predictors:
        for (load, slots), cut in CUTS.items():
            row = {"load": load, "slots": slots, "predictor": name, "draws": 4, "p_cut_30": float(cut >= 30)}
            for quantity in maps.QUANTITIES:
                row |= {quantity: cut, f"{quantity}_lo": cut - 1, f"{quantity}_hi": cut + 1}
            rows.append(row)
    return pd.DataFrame(rows)


def titles(fig):
    layout = fig.to_dict()["layout"]
    return [axis["title"]["text"] for name, axis in layout.items() if name[1:5] == "axis" and "title" in axis]


def named(fig, start):
    return [trace for trace in fig.data if (trace.name or "").startswith(start)]


def test_the_map_shows_cut_and_probability_and_outlines_the_papers_range():
    fig = figures.where_it_holds(made_up(), "five classes (paper)", ["tau 0.3", "tau 1"])
    heat = [trace for trace in fig.data if trace.type == "heatmap"]
    assert len(heat) == 3
    assert np.array_equal(heat[0].z, [[8, 25, 39], [1, 11, 29.6]])
    assert heat[0].text[0][2] == "<b>39 %</b><br>P = 1"
    assert heat[0].text[1][2] == "<b>29.6 %</b><br>P = 0"  # not "30 %": it does not hold there
    box = named(fig, "paper: mean cut")[0]
    assert [value for value in box.x if value is not None] == [1.55, 2.45, 2.45, 1.55, 1.55]
    border = named(fig, "the 30 % border")[0]
    assert set(zip(border.x, border.y, strict=True)) == {(1.5, -0.5), (1.5, 0.5), (2.5, 0.5), (None, None)}
    star = named(fig, "paper's load")[0]
    assert star.x[0] == pytest.approx((np.interp(0.86, LOADS, range(3)) + 2) / 2)
    assert star.marker.symbol == "star"
    assert "offered load [1]" in titles(fig)
    assert "slots [requests served at a time]" in titles(fig)


def test_a_map_where_it_never_holds_has_no_border_and_no_box():
    frame = made_up(["tau 0.3"]).assign(cut=5.0)
    fig = figures.cut_panels({"made up": frame})
    assert all(list(trace.x) == [None] for trace in fig.data if trace.type == "scatter")


def test_no_star_without_a_single_server():
    fig = figures.where_it_holds(made_up().query("slots == 4"), "five classes (paper)", [])
    assert not named(fig, "paper's load")


def test_crowded_cells_show_the_cut_alone_and_no_negative_zero():
    frame = made_up(["tau 0.3"]).assign(cut=-0.01)
    fig = figures.cut_panels({str(k): frame for k in range(5)})
    assert {word for row in fig.data[0].text for word in row} == {"<b>0</b>"}


def test_tail_maps_say_sign_and_factor():
    fig = figures.tail_maps(made_up(), "tau 1")
    assert fig.data[0].text[0][2] == "+39 %"
    assert fig.data[1].text[0][2] == "× 39.0"


def test_the_check_draws_theory_simulation_and_notes():
    source = maps.population("ssjf-simulated-vicuna")
    fig = figures.against_theory(made_up(), maps_checks.exact_cuts(source, [0.5, 0.8]), maps_checks.notes_check())
    names = [trace.name for trace in fig.data]
    assert names.count("paper: 30.5–39.6 %") == 1
    for wording in ("theory", "simulated, 90 % of workloads", "notes' check"):
        assert {f"oracle: {wording}", f"five classes: {wording}"} <= set(names)
    notes = named(fig, "five classes: notes")[0]
    assert list(notes.y) == [8.9, 25.6, 34.2, 39.5]


def test_longest_waits_have_a_panel_for_each_number_of_slots():
    fig = curves.longest_waits(made_up(), "tau 1")
    assert len(named(fig, "FCFS")) == len(named(fig, "SSJF")) == 2
    assert fig.layout.yaxis.type == "log"
    assert "longest wait of a workload [s]" in titles(fig)


def test_replays_mark_the_true_rate_in_or_outside_the_picture():
    rows = [
        {"trace": name, "engine": "e", "factor": factor, "load": factor * scale, "predictor": predictor, "cut": 20.0}
        | {"cut_lo": 10.0, "cut_hi": 30.0}
        for name, scale in (("azure-llm-2023-conv", 0.5), ("azure-llm-2023-code", 20.0))
        for factor in (0.02, 1.0)
        for predictor in replays.PREDICTORS
    ]
    fig = curves.replays(pd.DataFrame(rows), {"e": "engine"}, replays.TRACES)
    words = [note.text for note in fig.layout.annotations]
    assert "true rate: 0.5" in words
    assert "true rate: 20 →" in words
    assert len(fig.layout.shapes) == 3  # two bands, one line
    outside = [trace for trace in named(fig, "oracle") if trace.xaxis == "x2"]
    assert list(outside[0].x) == [0.4]


def test_breaks_draw_cut_and_probability_for_each_load():
    rows = [
        {"break": name, "strength": s, "load": load, "cut": 40.0, "cut_lo": 35.0, "cut_hi": 45.0, "p_cut_30": 0.9}
        for name in breaks.TITLES
        for s in (0.0, 1.0)
        for load in (0.6, 0.9)
    ]
    fig = curves.breaks(pd.DataFrame(rows), breaks.TITLES)
    assert len(named(fig, "mean cut, load 0.9")) == len(named(fig, "P(cut ≥ 30 %), load 0.6")) == 6
    assert list(named(fig, "P(cut")[0].y) == [90, 90]
    assert set(breaks.TITLES.values()) < set(titles(fig))
    assert all(title.endswith("]") for title in titles(fig))


def test_keys_leave_out_the_reference():
    rows = [
        {"key": key} | {f"{name}{end}": 1.0 for name in ("mean_change", "p99_change") for end in ("", "_lo", "_hi")}
        for key in ("mean", "median", "oracle")
    ]
    fig = curves.sample_keys(pd.DataFrame(rows))
    assert list(fig.data[0].y) == ["oracle", "median"]
    assert all("[" in title for title in titles(fig))
