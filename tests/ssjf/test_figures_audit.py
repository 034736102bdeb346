import numpy as np
import pandas as pd
import pytest

from credence.ssjf.evaluate import audit
from credence.ssjf.figures import audit as figures
from credence.ssjf.figures import audit_data
from credence.ssjf.world.released_arrivals import FIVE_CLASSES, Requests
from credence.ssjf.world.released_quirks import ALL_ON

rng = np.random.default_rng(3)
LENGTHS = rng.integers(2, 512, 300)
STUDY = audit.Evaluation(
    Requests(LENGTHS, np.minimum(LENGTHS // 110, 4)), LENGTHS.cumsum() / 500, draws=2, runs=1, jobs=8
)


def titles(fig):
    return [a.title.text for a in fig.select_xaxes()] + [a.title.text for a in fig.select_yaxes()]


def papers(fig):
    return [t.name for t in fig.data if t.name and t.name.startswith("paper")]


def test_waterfall_ends_and_steps_are_drawn():
    steps = audit.waterfall(STUDY.subsets("poisson", "continuous", 2, "jct_cut"))
    fig = figures.waterfall({"continuous batching": steps})
    ends = fig.data[0]
    np.testing.assert_allclose(ends.y, [steps.end.iloc[0], steps.end.iloc[-1]], atol=1e-3)
    drawn = sum(np.sum(t.y) for t in fig.data[1:3])
    assert drawn == pytest.approx(steps.end.iloc[-1] - steps.end.iloc[0], abs=0.01)
    assert papers(fig) == ["paper: 30.5–39.6 %"]
    assert (fig.layout.shapes[0].y0, fig.layout.shapes[0].y1) == (30.5, 39.6)
    assert "[%]" in titles(fig)[1]


def test_effects_and_map():
    table = audit.effects(STUDY.subsets("gamma", "none", 1, "throughput_ratio"))
    fig = figures.effects({"no batching": table}, figures.RATIO_TITLE)
    assert {t.name for t in fig.data} == {"Shapley", "all others on", "all others off"}
    np.testing.assert_allclose(fig.data[0].x, table[table.method == "Shapley"].effect, atol=1e-4)
    assert "[1]" in titles(fig)[0]
    shares = pd.DataFrame([[1.0, -2.0], [0.0, 3.0]], index=["D1", "D2"], columns=["a", "b"])
    heat = figures.shares_map(shares)
    assert heat.data[0].zmax == 3.0
    assert heat.data[0].text.tolist() == [["+1", "-2"], ["", "+3"]]


def test_tables_and_curves_carry_the_papers_values():
    ours = audit.table(STUDY, cells=(("none", 1), ("dynamic", 2)))
    fig = figures.against_rerun(
        ours, ours.drop(columns=["jct_cut_lo", "jct_cut_hi"]), "jct_cut", figures.CUT_TITLE, (30, 40)
    )
    assert len(fig.data) == 3 * 4 + 1
    assert [t.name for t in fig.data if t.showlegend is not False].count("paper's program, re-run") == 1
    assert papers(fig)[-1] == "paper: 30–40 %"
    lines = figures.curves(audit.curves(STUDY, "none", 1))
    assert {t.name for t in lines.data} == {"FCFS", "SSJF", "SJF (oracle)"}
    share = figures.by_share({"no batching": audit.by_share(STUDY, "poisson", "none", 1)})
    assert papers(share) == ["paper: 2.2–3.6 ×"]
    assert share.layout.xaxis.title.text.endswith("[%]")


def test_pictures_of_the_data():
    table = np.array([[8, 2], [1, 9]])
    fig = audit_data.prediction(table, np.array([[0.8, 0.9], [0.7, 0.8]]), (141, 512), np.array([0.8, 0.8]))
    assert fig.data[0].y.tolist() == [0.75, 0.85]
    assert fig.data[-1].z.tolist() == [[80, 20], [10, 90]]
    assert papers(fig) == ["paper: authors' file"]
    over = audit_data.overhead(np.full(1000, 8.0), np.random.default_rng(0))
    assert "mean 8.0 ms" in over.data[0].name
    assert float(over.data[1].name.split("mean ")[1].split()[0]) == pytest.approx(38, abs=0.5)  # 4 standard errors
    assert over.data[0].y.sum() == pytest.approx(100)
    cut = audit_data.cut_labels({"a": np.array([1, 10, 100]), "b": np.array([5, 2000])})
    assert cut.data[0].y[0] == pytest.approx(100 * 2 / 3, abs=1e-4)
    gaps = audit_data.sorted_gaps(STUDY.arrivals("gamma", ALL_ON)[2, 0], np.arange(8.0), 3)
    assert papers(gaps) == ["paper: gaps sorted"] * 2
    frame = pd.DataFrame({"cell": ["a"] * 2, "switches": ["on", "off"], "change": [1, 2], "lo": [0, 1], "hi": [2, 3]})
    assert len(audit_data.tail(frame).data) == 2


def test_class_names_cover_all_lengths():
    fig = audit_data.prediction(np.eye(5, dtype=int), np.full((2, 5), 0.5), FIVE_CLASSES)
    assert list(fig.data[0].x) == ["1–42", "43–141", "142–294", "295–503", "504–512"]
