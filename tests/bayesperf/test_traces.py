"""The traces, their split, and the slices made of them."""

import numpy as np
import pytest

from credence.bayesperf.data import pmu, traces
from credence.bench.errors import InputError


def test_the_split_was_named_before_any_result_and_covers_every_program():
    assert traces.programs("qemu-x86", "train") == (
        "als", "awk", "bzip2", "gmm", "join", "openssl", "pca", "wordcount"
    )  # fmt: skip
    assert traces.programs("qemu-ppc64", "train") == ("gzip", "join", "wordcount")
    for machine, count in (("qemu-x86", 17), ("qemu-ppc64", 9)):
        test = traces.programs(machine, "test")
        assert len(test) == count
        assert not set(test) & set(traces.TRAIN[machine])
        assert set(test) | set(traces.TRAIN[machine]) == set(traces.programs(machine))


@pytest.mark.parametrize("machine", traces.machines())
def test_each_program_has_its_own_rows_in_order(machine):
    for program in traces.programs(machine):
        found = traces.trace(machine, program)
        assert found.events == pmu.PLUGIN_EVENTS
        assert found.counts.shape == (len(found.counts), 59)
        assert (found.counts >= 0).all()
        # an interval is 1 M cycles of 4 slots; an instruction that stalls may end it late, the next one is shorter
        slots = found.counts[:, 0]
        assert abs(slots.mean() / (4 * traces.INTERVAL_CYCLES) - 1) < 1e-3


@pytest.mark.parametrize("machine", traces.machines())
def test_slots_are_where_time_went(machine):
    found = traces.trace(machine, "wordcount")
    lost = [f"SL_{name}" for name in ("RETIRING", "FRONTEND", "BADSPEC", "L2", "L3", "DRAM", "TLB")]
    np.testing.assert_array_equal(traces.columns(found, lost).sum(axis=1), found.counts[:, 0])


def test_a_slice_holds_four_intervals_on_end():
    found = traces.trace("qemu-x86", "gnusort")
    readings = traces.slice_counts(found, ("LOADS", "INST"))
    assert readings.shape == (len(found.counts) // 4, 4, 2)
    for k in (0, 7, len(readings) - 1):
        np.testing.assert_array_equal(readings[k, :, 1], found.counts[4 * k : 4 * k + 4, 1])
        np.testing.assert_array_equal(readings[k, :, 0], found.counts[4 * k : 4 * k + 4, 2])


def test_a_trace_can_not_be_changed_by_who_reads_it():
    with pytest.raises(ValueError, match="read-only"):
        traces.trace("qemu-ppc64", "gzip").counts[0, 0] = 1


def test_what_does_not_exist_is_refused_by_name():
    with pytest.raises(InputError, match=r"machine 'qemu-arm'.*qemu-ppc64"):
        traces.programs("qemu-arm")
    with pytest.raises(InputError, match=r"program on qemu-ppc64 'kmeans'.*gzip"):
        traces.trace("qemu-ppc64", "kmeans")
    with pytest.raises(InputError, match=r"split 'tests'.*train, test"):
        traces.programs("qemu-x86", "tests")
    with pytest.raises(InputError, match="event of qemu-x86 'LOAD'"):
        traces.slice_counts(traces.trace("qemu-x86", "gzip"), ["LOAD"])
    short = traces.Trace("short", "qemu-x86", ("INST",), np.zeros((3, 1), np.int64))
    with pytest.raises(InputError, match="3 intervals; allowed: at least 4"):
        traces.slice_counts(short)
