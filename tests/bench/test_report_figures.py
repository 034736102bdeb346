import json

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from bench.report_runs import figures
from credence.bench import report_figures


def bundle(figure: go.Figure) -> dict:
    return json.loads(pio.to_json(figure))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_plotly_s_arrays_are_decoded(dtype):
    values = np.arange(12).reshape(3, 4).astype(dtype)
    stored = bundle(go.Figure(go.Heatmap(z=values)))["data"][0]["z"]
    assert "bdata" in stored, "plotly no longer stores arrays as base64: decode() and report.js need a look"
    np.testing.assert_array_equal(report_figures.decode(stored), values)


def test_lists_and_nothing_are_arrays_too():
    assert report_figures.decode([1, "a"]).tolist() == [1, "a"]
    assert report_figures.decode(None).size == 0


def test_a_registered_figure_takes_its_caption_and_identifier_from_its_name():
    taken = set()
    found = report_figures.build(bundle(figures()[0]), 1, taken)
    assert (found.id, found.title, found.height) == ("figure-cut-by-load", "Mean JCT cut by load", 420)
    assert taken == {"figure-cut-by-load"}
    layout = json.loads(found.payload)["layout"]
    assert "title" not in layout
    assert "template" not in layout
    assert list(found.templates) == [json.loads(found.payload)["template"]]


def test_an_unregistered_figure_is_captioned_by_its_title():
    found = report_figures.build(bundle(figures()[2]), 3, set())
    assert (found.id, found.title) == ("figure-tails", "Tails")


def test_size_is_the_page_s_but_height_is_the_author_s():
    figure = go.Figure(go.Scatter(y=[1, 2]), layout={"width": 3000, "height": 700})
    found = report_figures.build(bundle(figure), 1, set())
    assert found.height == 700
    assert "width" not in json.loads(found.payload)["layout"]
    figure.update_layout(height=99999)
    assert report_figures.build(bundle(figure), 1, set()).height == report_figures.MOST_HEIGHT


def test_payload_is_safe_inside_a_script_element():
    figure = go.Figure(go.Scatter(y=[1.0, float("nan"), 3.0], name="</script><script>alert(1)</script>"))
    found = report_figures.build(bundle(figure), 1, set())
    assert "<" not in found.payload
    assert json.loads(found.payload)["data"][0]["name"].startswith("</script>")


def test_remote_pictures_and_maps_are_left_out():
    figure = go.Figure(go.Scatter(y=[1]))
    figure.add_layout_image(source="https://example.org/x.png")
    assert "example.org" not in report_figures.build(bundle(figure), 1, set()).payload
    assert report_figures.needs_network(bundle(go.Figure(go.Scattergeo(lon=[1], lat=[2]))))
    assert report_figures.needs_network({"data": [{"type": "scattermap"}]})
    assert not report_figures.needs_network({"data": [{"type": "heatmap"}, {"type": "treemap"}, {}]})


def test_shrinking_halves_the_bytes_and_keeps_seven_digits():
    values = np.random.default_rng(0).normal(size=1000)
    stored = bundle(go.Figure(go.Scatter(y=values)))["data"][0]["y"]
    small = report_figures.shrink(stored)
    assert len(small["bdata"]) < 0.55 * len(stored["bdata"])
    np.testing.assert_allclose(report_figures.decode(small), values, rtol=1e-6)
    assert report_figures.shrink({"y": [1 / 3, 2]}) == {"y": [0.3333333, 2]}


def test_a_legend_above_leaves_room_for_the_panels_titles():
    layout = json.loads(report_figures.build(bundle(figures()[2]), 1, set()).payload)["layout"]
    assert layout["legend"]["yref"] == "container"
    assert layout["margin"]["t"] > 60
    alone = json.loads(report_figures.build(bundle(figures()[0]), 1, set()).payload)["layout"]
    assert "yref" not in alone.get("legend", {})
