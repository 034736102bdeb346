"""Who arrives when: the traces that the engine serves, designed from its profile before any is served."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.ssjf.model.profiles import EngineProfile
from credence.ssjf.world.arrivals import gamma_arrivals, rate_for_load

FAMILIES = 14  # template families that only the traces use


@dataclass(frozen=True)
class Trace:
    """What one trace is like.

    Attributes
    ----------
    name : str
        Of the trace.
    slots : int
        Most requests in a batch.
    load : float
        Offered work as a share of what the profile can do with every slot full; above 1 a queue that only grows.
    arrival_cv : float
        Coefficient of variation of the gaps between arrivals: 1 is Poisson.
    span_s : float
        Over how long requests arrive [s].
    """

    name: str
    slots: int
    load: float
    arrival_cv: float
    span_s: float


TRACES = (
    Trace("steady", 4, 0.95, 1.0, 120.0),
    Trace("bursty", 8, 0.9, 2.0, 120.0),
    Trace("burst", 4, 5.0, 1.0, 24.0),  # far above capacity, then drained: the released evaluation's kind of queue
)


def trace_families(seed: int, prompts: pd.DataFrame, count: int = FAMILIES) -> list[str]:
    """Return the template families kept for the traces, drawn by `seed`; the proxy must not learn from them."""
    families = sorted(prompts["family"].unique())
    if not 0 < count < len(families):
        raise InputError(f"{count} families for the traces; allowed: 1..{len(families) - 1}")
    return sorted(seeds.generator(seed, "trace families").permutation(families)[:count].tolist())


def design(
    traces, prompts: pd.DataFrame, lengths: pd.DataFrame, profile: EngineProfile, seed: int, families: int = FAMILIES
) -> pd.DataFrame:
    """Return who arrives when.

    The arrival rate follows from the profile and from the answer lengths measured for the families of the traces. Gaps
    are scaled so that the requests arrive over exactly the time their number takes at that rate: a small sample of gaps
    would else offer another load than the one stated.

    Parameters
    ----------
    traces : sequence of Trace
        What the traces are like.
    prompts : pandas.DataFrame [prompts, ...]
        ``prompt_id``, ``family``, ``prompt``.
    lengths : pandas.DataFrame [answers, ...]
        ``family``, ``sample``, ``prompt_tokens``, ``output_tokens`` [tokens].
    profile : EngineProfile
        Of the engine.
    seed, families : int
        Of families, prompts and arrivals; number of families.

    Returns
    -------
    pandas.DataFrame [requests, 7]
        ``trace``, ``slots``, ``request``, ``prompt_id``, ``prompt``, ``arrival_s`` [s], ``rate`` [1/s];
        no prompt twice.
    """
    chosen = trace_families(seed, prompts, families)
    known = lengths[lengths["family"].isin(chosen) & (lengths["sample"] == 0)]
    mine = prompts[prompts["family"].isin(chosen)].reset_index(drop=True)
    mixed = mine.iloc[seeds.generator(seed, "trace prompts").permutation(len(mine))]
    found, taken = [], 0
    for trace in traces:
        rate = rate_for_load(
            trace.load,
            known["prompt_tokens"],
            known["output_tokens"],
            batching="continuous",
            slots=trace.slots,
            engine=profile,
        )
        count = max(round(rate * trace.span_s), 2)
        part = mixed.iloc[taken : taken + count]
        if len(part) < count:
            raise InputError(
                f"trace {trace.name!r} needs {count} prompts; allowed: the {len(part)} left, or more families"
            )
        arrival = gamma_arrivals(count, rate, trace.arrival_cv, seeds.generator(seed, "trace arrivals", trace.name))
        arrival *= (count - 1) / rate / arrival[-1]
        found.append(
            pd.DataFrame(
                {
                    "trace": trace.name,
                    "slots": trace.slots,
                    "request": np.arange(count),
                    "prompt_id": part["prompt_id"].to_numpy(),
                    "prompt": part["prompt"].to_numpy(),
                    "arrival_s": arrival,
                    "rate": rate,
                }
            )
        )
        taken += count
    return pd.concat(found, ignore_index=True)
