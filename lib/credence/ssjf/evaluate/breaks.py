"""The model broken on purpose: the cut against the strength of what the maps leave out.

All on one server of the paper's engine with a predictor of tau 0.63, at a load where the claim holds (0.9) and at one
where it does not (0.6). A break changes the workload and nothing else: its mean rate stays at the same share of the
engine's capacity.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from credence.bench import seeds
from credence.bench.errors import choose
from credence.bench.progress import track
from credence.ssjf.baselines import noisy_key
from credence.ssjf.evaluate.maps import (
    Workload,
    cell,
    map_frame,
    nominal_taus,
    population,
    workload,
)
from credence.ssjf.model import profile
from credence.ssjf.model.profiles import service_s
from credence.ssjf.world import capacity_rate

LOADS, TAU = (0.9, 0.6), 0.63

# What each break's strength is, and the strengths of a finer study; the first one leaves the workload as it is.
TITLES = {
    "burst": "bursts: CV of the gaps [1]",
    "clump": "spells: autocorrelation of lengths [1]",
    "noise": "unforeseen length: sd of its log [1]",
    "tail": "heavy tail: share of uncut answers [1]",
    "missing": "predictions missing when busy, share [1]",
    "latency": "predictor time for a request [s]",
}
STRENGTHS = {
    "burst": (1.0, 2.0, 3.0, 4.0, 6.0, 8.0),
    "clump": (0.0, 0.5, 0.8, 0.9, 0.95, 0.99),
    "noise": (0.0, 0.25, 0.5, 0.75, 1.0, 1.25),
    "tail": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "missing": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "latency": (0.0, 0.05, 0.1, 0.25, 0.5, 1.0),
}


def clumped(work: Workload, correlation: float, rng: np.random.Generator) -> Workload:
    """Return the same requests in another order: normal scores of the lengths follow an AR(1) series.

    Sessions make long answers follow long answers. Every request keeps its prediction, and no length changes.

    Parameters
    ----------
    correlation : float
        Correlation of the scores of neighbouring requests, 0 up to, not including, 1; 0 is a random order.
    """
    if correlation == 0:
        return work
    noise = rng.standard_normal(work.output_tokens.size) * np.sqrt(1 - correlation**2)
    noise[0] /= np.sqrt(1 - correlation**2)  # starts in its stationary distribution
    place = np.argsort(np.argsort(lfilter([1.0], [1.0, -correlation], noise)))
    order = np.lexsort((rng.random(place.size), work.output_tokens))[place]
    keys = {tau: key[order] for tau, key in work.keys.items()}
    return Workload(work.gaps, work.prompt_tokens[order], work.output_tokens[order], keys)


def unforeseen(lengths: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Return lengths [requests] in tokens times a log-normal factor of mean 1 that no predictor has seen."""
    factor = np.exp(spread * rng.standard_normal(lengths.size) - spread**2 / 2)
    return np.maximum(np.rint(lengths * factor), 1).astype(np.int64)


def unfinished_work(arrival_s: np.ndarray, service_s: np.ndarray) -> np.ndarray:
    """Return the work [requests] in seconds that each request finds on one server, whatever the order of service.

    Lindley's recursion, unrolled: V_i = max(0, max over j < i of the work from j to i − 1 less the time that passed).
    """
    steps = np.cumsum(np.concatenate([[0.0], service_s[:-1] - np.diff(arrival_s)]))
    return steps - np.minimum.accumulate(steps)


def forgetful(work: Workload, rate: float, share: float, service_s: np.ndarray, rng: np.random.Generator) -> Workload:
    """Return the workload with predictions lost when it matters: while the server is busier than usual.

    A request that finds more unfinished work than the median request loses its prediction with probability `share`
    and falls back to the median prediction.
    """
    found = unfinished_work(np.cumsum(work.gaps / rate), service_s)
    lost = (found > np.median(found)) & (rng.random(found.size) < share)
    keys = {tau: np.where(lost, np.median(key), key) for tau, key in work.keys.items()}
    return work._replace(keys=keys)


def broken(
    name: str,
    strength: float,
    source: pd.DataFrame,
    nominal: dict,
    *,
    load: float,
    count: int,
    draw: int,
    seed: int,
    engine: str = "ssjf-paper",
) -> tuple[Workload, float, dict]:
    """Return a broken workload, its arrival rate [1/s], and further settings of the simulator.

    Parameters
    ----------
    name, strength
        One of `STRENGTHS`.
    source, nominal, count, draw, seed
        As for `maps.workload`.
    load, engine
        Share of the engine's capacity for the broken lengths; engine profile.
    """
    choose(name, STRENGTHS, "break")
    work = workload(source, nominal, count, draw, seed, cv=strength if name == "burst" else 1.0)
    prompt, output = source["prompt_tokens"].to_numpy(), source["output_tokens"].to_numpy()
    rate, settings = load * capacity_rate(prompt, output, engine=engine), {}
    rng = seeds.generator(seed, "breaks", name, draw)
    if name == "clump":
        work = clumped(work, strength, rng)
    elif name == "noise":
        everyone = unforeseen(output, strength, seeds.generator(seed, "breaks", "everyone"))
        rate = load * capacity_rate(prompt, everyone, engine=engine)
        work = work._replace(output_tokens=unforeseen(work.output_tokens, strength, rng))
    elif name == "tail":
        chat = population("ssjf-simulated-chat")
        tailed = chat["output_tokens"].to_numpy()
        swapped = rng.random(count) < strength
        mixed = np.where(swapped, rng.permutation(np.resize(tailed, count)), work.output_tokens)
        # the engine's cost is linear in the length, so capacities mix like mean service times
        other = load * capacity_rate(chat["prompt_tokens"], tailed, engine=engine)
        rate = 1 / (strength / other + (1 - strength) / rate)
        errors = seeds.generator(seed, "maps", "errors", draw)
        work = work._replace(output_tokens=mixed, keys={tau: noisy_key(mixed, n, errors) for tau, n in nominal.items()})
    elif name == "missing":
        alone = service_s(profile(engine), work.prompt_tokens, work.output_tokens)
        work = forgetful(work, rate, strength, alone, rng)
    elif name == "latency":
        settings = {"predictor_latency": strength}
    return work, rate, settings


def break_draws(
    source: pd.DataFrame,
    strengths: Mapping[str, Sequence[float]] = STRENGTHS,
    *,
    loads: Sequence[float] = LOADS,
    engine: str = "ssjf-paper",
    count: int = 6000,
    draws: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Serve broken workloads on one server.

    Parameters
    ----------
    source : pandas.DataFrame
        From `maps.population`.
    strengths : mapping of str to sequence of float
        Breaks, of `STRENGTHS`, and how strong they are.
    loads : sequence of float
        Shares of the capacity.
    engine : str
        A profile whose cost is linear in the answer's length and does not depend on the prompt.
    count, draws, seed : int
        As for `maps.map_draws`; the workloads before the break are the same ones.

    Returns
    -------
    pandas.DataFrame
        One row a break, strength, load and draw: ``break``, ``strength``, ``load``, ``draw`` and `maps.QUANTITIES`.
    """
    nominal = nominal_taus(source, [TAU])
    rows = []
    for name, values in strengths.items():
        for strength, load, draw in track(list(itertools.product(values, loads, range(draws))), name):
            place = {"load": load, "count": count, "draw": draw, "seed": seed, "engine": engine}
            work, rate, settings = broken(name, strength, source, nominal, **place)
            found = cell(work, rate, 1, engine=engine, **settings)[TAU]
            rows.append({"break": name, "strength": strength, "load": load, "draw": draw} | found)
    return pd.DataFrame(rows)


def break_frame(draws: pd.DataFrame) -> pd.DataFrame:
    """Summarise `break_draws`: one row a break, strength and load, columns as of `maps.map_frame`."""
    return map_frame(draws, by=("break", "strength", "load"))
