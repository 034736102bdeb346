import json
import re
import shutil

import nbformat
import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_output

from bench import report_runs as made_up
from credence.bench import report, report_notebook
from credence.bench.errors import InputError
from credence.bench.papers import PAPERS


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a default run, a run with parameters of its own, and a second notebook."""
    tree = tmp_path_factory.mktemp("reports")
    other = {"preset": "quick", "seed": 7, "load": 0.5}
    runs = [
        made_up.write_run(tree / "runs"),
        made_up.write_run(tree / "runs", made_up.record("ffffffffff01", default_parameters=False, parameters=other)),
        made_up.write_run(tree / "runs", made_up.record("ffffffffff02", notebook="where_it_holds", figures=[])),
    ]
    pages = report.build(runs, tree / "out", rows=made_up.board())
    return tree, runs, pages


def soup(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(), "html.parser")


@pytest.fixture(scope="module")
def page(built) -> BeautifulSoup:
    return soup(built[0] / "out/ssjf/schedule.html")


@pytest.fixture(scope="module")
def index(built) -> BeautifulSoup:
    return soup(built[0] / "out/index.html")


def test_pages_are_where_the_contract_wants_them(built):
    out = built[0] / "out"
    names = [str(path.relative_to(out)) for path in built[2]]
    assert names == ["index.html", "ssjf/schedule.html", "ssjf/schedule-ffffffffff01.html", "ssjf/where_it_holds.html"]
    assert (out / "assets/plotly.min.js").stat().st_size > 1e6
    assert all(path.stat().st_size < report.MOST_BYTES for path in built[2])


def test_the_built_pages_keep_the_contract(built):
    assert report.check(built[0] / "out") == []


def test_equal_runs_give_equal_bytes(built, tmp_path):
    _, runs, pages = built
    again = report.build(runs, tmp_path, rows=made_up.board())
    for first, second in zip(pages, again, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_no_address_of_another_host(built):
    for path in built[2]:
        assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", path.read_text())


def test_the_opening_comes_from_the_first_cell(page):
    assert page.h1.get_text().startswith("Does a speculative scheduler keep its promise")
    assert page.h1.find("math")
    assert "differs in the arrival process" in page.select_one(".lede").get_text()
    assert len(page.find_all("h1")) == 1


def test_contents_lead_to_every_section(page):
    links = {link["href"][1:]: link.get_text() for link in page.select(".toc a")}
    assert list(links) == [
        "claims",
        "data",
        "model",
        "what-the-key-is",
        "results",
        "what-this-shows",
        "provenance",
    ]
    assert all(page.find(id=address) for address in links)


def test_claims_of_this_notebook_only(page):
    rows = page.select("table.claims tbody tr")
    assert len(rows) == 5
    assert "561 faults" not in page.get_text()
    first = rows[0].get_text(" ", strip=True)
    for part in ("reproduced", "third party", "33.0 [31.2, 34.9] %", "30.5–39.6 %", "0.97", "§4, Table 2"):
        assert part in first
    assert "holds in our simulation" in rows[1].get_text()
    assert "serves one request at a time" in rows[2].get_text()
    assert "recorded: 21.0" in rows[4].get_text()


def test_provenance_says_what_was_run_on_what(page):
    words = page.select_one(".provenance").get_text(" ", strip=True)
    for part in ("quick", "load = 0.8", "20240501", made_up.RUN_ID, "2.2 min", "numpy 2.5.5", "azure-conv"):
        assert part in words.replace("\xa0", " ")
    for part in (
        "85\u202f482",
        "MIT",
        "third party",
        "abababababab",
        "generated, not measured",
        "credence run ssjf/schedule",
    ):
        assert part in words
    assert "length model" in words
    assert "passed" in words


def test_parameters_are_open_and_other_code_is_folded(page):
    cells = page.select("details.code")
    opened = [cell.summary.get_text(strip=True) for cell in cells if cell.has_attr("open")]
    assert opened == ["parameters", "parameters of this run"]
    # papermill injects every parameter; only what differs from the defaults is news
    assert cells[1].pre.get_text() == "load = 0.5"
    assert "Read the requests" in cells[3].summary.get_text()


def test_figures_carry_their_data_their_caption_and_a_button(page):
    figures = page.select("figure.plot")
    assert [figure["id"] for figure in figures] == ["figure-cut-by-load", "figure-where", "figure-tails"]
    assert "Figure 1 · Mean JCT cut by load" in figures[0].figcaption.get_text()
    for figure in figures:
        place = figure.select_one(".plotly-figure")
        assert json.loads(page.find(id=place["data-figure"]).string)["data"]
        assert figure.select_one("button[data-csv]")["data-csv"] == figure["id"]
    # one theme, kept once
    assert len(json.loads(page.find(id="figure-templates").string)) == 1


def test_what_a_file_says_is_text(page):
    assert not page.select("b[onclick], img, iframe")
    assert "window.hacked" not in str(page.find("main"))
    assert "<MLFQ>" in page.select_one(".result table").get_text()
    assert "read 1 000 requests <b>" in page.find("pre", class_="printed").get_text()


def test_messages_are_folded_and_lose_their_path(page):
    messages = page.select_one("details.folded pre.messages").get_text()
    assert messages == "…/x.csv:12: UserWarning: careful"
    assert "somebody" not in page.get_text()


def test_a_run_with_its_own_parameters_says_so(built):
    other = soup(built[0] / "out/ssjf/schedule-ffffffffff01.html")
    assert "parameters of its own" in other.select_one(".warning").get_text()
    assert "(defaults)" not in other.get_text()


def test_board_headline_counts_and_papers(index):
    assert "6 claims of 2 papers: 1 reproduced, 2 trend only (1 of them hold in our simulation)" in index.get_text()
    states = {item.b.get_text(): item.select_one(".state").get_text() for item in index.select(".papers li")}
    assert list(states) == [paper.short for paper in PAPERS.values()]
    assert states["SSJF"] == "2 reports, 5 claims"
    assert states["DriveFI"].startswith("not run: 1 claim ")
    assert states["BayesPerf"].startswith("planned")


def test_board_rows_are_complete(index):
    rows = {row["id"]: row for row in index.select("#claims-board tbody tr")}
    assert len(rows) == 6
    assert rows["claim-ssjf-jct-none"].a["href"] == "ssjf/schedule.html#claim-ssjf-jct-none"
    assert rows["claim-drivefi-561"].a is None
    assert rows["claim-ssjf-jct-none"].select_one("svg.interval")
    assert "<0.60> & more" in rows["claim-ssjf-scalar"].get_text()
    assert "the released evaluation" in index.select_one(".ledger").get_text()


def test_cards_show_reports_and_name_other_runs(index):
    cards = index.select(".card")
    assert [card.h3.a["href"] for card in cards] == ["ssjf/schedule.html", "ssjf/where_it_holds.html"]
    assert cards[0].select_one(".thumb polyline")
    assert cards[0].select_one(".others a")["href"] == "ssjf/schedule-ffffffffff01.html"
    assert cards[0].select_one(".others a").get_text() == "seed = 7, load = 0.5"
    assert "no figure" in cards[1].select_one(".thumb").get_text()


def test_data_and_date_stand_on_the_board(index):
    assert "2026-11-22 18:02 UTC" in index.footer.get_text()
    assert "Vicuna-13B" in index.find(id="data").find_next("table").get_text()


def test_a_single_file_carries_plotly(built, tmp_path):
    pages = report.build(built[1][:1], tmp_path, single_file=True, rows=made_up.board())
    assert not (tmp_path / "assets").exists()
    text = pages[1].read_text()
    assert "plotly.js v" in text
    assert text.count("</script>") == text.count("<script"), "a script of plotly's ends early"
    assert report.check(tmp_path) == []


def test_without_runs_the_board_says_so(tmp_path):
    pages = report.build([], tmp_path, rows=[])
    words = soup(pages[0]).get_text(" ", strip=True)
    assert "No claims are registered yet" in words
    assert words.count("planned") == len(PAPERS)
    assert report.check(tmp_path) == []


def test_a_big_figure_is_stored_with_fewer_digits(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 60_000))
    figure = go.Figure(go.Scattergl(x=values[0], y=values[1], mode="markers"))
    figure.update_layout(xaxis_title="x [s]", yaxis_title="y [s]")
    book = made_up.notebook()
    output = new_output("display_data", {"application/vnd.plotly.v1+json": json.loads(pio.to_json(figure))})
    book.cells.append(new_code_cell("big", outputs=[output]))
    pages = report.build([made_up.write_run(tmp_path / "runs", book=book)], tmp_path / "out", rows=made_up.board())
    assert pages[1].stat().st_size < report.MOST_BYTES
    assert "stored with 7 digits" in pages[1].read_text()


def test_smoke_runs_are_marked_as_no_evidence(tmp_path):
    run = made_up.write_run(tmp_path / "runs", made_up.record(preset="smoke"))
    pages = report.build([run], tmp_path / "out", rows=made_up.board())
    assert "too small to judge" in pages[1].read_text()


def test_a_newer_smoke_run_does_not_take_the_bare_name(tmp_path):
    runs = [
        made_up.write_run(
            tmp_path / "runs", made_up.record("aaaaaaaaaaaa", preset="smoke", started="2026-11-23T00:00:00+00:00")
        ),
        made_up.write_run(tmp_path / "runs", made_up.record("bbbbbbbbbbbb", preset="quick")),
    ]
    report.build(runs, tmp_path / "out", rows=made_up.board())
    assert "bbbbbbbbbbbb" in (tmp_path / "out/ssjf/schedule.html").read_text()
    assert (tmp_path / "out/ssjf/schedule-aaaaaaaaaaaa.html").exists()


@pytest.mark.parametrize("content", ["{", "{}", '{"paper": "ssjf"}'])
def test_a_broken_record_is_an_error_that_names_the_run(tmp_path, content):
    run = made_up.write_run(tmp_path / "runs")
    (run / "record.json").write_text(content)
    with pytest.raises(InputError, match=f"run {made_up.RUN_ID}: record.json"):
        report.build([run], tmp_path / "out", rows=[])


def test_a_missing_notebook_is_an_error_that_names_the_run(tmp_path):
    run = made_up.write_run(tmp_path / "runs")
    (run / "executed.ipynb").unlink()
    with pytest.raises(InputError, match=r"executed\.ipynb"):
        report.build([run], tmp_path / "out", rows=[])


def test_verdicts_come_from_the_registry_when_none_are_given(checkout):
    metrics = {"toy_metric": {"value": 2.0, "draws": [1.9, 2.0, 2.1], "kind": "measured"}}
    run = made_up.write_run(checkout / "runs", made_up.record(notebook="toy", metrics=metrics))
    pages = report.build([run], checkout / "out")
    row = soup(pages[1]).select_one("#claim-ssjf\\.toy")
    assert "reproduced" in row.get_text()
    assert "1 claim of 1 paper: 1 reproduced." in pages[0].read_text()


def test_tags_hide_cells_inputs_and_outputs():
    outputs = [new_output("stream", name="stdout", text="printed")]
    book = nbformat.v4.new_notebook(
        cells=[
            new_code_cell("first", metadata={"tags": ["remove-cell"]}, outputs=outputs),
            new_code_cell("second", metadata={"tags": ["remove-input"]}, outputs=outputs),
            new_code_cell("third", metadata={"tags": ["hide-output"]}, outputs=outputs),
        ]
    )
    text = "".join(report_notebook.convert(book, set()).blocks)
    assert "first" not in text
    assert "second" not in text
    assert "third" in text
    assert text.count("printed</pre>") == 1


def test_an_error_s_traceback_is_shown_without_colours():
    failed = new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError\x1b[0m: no <b>"])
    body = report_notebook.convert(nbformat.v4.new_notebook(cells=[new_code_cell("x", outputs=[failed])]), set())
    assert '<pre class="error" tabindex="0">ValueError: no &lt;b&gt;</pre>' in body.blocks[1]


def test_pages_without_a_run_go_but_foreign_pages_stay(built, tmp_path):
    report.build(built[1], tmp_path, rows=made_up.board())
    (tmp_path / "ssjf/mine.html").write_text("<html>written by hand</html>")
    report.build(built[1][:1], tmp_path, rows=made_up.board())
    assert sorted(page.name for page in (tmp_path / "ssjf").iterdir()) == ["mine.html", "schedule.html"]


def test_plotly_js_is_copied_anew_when_it_changed(built, tmp_path):
    shutil.copytree(built[0] / "out", tmp_path / "out")
    script = tmp_path / "out/assets/plotly.min.js"
    script.write_text("old")
    report.build(built[1], tmp_path / "out", rows=made_up.board())
    assert script.stat().st_size > 1e6
