"""Metrics by hand on a schedule of four requests, and their edges."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.ssjf.evaluate.metrics import (
    batch_means,
    compare,
    completion_throughput,
    interval,
    jain_index,
    per_request,
    summary,
)
from credence.ssjf.model import EngineProfile
from credence.ssjf.world import simulate

REQUESTS = pd.DataFrame({"arrival_s": [1.0, 1.0, 2.0, 3.0], "prompt_tokens": 0, "output_tokens": [10, 20, 10, 45]})
SCHEDULE = pd.DataFrame(
    {
        "request": range(4),
        "start_s": [1.0, 1.5, 4.0, 3.0],
        "first_token_s": [1.2, 2.0, 4.1, 3.5],
        "end_s": [1.6, 2.5, 4.4, 5.0],
    }
)


def test_each_request_by_hand():
    table = per_request(REQUESTS, SCHEDULE)
    assert table["jct_s"].tolist() == pytest.approx([0.6, 1.5, 2.4, 2.0])
    assert table["wait_s"].tolist() == pytest.approx([0.0, 0.5, 2.0, 0.0])
    assert table["ttft_s"].tolist() == pytest.approx([0.2, 1.0, 2.1, 0.5])
    # alone: 0.3, 0.5, 0.3, 1.0 s
    assert table["slowdown"].tolist() == pytest.approx([2.0, 3.0, 8.0, 2.0])


def test_summary_by_hand():
    result = summary(REQUESTS, SCHEDULE)
    assert result["requests"] == 4
    assert result["mean_jct_s"] == pytest.approx(1.625)
    assert result["p50_jct_s"] == pytest.approx(1.75)
    assert result["p99_wait_s"] == pytest.approx(np.percentile([0, 0.5, 2, 0], 99))
    assert result["longest_wait_s"] == pytest.approx(2.0)
    assert result["largest_slowdown"] == pytest.approx(8.0)
    assert result["jain_slowdown"] == pytest.approx(15**2 / (4 * (4 + 9 + 64 + 4)))
    # completions at 0.6, 1.5, 3.4, 4.0 s after the first arrival
    shares = [result[f"throughput_{share}"] for share in (25, 50, 75, 100)]
    assert shares == pytest.approx([1 / 0.6, 2 / 1.5, 3 / 3.4, 4 / 4.0])
    assert result["makespan_s"] == pytest.approx(4.0)


def test_warm_up_is_left_out_of_times_but_not_of_throughput():
    warm, cold = summary(REQUESTS, SCHEDULE, warmup_fraction=0.5), summary(REQUESTS, SCHEDULE)
    assert warm["requests"] == 2
    assert warm["mean_jct_s"] == pytest.approx(2.2)
    assert warm["throughput_100"] == cold["throughput_100"]


def test_throughput_counts_whole_completions():
    assert completion_throughput([0.0], [2.0], 25) == 0.5
    assert completion_throughput(np.zeros(50), np.arange(1, 51), 25) == pytest.approx(13 / 13)
    assert completion_throughput(np.zeros(4), [8, 1, 4, 2], 50) == pytest.approx(2 / 2)


def test_jain_index_at_its_extremes():
    assert jain_index([3.0, 3.0, 3.0]) == pytest.approx(1.0)
    assert jain_index([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)


def test_batch_means_of_independent_numbers_is_the_usual_error():
    values = np.random.default_rng(0).normal(5, 2, 100_000)
    mean, error = batch_means(values, 100)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(2 / np.sqrt(100_000), rel=0.3)


def test_batch_means_sees_correlation():
    rng = np.random.default_rng(0)
    repeated = np.repeat(rng.normal(0, 1, 1000), 100)
    assert batch_means(repeated)[1] > 5 * repeated.std() / np.sqrt(repeated.size)


def test_batch_means_drops_the_front():
    assert batch_means([1000.0, 1, 2, 3, 4], 2)[0] == 2.5


def test_interval_over_replications_by_hand():
    mean, low, high = interval([1.0, 2.0, 3.0], level=0.9)
    assert (mean, high - mean) == pytest.approx((2.0, 2.919986 / np.sqrt(3)))
    assert mean - low == pytest.approx(high - mean)


def test_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0, 1, (2000, 5))
    covered = [low <= 0 <= high for _, low, high in map(interval, draws)]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def test_cuts_and_ratios():
    result = compare(summary(REQUESTS, SCHEDULE), summary(REQUESTS, SCHEDULE.assign(end_s=[1.3, 2.0, 3.0, 4.0])))
    assert result["mean_jct_s_cut_percent"] == pytest.approx(100 * (1.625 - 0.825) / 1.625)
    assert result["throughput_100_ratio"] == pytest.approx(4 / 3)
    assert result["mean_wait_s_cut_percent"] == 0
    assert not any("jain" in name or "makespan" in name or name == "requests" for name in result)


def test_a_cut_of_nothing_is_no_number():
    result = compare({"mean_wait_s": 0.0, "throughput_25": 0.0}, {"mean_wait_s": 1.0, "throughput_25": 1.0})
    assert all(np.isnan(value) for value in result.values())


def test_an_empty_answer_on_a_free_prefill_has_slowdown_one():
    requests = pd.DataFrame({"arrival_s": [0.0, 0.0], "prompt_tokens": [0, 0], "output_tokens": [0, 5]})
    engine = EngineProfile("free", decode_base_s=0.1)
    table = per_request(requests, simulate(requests, profile=engine), engine)
    assert table["slowdown"].tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: per_request(REQUESTS, SCHEDULE.iloc[:3]),
        lambda: per_request(REQUESTS, SCHEDULE.assign(request=[1, 0, 2, 3])),
        lambda: summary(REQUESTS, SCHEDULE, warmup_fraction=1.0),
        lambda: completion_throughput([0.0], [1.0], 0),
        lambda: completion_throughput([0.0], [1.0], 101),
        lambda: batch_means([1.0, 2.0], 3),
        lambda: batch_means([1.0, 2.0], 1),
        lambda: interval([1.0]),
        lambda: interval([1.0, 2.0], level=1.0),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InputError, match="allowed"):
        call()
