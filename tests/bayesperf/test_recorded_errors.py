"""The recorded study: whole, judged on test programs, and one row chosen at random comes out again."""

import numpy as np
import pytest

from credence.bayesperf.data import traces
from credence.bayesperf.data.paper import paper_figure
from credence.bayesperf.evaluate import errors, study, workloads
from credence.bayesperf.figures import errors as figures


@pytest.fixture(scope="module")
def frame():
    return errors.recorded()


def test_every_test_program_has_every_part(frame):
    wanted = {(p.machine, p.program, p.n, p.counters, p.schedule) for m in errors.COUNTERS for p in errors.parts(m)}
    test = frame[frame["split"] == "test"]
    columns = ["machine", "program", "n", "counters", "schedule"]
    assert wanted == set(test[columns].itertuples(index=False, name=None))
    for machine in errors.COUNTERS:
        assert set(test.loc[test["machine"] == machine, "program"]) == set(traces.programs(machine, "test"))
    assert not frame.duplicated(errors.KEY).any()


def test_a_row_chosen_at_random_comes_out_again(frame):
    rows = frame[(frame["method"] == errors.OURS) & (frame["n"] <= 20) & (frame["split"] == "test")]
    row = rows.iloc[np.random.default_rng().integers(len(rows))]
    fields = {name: row[name] for name in ("machine", "program", "schedule")}
    part = study.Part(n=int(row["n"]), counters=int(row["counters"]), **fields)
    again = study.evaluate(part, (errors.OURS,)).iloc[0]
    for name in ("wape", "dtw_paper", "coverage_90"):
        assert again[name] == pytest.approx(row[name], rel=0.02, abs=0.002, nan_ok=True), (fields, name)


def test_every_figure_of_the_study_is_drawn(frame):
    test = frame[(frame["split"] == "test") & (frame["machine"] == "qemu-x86") & (frame["counters"] == 4)]
    shown = {"Linux": ("Linux", "linux"), errors.OURS: (errors.OURS, "optimal")}
    lines = errors.over_size(test, "wape", shown)
    bars = workloads.bars(frame, paper_figure("fig6"))
    drawn = [
        figures.over_events({"4 counters": lines}, {"4 counters": {10: 12}}),
        figures.beside_paper(lines, paper_figure("fig8")),
        figures.coverage(errors.coverage_by_program(frame)),
        figures.by_rarity(test[test["method"] == errors.OURS], ("below 100", "above 1 M")),
        figures.workloads(workloads.side(bars, "qemu-ppc64", "wape"), "title", "error [%]"),
    ]
    for fig in drawn:
        assert fig.data
        assert fig.layout.xaxis.title.text


def test_bars_know_their_namesakes_and_their_split(frame):
    bars = workloads.bars(frame, paper_figure("fig6"))
    assert set(bars["system"]) == set(workloads.SYSTEMS)
    kmeans = bars[(bars["program"] == "kmeans") & (bars["machine"] == "qemu-x86")].set_index("system")
    assert kmeans.loc["Linux", "paper"] == pytest.approx(37.6, abs=0.1)
    assert bars.loc[bars["program"] == "gzip", "paper"].isna().all()
    shown = workloads.side(bars, "qemu-x86", "wape")
    assert "(als)" in set(shown["program"])
    assert "kmeans" in set(shown["program"])
