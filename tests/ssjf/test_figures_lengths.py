"""Figures of the length predictors: what is drawn is what the frame says, every axis has its unit."""

import numpy as np
import pandas as pd
import pytest

from credence.bench import theme
from credence.ssjf.evaluate import maps
from credence.ssjf.figures import lengths as figures
from credence.ssjf.figures import worth

SETS = {"own": "own prompts: new families", "castillo": "CASTILLO: new prompts"}
RNG = np.random.default_rng(0)


def titles(fig):
    layout = fig.to_dict()["layout"]
    found = [axis.get("title", {}).get("text") for name, axis in layout.items() if name[1:5] == "axis"]
    return [text for text in found if text]


def named(fig, start):
    return [trace for trace in fig.data if (trace.name or "").startswith(start)]


def ladder():
    values = {"noise ceiling": ("ceiling", 0.8), "proxy": ("proxy", 0.6), "words": ("baseline", 0.45)}
    values["prompt length"] = ("baseline", -0.05)
    rows = [
        {"set": s, "predictor": name, "kind": kind, "tau": tau, "lo": tau - 0.02, "hi": tau + 0.03}
        for s in SETS
        for name, (kind, tau) in values.items()
    ]
    return pd.DataFrame(rows).assign(recorded=lambda frame: frame["kind"] == "proxy")


def test_the_ladder_orders_predictors_and_marks_ceiling_and_authors():
    fig = figures.tau_ladder(ladder(), SETS)
    assert fig.layout.yaxis.categoryarray == ("prompt length", "words", "proxy", "noise ceiling")
    lines = sorted(shape.x0 for shape in fig.layout.shapes)
    assert lines == pytest.approx([0, 0, 0.635, 0.635, 0.8, 0.8])
    proxies = named(fig, "fine-tuned proxy, recorded")
    assert [list(trace.y) for trace in proxies] == [["proxy"], ["proxy"]]
    assert proxies[0].marker.symbol == "circle-open"
    assert proxies[0].error_x.array == (0.03,)
    assert proxies[0].error_x.arrayminus == (0.02,)
    assert [trace.showlegend for trace in proxies] == [True, False]
    assert len(named(fig, "authors' five classes on their own data: 0.635")) == 1
    assert any(title.endswith("[1]") for title in titles(fig))


def test_a_set_without_rows_has_no_panel():
    fig = figures.tau_ladder(ladder().query("set == 'own'"), SETS)
    assert [note.text for note in fig.layout.annotations] == [SETS["own"]]


def test_overview_of_lengths_ends_where_the_data_end():
    lengths = pd.DataFrame({"set": "own", "tokens": np.arange(1, 385)})
    fig = figures.lengths_overview(lengths, pd.DataFrame({"set": "own", "cv": np.linspace(0, 1, 50)}))
    assert fig.data[0].x[0] == 1
    assert fig.data[0].x[-1] == pytest.approx(383, abs=1)
    assert fig.data[1].x[-1] == 1
    assert all("[" in title for title in titles(fig))


def test_censored_answers_are_told_apart():
    frame = pd.DataFrame({"set": "own", "tokens": [10, 50, 384, 384], "predicted": [20.0, 40, 300, 100]})
    frame["censored"] = frame["tokens"] == 384
    fig = figures.predicted_against_true(frame.assign(lo90=frame["predicted"] / 2, hi90=frame["predicted"] * 2))
    assert list(named(fig, "answers")[0].x) == [10, 50]
    assert list(named(fig, "cut off")[0].y) == [300, 100]
    assert len(named(fig, "90 % band")) == 1
    assert not named(figures.predicted_against_true(frame), "90 % band")


def test_a_crowd_is_thinned():
    frame = pd.DataFrame({"set": "own", "tokens": np.arange(1, 5001), "predicted": 5.0, "censored": False})
    assert len(named(figures.predicted_against_true(frame, most=100), "answers")[0].x) == 100


def test_heads_stand_side_by_side_with_their_schedules():
    rows = [
        {"set": s, "head": head, "schedule": schedule, "tau": tau, "lo": tau - 0.01, "hi": tau + 0.01}
        for s in SETS
        for head, tau in (("L1", 0.5), ("ranking", 0.6))
        for schedule in ("paper", "fast")
    ]
    fig = figures.heads(pd.DataFrame(rows), SETS)
    assert fig.layout.yaxis.ticktext == ("L1", "ranking")
    assert len(named(fig, "paper schedule")) == len(named(fig, "fast schedule")) == 2


def test_training_latency_shift_and_coverage_show_their_numbers():
    run = pd.DataFrame({"run": "live", "epoch": [1, 2], "validation_tau": [0.2, 0.4], "seconds": [5, 10.0]})
    assert list(figures.training(run).data[0].y) == [0.2, 0.4]
    times = pd.DataFrame({"name": ["words", "proxy"], "p50_ms": [0.4, 9.0], "p99_ms": [1.0, 20.0]})
    fig = figures.latencies(times, {"peak": 38.0})
    assert list(named(fig, "p99")[0].x) == [20, 1]
    assert fig.layout.annotations[0].x == pytest.approx(np.log10(38))
    cells = [{"predictor": "words", "train": a, "serve": b, "tau": 0.5 + (a == b) / 10} for a in "AB" for b in "AB"]
    fig = figures.shift_matrix(pd.DataFrame(cells[:-1]))
    assert list(fig.data[0].text[0]) == ["0.60", "0.50"]
    assert fig.data[0].text[1][1] == ""  # a pair that was not tried is no zero
    covered = pd.DataFrame({"set": "own", "predicted": [10, 99], "covered": [0.9, 0.8], "lo": 0.7, "hi": 0.95})
    assert list(figures.coverage(covered).data[0].y) == [0.9, 0.8]


def curve(taus=(0.0, 0.5, 1.0), latencies=(0.0, 0.01, 1.0)):
    rows = [
        {"tau": tau, "latency_s": late, "draw": draw, "cut": 40 * tau - 4000 * (late == 1.0), "p99_change": 50.0}
        for tau in taus
        for late in latencies
        for draw in range(3)
    ]
    return pd.DataFrame(rows)


def test_real_predictors_stand_where_they_were_served():
    marks = pd.DataFrame({"predictor": ["proxy", "words"], "kind": ["proxy", "baseline"], "tau": [0.6, 0.4]})
    marks = marks.assign(set="own", cut=[22.0, 15.0], p99_change=[30.0, 60.0])
    fig = worth.over_tau({"own": curve(), "other": curve()}, marks)
    proxy = named(fig, "proxy")
    assert [(trace.x[0], trace.y[0]) for trace in proxy] == [(0.6, 22), (0.6, 30)]
    assert proxy[0].marker.color == theme.COLOURS["ours"]
    line = named(fig, "made-up predictor")[0]
    assert list(line.y) == [0, 20, 40]
    assert named(fig, "paper: 30.5–39.6 %")
    assert all("[" in title for title in titles(fig))


def test_a_predictor_that_cannot_keep_up_leaves_the_picture():
    fig = worth.over_latency({"an engine": curve((0.5,)), "another": curve((0.5,))}, {"proxy 10 ms": 0.01})
    line = named(fig, "tau 0.5")[0]
    assert list(line.x) == [5, 10, 1000]  # no time at all stands left of the least time
    assert line.y[0] == 20
    assert line.y[2] < fig.layout.yaxis.range[0]
    assert [note.text for note in fig.layout.annotations].count("proxy 10 ms") == 1


def test_marks_take_what_the_simulator_makes():
    from credence.ssjf.evaluate import worth as evaluated

    source = evaluated.population(np.full(200, 30), RNG.integers(1, 400, 200))
    key = maps.noisy_key(source["output_tokens"], 0.6, RNG)
    found = evaluated.curve_draws(source, (0.0, 1.0), count=200, draws=2)
    served = evaluated.served_draws(source, {"proxy": key}, count=200, draws=2)
    marks = evaluated.against_curve(found, served, {"proxy": 0.6}).assign(set="made up", kind="proxy")
    fig = worth.over_tau({"made up": found}, marks)
    assert named(fig, "proxy")[0].y[0] == pytest.approx(served["cut"].mean(), abs=0.01)
