"""Failure or overload: the rule on telemetry whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from credence.kaleidoscope.diagnose import logs, read_rules
from credence.kaleidoscope.evaluate import production_causes
from credence.kaleidoscope.world import telemetry
from credence.kaleidoscope.world.telemetry import LogBreaks, Telemetry

USUAL = {"load": np.r_[2.0, np.linspace(0, 5, 20)]}


def test_a_marked_line_that_no_peer_has_is_a_failure():
    logs = (("Buffer I/O error on dev md3, logical block 7",), *[("crond[5]: run",)] * 20)
    assert production_causes.decide(Telemetry(USUAL, logs)) == "reliability"


def test_a_line_that_a_healthy_peer_has_too_decides_nothing():
    line = "Buffer I/O error on dev md{n}, logical block 7"
    logs = ((line.replace("{n}", "3"),), *[(line.replace("{n}", "4"),)] * 20)
    assert production_causes.decide(Telemetry(USUAL, logs)) == "unknown"


def test_an_outlying_load_is_an_overload_unless_the_log_says_failure():
    busy = {"load": np.r_[200.0, np.linspace(0, 5, 20)]}
    quiet = (("crond[5]: run",),) * 21
    assert production_causes.decide(Telemetry(busy, quiet)) == "overload"
    marked = (("ib0: link down",), *quiet[1:])
    assert production_causes.decide(Telemetry(busy, marked)) == "reliability"


def test_every_line_of_a_fault_and_every_stray_one_has_a_keyword_and_no_usual_one():
    def marks(template):
        return logs.marked([template.replace("{n}", "12")], read_rules())

    faults = [line for lines in telemetry.FAULT_LINES.values() for line in lines]
    assert all(marks(line) for line in (*faults, *telemetry.STRAY_LINES))
    assert not any(marks(line) for line in telemetry.USUAL_LINES)


@pytest.fixture(scope="module")
def issues():
    rows = [(k, "overload", "server", 150.0, k != 3) for k in range(20)]
    rows += [(k, "reliability", "target", 0.0, True) for k in range(20, 40)]
    return pd.DataFrame(rows, columns=["event", "cause", "fault", "load", "localised"])


def test_without_misleading_telemetry_only_what_was_not_localised_is_wrong(issues):
    found = production_causes.causes(issues, LogBreaks(0, 0, 0))
    assert found.loc[~found["right"], "event"].tolist() == [3]


def test_stray_lines_turn_overloads_into_failures_and_silent_faults_stay_unknown(issues):
    stray = production_causes.causes(issues, LogBreaks(0, 0.4, 0))
    assert set(stray.loc[(stray["cause"] == "overload") & ~stray["right"], "said"]) <= {"", "reliability"}
    silent = production_causes.causes(issues, LogBreaks(1, 0, 0))
    assert not silent.loc[silent["cause"] == "reliability", "right"].any()


def test_telemetry_of_an_issue_does_not_depend_on_the_others(issues):
    whole = production_causes.causes(issues, seed=4).set_index("event")
    part = production_causes.causes(issues.iloc[5:9], seed=4).set_index("event")
    assert (whole.loc[part.index] == part).all().all()
