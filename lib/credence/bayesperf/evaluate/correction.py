"""A log of counters, corrected: every event in every interval, with an interval that says how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from credence.bayesperf.data.log_cells import Log
from credence.bayesperf.data.observations import Observations, from_readings
from credence.bayesperf.infer import Posterior, Settings, smooth
from credence.bayesperf.infer.audit import Audit, AuditSettings, Screened, screen
from credence.bayesperf.model.relations import Relation, determined, eliminated, matrix

LEVEL = 0.9
# What scaling an event's count by the time it was on a counter adds at least, where it was not there all the time.
MOST_NOISE = 0.5


@dataclass(frozen=True)
class Correction:
    """What became of a log.

    Attributes
    ----------
    estimates : pandas.DataFrame [slices x events, 5]
        ``time_s`` (the log's own text), ``event``, ``mean``, ``lo90``, ``hi90`` [events an interval]; missing for an
        event that was never counted and does not follow from others.
    relations : pandas.DataFrame
        ``name``, ``kind``, ``use`` (used, softly, not used), ``probability`` that it holds, ``verdict``, ``reason``,
        ``source``.
    noise : float
        Relative error of a count that the estimates reckon with.
    unknown : tuple of str
        Events without an estimate.
    posterior : Posterior
        Of the others.
    """

    estimates: pd.DataFrame
    relations: pd.DataFrame
    noise: float
    unknown: tuple[str, ...]
    posterior: Posterior


def correct(log: Log, relations: Sequence[Relation] = (), settings: Settings | None = None) -> Correction:
    """Estimate every count of a log from those that are there and from what must hold between events.

    Relations are audited on the log itself first; broken ones are not used, doubtful ones only softly.

    Parameters
    ----------
    log : Log
        Of ``data.logs.read_log``.
    relations : sequence of Relation
        Between the log's events; those that name others are used as far as they say something about these.
    settings : Settings, optional
        Of the posterior.
    """
    settings = settings or Settings()
    known = [event for place, event in enumerate(log.events) if np.isfinite(log.count[:, place]).any()]
    observed = _observations(log, known)
    settings = replace(settings, read_noise=max(settings.read_noise, count_noise(log, known)))
    # the audit must not take for a broken relation what is only the scaling's noise
    screened = screen(observed, relations, AuditSettings(read_noise=max(AuditSettings.read_noise, settings.read_noise)))
    kept = [audit.relation for audit in screened.audits if _use(audit) == "used"]
    usable = _reachable(log, known, eliminated(kept, log.events))
    observations = observed if usable == known else _observations(log, usable)
    soft = [relation for relation in screened.soft if set(relation.coefficients) <= set(usable)]
    found = smooth(observations, eliminated(kept, usable), settings, soft=soft)
    return Correction(
        _frame(log, usable, found),
        _told(relations, screened),
        settings.read_noise,
        tuple(event for event in log.events if event not in usable),
        found,
    )


def _observations(log: Log, events: Sequence[str]) -> Observations:
    columns = [log.events.index(event) for event in events]
    counts = log.count[:, columns]
    on = np.isfinite(counts)
    return from_readings(events, np.where(on, counts, 0.0)[:, None, :], on)


def _reachable(log: Log, known: list[str], relations: Sequence[Relation]) -> list[str]:
    """Return the counted events, and those that identities determine from them."""
    table = matrix(relations, log.events)
    follows = determined(table, np.isin(log.events, known)) if len(table) else np.isin(log.events, known)
    return [event for event, there in zip(log.events, follows, strict=True) if there or event in known]


def count_noise(log: Log, events: Sequence[str]) -> float:
    """Return how far a count of the log is off because it was scaled, as a share of it (0: never scaled).

    An event on a counter for a share f of an interval was not seen for 1 - f of it. What it did then differs from what
    was seen about as much as one interval's count differs from the next one's: with the relative change c from interval
    to interval, the scaled count is off by about c sqrt((1 - f) / 2). The median over events is taken.
    """
    errors = []
    for event in events:
        column = log.events.index(event)
        count, share = log.count[:, column], log.running_fraction[:, column]
        here = np.isfinite(count)
        level = np.nanmean(count)
        if here.sum() < 3 or not level > 0 or share[here].min() >= 1:
            continue
        change = np.median(np.abs(np.diff(count[here]))) / level / 0.954  # the median of |a - b| of unit normals
        errors.append(change * np.sqrt((1 - np.median(share[here])) / 2))
    return min(float(np.median(errors)), MOST_NOISE) if errors else 0.0


def _frame(log: Log, usable: Sequence[str], found: Posterior) -> pd.DataFrame:
    place = {event: k for k, event in enumerate(usable)}
    low, high = found.interval(LEVEL)
    tables = {}
    for name, values in (("mean", np.maximum(found.mean, 0.0)), ("lo90", low), ("hi90", high)):
        table = np.full(log.count.shape, np.nan)
        for column, event in enumerate(log.events):
            if event in place:
                table[:, column] = values[:, place[event]]
        tables[name] = table.ravel()
    slices, events = log.count.shape
    columns = {"time_s": np.repeat(np.array(log.times, dtype=object), events)}
    return pd.DataFrame(columns | {"event": np.tile(np.array(log.events, dtype=object), slices)} | tables)


def _told(relations: Sequence[Relation], screened: Screened) -> pd.DataFrame:
    rows = [
        {
            "name": audit.relation.name,
            "kind": audit.relation.kind,
            "use": _use(audit),
            "probability": audit.probability,
            "verdict": audit.verdict,
            "reason": audit.reason,
            "source": audit.relation.source,
        }
        for audit in screened.audits
    ]
    return pd.DataFrame(rows, columns=["name", "kind", "use", "probability", "verdict", "reason", "source"])


def _use(audit: Audit) -> str:
    if audit.verdict in ("holds", "not testable"):
        return "used"
    return "softly" if audit.verdict == "doubtful" and audit.relation.kind == "eq" else "not used"
