import pytest

from bench.report_runs import RUN_ID as made_up_run
from bench.report_runs import board, row
from credence.bench import claims, report_claims


def test_verdicts_are_those_of_the_claims_module():
    assert report_claims.VERDICTS == claims.VERDICTS
    assert set(report_claims.MARKS) == set(claims.VERDICTS)


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [
        (33.04, 1.85, "33.0"),
        (-0.04, 1.85, "0.0"),
        (3.0123, 0.18, "3.01"),
        (1234.6, 210.0, "1235"),
        (-13.456, None, "−13.5"),
        (85482, None, "85\u202f482"),
        (2.5e7, None, "2.50·10^7"),
        (0.00002, None, "2.00·10^−5"),
        (0, None, "0"),
        (None, None, "–"),
        (float("nan"), None, "–"),
    ],
)
def test_numbers_have_the_digits_they_deserve(value, spread, shown):
    assert report_claims.number(value, spread) == shown


def test_ranges_units_and_probabilities():
    assert report_claims.paper_value([30.5, 39.6], "%") == "30.5–39.6 %"
    assert report_claims.paper_value(None, "%") == "–"
    assert report_claims.estimate(row("a", "reproduced")) == "33.0 [31.2, 34.9] %"
    assert report_claims.estimate(row("a", "reproduced", unit="1", lo=None, hi=None, ours=0.6)) == "0.6"
    assert [report_claims.probability(p) for p in (0.9991, 0.971, 0.0, None)] == ["> 0.99", "0.97", "< 0.01", "–"]


def test_the_interval_plot_places_ours_against_the_paper():
    plot = report_claims.interval_plot(row("a", "reproduced"))
    assert plot.count("iv-paper") == 2
    assert plot.count("iv-ours") == plot.count("iv-band") == plot.count("iv-null") == 1
    left = report_claims.interval_plot(row("a", "x", paper_value=50.0, ours=10.0, lo=9.0, hi=11.0))
    at = {
        name: float(left.split(f'class="{name}" {key}')[1].split(" ")[0].strip('"l')) for name, key in POSITIONS.items()
    }
    assert at["iv-dot"] < at["iv-paper"]
    assert report_claims.interval_plot(row("a", "not run", ours=None)) == ""


POSITIONS = {"iv-dot": 'cx="', "iv-paper": 'd="M'}


def test_an_open_band_reaches_the_edge():
    plot = report_claims.interval_plot(row("a", "x", band=[20.0, None]))
    band = plot.split('class="iv-band" ')[1]
    start, width = (float(band.split(f'{key}="')[1].split('"')[0]) for key in ("x", "width"))
    assert start + width == pytest.approx(report_claims.WIDTH, abs=0.2)


def test_a_capped_row_and_a_recorded_row_say_so():
    views = {view["id"]: view for view in map(report_claims.view, board())}
    assert views["ssjf-throughput"]["capped"]
    assert not views["ssjf-jct-none"]["capped"]
    assert views["ssjf-azure"]["recorded"] == "recorded: 21.0 [19.0, 23.0] %, trend only (full, 2026-11-20)"
    assert views["ssjf-azure"]["ours"] == ""
    same = {"ours": 33.0, "lo": 31.2, "hi": 34.9, "run_id": made_up_run}
    assert report_claims.recorded_line(row("a", "reproduced", recorded=same)) == ""
    other = same | {"run_id": "other"}
    assert "recorded: 33.0" in report_claims.recorded_line(row("a", "x", recorded=other))
    alike = {"preset": "quick", "verdict": "reproduced", "data_kind": "measured"}
    now = row("a", "reproduced") | alike
    assert report_claims.recorded_line(now | {"recorded": other | alike}) == ""
    assert "full" in report_claims.recorded_line(now | {"recorded": other | alike | {"preset": "full"}})


def test_counts_add_up():
    counts = report_claims.counts([report_claims.view(item) for item in board()])
    assert [entry["count"] for entry in counts] == [1, 2, 1, 1, 1]
    assert sum(entry["share"] for entry in counts) == pytest.approx(100, abs=0.1)


def test_a_far_edge_of_the_band_does_not_squeeze_the_plot():
    near = report_claims.interval_plot(row("a", "x", ours=55.0, lo=38.0, hi=69.0, paper_value=0.0, band=[-1e6, 5.0]))
    dot, paper = (
        float(near.split(f'class="{name}" {key}')[1].split('"')[0].split(" ")[0]) for name, key in POSITIONS.items()
    )
    assert dot - paper > 50
