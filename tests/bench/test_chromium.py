import csv
import io

import pytest

from bench import chromium
from bench import report_runs as made_up
from credence.bench import report

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def browser():
    if chromium.binary() is None:
        pytest.skip("no Chromium on this machine")
    with chromium.Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    tree = tmp_path_factory.mktemp("looked-at")
    report.build([made_up.write_run(tree / "runs")], tree / "out", rows=made_up.board())
    return tree / "out"


def assert_well(seen: chromium.Seen) -> None:
    assert seen.errors == []
    assert seen.requests == []
    assert len(seen.figures) == seen.expected
    for figure in seen.figures:
        assert figure["points"] > 0, f"{figure['id']} has no finite points"
        assert figure["spread"] > 2, f"{figure['id']} is blank"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", ["index.html", "ssjf/schedule.html"])
def test_pages_look_right_without_a_network(browser, out, page, width):
    seen = browser.open(out / page, width=width)
    assert_well(seen)
    assert seen.overflow <= 0, "the page scrolls sideways"
    assert seen.expected == (3 if "schedule" in page else 0)
    inside = "[...document.querySelectorAll('.stack')].map((box) => box.scrollWidth - box.clientWidth)"
    assert max(browser.evaluate(inside)) <= 0, "a table of ours is wider than its place"
    # links get their address when the page is read
    if "schedule" in page:
        assert browser.evaluate("document.querySelector('.eyebrow a').href") == "https://arxiv.org/abs/2404.08509"
        assert browser.evaluate("window.hacked") is None


def test_a_single_file_draws_from_anywhere(browser, tmp_path):
    pages = report.build(
        [made_up.write_run(tmp_path / "runs")], tmp_path / "out", single_file=True, rows=made_up.board()
    )
    lone = tmp_path / "lone.html"
    pages[1].rename(lone)
    assert_well(browser.open(lone))


def test_formulas_are_laid_out_as_formulas(browser, out):
    browser.open(out / "ssjf/schedule.html")
    heights = browser.evaluate(
        "[...document.querySelectorAll('math[display=block]')].map((m) => m.getBoundingClientRect().height)"
    )
    assert len(heights) == 4
    assert min(heights) > 30, "a fraction is taller than a line"
    ends = browser.evaluate(
        "[...document.querySelectorAll('mtd.cell-right')].slice(0, 2).map((cell) =>"
        "[...cell.children].at(-1).getBoundingClientRect().right)"
    )
    assert ends[0] == pytest.approx(ends[1], abs=3), "aligned equations do not align"


def downloaded(browser, figure: str) -> list[dict]:
    text = browser.evaluate(
        "(async () => { let blob; const create = URL.createObjectURL;"
        "URL.createObjectURL = (b) => { blob = b; return create(b); };"
        "HTMLAnchorElement.prototype.click = function () {};"
        f"document.querySelector('button[data-csv=\"{figure}\"]').dispatchEvent(new Event('click'));"
        "URL.createObjectURL = create; return await blob.text(); })()"
    )
    return list(csv.DictReader(io.StringIO(text)))


def test_each_figure_offers_its_numbers(browser, out):
    browser.open(out / "ssjf/schedule.html")
    lines, heat, _ = made_up.figures()
    rows = downloaded(browser, "figure-cut-by-load")
    ours = [row for row in rows if row["trace"] == "SSJF"]
    assert [float(row["y: mean JCT cut [%]"]) for row in ours] == pytest.approx(list(lines.data[2].y))
    assert [float(row["x: load ρ [1]"]) for row in ours] == pytest.approx(list(lines.data[2].x))
    cells = downloaded(browser, "figure-where")
    assert [float(cell["z"]) for cell in cells] == pytest.approx(heat.data[0].z.ravel().tolist())
    assert float(cells[20]["y: slots [requests]"]) == heat.data[0].y[1]
    bars = downloaded(browser, "figure-tails")
    assert {bar["panel"] for bar in bars} == {"x y", "x2 y2"}
    assert [bar["x"] for bar in bars] == ["p50", "p95", "p99"] * 2


def shown(browser) -> list[str]:
    return browser.evaluate(
        "[...document.querySelectorAll('#claims-board tbody tr')].filter((r) => !r.hidden).map((r) => r.id)"
    )


def choose(browser, field: str, value: str) -> None:
    browser.evaluate(
        f"(() => {{ const field = document.getElementById('filter-{field}'); field.value = {value!r};"
        "field.dispatchEvent(new Event('input')); })()"
    )


def test_the_board_is_filtered_and_sorted(browser, out):
    browser.open(out / "index.html")
    assert len(shown(browser)) == 6
    choose(browser, "paper", "drivefi")
    assert shown(browser) == ["claim-drivefi-561"]
    choose(browser, "paper", "")
    choose(browser, "text", "azure trace")
    assert shown(browser) == ["claim-ssjf-azure"]
    choose(browser, "text", "")
    choose(browser, "kind", "simulated")
    assert shown(browser) == ["claim-ssjf-throughput"]
    choose(browser, "kind", "")
    browser.evaluate("document.querySelector('.tally .not-reproduced').click()")
    assert shown(browser) == ["claim-ssjf-batching"]
    assert browser.evaluate("document.getElementById('filter-count').textContent") == "1 of 6 claims"
    browser.evaluate("document.querySelector('.tally .not-reproduced').click()")
    browser.evaluate("document.querySelector('th[data-sort=ours] button').click()")
    numbered = shown(browser)[:4]
    assert numbered == ["claim-ssjf-scalar", "claim-ssjf-throughput", "claim-ssjf-batching", "claim-ssjf-jct-none"]
    browser.evaluate("document.querySelector('th[data-sort=ours] button').click()")
    assert shown(browser)[:4] == numbered[::-1]


def test_a_blank_figure_and_an_error_are_noticed(browser, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text(
        "<div class='js-plotly-plot' id='blank' style='width:300px;height:200px'></div>"
        "<div style='width:3000px'>wide</div>"
        "<script>console.error('said'); fetch('https://example.org/x').catch(() => 0);"
        "throw new Error('thrown')</script>"
    )
    seen = browser.open(page, width=390)
    assert seen.figures[0]["points"] == 0
    assert seen.figures[0]["spread"] == 0
    assert any("said" in line for line in seen.errors)
    assert any("thrown" in line for line in seen.errors)
    assert seen.requests == ["https://example.org/x"]
    assert seen.overflow > 1000


def test_on_a_phone_legends_and_titles_do_not_cover_each_other(browser, out):
    browser.open(out / "ssjf/schedule.html", width=390)
    boxes = browser.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].map((plot) => ['.legend', '.xtitle'].map((part) =>"
        "{ const found = plot.querySelector(part); const box = found && found.getBoundingClientRect();"
        "return found && [box.top, box.bottom]; }))"
    )
    for legend, title in boxes:
        if legend and title:
            assert legend[0] >= title[1] - 1
    assert len([1 for legend, _ in boxes if legend]) == 2
