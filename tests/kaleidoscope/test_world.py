"""The simulated years: calibrated on the paper's figures, repeatable month by month, and broken on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.kaleidoscope.data.topology import topology
from credence.kaleidoscope.world import calibration, issues, windows
from credence.kaleidoscope.world.windows import NO_BREAKS, Breaks


@pytest.fixture(scope="module")
def system():
    return topology("bluewaters-lnet")


@pytest.fixture(scope="module")
def what(system):
    return windows.plan(system)


@pytest.fixture(scope="module")
def events(system):
    return issues.timetable(system, np.random.default_rng(5))


def test_the_load_curve_has_the_figures_means_and_percentiles():
    load, slow, delay = calibration._load_curve()
    frame = calibration.paper_figure("fig9-time").pivot(
        index="loadavg_1min", columns="stat", values="completion_time_s"
    )
    np.testing.assert_allclose(calibration.FAST_S + slow * delay, frame["avg"], rtol=1e-6)
    beyond = slow * np.exp(-(frame["p99"] - calibration.FAST_S) / delay)
    assert (beyond <= 0.01 + 1e-9).all()
    assert np.median(beyond) == pytest.approx(0.01, abs=1e-6)
    assert (np.diff(calibration.loss_at_load(load)) >= 0).all()


def test_losses_are_those_of_figure_6():
    assert calibration.shares_lost()["normal"] == pytest.approx(0.0028, abs=2e-4)
    assert calibration.shares_lost()["failure"] == pytest.approx(0.177, abs=2e-3)


def test_durations_have_the_texts_median_and_can_be_cut():
    rng = np.random.default_rng(1)
    assert np.median(calibration.draw_durations(20_000, rng)) == pytest.approx(12, rel=0.05)
    assert calibration.draw_durations(500, rng, 30.0).min() > 30


def test_the_years_have_the_papers_numbers_of_events(events):
    known = events[events["issue"]]
    assert len(events) == 26_596
    assert known["cause"].value_counts().to_dict() == {"overload": 497, "reliability": 346}
    overloads = known[known["cause"] == "overload"]
    assert ((overloads["last"] - overloads["first"])[overloads["last"] < 24 * issues.MONTH] >= 6).all()


def test_the_plan_sends_as_many_probes_as_the_paper(what):
    assert what.sent.sum() == 26_640
    assert what.cells == 6 * 432 + 6 * 6 + 6 * 3


def test_the_first_components_are_those_of_the_topology_without_routers(system):
    assert topology("bluewaters").components == system.components[:875]


def test_a_healthy_system_loses_what_figure_6_says(system, what, events):
    succeeded, missing, _ = windows.month(system, what, events.iloc[:0], 0, 3, NO_BREAKS, windows=300)
    assert missing.sum() == 0
    lost = 1 - succeeded.sum() / (300 * what.sent.sum())
    assert lost == pytest.approx(calibration.shares_lost()["normal"], rel=0.2)


def test_dispersion_and_correlation_move_the_scatter_not_the_mean(system, what, events):
    lost = {}
    for name, breaks in (("plain", NO_BREAKS), ("broken", replace(NO_BREAKS, dispersion=4.0, correlation=1.0))):
        succeeded, _, _ = windows.month(system, what, events.iloc[:0], 0, 3, breaks, windows=400)
        lost[name] = (what.sent - succeeded).sum(axis=1)
    assert lost["broken"].mean() == pytest.approx(lost["plain"].mean(), rel=0.15)
    assert lost["broken"].std() > 1.5 * lost["plain"].std()


def test_a_dead_target_loses_every_probe_and_nobody_elses(system, what, events):
    row = events[(events["fault"] == "target") & (events["loss"] == 1)].iloc[[0]].assign(first=2, last=4)
    succeeded, _, _ = windows.month(system, what, row, 0, 3, NO_BREAKS, windows=6)
    hit = what.target == row["culprit"].iloc[0]
    assert succeeded[2:4, hit].sum() == 0
    assert succeeded[2:4, ~hit].sum() > 0.99 * what.sent[~hit].sum() * 2
    assert succeeded[4:, hit].sum() > 0.9 * what.sent[hit].sum() * 2


def test_blocked_launchers_turn_losses_into_missing_probes(system, what, events):
    row = events[(events["fault"] == "target") & (events["loss"] == 1)].iloc[[0]].assign(first=0, last=6)
    succeeded, missing, _ = windows.month(system, what, row, 0, 3, replace(NO_BREAKS, blocked=1.0), windows=6)
    assert (succeeded + missing == what.sent).all()


def test_a_month_can_be_drawn_alone_and_again(system, what, events):
    first = windows.month(system, what, events, 3, 9, windows=20)
    again = windows.month(system, what, events, 3, 9, windows=20)
    other = windows.month(system, what, events, 4, 9, windows=20)
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_a_router_that_fails_over_loses_nothing(events):
    assert (windows.routed(events, Breaks(round_robin=0.0), 1)["fault"] != "router").all()


@pytest.mark.parametrize(
    ("fault", "culprit", "counts", "does_not"),
    [
        ("server", "scratch_oss_4", ["scratch_ost_4", "scratch_oss_5"], ["scratch_ost_5", "scratch_oss_6"]),
        ("pair", "scratch_oss_5", ["scratch_ost_4", "scratch_ost_5"], ["scratch_ost_6"]),
        ("network", "gem_net", ["client5", "gem_net"], ["ib_net"]),
        ("router", "lnet_0", ["scratch_ost_0", "scratch_ost_3", "lnet_3"], ["scratch_ost_4"]),
        ("target", "home_ost_1", ["home_ost_1"], ["home_oss_1"]),
    ],
)
def test_what_counts_as_naming_the_culprit(system, fault, culprit, counts, does_not):
    found = issues.answers(system, int(system.index([culprit])[0]), fault)
    assert set(system.index(counts)) <= set(found)
    assert not set(system.index(does_not)) & set(found)


def test_strengths_out_of_range_are_refused():
    with pytest.raises(InputError, match="blocked is 2"):
        Breaks(blocked=2)
    with pytest.raises(InputError, match="faults sum to"):
        issues.Mix(faults={"target": 0.5})
