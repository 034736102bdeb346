"""The loop of the test cluster on the measured runs, and on made-up ones with a known answer."""

import numpy as np
import pandas as pd
import pytest

from credence.kaleidoscope.data import testbed as data
from credence.kaleidoscope.data.topology import OPERATIONS, topology
from credence.kaleidoscope.evaluate import testbed as judging
from credence.kaleidoscope.evaluate import testbed_tables as tables

SLO = dict.fromkeys(OPERATIONS, 0.1)


def made_up(slow: str = "", seconds: float = 8.0) -> pd.DataFrame:
    """Pings four times a second, done in 10 ms; those of one target in 500 ms."""
    rows = [
        (
            t,
            client,
            f"ost_{letter}",
            name,
            0.5 if f"ost_{letter}" == slow and name != "rmex" else 0.01,
            0,
            "done",
        )
        for t in np.arange(0, seconds, 0.25)
        for client in data.CLIENTS
        for letter in "ABCD"
        for name in OPERATIONS
    ]
    names = ["time_s", "client", "target", "operation", "latency_s", "errno", "outcome"]
    return pd.DataFrame(rows, columns=names)


def known() -> judging.Calibration:
    return judging.Calibration(SLO, judging.Priors(up_rate=0.99, up_strength=50.0))


def test_counting_keeps_missing_apart_from_failed():
    log = made_up(seconds=1.0)
    log.loc[0, "outcome"] = "missing"
    log.loc[1, ["outcome", "latency_s"]] = ["timeout", 1.0]
    log.loc[3, "errno"] = 28
    window = data.count(data.pings(log, SLO), -1.0, 2.0, topology("moosefs"))
    assert window.sent.sum() == len(log)
    assert (window.missing.sum(), window.failed.sum()) == (1, 2)
    assert window.cells == len(data.CELLS)


def test_a_window_holds_what_was_answered_in_it():
    log = made_up(slow="ost_A", seconds=2.0)
    judged = data.pings(log, SLO)
    came = (log["time_s"] + log["latency_s"]).to_numpy()
    for start, end in ((0.0, 1.0), (0.26, 0.51), (1.0, 3.0)):
        window = data.count(judged, start, end, topology("moosefs"))
        assert window.sent.sum() == ((came > start) & (came <= end)).sum()


@pytest.mark.parametrize("target", ["ost_A", "ost_D"])
def test_a_slow_target_is_blamed_with_its_server(target):
    found = judging.localise(data.pings(made_up(target), SLO), 0.0, 5.0, known(), topology("moosefs"))
    assert [set(each.components) for each in found] == [{target, "oss_" + target[-1]}]
    assert judging.right(found, "oss_" + target[-1]) is found[0]
    assert judging.right(found, "mds") is None


def test_nothing_is_blamed_when_all_is_well():
    assert judging.localise(data.pings(made_up(), SLO), 0.0, 5.0, known(), topology("moosefs")) == []


def test_strength_is_found_again():
    rng = np.random.default_rng(3)
    rate = rng.beta(0.97 * 30, 0.03 * 30, 4000)
    good = rng.binomial(40, rate)
    mean, strength = judging.beta_binomial(good, 40 - good)
    assert mean == pytest.approx(0.97, abs=0.004)
    assert strength == pytest.approx(30, rel=0.2)


def test_more_work_than_the_peers_makes_the_difference():
    rows = [
        (float(t), f"oss_{letter}", 9.0 if letter == "B" else 1.0 + 0.1 * k, 1e6 if letter == "B" and busy else 1e3 + k)
        for busy in (True,)
        for t in range(1, 6)
        for k, letter in enumerate("ABCD")
    ]
    telemetry = pd.DataFrame(rows, columns=["time_s", "component", "load", "received_bytes_per_s"])
    telemetry = telemetry.assign(await_ms=np.nan, queue_bytes=np.nan, retransmits_per_s=np.nan, disk_bytes_per_s=np.nan)
    none = pd.DataFrame(columns=["time_s", "source", "about", "line"])
    idle = telemetry.assign(received_bytes_per_s=1e3 + telemetry.index % 4)

    def cause(frame, settings, messages=none):
        return judging.explain(frame, messages, ("oss_B", "ost_B"), 0.0, 5.0, settings).cause

    assert cause(telemetry, judging.PAPER) == cause(telemetry, judging.OURS) == "overload"
    assert cause(idle, judging.PAPER) == "overload"
    assert cause(idle, judging.OURS) == "reliability"
    line = pd.DataFrame([(2.0, "mds", "oss_B", "connection with ADDRESS timed out")], columns=none.columns)
    assert cause(telemetry, judging.OURS, line) == "reliability"


def test_measured_runs_are_whole():
    runs, probes = data.table("runs"), data.table("probes")
    assert set(runs["run"]) == set(probes["run"])
    assert (runs.groupby("fault").size() >= 3).all()
    faulty = runs[runs["fault"] != "none"]
    assert (faulty["ended_s"] - faulty["began_s"]).between(9, 13).all()
    assert set(probes["outcome"]) == {"done", "timeout", "missing"}
    launched = probes[probes["outcome"] != "missing"]
    assert (launched["latency_s"] <= 1.0 + 0.5).all()  # the hard limit, and the kernel's own delay


def test_one_measured_run_of_a_kind_is_localised_within_a_window():
    calibration = judging.calibrate(tables.calibration_pings())
    part = tables.judged_runs(1)
    part["runs"] = part["runs"][part["runs"]["fault"] == "slow-disk"]
    scores, seen = judging.study(part, calibration, step_s=2.0)
    assert scores["localised"].all()
    assert scores["delay_s"].max() <= judging.WINDOW_S
    assert len(seen) == 1


def test_draws_lie_around_the_scores():
    scores = pd.DataFrame(
        [
            {"fault": kind, "cause": "overload", "localised": kind == "a", "delay_s": 2.5}
            | {f"cause: {name}": "overload" for name in judging.SETTINGS}
            for kind in "ab"
            for _ in range(3)
        ]
    )
    found = tables.metrics(scores, 400, 1)
    assert found["testbed_localised"].mean() == pytest.approx(50, abs=4)
    assert found["testbed_localised"].std() == pytest.approx(100 * np.sqrt(0.25 / 6), rel=0.15)
    assert (found["testbed_root_cause"] == found["testbed_localised"]).all()
    assert found["testbed_throughput"].shape == (400,)
