"""What the notebook `posterior` shows: one window with both posteriors, a wrong identity, and the recorded tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from credence.bayesperf.data import pmu, traces
from credence.bayesperf.evaluate.audit_study import off_by
from credence.bayesperf.evaluate.windows import Cut
from credence.bayesperf.infer.audit import audit
from credence.bayesperf.infer.nuts import Sampled
from credence.bayesperf.infer.windows import fast
from credence.bayesperf.model.relations import known_relations
from credence.bayesperf.schedule.audit_rotation import audit_rotation
from credence.bayesperf.schedule.rotation import repeat
from credence.bayesperf.world.replay import replay
from credence.bench import seeds
from credence.bench.errors import choose

Z90 = 1.6448536269514722


def bands(found: Cut, sampled: Sampled, events: Sequence[str]) -> pd.DataFrame:
    """Return truth, measured counts and 90 % bands of both methods for some events.

    Returns
    -------
    DataFrame
        ``slice``, ``event``, ``truth``, ``measured`` (NaN: on no counter), ``nuts_lo``, ``nuts_hi``, ``fast_lo``,
        ``fast_hi`` in counts per slice; counts are not below 0.
    """
    window = found.window
    mean, sd = fast(window)
    measured = np.full(mean.shape, np.nan)
    measured[window.slot, window.event] = window.value * window.scale[window.event]
    low, high = np.quantile(sampled.counts, [0.05, 0.95], axis=0)
    parts = []
    for name in events:
        e = window.events.index(choose(name, window.events, "event of the window"))
        columns = {"truth": found.truth, "measured": measured, "nuts_lo": low, "nuts_hi": high}
        columns |= {"fast_lo": mean - Z90 * sd, "fast_hi": mean + Z90 * sd}
        part = pd.DataFrame({key: value[:, e] for key, value in columns.items()})
        ends = ["nuts_lo", "nuts_hi", "fast_lo", "fast_hi"]
        part[ends] = part[ends].clip(lower=0)
        parts.append(part.assign(slice=np.arange(window.slices), event=name))
    return pd.concat(parts, ignore_index=True).round(1)


def spread(found: Cut, count: int = 3) -> list[str]:
    """Return events of a window from the best known to the least: by sd of the fast path as a share of their mean.

    Only events that counters left open somewhere; those that hardly happen have no series to look at.
    """
    _, sd = fast(found.window)
    mean = found.truth.mean(axis=0)
    share = sd.mean(axis=0) / np.maximum(mean, 1)
    order = [e for e in np.argsort(share) if mean[e] >= 100 and share[e] > 0.01]
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [found.window.events[order[place]] for place in places]


def wrong_identity(machine: str, program: str, name: str, event: str, error: float, seed: int = 0) -> pd.DataFrame:
    """Audit the identities of a machine on one program, one of them with a wrong coefficient.

    Parameters
    ----------
    machine, program : str
    name : str
        Of the identity that is made wrong.
    event : str
        Its coefficient is multiplied by ``1 + error``.
    error : float
    seed : int

    Returns
    -------
    DataFrame
        One row an identity: ``relation``, ``probability`` that it holds, ``verdict``, ``suspect``, ``factor``,
        ``slices``; least believed first.
    """
    found, unit = traces.trace(machine, program), pmu.pmu(machine, 8)
    relations = [r for r in known_relations(machine) if r.kind == "eq"]
    names = [r.name for r in relations]
    place = names.index(choose(name, names, "identity"))
    relations[place] = off_by(relations[place], event, error)
    readings = traces.slice_counts(found, found.events)
    schedule, _ = audit_rotation(found.events, unit, relations)
    rng = seeds.generator(seed, "wrong identity", machine, program)
    observations = replay(found.events, readings, repeat(schedule, len(readings)), rng, 0.005, 0.0)
    rows = [
        (a.relation.name, a.probability, a.verdict, a.suspect, a.factor, a.slices)
        for a in audit(observations, relations)
    ]
    columns = ["relation", "probability", "verdict", "suspect", "factor", "slices"]
    return pd.DataFrame(rows, columns=columns).sort_values("probability", ignore_index=True)


def audit_shares(frame: pd.DataFrame, case: str, draws: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return draws of two shares over test programs, resampled whole [draws].

    Parameters
    ----------
    frame : DataFrame
        As of `audit_study.study`, with ``case`` and ``split``.
    case : str
    draws : int
    seed : int

    Returns
    -------
    dict
        ``true_believed``: true identities with P(holds) of 0.9 or more; ``wrong_found``: those off by 5 % with 0.1 or
        less. Of all testable program × identity pairs.
    """
    part = frame[(frame["case"] == case) & (frame["split"] == "test")].dropna(subset="probability")
    shares = {}
    for name, error, hit in (
        ("true_believed", 0.0, part["probability"] >= 0.9),
        ("wrong_found", 0.05, part["probability"] <= 0.1),
    ):
        chosen = part.assign(hit=hit)[np.isclose(part["error"], error)]
        by = chosen.groupby(["machine", "program"])["hit"].agg(["sum", "size"]).to_numpy(float)
        # the same programs for both shares
        picks = seeds.generator(seed, "audit shares").integers(len(by), size=(draws, len(by)))
        shares[name] = by[picks, 0].sum(axis=1) / by[picks, 1].sum(axis=1)
    return shares
