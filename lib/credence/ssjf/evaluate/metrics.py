"""Metrics of one served list of requests.

*JCT* (job completion time) is end − arrival, *wait* start − arrival, *TTFT* first token − arrival, all in seconds;
*slowdown* is JCT over the time the request takes alone on the idle engine.
"""

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.ssjf.model import EngineProfile
from credence.ssjf.model import profile as find_profile
from credence.ssjf.model.profiles import service_s

COMPLETION_SHARES = (25, 50, 75, 100)


def per_request(
    requests: pd.DataFrame, schedule: pd.DataFrame, profile: str | EngineProfile = "ssjf-paper"
) -> pd.DataFrame:
    """Return one row per request with the columns jct_s, wait_s, ttft_s [s] and slowdown.

    Parameters
    ----------
    requests : pandas.DataFrame
        arrival_s [s], prompt_tokens, output_tokens [tokens].
    schedule : pandas.DataFrame
        request, start_s, first_token_s, end_s [s], as `simulate` returns it.
    profile : str or EngineProfile
        The engine that served them, for the slowdown's denominator.

    Raises
    ------
    InputError
        When the two frames do not list the same requests.
    """
    if len(requests) != len(schedule) or not np.array_equal(schedule["request"], np.arange(len(requests))):
        raise InputError(
            f"schedule of {len(schedule)} rows for {len(requests)} requests; allowed: one row per request, in order"
        )
    engine = find_profile(profile) if isinstance(profile, str) else profile
    arrival = requests["arrival_s"].to_numpy(dtype=np.float64)
    end = schedule["end_s"].to_numpy(dtype=np.float64)
    alone = service_s(engine, requests["prompt_tokens"], requests["output_tokens"])
    with np.errstate(divide="ignore", invalid="ignore"):
        # an answer without tokens on an engine whose prefill is free takes no time at all: call that slowdown 1
        slowdown = np.where(alone > 0, (end - arrival) / alone, np.where(end > arrival, np.inf, 1.0))
    return pd.DataFrame(
        {
            "jct_s": end - arrival,
            "wait_s": schedule["start_s"].to_numpy() - arrival,
            "ttft_s": schedule["first_token_s"].to_numpy() - arrival,
            "slowdown": slowdown,
        }
    )


def completion_throughput(arrival_s, end_s, percent: float) -> float:
    """Return completions per second until `percent` of the requests are done.

    With k = ⌈percent/100 · n⌉: k divided by the time from the first arrival to the k-th completion. At 25 % this is
    what the SSJF evaluation calls throughput; at 100 % it is n over the makespan.
    """
    if not 0 < percent <= 100:
        raise InputError(f"percent is {percent!r}; allowed: above 0, up to 100")
    ends = np.sort(np.asarray(end_s, dtype=np.float64))
    count = int(np.ceil(percent / 100 * ends.size - 1e-9))
    span = ends[count - 1] - float(np.min(arrival_s))
    return count / span if span > 0 else float("inf")


def jain_index(values) -> float:
    """Return Jain's fairness index (Σx)² / (n Σx²) of `values` [requests]: 1 when all are equal, 1/n at worst.

    `summary` takes it over slowdowns: a schedule is fair when everyone waits in proportion to what they asked for.
    """
    values = np.asarray(values, dtype=np.float64)
    return float(values.sum() ** 2 / (values.size * np.sum(values**2)))


def batch_means(values, batches: int = 50) -> tuple[float, float]:
    """Return the mean of a stationary series and the standard error of that mean by batch means.

    Parameters
    ----------
    values : array_like [requests]
        In order of arrival; neighbours may be correlated, batches must be long enough not to be.
    batches : int
        Equal batches, at least 2; a remainder at the front is dropped (there the queue is still filling).
    """
    values = np.asarray(values, dtype=np.float64)
    if not 2 <= batches <= values.size:
        raise InputError(f"batches is {batches!r} for {values.size} values; allowed: 2..{values.size}")
    length = values.size // batches
    means = values[values.size - length * batches :].reshape(batches, length).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(batches))


def interval(values, level: float = 0.9) -> tuple[float, float, float]:
    """Return the mean of independent replications and its confidence interval (Student's t).

    Parameters
    ----------
    values : array_like [replications]
        One number each, at least two.
    level : float
        Confidence, between 0 and 1.

    Returns
    -------
    mean, low, high : float
    """
    from scipy import stats

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size < 2:
        raise InputError(f"values have shape {list(values.shape)}; allowed: at least 2 replications in a row")
    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; allowed: between 0 and 1")
    mean = float(values.mean())
    half = float(stats.t(values.size - 1).ppf((1 + level) / 2) * values.std(ddof=1) / np.sqrt(values.size))
    return mean, mean - half, mean + half


def summary(
    requests: pd.DataFrame,
    schedule: pd.DataFrame,
    warmup_fraction: float = 0.0,
    profile: str | EngineProfile = "ssjf-paper",
) -> dict[str, float]:
    """Return the metrics of one schedule.

    Parameters
    ----------
    requests, schedule : pandas.DataFrame
        As for `per_request`.
    warmup_fraction : float
        Share of the requests, in order of arrival, left out of everything but the throughputs, 0..1.
    profile : str or EngineProfile
        As for `per_request`.

    Returns
    -------
    dict
        ``requests`` counted; ``mean_jct_s``, ``p50_jct_s``, ``p95_jct_s``, ``p99_jct_s``, likewise ``…_wait_s``,
        ``…_ttft_s`` and ``…_slowdown``; ``longest_wait_s``, ``largest_slowdown``, ``jain_slowdown``;
        ``throughput_25`` … ``throughput_100`` [1/s] over the whole list; ``makespan_s``.
    """
    if not 0 <= warmup_fraction < 1:
        raise InputError(f"warmup_fraction is {warmup_fraction!r}; allowed: 0 up to, not including, 1")
    table = per_request(requests, schedule, profile)
    counted = table.iloc[int(len(table) * warmup_fraction) :]
    result: dict[str, float] = {"requests": len(counted)}
    for column in ("jct_s", "wait_s", "ttft_s", "slowdown"):
        values = counted[column].to_numpy()
        result[f"mean_{column}"] = float(values.mean())
        for percent, value in zip((50, 95, 99), np.percentile(values, (50, 95, 99)), strict=True):
            result[f"p{percent}_{column}"] = float(value)
    result["longest_wait_s"] = float(counted["wait_s"].max())
    result["largest_slowdown"] = float(counted["slowdown"].max())
    result["jain_slowdown"] = jain_index(counted["slowdown"])
    for percent in COMPLETION_SHARES:
        result[f"throughput_{percent}"] = completion_throughput(requests["arrival_s"], schedule["end_s"], percent)
    result["makespan_s"] = float(schedule["end_s"].max() - requests["arrival_s"].min())
    return result


def compare(baseline: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Return what `other` changes against `baseline`, two results of `summary`.

    Returns
    -------
    dict
        ``mean_jct_s_cut_percent`` and so on for every time, wait and slowdown: (baseline − other) / baseline, in %,
        positive when `other` is better; ``throughput_25_ratio`` … : other / baseline. NaN where the baseline is 0.
    """
    result = {}
    for name, before in baseline.items():
        after = other[name]
        if name.startswith("throughput_"):
            result[f"{name}_ratio"] = after / before if before else float("nan")
        elif name.endswith(("_s", "_slowdown")) and name not in ("makespan_s", "jain_slowdown"):
            result[f"{name}_cut_percent"] = 100 * (before - after) / before if before else float("nan")
    return result
