"""Probe logs: the same numbers come back, and what is wrong is refused by line and column."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credence.bench.errors import InputError
from credence.kaleidoscope.data import probes
from credence.kaleidoscope.data.probes import read_probes
from credence.kaleidoscope.data.topology import OPERATIONS, topology

HEADER = "client,target,operation,sent,succeeded,missing"
MOOSEFS = topology("moosefs")


def written(folder, *lines, header=HEADER):
    path = folder / "probes.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def cells_of(window):
    rows = zip(
        window.client, window.target, window.operation, window.sent, window.succeeded, window.missing, strict=True
    )
    named = MOOSEFS.components
    return {(named[c], named[t], OPERATIONS[o]): (s, g, m) for c, t, o, s, g, m in rows}


def test_counts_come_back_and_the_rest_has_failed(tmp_path):
    path = written(tmp_path, "client1,ost_A,wrex,5,3,1", "client2,mds,rmex,4,0,0")
    (window,) = read_probes(path, MOOSEFS)
    assert cells_of(window) == {("client1", "ost_A", "wrex"): (5, 3, 1), ("client2", "mds", "rmex"): (4, 0, 0)}
    assert window.failed.tolist() == [1, 4]
    assert np.isnan(window.start_s)


def test_columns_may_stand_in_any_order_among_others(tmp_path):
    path = written(tmp_path, "0,x,wrex,5,ost_A,5,client1", header="missing,note,operation,sent,target,succeeded,client")
    (window,) = read_probes(path, MOOSEFS)
    assert cells_of(window) == {("client1", "ost_A", "wrex"): (5, 5, 0)}


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("client9,ost_A,wrex,5,5,0", "client", "'client9'"),
        ("mds,ost_A,wrex,5,5,0", "client", "'mds' is a metadata; allowed: a client"),
        ("client1,ost_Z,wrex,5,5,0", "target", "'ost_Z'"),
        ("client1,ost_A,rmex,5,5,0", "target", "allowed with rmex: a metadata"),
        ("client1,mds,wrex,5,5,0", "target", "allowed with wrex: a target"),
        ("client1,oss_A,wrex,5,5,0", "target", "'oss_A' is a server"),
        ("client1,ost_A,read,5,5,0", "operation", "crwr, wrex, rmex"),
        ("client1,ost_A,wrex,-5,5,0", "sent", "'-5' is not allowed; allowed: an integer from 0"),
        ("client1,ost_A,wrex,5,-1,0", "succeeded", "'-1'"),
        ("client1,ost_A,wrex,5,5,-1", "missing", "'-1'"),
        ("client1,ost_A,wrex,5,6,0", "succeeded", "6 of 5 sent"),
        ("client1,ost_A,wrex,5,4,2", "missing", "2 missing and 4 succeeded of 5 sent"),
        ("client1,ost_A,wrex,5.0,5,0", "sent", "'5.0'"),
        ("client1,ost_A,wrex,1_0,5,0", "sent", "'1_0'"),
        ("client1,ost_A,wrex,,0,0", "sent", "''"),
        ("client1,ost_A,wrex,1e3,0,0", "sent", "'1e3'"),
        ("client1,ost_A,wrex,99999999999,0,0", "sent", "from 0 to 1000000000"),
        ("client1,ost_B,wrex,5,5,0", "operation", "wrex from client1 to ost_B a second time"),
    ],
)
@pytest.mark.parametrize("blank", [False, True])  # a blank line is read by the careful reader, and counted
def test_a_wrong_row_is_refused_by_line_and_column(tmp_path, row, column, says, blank):
    path = written(tmp_path, "client1,ost_B,wrex,5,5,0", *[""] * blank, row, "client2,ost_B,wrex,5,5,0")
    with pytest.raises(InputError) as caught:
        read_probes(path, MOOSEFS)
    assert f"line {3 + blank}, column {column!r}" in str(caught.value)
    assert says in str(caught.value)
    assert "allowed" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "missing column 'client'"),
        (b"client,target\n", "missing column 'operation', 'sent'"),
        (HEADER.encode() + b"\n", "no probes"),
        (HEADER.encode() + b",sent\nclient1,ost_A,wrex,5,5,0,5\n", "column 'sent' appears 2 times"),
        (HEADER.encode() + b"\nclient1,ost_A\n", "line 2: 2 values; allowed: 6"),
        (b"\xff\xfe\x00", "not a CSV file"),
        (HEADER.encode() + b'\n"client1,ost_A,wrex,5,5,0\n', "not a CSV file"),
    ],
)
def test_what_is_no_probe_log_is_refused(tmp_path, content, says):
    path = tmp_path / "probes.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_probes(path, MOOSEFS)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_probes(tmp_path / "absent.csv", MOOSEFS)


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path):
    path = tmp_path / "probes.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"\r\nclient1,ost_A,wrex,5,5,0\r\n")
    assert read_probes(path, MOOSEFS)[0].cells == 1


def test_windows_split_by_time_and_add_up(tmp_path):
    rows = ["0,client1,ost_A,wrex,5,5,0", "60,client1,ost_A,wrex,5,4,1", "301,client1,ost_A,wrex,5,0,0"]
    path = written(tmp_path, *rows, header="time_s," + HEADER)
    first, second = read_probes(path, MOOSEFS, 300)
    assert cells_of(first) == {("client1", "ost_A", "wrex"): (10, 9, 1)}
    assert (first.start_s, second.start_s, second.failed.tolist()) == (0.0, 300.0, [5])
    (whole,) = read_probes(path, MOOSEFS)
    assert cells_of(whole) == {("client1", "ost_A", "wrex"): (15, 9, 1)}


def test_one_cell_twice_at_one_time_is_refused(tmp_path):
    rows = ["60,client1,ost_A,wrex,5,5,0", "0,client1,ost_A,wrex,5,5,0", "60.0,client1,ost_A,wrex,5,5,0"]
    path = written(tmp_path, *rows, header="time_s," + HEADER)
    with pytest.raises(InputError, match=r"line 4, column 'operation'.* at 60 s"):
        read_probes(path, MOOSEFS)


@pytest.mark.parametrize("time", ["nan", "inf", "noon", ""])
def test_times_are_finite(tmp_path, time):
    path = written(tmp_path, f"{time},client1,ost_A,wrex,5,5,0", header="time_s," + HEADER)
    with pytest.raises(InputError, match="line 2, column 'time_s'"):
        read_probes(path, MOOSEFS)


def test_a_log_without_times_has_no_windows(tmp_path):
    path = written(tmp_path, "client1,ost_A,wrex,5,5,0")
    with pytest.raises(InputError, match="no column 'time_s'"):
        read_probes(path, MOOSEFS, 60)
    for length in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="seconds above 0"):
            read_probes(path, MOOSEFS, length)


COUNTS = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
ROWS = st.lists(
    st.tuples(
        st.integers(-700, 700),
        st.sampled_from(["client1", "client2"]),
        st.sampled_from([("ost_A", "wrex"), ("ost_B", "crwr"), ("mds", "rmex")]),
        COUNTS,
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:3],
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_both_readers_agree_with_a_count_by_hand(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("log")
    lines = [f"{t},{c},{o},{p},{sum(n)},{n[0]},{n[1]}" for t, c, (o, p), n in rows]
    path = written(folder, *lines, header="time_s," + HEADER)
    quick = read_probes(path, MOOSEFS, 300)
    path.write_text(path.read_text().replace("\n", "\n\n"))  # blank lines: the careful reader
    careful = read_probes(path, MOOSEFS, 300)
    expected = {}
    for t, c, (o, p), n in rows:
        counter = expected.setdefault(t // 300 * 300, {}).setdefault((c, o, p), Counter())
        counter.update(sent=sum(n), succeeded=n[0], missing=n[1])
    for found in (quick, careful):
        got = {window.start_s: cells_of(window) for window in found}
        assert list(got) == sorted(expected)
        assert got == {
            start: {cell: (n["sent"], n["succeeded"], n["missing"]) for cell, n in cells.items()}
            for start, cells in expected.items()
        }


def test_a_plain_file_is_read_by_the_quick_reader(tmp_path, monkeypatch):
    path = written(tmp_path, "client1,ost_A,wrex,5,5,0")
    monkeypatch.setattr(probes, "check_rows", None)
    assert read_probes(path, MOOSEFS)[0].cells == 1
