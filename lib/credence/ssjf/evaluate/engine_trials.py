"""Traces served by the real engine, beside the simulator's forecast of them.

The simulator gets what the real run was given: arrivals, prompt lengths, predictions, the order of service, the number
of slots; and how many passes each answer took, which only the model knows. Its costs are those of the frozen profile,
which has seen no trace. What a pass really took, who waited for whom and how full the batch was is its own forecast.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from credence.bench import catalogue, paths
from credence.bench.errors import InputError
from credence.ssjf.engine import calibrate, trial
from credence.ssjf.model import EngineProfile, read_profiles
from credence.ssjf.model import profile as find_profile
from credence.ssjf.world.simulator import simulate_arrays

KEYS = ["trace", "policy", "repeat"]
GOAL = 0.10  # largest relative error of the mean completion time
NAMES = {"fcfs": "FCFS", "ssjf": "SSJF"}
TIMES = ("start_s", "first_token_s", "end_s")
RUNS = "ssjf-engine-runs"
COLUMNS = (*KEYS, "slots", "request", "prompt_id", "arrival_s", *TIMES, "prompt_tokens", "output_tokens", "censored")


class Trials(NamedTuple):
    """Served traces and what the engine's profile rests on.

    Attributes
    ----------
    runs : pandas.DataFrame [requests of all runs, ...]
        As ``engine.trial`` writes them.
    timings : pandas.DataFrame [timings, ...]
        Of single passes: ``engine.calibrate.benchmark``.
    profile : EngineProfile
        Frozen before the runs.
    """

    runs: pd.DataFrame
    timings: pd.DataFrame
    profile: EngineProfile


def recorded(first_only: bool = False) -> Trials:
    """Return the trials in git; `first_only` keeps the first run of each trace and policy."""
    runs = catalogue.frame(RUNS)
    runs = runs[runs["repeat"] == 0].reset_index(drop=True) if first_only else runs
    return Trials(runs, catalogue.frame(calibrate.DATA_SET), find_profile(calibrate.NAME))


def again(seed: int) -> Trials:
    """Calibrate and serve everything again, in the run's folder (about 25 minutes on two quiet cores)."""
    folder = Path(os.environ.get("CREDENCE_RUN_DIR") or paths.reports_dir() / "engine") / "engine"
    runs = trial.run(folder, seed=seed)
    timings = pd.read_parquet(folder / "microbenchmarks.parquet")
    return Trials(runs, timings, read_profiles(folder / "profile.toml")[calibrate.NAME])


def passes(runs: pd.DataFrame) -> np.ndarray:
    """Return the forward passes [requests] that each answer took.

    One for each token, and one more for the end token of an answer that ended by itself.
    """
    return (runs["output_tokens"] + ~runs["censored"].astype(bool)).to_numpy()


def forecast(runs: pd.DataFrame, profile: EngineProfile) -> pd.DataFrame:
    """Return what the simulator says of recorded runs.

    The proxy runs inside the serving loop, where every pass waits for it: its cost, the median of what it took, is
    added to a prefill. (``predictor_latency`` of the simulator is another machine's: it delays a request but nobody
    else.)

    Parameters
    ----------
    runs : pandas.DataFrame [requests of all runs, ...]
        As ``engine.trial`` writes them.
    profile : EngineProfile
        The engine's.

    Returns
    -------
    pandas.DataFrame [requests of all runs, ...]
        `runs`, with ``simulated_start_s``, ``simulated_first_token_s``, ``simulated_end_s`` [s], and completion times
        ``jct_s`` and ``simulated_jct_s`` [s].
    """
    missing = [name for name in COLUMNS if name not in runs]
    if missing or not len(runs):
        raise InputError(f"{len(runs)} recorded requests without {', '.join(missing)}; allowed: rows of engine.trial")
    found = []
    for (_, policy, _), part in runs.groupby(KEYS, sort=False):
        part = part.sort_values("request", ignore_index=True)
        told = part["predicted"].notna().all()
        schedule = simulate_arrays(
            part["arrival_s"],
            part["prompt_tokens"],
            passes(part),
            policy=policy,
            batching="continuous",
            slots=int(part["slots"].iloc[0]),
            profile=with_predictor(profile, float(part["predict_s"].median())) if told else profile,
            predicted=part["predicted"] if told else None,
        )
        times = {f"simulated_{name}": getattr(schedule, name) for name in TIMES}
        found.append(part.assign(**times))
    frame = pd.concat(found, ignore_index=True)
    frame["jct_s"] = frame["end_s"] - frame["arrival_s"]
    frame["simulated_jct_s"] = frame["simulated_end_s"] - frame["arrival_s"]
    return frame


def with_predictor(profile: EngineProfile, seconds: float) -> EngineProfile:
    """Return an engine whose prefills take `seconds` longer: the prediction that was waited for."""
    table = profile.prefill_table
    if table is None:
        return dataclasses.replace(profile, prefill_base_s=profile.prefill_base_s + seconds)
    return dataclasses.replace(profile, prefill_table=tuple((tokens, cost + seconds) for tokens, cost in table))


def by_run(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a run: real and simulated mean completion time and what else describes it.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `forecast`.

    Returns
    -------
    pandas.DataFrame [runs, 11]
        ``trace``, ``policy``, ``repeat``, ``requests``, ``tokens`` (of all answers), ``mean_jct_s``, ``p95_jct_s``,
        ``simulated_mean_jct_s`` [s], ``error`` (relative, simulated / real - 1), ``busy_s`` (first arrival to last
        end) [s], ``predict_s`` (all predictions) [s].
    """
    rows = []
    for key, part in frame.groupby(KEYS, sort=False):
        real, simulated = part["jct_s"].mean(), part["simulated_jct_s"].mean()
        rows.append(
            dict(zip(KEYS, key, strict=True))
            | {
                "requests": len(part),
                "tokens": int(part["output_tokens"].sum()),
                "mean_jct_s": real,
                "p95_jct_s": part["jct_s"].quantile(0.95),
                "simulated_mean_jct_s": simulated,
                "error": simulated / real - 1,
                "busy_s": part["end_s"].max() - part["arrival_s"].min(),
                "predict_s": part["predict_s"].sum(),
            }
        )
    return pd.DataFrame(rows)


def by_policy(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each trace and policy, repeats put together.

    Returns
    -------
    pandas.DataFrame [traces × policies, 7]
        ``trace``, ``policy``, ``mean_jct_s``, ``simulated_mean_jct_s`` [s], ``error`` (relative), ``spread`` (largest
        minus smallest repeat over their mean: what the machine does by itself), ``within`` (of the goal).
    """
    runs = by_run(frame)
    grouped = runs.groupby(["trace", "policy"], sort=False)
    found = grouped[["mean_jct_s", "simulated_mean_jct_s"]].mean()
    found["error"] = found["simulated_mean_jct_s"] / found["mean_jct_s"] - 1
    found["spread"] = grouped["mean_jct_s"].agg(np.ptp) / found["mean_jct_s"]
    found["within"] = found["error"].abs() <= GOAL
    return found.reset_index()


def _resampled(frame: pd.DataFrame, column: str, draws: int, rng: np.random.Generator) -> dict:
    """Return draws of the mean of `column` by (trace, policy): the same prompts of a trace for every policy.

    Runs are drawn too: a machine that is slower in one run than in another would else look like a policy's doing.
    """
    found = {}
    for trace, part in frame.groupby("trace", sort=False):
        count = part["request"].nunique()
        chosen = rng.integers(count, size=(draws, count))
        for policy, mine in part.groupby("policy", sort=False):
            values = mine.pivot(index="repeat", columns="request", values=column).to_numpy()
            runs = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=draws) / len(values)
            found[trace, policy] = np.take_along_axis(runs @ values, chosen, axis=1).mean(axis=1)
    return found


def error_draws(frame: pd.DataFrame, draws: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return, for each policy, draws of its largest absolute error over the traces [%], over prompts and runs."""
    both = frame[["trace", "policy", "repeat", "request"]]
    state = rng.bit_generator.state
    real = _resampled(both.assign(value=frame["jct_s"]), "value", draws, rng)
    rng.bit_generator.state = state  # the same prompts for both sides of the ratio
    simulated = _resampled(both.assign(value=frame["simulated_jct_s"]), "value", draws, rng)
    errors = {key: 100 * np.abs(simulated[key] / real[key] - 1) for key in real}
    policies = dict.fromkeys(policy for _, policy in errors)
    return {
        name: np.max([value for (_, policy), value in errors.items() if policy == name], axis=0) for name in policies
    }


def cut_draws(
    frame: pd.DataFrame, draws: int, rng: np.random.Generator, column: str = "jct_s"
) -> dict[str, np.ndarray]:
    """Return, for each trace, draws of SSJF's cut of the mean completion time [%], over prompts and runs."""
    means = _resampled(frame, column, draws, rng)
    traces = dict.fromkeys(trace for trace, _ in means)
    return {trace: 100 * (1 - means[trace, "ssjf"] / means[trace, "fcfs"]) for trace in traces}


def predictor_draws(frame: pd.DataFrame, draws: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return draws, over prompts, of what the proxy took in the serving loop.

    Returns
    -------
    dict
        ``latency_p99_ms`` and ``latency_ms`` (99th percentile and mean of a prediction) [ms]; ``share``: its time over
        the time that the engine was needed for the same prompts' answers (their passes, each shared evenly by the
        batch that the whole run had on average) [%].
    """
    served = frame[frame["policy"] == "ssjf"]
    table = served.groupby(["trace", "request"], as_index=False).agg(
        seconds=("predict_s", "mean"), passes=("output_tokens", "mean")
    )
    runs = served.groupby(["trace", "repeat"]).agg(
        begun=("start_s", "min"), end=("end_s", "max"), tokens=("output_tokens", "sum")
    )
    per_token = ((runs["end"] - runs["begun"]) / runs["tokens"]).groupby("trace").mean()
    engine = table["passes"].to_numpy() * table["trace"].map(per_token).to_numpy()
    seconds = table["seconds"].to_numpy()
    chosen = rng.integers(len(table), size=(draws, len(table)))
    return {
        "latency_ms": 1000 * seconds[chosen].mean(axis=1),
        "latency_p99_ms": 1000 * np.quantile(seconds[chosen], 0.99, axis=1),
        "share": 100 * seconds[chosen].sum(axis=1) / engine[chosen].sum(axis=1),
    }


def same_answers(frame: pd.DataFrame) -> float:
    """Return the share of requests whose answer had the same length in all runs of its trace."""
    return float(frame.groupby(["trace", "request"])["output_tokens"].nunique().eq(1).mean())


def predictor_tau(frame: pd.DataFrame) -> float:
    """Return Kendall's tau between predictions and the lengths of the answers that SSJF's first runs gave."""
    from scipy.stats import kendalltau

    part = frame[(frame["policy"] == "ssjf") & (frame["repeat"] == 0)]
    return float(kendalltau(part["predicted"], part["output_tokens"]).statistic)


def busy_stretch(frame: pd.DataFrame, trace: str | None = None, repeat: int = 0, most: int = 16) -> pd.DataFrame:
    """Return the requests around the longest queue of a trace, as both policies really served them.

    Without a name, of the trace in which a request waited longest.

    Returns
    -------
    pandas.DataFrame
        ``system``, ``request``, ``arrival_s``, ``start_s``, ``end_s`` [s], ``output_tokens``: at most `most` requests,
        in order of arrival, the same for every system.
    """
    if trace is None:
        trace = frame.loc[(frame["start_s"] - frame["arrival_s"]).idxmax(), "trace"]
    part = frame[(frame["trace"] == trace) & (frame["repeat"] == repeat)]
    fcfs = part[part["policy"] == "fcfs"].sort_values("request")
    wait = (fcfs["start_s"] - fcfs["arrival_s"]).to_numpy()
    most = min(most, len(wait))
    total = np.convolve(wait, np.ones(most), mode="valid")
    first = int(np.argmax(total))
    chosen = part[part["request"].isin(fcfs["request"].to_numpy()[first : first + most])]
    columns = ["request", "arrival_s", "start_s", "end_s", "output_tokens"]
    return (
        chosen[columns].assign(system=chosen["policy"].map(NAMES)).sort_values(["system", "request"], ignore_index=True)
    )
