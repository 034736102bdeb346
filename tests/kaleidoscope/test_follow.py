"""A growing log gives the same windows as the whole file, each once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credence.bench.errors import InputError
from credence.kaleidoscope.data.follow import Follower
from credence.kaleidoscope.data.probes import read_probes
from credence.kaleidoscope.data.topology import topology

HEADER = "time_s,client,target,operation,sent,succeeded,missing\n"
MOOSEFS = topology("moosefs")


def row(time, sent=5, succeeded=5):
    return f"{time},client1,ost_A,wrex,{sent},{succeeded},0\n"


def shown(windows):
    names = ("client", "target", "operation", "sent", "succeeded", "missing")
    return [(w.start_s, *(getattr(w, name).tolist() for name in names)) for w in windows]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=25, unique=True), st.lists(st.integers(0, 900), max_size=8))
def test_a_log_cut_anywhere_gives_the_windows_of_the_whole(tmp_path_factory, times, cuts):
    path = tmp_path_factory.mktemp("log") / "probes.csv"
    content = (HEADER + "".join(row(time, succeeded=time % 6) for time in sorted(times))).encode()
    follower = Follower(path, MOOSEFS, 10)
    found = []
    for end in [*sorted(cut for cut in cuts if cut < len(content)), len(content)]:
        path.write_bytes(content[:end])
        found += follower.poll()
    assert shown(found + follower.rest()) == shown(read_probes(path, MOOSEFS, 10))
    assert follower.late == 0
    assert follower.rest() == []


def test_a_window_comes_out_when_a_later_row_is_seen(tmp_path):
    path = tmp_path / "probes.csv"
    path.write_text(HEADER + row(0) + row(9))
    follower = Follower(path, MOOSEFS, 10)
    assert follower.poll() == []
    path.write_text(path.read_text() + row(10))
    (window,) = follower.poll()
    assert (window.start_s, window.sent.tolist()) == (0.0, [10])
    path.write_text(path.read_text() + row(3) + row(11))
    assert follower.poll() == []
    assert follower.late == 1
    (window,) = follower.rest()
    assert (window.start_s, window.sent.tolist()) == (10.0, [10])


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("1,client1,ost_A,wrex,5,6,0\n", "line 4, column 'succeeded'"),
        ("0,client1,ost_A,wrex,5,5,0\n", "line 4, column 'operation'"),
        ("1,client1\n", "line 4: 2 values"),
        ('1,"client1,ost_A,wrex,5,5,0\n', "line 4: "),
    ],
)
def test_what_is_wrong_is_refused_by_its_line_in_the_file(tmp_path, lines, says):
    path = tmp_path / "probes.csv"
    path.write_text(HEADER + "\n" + row(0))
    follower = Follower(path, MOOSEFS, 10)
    follower.poll()
    path.write_text(path.read_text() + lines)
    with pytest.raises(InputError, match=says):
        follower.poll()


def test_files_that_cannot_be_followed_are_refused(tmp_path):
    path = tmp_path / "probes.csv"
    with pytest.raises(InputError, match="seconds above 0"):
        Follower(path, MOOSEFS, np.nan)
    follower = Follower(path, MOOSEFS, 10)
    with pytest.raises(InputError, match="No such file"):
        follower.poll()
    path.write_text(HEADER + row(0))
    follower.poll()
    path.write_text(HEADER)
    with pytest.raises(InputError, match="only grows"):
        follower.poll()
    path.write_text("client,target,operation,sent,succeeded,missing\n")
    with pytest.raises(InputError, match="no column 'time_s'"):
        Follower(path, MOOSEFS, 10).poll()
    path.write_bytes(b"\xff\n")
    with pytest.raises(InputError, match="line 1: not UTF-8"):
        Follower(path, MOOSEFS, 10).poll()
