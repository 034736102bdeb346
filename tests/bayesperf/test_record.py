"""Counting by a schedule of our own, with the real perf where there is one."""

import json
import shutil

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from credence.bayesperf import cli_record
from credence.bayesperf.data import record
from credence.bayesperf.data.logs import read_log
from credence.bench.errors import InputError

COMMAND = ["sh", "-c", "i=0; while [ $i -lt 150 ]; do i=$((i+1)); ls / >/dev/null; done; echo told >&2"]


def usable():
    if shutil.which("perf") is None:
        return False
    try:
        return record.supported(["page-faults"])["page-faults"]
    except InputError:
        return False


needs_perf = pytest.mark.skipif(not usable(), reason="perf is not installed, or may not count here")


def line(count, event, running_ns, percent="100.00"):
    return ["0.1", count, "", event, str(running_ns), percent, "", ""]


def test_a_count_is_scaled_by_when_its_event_was_on():
    lines = [
        line("10.0", record.CLOCK, 1000),
        line("30", "whole", 1000),
        line("30", "late", 750),
        line("30", "off", 10),
        line("<not counted>", "idle", 0),
        line("30", "shared", 500, "50.00"),  # perf has scaled what the kernel multiplexed
        line("30", "both", 300, "50.00"),
    ]
    cells = record._interval(lines, frozenset({record.CLOCK, "whole", "late", "idle", "shared", "both"}))
    assert cells["whole"] == (30, 1)
    assert cells["late"] == (40, 0.75)
    assert cells["shared"] == (30, 0.5)
    assert cells["both"] == (pytest.approx(50), pytest.approx(0.3))
    assert set(cells) == {record.CLOCK, "whole", "late", "shared", "both"}


@needs_perf
def test_events_are_counted_in_the_slices_of_their_groups(tmp_path, capfd):
    groups = [("page-faults", "minor-faults"), ("context-switches",), ("page-faults", "cycles")]
    done = record.record(COMMAND, groups, slice_ms=80)
    told = capfd.readouterr().err
    assert "told" in told
    assert "enabled" not in told
    assert ("no PMU" in " ".join(done.messages)) == (not record.has_pmu())
    path = tmp_path / "log.csv"
    record.write_recording(done, path)
    log = read_log(path)
    assert log.format == "tidy"
    assert log.events == ("page-faults", "minor-faults", "context-switches", "cycles")
    turn = np.arange(len(log.times)) // 4 % 3
    counted = dict(zip(log.events, log.counted.T, strict=True))
    assert set(turn[counted["minor-faults"]]) == {0}
    assert set(turn[counted["page-faults"]]) <= {0, 2}
    assert set(turn[counted["context-switches"]]) <= {1}
    # the same faults, read one after the other
    both = counted["page-faults"] & counted["minor-faults"]
    one, other = log.count[both, 0], log.count[both, 1]
    assert len(one) >= 3
    assert np.abs(one - other).sum() <= 0.1 * one.sum() + 20


@needs_perf
def test_what_can_not_be_counted_is_refused():
    with pytest.raises(InputError, match="event 'page-fauls': perf refuses it"):
        record.supported(["page-fauls"])
    if not record.has_pmu():
        with pytest.raises(InputError, match="cycles: none of them is supported by this machine"):
            record.record(["sleep", "1"], [("cycles",)])


@pytest.mark.parametrize(
    ("command", "groups", "slice_ms", "message"),
    [
        (["no-such-program"], [("page-faults",)], 200, "command 'no-such-program': not found"),
        ([], [("page-faults",)], 200, "command '': not found"),
        (["true"], [], 200, "a configuration without events"),
        (["true"], [("page-faults",), ()], 200, "a configuration without events"),
        (["true"], [("a,b",)], 200, "event 'a,b'; allowed: one event"),
        (["true"], [("{a}",)], 200, "event '{a}'; allowed: one event"),
        (["true"], [("page-faults",)], 10, "--slice is 10 ms; allowed: 40 to 60000"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(command, groups, slice_ms, message):
    with pytest.raises(InputError, match=message):
        record.record(command, groups, slice_ms=slice_ms)


def test_a_missing_perf_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"perf is not installed; allowed: .*apt install linux-perf"):
        record.has_pmu()


def test_events_are_split_at_the_commas_between_them():
    assert record.split_events("a, cpu/event=0x3c,umask=0x1/u,b:c") == ["a", "cpu/event=0x3c,umask=0x1/u", "b:c"]
    for text in ("", "a,,b", "a,a", "cpu/event=1"):
        with pytest.raises(InputError, match="allowed: different events separated by commas"):
            record.split_events(text)


def test_a_plan_is_read(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"rank": 2, "groups": [["a", "b"], ["a", "c"]], "fixed": ["f"]}))
    assert record.read_plan(path) == (["f"], [["a", "b"], ["a", "c"]], [])
    told = {"groups": [["a"]], "fixed": ["f"], "expected_error": {"f": 0, "a": 0.1, "d": 0.2}}
    path.write_text(json.dumps(told))
    assert record.read_plan(path) == (["f"], [["a"]], ["d"])
    for text in ("{", "[]", "{}", '{"groups": []}', '{"groups": ["a"]}', '{"groups": [[1]]}', '{"groups": 3}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"plan\.json: "):
            record.read_plan(path)


def command():
    app = typer.Typer()
    app.command()(cli_record.record)
    return app


@needs_perf
def test_the_command_writes_a_log_that_can_be_read(tmp_path):
    out = tmp_path / "log.csv"
    arguments = ["--out", str(out), "--slice", "60", "--counters", "3"]
    done = CliRunner().invoke(
        command(), [*arguments, "--events", "page-faults,minor-faults,context-switches,cpu-migrations", "--", *COMMAND]
    )
    assert done.exit_code == 0, done.output
    assert "4 groups in turn: page-faults minor-faults context-switches | " in done.output
    log = read_log(out)
    assert len(log.events) == 4
    assert log.counted.any(axis=0).all()
    assert not log.counted.all()


@needs_perf
def test_what_relations_give_is_not_counted_and_yet_in_the_log(tmp_path):
    known = tmp_path / "known.toml"
    known.write_text(
        '[[relation]]\nname = "twice"\nkind = "eq"\nsource = "made up"\n'
        "expression = \"'page-faults' = 'minor-faults' + 'major-faults'\"\n"
    )
    out = tmp_path / "log.csv"
    arguments = ["--out", str(out), "--slice", "60", "--counters", "2", "--identities", str(known), "--events"]
    done = CliRunner().invoke(command(), [*arguments, "page-faults,minor-faults,major-faults", "--", *COMMAND])
    assert done.exit_code == 0, done.output
    log = read_log(out)
    (left,) = (event for event, seen in zip(log.events, log.counted.any(axis=0), strict=True) if not seen)
    assert f"the same ones): {left}" in done.output
    assert len(log.events) == 3


def test_the_command_refuses_contradictions(tmp_path):
    out = ["--out", str(tmp_path / "log.csv")]
    for arguments, message in (
        ([*out, "--plan", "p.json", "--cpu", "zen3", "--", "true"], "--plan says what"),
        ([*out, "--identities", "i.toml", "--cpu", "zen3", "--events", "a", "--", "true"], "both given"),
        ([*out, "--events", "a,b", "--counters", "0", "--", "true"], "--counters is 0"),
    ):
        with pytest.raises(InputError, match=message):
            CliRunner().invoke(command(), arguments, catch_exceptions=False)
