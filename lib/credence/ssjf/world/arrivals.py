"""When requests arrive, and how fast they may before the engine cannot keep up."""

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.ssjf.model import EngineProfile, profile
from credence.ssjf.model.profiles import decode_iterations, decode_s, prefill_each_s, prefill_s, service_s

BATCHING = ("none", "dynamic", "continuous")


def poisson_arrivals(count: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return `count` arrival times [requests] in seconds of a Poisson stream of `rate` [1/s], the first at 0."""
    return gamma_arrivals(count, rate, 1.0, rng)


def gamma_arrivals(count: int, rate: float, cv: float, rng: np.random.Generator) -> np.ndarray:
    """Return arrival times [requests] in seconds whose gaps are Gamma distributed, the first at 0.

    Parameters
    ----------
    count : int
        Requests.
    rate : float
        Mean arrivals per second.
    cv : float
        Coefficient of variation of the gaps: 1 is Poisson, above 1 is bursty.
    """
    if not (rate > 0 and np.isfinite(rate)):
        raise InputError(f"arrival rate is {rate!r} per s; allowed: a finite number > 0")
    if not (cv > 0 and np.isfinite(cv)):
        raise InputError(f"coefficient of variation is {cv!r}; allowed: a finite number > 0")
    if count < 1:
        raise InputError(f"number of requests is {count!r}; allowed: at least 1")
    shape = 1 / cv**2
    gaps = rng.gamma(shape, 1 / (shape * rate), size=count)
    gaps[0] = 0.0
    return np.cumsum(gaps)


def replay(requests: pd.DataFrame, load_factor: float = 1.0) -> pd.DataFrame:
    """Return a recorded request frame with its true arrival times divided by `load_factor`.

    A factor of 2 offers the same requests, in the same order and with the same burstiness, twice as fast.
    """
    if not (load_factor > 0 and np.isfinite(load_factor)):
        raise InputError(f"load factor is {load_factor!r}; allowed: a finite number > 0")
    return requests.assign(arrival_s=requests["arrival_s"].to_numpy(dtype=np.float64) / load_factor)


def capacity_rate(
    prompt_tokens, output_tokens, *, batching: str = "none", slots: int = 1, engine: str | EngineProfile = "ssjf-paper"
) -> float:
    """Return the requests per second that an engine finishes when it never idles and every slot is full.

    - none, and continuous on an overlapped profile: slots / E[S], S the time of a request alone.
    - continuous on a blocking profile: each request takes the whole engine for its prefill alone and 1/b of every
      iteration of a full batch: 1 / (E[prefill] + E[iterations] · decode(b, b·c̄) / b), with c̄ the context of a
      running request averaged over iterations, and b = slots, or the number of such contexts that fit the cache.
    - dynamic: b requests take prefill(b·E[prompt]) plus E[longest of b] iterations, with contexts as above. Members
      that have finished still count in b, as in the simulator.

    Exact for none; an approximation otherwise, because it puts means into costs: state loads as "relative to this".

    Parameters
    ----------
    prompt_tokens, output_tokens : array_like [requests]
        The population [tokens].
    """
    choose(batching, BATCHING, "batching")
    if slots < 1:
        raise InputError(f"slots is {slots!r}; allowed: an integer >= 1")
    cost = profile(engine) if isinstance(engine, str) else engine
    prompt = np.asarray(prompt_tokens, dtype=np.float64)
    output = np.asarray(output_tokens, dtype=np.float64)
    if batching == "none" or (batching == "continuous" and cost.prefill == "overlapped"):
        return float(slots / np.mean(service_s(cost, prompt, output)))
    iterations = decode_iterations(cost, output)
    first = prompt + int(cost.prefill_emits_token)
    total = iterations.sum()
    context = np.sum(iterations * first + iterations * (iterations - 1) / 2) / total if total else prompt.mean()
    batch = slots if cost.kv_tokens is None else max(1, min(slots, int(cost.kv_tokens // max(context, 1.0))))
    step = decode_s(cost, batch, batch * context)
    if batching == "continuous":
        return float(1 / (np.mean(prefill_each_s(cost, prompt)) + iterations.mean() * step / batch))
    ordered = np.sort(iterations)
    share = np.arange(ordered.size + 1) / ordered.size
    longest = np.sum(ordered * np.diff(share**batch))
    return float(batch / (prefill_s(cost, batch * prompt.mean()) + longest * step))


def rate_for_load(load: float, prompt_tokens, output_tokens, **engine) -> float:
    """Return the arrival rate [1/s] that offers `load` times `capacity_rate`; same keyword arguments."""
    if not (load > 0 and np.isfinite(load)):
        raise InputError(f"load is {load!r}; allowed: a finite number > 0")
    return load * capacity_rate(prompt_tokens, output_tokens, **engine)
