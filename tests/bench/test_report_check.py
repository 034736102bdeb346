import json
import re

import pytest

from bench import report_runs as made_up
from credence.bench import report


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    tree = tmp_path_factory.mktemp("checked")
    report.build([made_up.write_run(tree / "runs")], tree / "out", rows=made_up.board())
    return tree / "out"


BREAKS = {
    "external host": lambda t: t.replace("../assets/plotly.min.js", "https://cdn.example.org/plotly.min.js"),
    "external host in the style": lambda t: t.replace("<style>", "<style>@import 'https://example.org/x.css';"),
    "machine path": lambda t: t.replace("Requests with", "Read /home/somebody/x.csv with"),
    "handler onclick": lambda t: t.replace("<h1>", '<h1 onclick="x()">'),
    "script in <a href>": lambda t: t.replace('href="#results"', 'href="javascript:x()"'),
    "a frame": lambda t: t.replace("<h1>", "<iframe></iframe><h1>"),
    "leads nowhere": lambda t: t.replace("../assets/plotly.min.js", "../assets/other.js"),
    "link to #nothing": lambda t: t.replace('href="#results"', 'href="#nothing"'),
    "appears twice": lambda t: t.replace("<h1>", '<h1 id="results">'),
    "no claims table": lambda t: t.replace('class="claims"', ""),
    "no table of contents": lambda t: t.replace('class="toc"', ""),
    "no provenance box": lambda t: t.replace('class="provenance"', ""),
    "no figure": lambda t: t.replace('class="plotly-figure"', ""),
    "no title": lambda t: re.sub(r"<h1>.*?</h1>", "", t),
    "no data": lambda t: t.replace('id="figure-where-data"', 'id="figure-else-data"'),
    "no points": lambda t: re.sub(r'"data":\[\{.*?\}\],"layout"', '"data":[{"type":"scatter","y":[]}],"layout"', t),
    "has no unit in [brackets]": lambda t: t.replace("load ρ [1]", "load ρ"),
    "y axis without title and unit": lambda t: t.replace('"title":{"text":"mean JCT cut [%]"}', '"title":{}'),
    "bytes; allowed": lambda t: t.replace("Requests with", "x" * 1_000_001),
}


@pytest.mark.parametrize("problem", BREAKS)
def test_every_break_is_found(good, tmp_path, problem):
    text = (good / "ssjf/schedule.html").read_text()
    broken = BREAKS[problem](text)
    assert broken != text, "the fixture no longer has what this test breaks"
    (tmp_path / "ssjf").mkdir()
    (tmp_path / "assets").mkdir()
    (tmp_path / "ssjf/schedule.html").write_text(broken)
    (tmp_path / "index.html").write_text((good / "index.html").read_text())
    (tmp_path / "assets/plotly.min.js").write_text("")
    problems = report.check(tmp_path)
    assert any(problem in line and line.startswith("ssjf/schedule.html: ") for line in problems), problems


def test_a_blank_page_and_a_missing_index_are_found(tmp_path):
    (tmp_path / "ssjf").mkdir()
    (tmp_path / "ssjf/x.html").write_text("<html></html>")
    problems = report.check(tmp_path)
    assert "index.html: not there" in problems
    assert "ssjf/x.html: blank" in problems


def test_what_notebooks_left_behind_is_not_checked(good):
    (good / "runs").mkdir(exist_ok=True)
    (good / "runs/x.html").write_text("")
    assert report.check(good) == []


def test_a_categorical_axis_needs_no_unit(good):
    text = (good / "ssjf/schedule.html").read_text()
    figure = json.loads(re.search(r'id="figure-tails-data">(.*?)</script>', text, re.DOTALL)[1])
    assert figure["data"][0]["x"] == ["p50", "p95", "p99"]
    assert "quantile [1]" in text
    (good / "ssjf/schedule.html").write_text(text.replace("quantile [1]", "quantile"))
    try:
        assert report.check(good) == []
    finally:
        (good / "ssjf/schedule.html").write_text(text)
