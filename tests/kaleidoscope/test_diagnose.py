"""Failure or overload: logs, outliers, and which of them has the last word."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credence.bench.errors import InputError
from credence.kaleidoscope.diagnose import Settings, diagnose, difference, outlier, read_rules
from credence.kaleidoscope.diagnose.logs import template
from credence.kaleidoscope.diagnose.outliers import factors

DISK = "blk_update_request: I/O error, dev sdc, sector 81920"
BUSY = {"load": [60.0, *np.linspace(1, 3, 12)]}
CALM = {"load": [2.0, *np.linspace(1, 3, 12)]}


def naive_factor(values, k):
    """Local outlier factor of every value, from its definition (Breunig et al., 2000)."""
    n = len(values)
    near = [sorted(range(n), key=lambda j, i=i: (j == i, abs(values[i] - values[j])))[:k] for i in range(n)]
    reach = [abs(values[i] - values[near[i][-1]]) for i in range(n)]
    density = [k / (sum(max(reach[j], abs(values[i] - values[j])) for j in near[i]) + 1e-10 * k) for i in range(n)]
    return np.array([sum(density[j] for j in near[i]) / k / density[i] for i in range(n)])


@given(st.lists(st.integers(0, 10_000), min_size=5, max_size=14, unique=True), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_factors_are_those_of_the_definition(values, k):
    # different distances from everywhere, so that who is near is no matter of taste
    spaced = np.cumsum(np.array(sorted(values)) + np.sqrt(np.arange(2, len(values) + 2)))
    own, largest = factors(spaced[0], spaced[1:], k)
    wanted = naive_factor(list(spaced), k)
    assert own == pytest.approx(wanted[0], rel=1e-6)
    assert largest == pytest.approx(wanted[1:].max(), rel=1e-6)


def test_a_line_of_the_failed_component_alone_is_the_evidence():
    found = difference([DISK, "crond: run"], [["crond: run"], []])
    assert [(rule.name, line) for rule, line in found.lines] == [("disk I/O error", DISK)]
    assert found.shared == 0


def test_a_line_that_a_healthy_peer_has_too_is_none_whatever_its_numbers():
    found = difference([DISK], [["blk_update_request: I/O error, dev sdc, sector 7"]])
    assert found.lines == ()
    assert found.shared == 1


def test_templates_leave_numbers_and_addresses_out():
    assert template("md3: 0xdeadbeef at 10.0.0.7:9422") == "md#: # at #.#.#.#:#"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("EXT4-fs error (device loop4): ext4_find_entry", "file system error"),
        ("mds[2]: chunkserver disconnected - ip: 10.231.2.12 / port: 9422", "chunk server lost"),
        ("mds[2]: connection with 10.231.2.12:9422 timed out", "connection timed out"),
        ("INFO: task dd:77 blocked for more than 120 seconds", "hung task"),
        ("LustreError: 11-0: evicted, error -108", "evicted or not connected"),
        ("kernel: Kernel panic - not syncing: Fatal exception", "kernel panic"),
        ("ib0: link down", "link down"),
    ],
)
def test_own_rules_mark_what_they_are_for(line, rule):
    assert next(hit.name for hit in read_rules() if hit.pattern.search(line)) == rule


@pytest.mark.parametrize(
    "line", ["session opened for user root", "chunkserver register end", "Lustre: client reconnected"]
)
def test_own_rules_leave_usual_lines_alone(line):
    assert not any(rule.pattern.search(line) for rule in read_rules())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("regex\tname\n", "line 1"),
        ("name\tregex\tcategory\na\tb\n", "line 2: 2 columns"),
        ("name\tregex\tcategory\n\na\t(b\tc\n", r"line 3, column 'regex': '\(b'"),
        ("name\tregex\tcategory\n", "no rule"),
    ],
)
def test_bad_rules_are_refused_by_line(tmp_path, text, says):
    path = tmp_path / "rules.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_rules(path)
    with pytest.raises(InputError, match="rules"):
        read_rules(tmp_path / "none.tsv")


def test_rules_of_ones_own(tmp_path):
    path = tmp_path / "rules.tsv"
    path.write_text("name\tregex\tcategory\nbeep\tbeep \\d+\tpanel\n")
    found = difference(["BEEP 7"], [[]], read_rules(path))
    assert found.lines[0][0].category == "panel"


def test_a_high_value_among_close_peers_is_out_of_line_and_a_low_one_is_not():
    assert outlier(BUSY["load"]).lof
    assert not outlier(CALM["load"]).lof
    assert not outlier([-60.0, *BUSY["load"][1:]]).lof
    assert outlier(BUSY["load"]).peer_ratio == pytest.approx(30)


def test_two_modes_are_both_healthy():
    """The paper's reason for a local factor: some servers idle, the others at a load above 60."""
    values = [64.0, *np.linspace(60, 70, 20), *np.linspace(0, 5, 60)]
    assert not outlier(values).lof
    assert outlier([30.0, *values[1:]], neighbours=5).factor > 1.5


def test_unknown_values_and_lonely_components_are_no_outliers():
    assert not outlier([np.nan, 1.0, 2.0, 3.0]).lof
    assert not outlier([9.0, 1.0, np.nan]).lof
    with pytest.raises(InputError, match="suspect is 3"):
        outlier([1.0, 2.0, 3.0], 3)


def test_precedence_is_the_papers_and_can_be_turned_round():
    both = {"lines": [DISK], "peers": [[]] * 3, "metrics": BUSY}
    assert (diagnose(**both).cause, diagnose(**both).by) == ("reliability", "log")
    turned = diagnose(**both, settings=Settings(first="metric"))
    assert (turned.cause, turned.by) == ("overload", "metric")
    assert turned.evidence == ("load 60, peers 2",)
    assert diagnose([], [[]], BUSY).cause == "overload"
    assert diagnose([DISK], [[]], CALM).evidence == (f"disk I/O error: {DISK}",)
    nothing = diagnose(["crond: run"], [[]], CALM)
    assert (nothing.cause, nothing.by, nothing.evidence) == ("unknown", "nothing", ())
    with pytest.raises(InputError, match="what comes first"):
        Settings(first="luck")


def test_slow_without_more_work_is_a_failure_if_work_is_asked_for():
    slow = {"await_ms": [80.0, *np.linspace(1, 2, 8)], "bytes": [1.5, *np.linspace(1, 2, 8)]}
    asked = Settings(work=("bytes",))
    assert diagnose([], [[]], slow).cause == "overload"
    assert diagnose([], [[]], slow, asked).cause == "reliability"
    assert diagnose([], [[]], slow | {"bytes": [90.0, *np.linspace(1, 2, 8)]}, asked).cause == "overload"


def test_a_peer_ratio_keeps_small_differences_out():
    near = {"load": [2.2, *np.linspace(2.0, 2.02, 12)]}
    assert diagnose([], [[]], near).cause == "overload"
    assert diagnose([], [[]], near, Settings(peer_ratio=1.5)).cause == "unknown"
