"""Where the claim holds: what SSJF changes, over load, number of slots and quality of the predictor.

One *draw* is one workload: prompts drawn with replacement from a request set, arriving as a fresh Poisson (or Gamma)
stream of the same named scenario. Every cell of a map sees the same workloads: the same prompts, the same gaps between
arrivals (divided by the cell's rate) and the same prediction errors, so that two cells differ by what the map varies
and not by luck. Draws of a cell therefore say how its value varies from one workload to the next; P(cut ≥ 30 %) is the
share of workloads in which the mean job completion time falls by at least 30 %.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from credence.bench import seeds
from credence.bench.errors import InputError, choose
from credence.bench.progress import track
from credence.ssjf import data
from credence.ssjf.baselines import noisy_key
from credence.ssjf.world import capacity_rate, gamma_arrivals, simulate_arrays

REQUEST_SETS = ("ssjf-vicuna13b-predictions", "ssjf-simulated-vicuna", "ssjf-simulated-chat")
CLAIMED_CUT = 30.0  # the claim's lower end, rounded [%]
WARM_UP = 1 / 3  # share of a workload, in order of arrival, that is served but not counted
LEVEL = 0.90  # of all intervals over draws
OWN = "own"  # the request set's own predictions, the paper's five classes
CLASS_LEVELS = (0.25, 0.5, 0.75, 0.99)  # percentiles at which the released training script cuts its five classes
TAUS = (0.3, 0.63, 0.8, 1.0)
AUTHORS_TAU = 0.635  # Kendall's tau-b of the authors' five classes against length, from their file

# per workload and cell, in the order of `measure`
QUANTITIES = ("cut", "p99_change", "longest_ratio", "fcfs_mean_s", "mean_s", "fcfs_p99_s", "p99_s", "fcfs_longest_s")
QUANTITIES += ("longest_s",)


class Workload(NamedTuple):
    """One draw: gaps between arrivals at rate 1 [requests], lengths [tokens], and keys by predictor [requests]."""

    gaps: np.ndarray
    prompt_tokens: np.ndarray
    output_tokens: np.ndarray
    keys: dict


def population(name: str) -> pd.DataFrame:
    """Return the requests that workloads are drawn from.

    Parameters
    ----------
    name : str
        One of `REQUEST_SETS`. The Vicuna sets do not know their prompts: prompt lengths are dealt to them at random
        from the simulated chat prompts. Prompt and answer length are as good as independent in chat (on CASTILLO
        their rank correlation is −0.14 to 0.03), and the paper's engine does not look at prompts at all.

    Returns
    -------
    pandas.DataFrame [prompts, 3]
        ``prompt_tokens``, ``output_tokens`` [tokens] and ``predicted``: the paper's class (Vicuna sets), or a point
        prediction [tokens].
    """
    choose(name, REQUEST_SETS, "request set")
    chat, samples = data.simulated_chat()
    if name == "ssjf-simulated-chat":
        columns = {"prompt_tokens": chat["prompt_tokens"], "output_tokens": samples[:, 0]}
        return pd.DataFrame(columns | {"predicted": chat["predicted_tokens"].astype(float)})
    frame = data.vicuna_predictions(name)
    dealt = seeds.generator(0, "maps", "prompt lengths").integers(len(chat), size=len(frame))
    return pd.DataFrame(
        {
            "prompt_tokens": chat["prompt_tokens"].to_numpy()[dealt],
            "output_tokens": frame["output_token_length"],
            "predicted": frame["pred_multi_cls"].astype(float),
        }
    )


def nominal_tau(output_tokens, tau: float, levels: Sequence[float] = (), most: int = 3000) -> float:
    """Return the `tau` to ask `baselines.noisy_key` for, so that Kendall's tau-b comes out as wanted.

    The noise of a Gaussian copula is known for lengths without ties and keys without classes (Greiner's relation).
    Ties and classes shift tau-b; then the noise is found by bisection, on the same random numbers at every step.

    Parameters
    ----------
    output_tokens : array_like [prompts]
        True lengths [tokens].
    tau : float
        Wanted tau-b, 0..1.
    levels : sequence of float
        Quantiles at which the prediction is cut into classes; none: it stays a number.
    most : int
        Prompts used, evenly spaced in length.

    Raises
    ------
    InputError
        When classes are too coarse for the wanted tau-b.
    """
    if not 0 <= tau <= 1:
        raise InputError(f"tau is {tau!r}; allowed: 0..1")
    if tau == 1 and not levels:
        return 1.0
    lengths = np.sort(np.asarray(output_tokens))
    lengths = lengths[np.linspace(0, lengths.size - 1, min(most, lengths.size)).astype(int)]

    def reached(nominal: float) -> float:
        draws = (seeds.generator(0, "maps", "noise", k) for k in range(4))
        keys = [coarse_key(lengths, nominal, rng, levels) for rng in draws]
        return float(np.mean([stats.kendalltau(lengths, key).statistic for key in keys]))

    if (best := reached(1.0)) < tau - 0.005:
        raise InputError(f"tau is {tau!r} with {len(levels) + 1} classes; allowed: up to {best:.2f}")
    low, high = 0.0, 1.0
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < tau else (low, middle)
    return (low + high) / 2


def coarse_key(output_tokens, nominal: float, rng: np.random.Generator, levels: Sequence[float] = ()) -> np.ndarray:
    """Return `baselines.noisy_key`, cut at the quantiles `levels` into classes 0, 1, … [requests] if there are any."""
    key = noisy_key(output_tokens, nominal, rng)
    return np.searchsorted(np.quantile(key, levels), key, side="right").astype(float) if len(levels) else key


def label(tau: float | str) -> str:
    """Return how a predictor is written: ``five classes (paper)`` or ``tau 0.63``."""
    return "five classes (paper)" if tau == OWN else f"tau {tau:g}"


def nominal_taus(source: pd.DataFrame, predictors: Iterable[float | str]) -> dict:
    """Return `nominal_tau` of each predictor: wanted taus, or `OWN` for the set's own predictions (kept as it is)."""
    return {tau: OWN if tau == OWN else nominal_tau(source["output_tokens"], tau) for tau in predictors}


def workload(source: pd.DataFrame, predictors: dict, count: int, draw: int, seed: int, cv: float = 1.0) -> Workload:
    """Draw one workload.

    Parameters
    ----------
    source : pandas.DataFrame
        From `population`.
    predictors : dict
        From `nominal_taus`.
    count : int
        Requests, warm-up included.
    draw, seed : int
        Number of the workload and the run's seed: the same ones give the same workload.
    cv : float
        Coefficient of variation of the gaps between arrivals; 1 is Poisson.
    """
    rows = seeds.generator(seed, "maps", "prompts", draw).integers(len(source), size=count)
    prompt, output, own = (source[name].to_numpy()[rows] for name in ("prompt_tokens", "output_tokens", "predicted"))
    keys = {
        tau: own if nominal == OWN else noisy_key(output, nominal, seeds.generator(seed, "maps", "errors", draw))
        for tau, nominal in predictors.items()
    }
    gaps = np.diff(gamma_arrivals(count, 1.0, cv, seeds.generator(seed, "maps", "arrivals", draw)), prepend=0.0)
    return Workload(gaps, prompt, output, keys)


def measure(arrival_s: np.ndarray, fcfs, other, warm_up: float = WARM_UP) -> dict[str, float]:
    """Return what `other` changes against `fcfs`, two schedules of the same requests.

    Returns
    -------
    dict
        ``cut`` of the mean JCT and ``p99_change`` [%] (positive: longer), ``longest_ratio`` of the longest waits [1],
        and what they are made of: means, 99th percentiles and longest waits [s].
    """
    counted = slice(int(arrival_s.size * warm_up), None)
    found = []
    for schedule in (fcfs, other):
        jct = (schedule.end_s - arrival_s)[counted]
        found.append((jct.mean(), np.percentile(jct, 99), (schedule.start_s - arrival_s)[counted].max()))
    (mean, p99, longest), (mean_other, p99_other, longest_other) = found
    ratio = longest_other / longest if longest > 0 else 1.0
    values = (100 * (1 - mean_other / mean), 100 * (p99_other / p99 - 1), ratio)
    values += (mean, mean_other, p99, p99_other, longest, longest_other)
    return dict(zip(QUANTITIES, map(float, values), strict=True))


def cell(work: Workload, rate: float, slots: int, batching: str = "none", engine: str = "ssjf-paper", **settings):
    """Serve one workload at `rate` [1/s] first come first served and by each of its keys.

    Parameters
    ----------
    work : Workload
        The draw.
    rate, slots, batching, engine
        Arrivals per second, servers or largest batch, way of serving, engine profile.
    **settings
        Further arguments of `simulate_arrays`; FCFS, which neither predicts nor needs a guard, does not get them.

    Returns
    -------
    dict of predictor to dict
        `measure` for each.
    """
    arrival = np.cumsum(work.gaps / rate)
    common = {"batching": batching, "slots": slots, "profile": engine}
    requests = (arrival, work.prompt_tokens, work.output_tokens)
    fcfs = simulate_arrays(*requests, policy="fcfs", **common)
    return {
        tau: measure(arrival, fcfs, simulate_arrays(*requests, policy="ssjf", predicted=key, **common, **settings))
        for tau, key in work.keys.items()
    }


def map_draws(
    source: pd.DataFrame,
    loads: Sequence[float],
    slots: Sequence[int],
    predictors: Sequence[float | str],
    *,
    batching: str = "none",
    engine: str = "ssjf-paper",
    count: int = 6000,
    draws: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Serve the same workloads in every cell of a map.

    Parameters
    ----------
    source : pandas.DataFrame
        From `population`.
    loads : sequence of float
        Offered load, below 1: relative to the rate that all slots working without a pause can finish
        (`capacity_rate`; at the full batch under continuous batching).
    slots : sequence of int
        Servers (``none``) or largest batch.
    predictors : sequence
        Kendall's tau of noisy predictors, or `OWN`.
    batching, engine : str
        As for `cell`.
    count, draws, seed : int
        Requests in a workload, warm-up included; workloads; the run's seed.

    Returns
    -------
    pandas.DataFrame
        One row a cell, predictor and draw: ``load``, ``slots``, ``predictor``, ``draw`` and `QUANTITIES`.
    """
    for load in loads:
        if not 0 < load < 1:
            raise InputError(f"load is {load!r}; allowed: above 0 and below 1 (a queue at 1 has no steady state)")
    for name, value, least in (("count", count, 100), ("draws", draws, 1)):
        if value < least:
            raise InputError(f"{name} is {value!r}; allowed: at least {least}")
    nominal = nominal_taus(source, predictors)
    capacity = {
        k: capacity_rate(source["prompt_tokens"], source["output_tokens"], batching=batching, slots=k, engine=engine)
        for k in slots
    }
    rows = []
    for draw in track(range(draws), "workloads"):
        work = workload(source, nominal, count, draw, seed)
        for servers in slots:
            for load in loads:
                found = cell(work, load * capacity[servers], servers, batching, engine)
                head = {"load": load, "slots": servers}
                rows += [head | {"predictor": label(tau), "draw": draw} | row for tau, row in found.items()]
    return pd.DataFrame(rows)


def map_frame(draws: pd.DataFrame, by: Sequence[str] = ("load", "slots", "predictor")) -> pd.DataFrame:
    """Summarise draws cell by cell.

    Returns
    -------
    pandas.DataFrame
        One row a cell: `by`, ``draws``, ``p_cut_30`` (share of workloads whose cut is at least 30 %), and for each of
        `QUANTITIES` its mean, with ``_lo`` and ``_hi`` the 5 % and 95 % quantiles over workloads.
    """
    groups = draws.groupby(list(by), sort=False)
    tail = (1 - LEVEL) / 2
    found = {"draws": groups.size(), "p_cut_30": groups["cut"].agg(lambda cut: float((cut >= CLAIMED_CUT).mean()))}
    for name in QUANTITIES:
        found[name] = groups[name].mean()
        found[f"{name}_lo"], found[f"{name}_hi"] = groups[name].quantile(tail), groups[name].quantile(1 - tail)
    return pd.DataFrame(found).reset_index()


def grid_cell(
    load: float,
    slots: int,
    requests: str = "ssjf-simulated-vicuna",
    batching: Literal["none", "dynamic", "continuous"] = "none",
    engine: str = "ssjf-paper",
    count: int = 20_000,
    draws: int = 40,
    seed: int = 0,
) -> list[dict]:
    """Return one cell of the map for all predictors of the notebook, for ``credence sweep``.

    Parameters are those of `grid_point`; FCFS is served once for all.

    Returns
    -------
    list of dict
        For the set's own predictions and the taus of `TAUS`: ``predictor`` and what `grid_point` returns.
    """
    found = map_draws(
        population(requests),
        [load],
        [slots],
        (OWN, *TAUS),
        batching=batching,
        engine=engine,
        count=count,
        draws=draws,
        seed=seed,
    )
    return map_frame(found).drop(columns=["load", "slots", "draws"]).to_dict("records")


def grid_point(
    load: float,
    slots: int,
    tau: float = 0.63,
    predictor: Literal["noisy", "own"] = "noisy",
    requests: str = "ssjf-simulated-vicuna",
    batching: Literal["none", "dynamic", "continuous"] = "none",
    engine: str = "ssjf-paper",
    count: int = 6000,
    draws: int = 20,
    seed: int = 0,
) -> dict:
    """Return one cell of the map as plain scalars, for ``credence sweep``.

    Parameters
    ----------
    load, slots, batching, engine, count, draws, seed
        As for `map_draws`.
    tau : float
        Kendall's tau of the noisy predictor; not looked at with the set's own predictions.
    predictor : {"noisy", "own"}
        Made-up predictions of quality `tau`, or the request set's own.
    requests : str
        One of `REQUEST_SETS`.

    Returns
    -------
    dict
        ``p_cut_30``, and for each of `QUANTITIES` mean, ``_lo`` and ``_hi`` (90 % interval over workloads).
    """
    source = population(requests)
    chosen = OWN if predictor == "own" else tau
    found = map_draws(
        source, [load], [slots], [chosen], batching=batching, engine=engine, count=count, draws=draws, seed=seed
    )
    row = map_frame(found).iloc[0].drop(["load", "slots", "predictor", "draws"])
    return {name: float(value) for name, value in row.items()}


def cell_metric(draws: pd.DataFrame, quantity: str, load: float, slots: int, tau: float | str) -> np.ndarray:
    """Return the draws [draws] of one quantity in one cell, to be recorded.

    Raises
    ------
    InputError
        When the map has no such cell.
    """
    rows = draws[(draws["load"] == load) & (draws["slots"] == slots) & (draws["predictor"] == label(tau))]
    if rows.empty:
        raise InputError(f"the map has no cell at load {load:g}, {slots} slots, {label(tau)}")
    return rows.sort_values("draw")[choose(quantity, QUANTITIES, "quantity")].to_numpy()
