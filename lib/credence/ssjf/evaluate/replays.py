"""Recorded traces served again: their own arrival times, compressed or stretched by a load factor.

A trace happened once. What can be resampled are its ten-minute windows: every window's requests keep the waiting that
the whole replay gave them, and draws pick windows with replacement. Six windows are few; the intervals are rough.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from credence.bench import catalogue, seeds
from credence.bench.errors import InputError, choose
from credence.ssjf import data
from credence.ssjf.evaluate.maps import AUTHORS_TAU, CLAIMED_CUT, CLASS_LEVELS, LEVEL, coarse_key, nominal_tau
from credence.ssjf.world import capacity_rate, replay, simulate_arrays

TRACES = {
    "azure-llm-2023-conv": "Azure conversation",
    "azure-llm-2023-code": "Azure code",
    "mooncake-conversation": "Mooncake conversation",
    "ssjf-simulated-bursty": "simulated bursty code (generated)",
}
READERS = {
    "azure-llm-2023-conv": lambda: data.azure("conv"),
    "azure-llm-2023-code": lambda: data.azure("code"),
    "mooncake-conversation": data.mooncake,
    "ssjf-simulated-bursty": data.simulated_bursty,
}
PREDICTORS = ("oracle", "tau 0.63", "five classes")
WINDOW_S = 600.0
LATE_SHARE = 0.9  # a last window shorter than this share of a window joins the one before it


def trace(name: str) -> pd.DataFrame:
    """Return one of `TRACES` as a request frame, in true seconds."""
    return READERS[choose(name, TRACES, "trace")]()


def at_hand() -> list[str]:
    """Return the third-party traces that can be read without a network; the simulated one if there are none."""
    found = [name for name in TRACES if name != "ssjf-simulated-bursty" and catalogue.available(name)]
    return found or ["ssjf-simulated-bursty"]


def keys(output_tokens, seed: int) -> dict[str, np.ndarray]:
    """Return predictions [requests] of a trace that comes with none, by name in `PREDICTORS`.

    The five classes are cut at the same percentiles as the paper's, and their mistakes are such that Kendall's tau-b
    is that of the authors' own classes.
    """
    lengths = np.asarray(output_tokens)
    rng = seeds.generator(seed, "replays", "errors")
    fine, coarse = nominal_tau(lengths, 0.63), nominal_tau(lengths, AUTHORS_TAU, CLASS_LEVELS)
    return {
        "oracle": lengths.astype(float),
        "tau 0.63": coarse_key(lengths, fine, rng),
        "five classes": coarse_key(lengths, coarse, rng, CLASS_LEVELS),
    }


def windows(arrival_s, window_s: float = WINDOW_S) -> np.ndarray:
    """Return the window [requests], 0, 1, …, in which each request of the trace arrived, by its own clock."""
    arrival = np.asarray(arrival_s, dtype=float)
    if not window_s > 0:
        raise InputError(f"window_s is {window_s!r}; allowed: seconds > 0")
    number = (arrival // window_s).astype(int)
    last = number.max()
    if last > 0 and arrival.max() - last * window_s < window_s * (1 - LATE_SHARE):
        number[number == last] = last - 1
    return number


def window_draws(fcfs_jct_s, jct_s, window, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return draws [draws] over windows of the cut of the mean JCT [%].

    Parameters
    ----------
    fcfs_jct_s, jct_s, window [requests]
        Completion times [s] first come first served and otherwise, and each request's window.
    draws : int
        Resamples of the windows, with replacement.
    """
    sums = np.stack([np.bincount(window, weights=values) for values in (fcfs_jct_s, jct_s)])
    used = np.bincount(window) > 0
    picked = sums[:, used][:, rng.integers(used.sum(), size=(draws, used.sum()))].sum(axis=-1)
    return 100 * (1 - picked[1] / picked[0])


def factors_at(requests: pd.DataFrame, loads: Sequence[float], *, slots: int, engine: str, batching="continuous"):
    """Return the load factors [loads] at which a trace offers an engine these loads, with 1, the true rate, among them.

    Parameters
    ----------
    requests : pandas.DataFrame
        A request frame.
    loads : sequence of float
        Mean arrival rate over the engine's capacity for the trace's requests; may exceed 1.
    slots, engine, batching
        As for `maps.cell`.
    """
    true_load = offered_load(requests, slots=slots, engine=engine, batching=batching)
    return sorted({1.0, *(float(load / true_load) for load in loads)})


def offered_load(requests: pd.DataFrame, *, slots: int, engine: str, batching: str = "continuous") -> float:
    """Return the mean arrival rate of a trace over the engine's capacity for its requests."""
    prompt, output, arrival = (requests[name].to_numpy() for name in ("prompt_tokens", "output_tokens", "arrival_s"))
    capacity = capacity_rate(prompt, output, batching=batching, slots=slots, engine=engine)
    return float(len(arrival) / (arrival[-1] - arrival[0]) / capacity)


def replay_draws(
    requests: pd.DataFrame,
    factors: Sequence[float],
    *,
    slots: int,
    engine: str,
    batching: str = "continuous",
    predictors: Sequence[str] = PREDICTORS,
    draws: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    """Replay a trace at several load factors, first come first served and shortest predicted first.

    Parameters
    ----------
    requests : pandas.DataFrame
        A request frame.
    factors : sequence of float
        Arrivals come this much faster than in the trace; 1 is its true rate.
    slots, engine, batching
        As for `maps.cell`.
    predictors : sequence of str
        Of `PREDICTORS`.
    draws, seed : int
        Resamples of ten-minute windows; the run's seed.

    Returns
    -------
    pandas.DataFrame
        One row a factor, predictor and draw: ``factor``, ``load`` (arrival rate of the whole trace over the engine's
        capacity for its requests, which may exceed 1), ``predictor``, ``draw``, ``cut`` [%]; the same in every draw of
        a row: ``whole_cut``, ``p99_change`` [%], ``fcfs_mean_s``, ``fcfs_longest_s``, ``longest_s`` of all requests.
    """
    prompt, output = (requests[name].to_numpy() for name in ("prompt_tokens", "output_tokens"))
    order, window = keys(output, seed), windows(requests["arrival_s"])
    true_load = offered_load(requests, slots=slots, engine=engine, batching=batching)
    common = {"batching": batching, "slots": slots, "profile": engine}
    found = []
    for factor in factors:
        arrival = replay(requests, factor)["arrival_s"].to_numpy()
        plain = simulate_arrays(arrival, prompt, output, policy="fcfs", **common)
        before = plain.end_s - arrival
        for name in predictors:
            chosen = order[choose(name, PREDICTORS, "predictor")]
            served = simulate_arrays(arrival, prompt, output, policy="ssjf", predicted=chosen, **common)
            after = served.end_s - arrival
            cut = window_draws(before, after, window, draws, seeds.generator(seed, "replays", "windows", factor))
            whole = {
                "whole_cut": 100 * (1 - after.mean() / before.mean()),
                "p99_change": 100 * (np.percentile(after, 99) / np.percentile(before, 99) - 1),
                "fcfs_mean_s": before.mean(),
                "fcfs_longest_s": (plain.start_s - arrival).max(),
                "longest_s": (served.start_s - arrival).max(),
            }
            head = {"factor": factor, "load": factor * true_load, "predictor": name}
            found.append(pd.DataFrame({**head, "draw": np.arange(draws), "cut": cut, **whole}))
    return pd.concat(found, ignore_index=True)


def replay_frame(draws: pd.DataFrame) -> pd.DataFrame:
    """Summarise `replay_draws`: one row a factor and predictor.

    Returns
    -------
    pandas.DataFrame
        What identifies a row, ``cut`` of the whole trace with ``cut_lo``, ``cut_hi`` (90 % over windows) and
        ``p_cut_30``, ``p99_change`` [%], and the times of `replay_draws` [s].
    """
    by = [name for name in ("trace", "engine", "slots", "factor", "load", "predictor") if name in draws]
    groups, tail = draws.groupby(by, sort=False), (1 - LEVEL) / 2
    same = groups[["whole_cut", "p99_change", "fcfs_mean_s", "fcfs_longest_s", "longest_s"]].first()
    found = same.rename(columns={"whole_cut": "cut"})
    found["cut_lo"], found["cut_hi"] = groups["cut"].quantile(tail), groups["cut"].quantile(1 - tail)
    found["p_cut_30"] = groups["cut"].agg(lambda cut: float((cut >= CLAIMED_CUT).mean()))
    return found.reset_index()


def true_rate_table(frame: pd.DataFrame, predictor: str = "tau 0.63") -> pd.DataFrame:
    """Return what happens to each trace of `replay_frame` at its true rate, as a table to be read."""
    rows = frame[(frame["factor"] == 1.0) & (frame["predictor"] == predictor)]
    return pd.DataFrame(
        {
            "trace": [TRACES[name] for name in rows["trace"]],
            "engine, slots": [f"{r.engine}, {r.slots}" for r in rows.itertuples()],
            "load [1]": rows["load"].round(2).to_numpy(),
            "cut [%]": [f"{r.cut:.1f} [{r.cut_lo:.1f}, {r.cut_hi:.1f}]" for r in rows.itertuples()],
            "p99 change [%]": rows["p99_change"].round(1).to_numpy(),
            "FCFS mean [s]": rows["fcfs_mean_s"].round(1).to_numpy(),
        }
    )
