"""The third-party sets, where CREDENCE_MIRROR names them."""

import os

import numpy as np
import pytest

from credence.bayesperf.data import real_hardware, vendor
from credence.bench.errors import InputError

pytestmark = [
    pytest.mark.third_party,
    pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set"),
]

# Share of intervals in which an order is broken [%], read off these series once by another program: STALLS_L1D_MISS <
# STALLS_L2_MISS, STALLS_MEM_ANY < STALLS_L1D_MISS, issued < retired.
BROKEN = {
    "500.perlbench_r": (0.9, 0.0, 0.3),
    "502.gcc_r": (13.6, 3.8, 2.2),
    "523.xalancbmk_r": (0.0, 0.0, 13.6),
    "557.xz_r": (1.2, 0.2, 0.8),
    "cc-kron": (3.6, 1.3, 1.2),
}


@pytest.mark.parametrize("program", BROKEN)
def test_real_counters_break_orders_as_often_as_found_before(program):
    series = real_hardware.round_robin(program)
    counts = dict(zip(series.events, series.counts.T, strict=True))
    orders = [real_hardware.ORDERS[k] for k in (0, 2, 3)]
    found = [100 * np.mean(counts[fewer] > counts[more]) for fewer, more in orders]
    assert found == pytest.approx(BROKEN[program], abs=0.1)


def test_every_order_is_about_events_of_the_series():
    series = real_hardware.round_robin("502.gcc_r")
    assert {event for order in real_hardware.ORDERS for event in order} <= set(series.events)
    assert series.cumulative.shape == series.uncertainty.shape == (677, 20)


def test_emon_counts_five_groups_in_turn():
    log = real_hardware.emon("502.gcc_r")
    groups = real_hardware.emon_groups(log)
    assert [len(group) for group in groups] == [11, 4, 4, 4, 2]
    assert sum(map(len, groups)) == len(log.events) == len(set(log.events))
    assert log.times[:3] == ("0.000", "0.100", "0.200")
    assert (log.counted[0] == [event in groups[0] for event in log.events]).all()
    with pytest.raises(InputError, match=r"program measured with EMON 'gcc'.*502\.gcc_r"):
        real_hardware.emon("gcc")


def test_vendor_files_are_json_again():
    files = vendor.perfmon("skylakex")
    assert list(files) == [f"skylakex_{part}.json" for part in ("core", "uncore", "metrics", "metrics_perf")]
    assert len(files["skylakex_metrics.json"]["Metrics"]) == 260
    kernel = vendor.pmu_events("power9")
    assert sum("MetricExpr" in row for row in kernel["metrics.json"]) == 318
    assert any(line.startswith("CPU,skx") for line in vendor.papi_presets())
    assert "METRICS" in vendor.likwid_groups("zen3")["L2.txt"]
    with pytest.raises(InputError, match="CPU with Intel perfmon files 'zen3'"):
        vendor.perfmon("zen3")
    with pytest.raises(InputError, match="is read as csv-files"):
        vendor.files(real_hardware.EMON)
