"""The other half of Table I: is a localised issue a failure or an overload? Judged on simulated telemetry.

The rule of the paper (§V-B), in the order that its misses imply: a marked log line that no healthy peer has decides for
a failure; else an outlying metric for an overload. How often a line misleads is nowhere published, so the share of
right causes is drawn over that strength.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.kaleidoscope.world import telemetry
from credence.kaleidoscope.world.telemetry import LogBreaks, Telemetry

MARKED = re.compile(r"error|fail|panic|is dead|link down|evict|hardware", re.IGNORECASE)
RATIO = 1.5
NEIGHBOURS = 10


def decide(seen: Telemetry) -> str:
    """Return ``reliability``, ``overload`` or ``unknown`` for the component in place 0.

    Numbers in a line are left out when lines are compared: they are times, sectors and process ids.
    """
    own, *others = [{re.sub(r"\d+", "#", line) for line in lines if MARKED.search(line)} for lines in seen.logs]
    if own - set().union(*others):
        return "reliability"
    return "overload" if any(outlying(values) for values in seen.metrics.values()) else "unknown"


def outlying(values: np.ndarray, ratio: float = RATIO, neighbours: int = NEIGHBOURS) -> bool:
    """Return whether the first value's local outlier factor is `ratio` times the largest of its peers (paper §V-B)."""
    from sklearn.neighbors import LocalOutlierFactor

    found = LocalOutlierFactor(n_neighbors=min(neighbours, len(values) - 1)).fit(values[:, None])
    factors = -found.negative_outlier_factor_
    return bool(values[0] > np.median(values[1:]) and factors[0] >= ratio * factors[1:].max())


def causes(
    issues: pd.DataFrame, breaks: LogBreaks | None = None, seed: int = 0, rule: Callable[[Telemetry], str] = decide
) -> pd.DataFrame:
    """Diagnose every issue that was localised.

    Parameters
    ----------
    issues : pandas.DataFrame
        Of one method: ``event``, ``cause``, ``fault``, ``load``, ``localised``.
    breaks : LogBreaks, optional
        How often telemetry misleads.
    seed : int
    rule : callable
        Telemetry -> cause.

    Returns
    -------
    pandas.DataFrame
        ``event``, ``cause``, ``said`` (empty if not localised), ``right``.
    """
    rows = []
    for row in issues.itertuples():
        said = ""
        if row.localised:
            rng = seeds.generator(seed, "kaleidoscope telemetry", int(row.event))
            said = rule(telemetry.around(row.fault, row.cause, row.load, rng, breaks))
        rows.append((row.event, row.cause, said, said == row.cause))
    return pd.DataFrame(rows, columns=["event", "cause", "said", "right"])


def over_strength(issues: pd.DataFrame, name: str, strengths, seed: int = 0) -> pd.DataFrame:
    """Return the share of right causes over the strength of one of :class:`LogBreaks`, by cause.

    Returns
    -------
    pandas.DataFrame
        ``strength``, ``all``, ``reliability``, ``overload`` [%].
    """
    rows = []
    for strength in strengths:
        found = causes(issues, LogBreaks(**{name: strength}), seed)
        by = 100 * found.groupby("cause")["right"].mean()
        rows.append({"strength": strength, "all": 100 * found["right"].mean(), **by.to_dict()})
    return pd.DataFrame(rows)
