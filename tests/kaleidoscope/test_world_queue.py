"""The queue behind Fig. 9, and the telemetry around an issue."""

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.kaleidoscope.data.paper import paper_figure
from credence.kaleidoscope.world import queueing, telemetry
from credence.kaleidoscope.world.telemetry import LogBreaks


def test_the_simulated_queue_agrees_with_its_formulas():
    times = queueing.probe_times(100, 20_000, np.random.default_rng(1))
    wanted = queueing.expected(100)
    assert times.mean() == pytest.approx(wanted["mean"], rel=0.08)
    assert np.quantile(times, 0.99) == pytest.approx(wanted["p99"], rel=0.1)
    assert (times > 1).mean() == pytest.approx(wanted["lost"], rel=0.1)


def test_the_queue_follows_figure_9_up_to_a_load_of_200():
    frame = paper_figure("fig9-time").pivot(index="loadavg_1min", columns="stat", values="completion_time_s")
    frame = frame[(frame.index >= 20) & (frame.index <= 200)]
    wanted = queueing.expected(frame.index.to_numpy())
    assert np.median(np.abs(wanted["mean"] / frame["avg"] - 1)) < 0.2
    assert np.median(np.abs(wanted["p99"] / frame["p99"] - 1)) < 0.25


def test_a_load_below_that_of_single_jobs_is_refused():
    with pytest.raises(InputError, match=r"load is 0\.1"):
        queueing.probe_times(0.1, 10, np.random.default_rng(1))


def keyword(lines):
    templates = [each for group in telemetry.FAULT_LINES.values() for each in group] + list(telemetry.STRAY_LINES)
    known = [max(each.split("{n}"), key=len) for each in templates]
    return any(part in line for line in lines for part in known)


def test_a_fault_has_its_line_and_an_overload_its_load():
    rng = np.random.default_rng(1)
    none = LogBreaks(0, 0, 0)
    fault = telemetry.around("target", "reliability", 0.0, rng, none)
    assert [keyword(lines) for lines in fault.logs] == [True] + [False] * 30
    busy = telemetry.around("server", "overload", 200.0, rng, none)
    assert busy.metrics["load"][0] == 200.0
    assert busy.metrics["load"][1:].max() <= 65
    assert not any(keyword(lines) for lines in busy.logs)


def test_breaks_hide_the_line_or_put_one_where_nothing_failed():
    rng = np.random.default_rng(1)
    assert not keyword(telemetry.around("target", "reliability", 0.0, rng, LogBreaks(1, 0, 0)).logs[0])
    assert keyword(telemetry.around("server", "overload", 99.0, rng, LogBreaks(0, 1, 0)).logs[0])
    assert telemetry.around("server", "overload", 99.0, rng, LogBreaks(0, 0, 1)).metrics["load"][0] < 66
    with pytest.raises(InputError, match="stray is 3"):
        LogBreaks(stray=3)
