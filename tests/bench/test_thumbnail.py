import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bench.report_runs import figures
from credence.bench import thumbnail


def drawn(figure: go.Figure) -> ElementTree.Element:
    summary = json.loads(json.dumps(thumbnail.summarise(figure), allow_nan=False))
    return ElementTree.fromstring(thumbnail.svg(summary))


def test_a_summary_is_small():
    figure = go.Figure(
        [go.Scatter(x=np.arange(5000.0), y=np.random.default_rng(0).normal(size=5000)) for _ in range(9)]
    )
    summary = thumbnail.summarise(figure)
    assert len(summary["traces"]) == thumbnail.MOST_TRACES
    assert max(len(trace["x"]) for trace in summary["traces"]) <= thumbnail.MOST_POINTS
    assert summary["traces"][0]["x"][-1] == pytest.approx(4999)
    assert len(json.dumps(summary)) < 8000


def test_lines_points_bars_and_maps_are_drawn():
    assert len(drawn(figures()[0]).findall("polyline")) == 2  # the band's edges are filled, not drawn
    assert len(drawn(figures()[0]).findall("polygon")) == 1
    assert len(drawn(figures()[0]).findall("circle")) == 2
    assert len(drawn(figures()[1]).findall("path")) > 5
    assert len(drawn(figures()[2]).findall("rect")) == 3
    assert len(drawn(go.Figure(go.Histogram(x=np.arange(100)))).findall("rect")) == 20


def test_a_higher_value_stands_higher():
    low, high = (
        float(c.get("cy")) for c in drawn(go.Figure(go.Scatter(x=[0, 1], y=[1, 9], mode="markers"))).findall("circle")
    )
    assert high < low


@pytest.mark.parametrize(
    "x",
    [
        pd.date_range("2026-01-01", periods=3),
        ["2026-01-01", "2026-01-02", "2026-01-03"],
        ["a", "b", "c"],
        [1, None, 3],
        np.array([1, 2, 3], dtype="timedelta64[s]"),
        pd.Series([1, 2, 3], dtype="Int64"),
    ],
)
def test_every_kind_of_axis_has_places(x):
    summary = thumbnail.summarise(go.Figure(go.Scatter(x=x, y=[1, 2, 3])))
    assert summary["traces"][0]["x"][0] < summary["traces"][0]["x"][-1]


def test_a_logarithmic_axis_is_drawn_as_one():
    figure = go.Figure(go.Scatter(x=[1, 10, 100], y=[1, 1, 1], mode="markers"), layout={"xaxis": {"type": "log"}})
    assert thumbnail.summarise(figure)["traces"][0]["x"] == [0, 1, 2]


@pytest.mark.parametrize(
    "figure",
    [
        go.Figure(),
        go.Figure(go.Scatter(x=[], y=[])),
        go.Figure(go.Scatter(y=[np.nan])),
        go.Figure(go.Pie(values=[1])),
        go.Figure(go.Heatmap(z=[[None]])),
        go.Figure(go.Scatter(y=[1], visible="legendonly")),
    ],
)
def test_nothing_to_draw_is_said_or_left_blank(figure):
    drawn(figure)


def test_text_of_a_summary_cannot_leave_its_place():
    hostile = '"/><script>alert(1)</script>'
    trace = {"kind": "line", "colour": hostile, "x": [1, 2], "y": [1, 2], "fill": hostile, "filled": "toself"}
    picture = thumbnail.svg({"traces": [trace]}, label=hostile)
    assert "<script" not in picture
    ElementTree.fromstring(picture)


def test_floating_bars_keep_their_base_and_share_categories():
    fig = go.Figure([go.Bar(x=["a"], y=[10.0]), go.Bar(x=["b"], y=[-4.0], base=[10.0])], {"barmode": "overlay"})
    summary = thumbnail.summarise(fig)
    assert summary["overlaid"]
    assert [row["x"] for row in summary["traces"]] == [[0.0], [1.0]]
    assert summary["traces"][1]["base"] == [10.0]
    first, second = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', thumbnail.svg(summary)
    )
    assert float(second[0]) >= float(first[0]) + float(first[2])
    # both begin at ten; the second reaches down to six
    assert float(second[1]) == pytest.approx(float(first[1]), abs=0.2)
    assert float(second[3]) == pytest.approx(0.4 * float(first[3]), abs=0.5)


def test_colours_of_points_and_of_a_heat_map_are_its_own():
    fig = go.Figure(go.Scatter(x=[1, 2], y=[1, 2], mode="markers", marker={"color": ["#ff0000", "#00ff00"]}))
    picture = thumbnail.svg(thumbnail.summarise(fig))
    assert 'fill="#ff0000"' in picture
    assert 'fill="#00ff00"' in picture
    heat = go.Figure(go.Heatmap(z=[[0, 1]], colorscale=[[0, "#ffffff"], [1, "#000000"]]))
    picture = thumbnail.svg(thumbnail.summarise(heat))
    assert 'fill="#ffffff"' in picture
    assert 'fill="#000000"' in picture


def test_a_colour_axis_and_an_axis_s_own_order_of_categories_are_kept():
    heat = go.Figure(go.Heatmap(z=[[0, 1]], coloraxis="coloraxis"))
    heat.update_layout(coloraxis={"colorscale": [[0, "#ffffff"], [1, "#ff0000"]], "cmin": 0, "cmax": 2})
    picture = thumbnail.svg(thumbnail.summarise(heat))
    assert 'fill="#ffffff"' in picture
    assert 'fill="#ff8080"' in picture
    bars = go.Figure(go.Bar(x=["first", "last"], y=[1, 2]), {"xaxis": {"categoryarray": ["first", "middle", "last"]}})
    assert thumbnail.summarise(bars)["traces"][0]["x"] == [0.0, 2.0]
