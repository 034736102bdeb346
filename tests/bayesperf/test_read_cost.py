"""What a read costs: what is timed does what it says; no assertion on times."""

import os

import numpy as np
import pandas as pd
import pytest

from credence.bayesperf.evaluate import read_cost
from credence.bench import claims


@pytest.fixture(scope="module")
def timed():
    return read_cost.measure(rounds=3)


def test_everything_is_timed_in_one_run(timed):
    assert timed["what"].iloc[0] in (read_cost.PERF_READ, read_cost.OTHER_READ)
    assert set(timed["what"]) >= {read_cost.POLL, read_cost.UPDATE, read_cost.DENSE, read_cost.MINER}
    assert (timed["seconds"] > 0).all()
    told = read_cost.summary(timed)
    assert told["over_read"].iloc[0] == 1
    assert (told["q1_ns"] <= told["q3_ns"]).all()


def test_the_counter_is_really_read():
    import ctypes

    handle, name = read_cost.open_counter()
    buffer = ctypes.create_string_buffer(8)
    try:
        if name == read_cost.OTHER_READ:
            os.eventfd_write(handle, 10)
        assert read_cost._reads(handle, ctypes.addressof(buffer), 3) == 24
        assert int.from_bytes(buffer.raw, "little") > 0
    finally:
        os.close(handle)


def test_a_poll_reads_every_event():
    board = np.column_stack([np.zeros(4), np.arange(4.0), 10 * np.arange(4.0)])
    assert read_cost._polls(board, 8) == 2 * (6 + 60)


def test_ratios_are_of_medians():
    table = {read_cost.PERF_READ: 1e-6, read_cost.POLL: 2e-9, read_cost.UPDATE: 4e-6}
    timed = pd.DataFrame([{"what": what, "round": k, "seconds": s} for what, s in table.items() for k in range(5)])
    found = read_cost.ratios(timed, draws=10)
    assert found["read_ratio"] == pytest.approx(np.full(10, 0.002))
    assert found["update_ratio"] == pytest.approx(np.full(10, 0.1))
    assert read_cost.ratios(timed[timed["what"] != read_cost.PERF_READ]) == {}
    wanted = {claim.metric for claim in claims.registry("bayesperf") if claim.notebook == "bayesperf/read_cost"}
    assert wanted == set(found)
