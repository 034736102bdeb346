"""What a length predictor is worth: the simulator's mean and p99 against rank agreement and against time.

Two questions, on the same workloads. Made-up predictors (`baselines.noisy_key`) show how cut and tail depend on
Kendall's tau and on the time a prediction takes. A real predictor is put on that curve at its own tau and time, and
its real out-of-fold predictions are served too: tau is one number, and predictors of the same tau may differ in *which*
requests they confuse.

Workloads are those of `maps`: prompts drawn with replacement, fresh Poisson arrivals, all predictors the same ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.ssjf.evaluate import maps
from credence.ssjf.world import capacity_rate

TAUS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# from a lookup to a large language model asked for its opinion [s]
LATENCIES = (0.0, 0.001, 0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 2.0, 4.0)
LATENCY_TAUS = (0.3, 0.63, 0.8)  # lines of the figure over latency
LOAD = 0.9
# The paper's engine serves few requests a second, and a prediction is nothing beside an answer. An engine with measured
# costs that serves many side by side takes in several a second, and one predictor must keep up with them. (At load 0.9
# nearly nobody waits there, and there is no cut to lose.)
SETUPS = {
    "ssjf-paper": {"slots": 1},
    "vllm-rtxpro6000-llama3-8b": {"slots": 64, "batching": "continuous", "load": 0.95},
}


def population(prompt_tokens, output_tokens) -> pd.DataFrame:
    """Return requests to draw workloads from, each row remembering which prompt it is.

    Parameters
    ----------
    prompt_tokens, output_tokens : array_like [prompts]
        Lengths [tokens]. An answer that was cut off at the engine's limit enters with the limit: that engine stops
        there.

    Returns
    -------
    pandas.DataFrame [prompts, 3]
        ``prompt_tokens``, ``output_tokens``, and ``predicted``, the row's own number.

    Raises
    ------
    InputError
        For lengths that are no whole numbers >= 0, naming the row.
    """
    columns = {}
    for name, values in (("prompt_tokens", prompt_tokens), ("output_tokens", output_tokens)):
        values = np.asarray(values, dtype=float)
        bad = ~(np.isfinite(values) & (values >= 0) & (values % 1 == 0))
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"row {row}, {name}: {values[row]}; allowed: an integer >= 0")
        columns[name] = values.astype(np.int64)
    return pd.DataFrame(columns | {"predicted": np.arange(len(columns["output_tokens"]), dtype=float)})


def _check(load: float, count: int, draws: int) -> None:
    if not 0 < load < 1:
        raise InputError(f"load is {load!r}; allowed: above 0 and below 1 (a queue at 1 has no steady state)")
    for name, value, least in (("count", count, 100), ("draws", draws, 1)):
        if value < least:
            raise InputError(f"{name} is {value!r}; allowed: at least {least}")


def _rate(source: pd.DataFrame, load: float, slots: int, batching: str, engine: str) -> float:
    place = {"batching": batching, "slots": slots, "engine": engine}
    return load * capacity_rate(source["prompt_tokens"], source["output_tokens"], **place)


def curve_draws(
    source: pd.DataFrame,
    taus: Sequence[float] = TAUS,
    latencies: Sequence[float] = (0.0,),
    *,
    load: float = LOAD,
    slots: int = 1,
    batching: str = "none",
    engine: str = "ssjf-paper",
    count: int = 6000,
    draws: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Serve made-up predictors of every quality at every latency.

    Parameters
    ----------
    source : pandas.DataFrame
        From `population`.
    taus : sequence of float
        Kendall's tau-b of the made-up predictions with the lengths, 0..1.
    latencies : sequence of float
        Time of one prediction [s]; one predictor sees the requests one after the other, in order of arrival.
    load, slots, batching, engine
        Share of the capacity; servers or largest batch; way of serving; engine profile.
    count, draws, seed : int
        As for `maps.map_draws`.

    Returns
    -------
    pandas.DataFrame
        One row a tau, latency and draw: ``tau``, ``latency_s``, ``draw`` and `maps.QUANTITIES`.
    """
    _check(load, count, draws)
    nominal = maps.nominal_taus(source, taus)
    rate = _rate(source, load, slots, batching, engine)
    rows = []
    for draw in track(range(draws), "workloads"):
        work = maps.workload(source, nominal, count, draw, seed)
        for latency in latencies:
            found = maps.cell(work, rate, slots, batching, engine, predictor_latency=latency)
            rows += [{"tau": tau, "latency_s": latency, "draw": draw} | row for tau, row in found.items()]
    return pd.DataFrame(rows)


def served_draws(
    source: pd.DataFrame,
    keys: Mapping[str, np.ndarray],
    latencies: Mapping[str, float] | None = None,
    *,
    load: float = LOAD,
    slots: int = 1,
    batching: str = "none",
    engine: str = "ssjf-paper",
    count: int = 6000,
    draws: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Serve real predictions, each charged its own time, on the workloads of `curve_draws`.

    Parameters
    ----------
    source : pandas.DataFrame
        From `population`.
    keys : mapping of str to array [prompts]
        Predictor, and its out-of-fold prediction for each row of `source`; any unit, the order counts.
    latencies : mapping of str to float
        Time of one prediction [s]; a predictor that is not named takes none.
    load, slots, batching, engine, count, draws, seed
        As for `curve_draws`.

    Returns
    -------
    pandas.DataFrame
        One row a predictor and draw: ``predictor``, ``latency_s``, ``draw`` and `maps.QUANTITIES`.

    Raises
    ------
    InputError
        For keys that do not match the prompts or are not finite.
    """
    _check(load, count, draws)
    keys = {name: _checked_key(name, values, len(source)) for name, values in keys.items()}
    latencies = {name: float((latencies or {}).get(name, 0.0)) for name in keys}
    rate = _rate(source, load, slots, batching, engine)
    rows = []
    for draw in track(range(draws), "workloads"):
        # the set's "own prediction" is the number of the prompt, by which every predictor's key is looked up
        work = maps.workload(source, {maps.OWN: maps.OWN}, count, draw, seed)
        drawn = work.keys[maps.OWN].astype(np.int64)
        for latency in sorted(set(latencies.values())):
            chosen = {name: values[drawn] for name, values in keys.items() if latencies[name] == latency}
            found = maps.cell(work._replace(keys=chosen), rate, slots, batching, engine, predictor_latency=latency)
            rows += [{"predictor": name, "latency_s": latency, "draw": draw} | row for name, row in found.items()]
    found = pd.DataFrame(rows)
    place = found["predictor"].map({name: number for number, name in enumerate(keys)})
    return found.assign(place=place).sort_values(["place", "draw"], ignore_index=True).drop(columns="place")


def _checked_key(name: str, values, prompts: int) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.shape != (prompts,):
        raise InputError(f"predictor {name!r}: keys of shape {list(values.shape)}; allowed: [{prompts}], one a prompt")
    if not np.isfinite(values).all():
        row = int(np.argmax(~np.isfinite(values)))
        raise InputError(f"predictor {name!r}, row {row}: {values[row]}; allowed: a finite number")
    return values


def against_curve(curve: pd.DataFrame, served: pd.DataFrame, taus: Mapping[str, float]) -> pd.DataFrame:
    """Return what each real predictor gets beside what a made-up one of the same tau and no latency would get.

    Parameters
    ----------
    curve, served : pandas.DataFrame
        From `curve_draws` and `served_draws`; same set, load, draws.
    taus : mapping of str to float
        Measured tau of each predictor.

    Returns
    -------
    pandas.DataFrame
        One row a predictor: ``predictor``, ``tau``, ``latency_s``, ``cut``, ``p99_change`` [%] each with ``_lo`` and
        ``_hi`` (90 % over workloads), ``cut_at_tau`` (the curve, linearly interpolated) and ``share_of_oracle`` [1].
    """
    line = curve[curve["latency_s"] == 0].groupby("tau")["cut"].mean()
    found = maps.map_frame(served, by=("predictor", "latency_s"))
    found["tau"] = found["predictor"].map(taus)
    inside = found["tau"].between(line.index.min(), line.index.max())
    found["cut_at_tau"] = np.where(inside, np.interp(found["tau"], line.index, line), np.nan)
    found["share_of_oracle"] = found["cut"] / line.loc[1.0] if 1.0 in line.index else np.nan
    columns = [f"{name}{ending}" for name in ("cut", "p99_change") for ending in ("", "_lo", "_hi")]
    return found[["predictor", "tau", "latency_s", *columns, "cut_at_tau", "share_of_oracle"]]


def break_even(curve: pd.DataFrame, tau: float) -> float:
    """Return the latency [s] at which a predictor of `tau` has lost half of its cut; inf where it never has.

    Linear between the latencies that were simulated.
    """
    line = curve[curve["tau"] == tau].groupby("latency_s")["cut"].mean()
    if line.empty:
        raise InputError(f"tau is {tau!r}; allowed: {', '.join(f'{t:g}' for t in sorted(curve['tau'].unique()))}")
    half = line.iloc[0] / 2
    below = np.flatnonzero(line.to_numpy() < half)
    if not below.size:
        return np.inf
    last = int(below[0])
    if last == 0:  # nothing was cut in the first place
        return 0.0
    (x0, x1), (y0, y1) = line.index[last - 1 : last + 1], line.iloc[last - 1 : last + 1]
    return float(x0 + (y0 - half) / (y0 - y1) * (x1 - x0))


def error_groups(output_tokens, key, groups: int = 10) -> pd.DataFrame:
    """Return how long the answers are that a predictor ranks shortest, next, …, longest.

    Returns
    -------
    pandas.DataFrame [groups, 4]
        ``rank`` (middle of the group, 0..1), ``p10``, ``p50``, ``p90`` of the lengths [tokens].
    """
    output, key = np.asarray(output_tokens, dtype=float), np.asarray(key, dtype=float)
    order = np.lexsort((seeds.generator(0, "worth", "ties").random(key.size), key))
    parts = np.array_split(output[order], groups)
    middle = (np.arange(groups) + 0.5) / groups
    quantiles = np.array([np.quantile(part, (0.1, 0.5, 0.9)) for part in parts])
    return pd.DataFrame({"rank": middle} | {f"p{q}": quantiles[:, k] for k, q in enumerate((10, 50, 90))})
