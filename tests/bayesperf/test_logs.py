"""Logs of counters: what perf, EMON and tables say, and that corrupt ones are refused by line."""

import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credence.bayesperf.data.logs import FORMATS, read_log
from credence.bench.errors import InputError

# perf 6.1 on a machine without a PMU: it prints a task that slept as <not counted>
PERF = """\
# started on Mon Nov 23 03:17:55 2026

     0.050133966,75,,page-faults,786236,100.00,95.391,K/sec
     0.050133966,0.79,msec,task-clock,786236,100.00,0.016,CPUs utilized
     0.050133966,<not supported>,,instructions,0,100.00,,
     0.100359808,<not counted>,,page-faults,0,100.00,,
     0.100359808,<not counted>,msec,task-clock,0,100.00,,
     0.100359808,<not supported>,,instructions,0,100.00,,
     0.121483457,12,,page-faults,57264,25.00,0.000,/sec
     0.121483457,0.06,msec,task-clock,57264,100.00,0.001,CPUs utilized
     0.121483457,<not supported>,,instructions,0,100.00,,
"""
EMON = """\
EMON Version .............. V11.41 Beta
TSC Freq .................. 2100.00 MHz
\t\t   OS Processor <-> Physical/Logical Mapping

10/21/2023 23:36:13.415
INST_RETIRED.ANY\t209,857,298\t96,535,544\t15,193,710\t
UNC_M_CAS_COUNT.RD\t209,857,298\t0\t251,636\t250,906\t0\t
----------
10/21/2023 23:36:13.516
UOPS_ISSUED.ANY\t209,848,664\t227,077,347\t18,361,656\t
==========
10/21/2023 23:36:13.616
INST_RETIRED.ANY\t209,843,422\t97,056,388\t14,867,232\t
UNC_M_CAS_COUNT.RD\t209,843,422\t0\t1,000\t2,000\t0\t
----------
"""
TIDY = """\
time_s,event,count,running_fraction
0.1,a,10,1
0.1,b,,0
0.2,a,12,0.5
0.2,b,7,0
0.30,b,8,0.25
"""


def written(folder, text):
    path = folder / "log.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def same(found, expected):
    np.testing.assert_array_equal(found, np.array(expected, float))


def test_perf_with_commas(tmp_path):
    log = read_log(written(tmp_path, PERF))
    assert log.format == "perf"
    assert log.events == ("page-faults", "task-clock", "instructions")
    assert log.times == ("0.050133966", "0.100359808", "0.121483457")
    same(log.time_s, [0.050133966, 0.100359808, 0.121483457])
    same(log.count, [[75, 0.79, np.nan], [np.nan, np.nan, np.nan], [12, 0.06, np.nan]])
    same(log.running_fraction, [[1, 1, 0], [0, 0, 0], [0.25, 1, 0]])
    assert log.unsupported == ("instructions",)


def test_perf_scales_and_raw_says_that_a_log_is_not_scaled(tmp_path):
    assert read_log(written(tmp_path, PERF)).count[2, 0] == 12
    assert read_log(written(tmp_path, PERF), raw=True).count[2, 0] == 48


@pytest.mark.parametrize("decimal_comma", [False, True])
def test_perf_with_semicolons_and_a_decimal_comma(tmp_path, decimal_comma):
    text = PERF.replace(",", ";")
    log = read_log(written(tmp_path, text.replace(".", ",") if decimal_comma else text))
    same(log.count, read_log(written(tmp_path, PERF)).count)
    same(log.time_s, [0.050133966, 0.100359808, 0.121483457])
    assert log.times[0] == ("0,050133966" if decimal_comma else "0.050133966")


def test_event_names_may_hold_the_separator(tmp_path):
    text = "1.0,5,,cpu/event=0x3c,umask=0x1/u,100,50.00,,\n2.0,6,,cpu/event=0x3c,umask=0x1/u,100,50.00,,\n"
    assert read_log(written(tmp_path, text)).events == ("cpu/event=0x3c,umask=0x1/u",)


def test_lines_that_only_add_a_metric_and_the_summary_are_no_counts(tmp_path):
    text = "1.0,5,,cycles,100,50.00,0.5,GHz\n1.0,,,,,,1.20,insn per cycle\n         summary,5,,cycles,100,50.00,,\n"
    log = read_log(written(tmp_path, text))
    assert log.events == ("cycles",)
    assert log.times == ("1.0",)


def test_an_event_in_two_metric_groups_is_joined_by_how_long_each_ran(tmp_path):
    text = "1.0,100,,cycles,1,25.00,,\n1.0,200,,cycles,1,75.00,,\n"
    text += "2.0,<not counted>,,cycles,0,0.00,,\n2.0,8,,cycles,1,50.00,,\n"
    log = read_log(written(tmp_path, text))
    same(log.count, [[175], [8]])
    same(log.running_fraction, [[1], [0.5]])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.100359808,<not counted>,,page-faults", "0.100359808,<not count,,page-faults", r"line 6: count of page"),
        ("0.100359808,<not counted>,,page-faults", "0.04,<not counted>,,page-faults", r"line 6: time 0.04 comes after"),
        (",57264,25.00,0.000,/sec", "", r"line 9: 4 fields; allowed: at least 6"),
        ("12,,page-faults,57264,25.00", "-12,,page-faults,57264,25.00", r"line 9: count of page-faults is '-12'"),
        ("12,,page-faults,57264,25.00", "nan,,page-faults,57264,25.00", r"line 9: count of page-faults is 'nan'"),
        ("12,,page-faults,57264,25.00", "1e30,,page-faults,57264,25.00", r"line 9: count .*; allowed: a number from 0"),
        ("12,,page-faults,57264,25.00", "1_2,,page-faults,57264,25.00", r"line 9: count of page-faults is '1_2'"),
        ("12,,page-faults,57264,25.00", "12,,page-faults,57264,250.00", r"line 9: percent running .* '250.00'"),
        ("12,,page-faults,57264,25.00", "12,,page-faults,57264,0.00", r"line 9: page-faults ran 0 %"),
        ("12,,page-faults,57264,25.00", "12,,page-faults,x,25.00", r"line 9: run time of page-faults is 'x'"),
        ("12,,page-faults,57264,25.00", "12,,page-fults,57264,25.00", r"line 9: event 'page-fults' is number 1"),
        ("0.121483457,12", "O.121483457,12", r"line 9: time is 'O.121483457'"),
        ("0.121483457,12", "0.1214834570,12", r"line 10: time '0.121483457' is the same as '0.1214834570' in another"),
        ("0.100359808,<not supported>,,instructions,0,100.00,,\n", "", r"line 7: the interval at 0.10.* ends after 2"),
        ("0.121483457,<not supported>,,instructions,0,100.00,,\n", "", r"line 10: the interval .* after 2 of 3"),
        ("0.050133966,75", "0.050133966,CPU0,75", r"line 3: second field is 'CPU0': counts of a part"),
    ],
)  # fmt: skip
def test_a_corrupt_perf_log_is_refused_by_line(tmp_path, old, new, message):
    assert old in PERF
    with pytest.raises(InputError, match=message):
        read_log(written(tmp_path, PERF.replace(old, new, 1)))


def test_emon_text(tmp_path):
    path = written(tmp_path, EMON)
    log = read_log(path)
    assert log.format == "emon"
    assert log.times == ("0.000", "0.101", "0.201")
    assert log.events == ("INST_RETIRED.ANY", "UNC_M_CAS_COUNT.RD", "UOPS_ISSUED.ANY")
    same(log.count[0], [111729254, 502542, np.nan])
    same(log.count[1], [np.nan, np.nan, 245439003])
    same(read_log(path, cpu=1).count[0], [15193710, 502542, np.nan])
    with pytest.raises(InputError, match="cpu is 2; allowed: 0 to 1"):
        read_log(path, cpu=2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("97,056,388", "97,x56,388", "line 13: count of INST_RETIRED.ANY"),
        ("UOPS_ISSUED.ANY\t209,848,664\t227,077,347\t18,361,656\t", "UOPS_ISS", "line 10: 'UOPS_ISS' with 1 fields"),
        ("10/21/2023 23:36:13.616", "10/41/2023 23:36:13.616", "line 12: time"),
        ("10/21/2023 23:36:13.616", "10/21/2023 23:36:10.616", "line 12: time is '-2.799'"),
    ],
)
def test_corrupt_emon_text_is_refused_by_line(tmp_path, old, new, message):
    with pytest.raises(InputError, match=message):
        read_log(written(tmp_path, EMON.replace(old, new, 1)))


def test_a_wide_table(tmp_path):
    log = read_log(written(tmp_path, "t_s,tsc_delta,A,B\n0.0,21,7,\n0.1,21,,9.5\n"))
    assert (log.format, log.events, log.times) == ("wide", ("A", "B"), ("0.0", "0.1"))
    same(log.count, [[7, np.nan], [np.nan, 9.5]])
    same(log.running_fraction, [[1, 0], [0, 1]])
    for text, message in (
        ("t_s,A\n0.0,7\n0.0,8\n", "line 3: time '0.0' appears twice"),
        ("t_s,A\n0.0,7\n0.1,8,9\n", "line 3: 3 fields; allowed: 2"),
        ("t_s,A,A\n0.0,7,8\n", "line 1: column 'A'"),
        ("t_s,A\n0.0,7\n0.1,-8\n", "line 3: count of A is '-8'"),
        ("t_s,A\n0.2,7\n0.1,8\n", "line 3: time 0.1 comes after"),
        ("t_s,A\n0.2,\n", "no event was ever counted"),
        ('t_s,A\n0.2,"7\n', "line 2: .*allowed: CSV"),
    ):
        with pytest.raises(InputError, match=message):
            read_log(written(tmp_path, text))


@pytest.mark.parametrize("separator", [",", ";"])
def test_tidy_csv(tmp_path, separator):
    path = written(tmp_path, TIDY.replace(",", separator))
    log = read_log(path)
    assert (log.format, log.events, log.times) == ("tidy", ("a", "b"), ("0.1", "0.2", "0.30"))
    same(log.count, [[10, np.nan], [12, np.nan], [np.nan, 8]])
    same(log.running_fraction, [[1, 0], [0.5, 0], [0, 0.25]])
    same(read_log(path, raw=True).count, [[10, np.nan], [24, np.nan], [np.nan, 32]])


def test_tidy_rows_may_come_in_any_order(tmp_path):
    head, *rows = TIDY.splitlines(keepends=True)
    log = read_log(written(tmp_path, head + "".join(reversed(rows))))
    assert log.times == ("0.1", "0.2", "0.30")
    assert dict(zip(log.events, log.count.T[:, 2], strict=True))["b"] == 8


def test_a_log_and_its_tidy_form_are_the_same(tmp_path):
    log = read_log(written(tmp_path, PERF))
    path = tmp_path / "tidy.csv"
    log.tidy().to_csv(path, index=False)
    again = read_log(path)
    assert (again.times, again.events) == (log.times, log.events)
    same(again.count, log.count)
    same(again.running_fraction, log.running_fraction)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TIDY + "0.30,b,8,0.25\n", "line 7: event 'b' appears twice at time 0.30"),
        (TIDY + "0.3,b,8,0.25\n", r"line 7: time '0.3' is the same as '0.30'"),
        (TIDY + "0.4,b,8,1.25\n", "line 7: running_fraction of b is '1.25'"),
        (TIDY + "0.4,b,8,\n", "line 7: running_fraction of b is ''"),
        (TIDY + "0.4,,8,1\n", "line 7: no event name"),
        (TIDY + "0.4,b,8\n", "line 7: 3 fields; allowed: 4"),
        (TIDY + "inf,b,8,1\n", "line 7: time is 'inf'"),
        (TIDY.replace("running_fraction", "fraction"), "line 1: column 'running_fraction' stands 0 times"),
        ("time_s,event,count,running_fraction\n", "no counts"),
    ],
)
def test_corrupt_tidy_csv_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_log(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("hello\n", "line 1: 'hello'"),
        ("76,,page-faults,978181,100.00,77.695,K/sec\n", "line 1: .* has no time in front"),
        ("<not supported>,,cycles,0,100.00,,\n", "line 1: .* has no time in front"),
        (b"1.0,5,,cycles,100,50.00,,\n1.0,\xff\xfe\n", "line 2: not text in UTF-8"),
        (b"1.0,5,,cycles,100,50.00,,\n1.0,\x00\n", "line 2: a zero byte"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_log(written(tmp_path, text))


WIDE = "# made by hand\nt_s,tsc_delta,A,B\n0.0,21,7,\n0.1,21,,9.5\n"
PIECES = [*',;"/#- \n\t\x0b٣', "nan", "1e999", "<not counted>", "0.1", "CPU0", "t_s"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([PERF, EMON, TIDY, WIDE]), st.data())
def test_whatever_is_done_to_a_log_it_is_read_or_refused(tmp_path, text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.sampled_from(PIECES)) * data.draw(st.integers(0, 2)) + text[at + cut :]
    try:
        log = read_log(written(tmp_path, text), format=data.draw(st.sampled_from([None, *FORMATS])))
    except InputError:
        return
    assert log.count.shape == (len(log.times), len(log.events)) == log.running_fraction.shape
    assert (np.diff(log.time_s) > 0).all()
    assert (log.count[log.counted] >= 0).all()
    assert ((log.running_fraction > 0) == log.counted).all()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: No such file"):
        read_log(tmp_path / "none.csv")
    with pytest.raises(InputError, match="log format 'csv'"):
        read_log(tmp_path / "none.csv", format="csv")


@pytest.mark.skipif(shutil.which("perf") is None, reason="perf is not installed")
@pytest.mark.parametrize("separator", [",", ";"])
def test_what_perf_prints_here(tmp_path, separator):
    path = tmp_path / "perf.log"
    command = ["perf", "stat", "-I", "20", "-x", separator, "-o", str(path), "-e", "page-faults,minor-faults,cycles"]
    done = subprocess.run([*command, "--", "sleep", "0.05"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"perf can't count here: {done.stderr.strip()[:80]}")
    log = read_log(path)
    assert log.events == ("page-faults", "minor-faults", "cycles")
    assert len(log.times) >= 2
    counted = log.counted[:, 0]
    assert counted[0]
    # sleep reads nothing from a disk; the two counters are not read at one and the same instant
    np.testing.assert_allclose(log.count[counted, 0], log.count[counted, 1], atol=3)
