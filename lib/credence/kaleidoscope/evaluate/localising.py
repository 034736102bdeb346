"""Our method over many windows of the simulated years: settings, and which component is blamed in which window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from credence.kaleidoscope.infer import search
from credence.kaleidoscope.infer.temporal import MEAN_FAULT_WINDOWS, next_prior
from credence.kaleidoscope.model.variants import Priors, Variant

CHUNK = 1_000
# P(up) that a blamed component is taken to have had; the search gives no probability
BLAMED_UP = 0.02


@dataclass(frozen=True)
class Ours:
    """Settings of our method.

    Attributes
    ----------
    p_down : float
        Prior of a component being down in a window.
    down : tuple of float
        Beta(a, b) of a failed path's success rate.
    up_strength : float or None
        See :class:`~credence.kaleidoscope.model.variants.Priors`.
    up_rate : float
        Success rate of a working path.
    temporal : bool
        Prior of a window from what was blamed in the one before.
    pair, missing, lnet
        See :class:`~credence.kaleidoscope.model.variants.Variant`.
    """

    p_down: float = 1e-3
    down: tuple[float, float] = (0.5, 0.5)
    up_strength: float | None = None
    up_rate: float = 0.9972
    temporal: bool = False
    pair: bool = True
    missing: str = "missing"
    lnet: str = "or"

    def priors(self) -> Priors:
        """Return the priors, the same P(up) for every kind."""
        kinds = ("client", "network", "metadata", "server", "target", "router")
        return Priors(dict.fromkeys(kinds, 1 - self.p_down), self.up_rate, self.up_strength, self.down)

    def variant(self) -> Variant:
        """Return the variant of the model."""
        return Variant(lnet=self.lnet, missing=self.missing, pair=self.pair)


def prepare(paths, sent: np.ndarray, settings: Ours) -> search.Ready:
    """Index paths for :func:`blamed`; `sent` [cells] is what a cell usually sends."""
    return search.ready(paths, settings.priors(), settings.variant(), usual=sent, most=int(sent.max()))


def blamed(prepared: search.Ready, sent: np.ndarray, succeeded: np.ndarray, missing: np.ndarray, settings: Ours):
    """Localise every window of a span.

    Parameters
    ----------
    prepared : Ready
        From :func:`prepare`.
    sent : numpy.ndarray [cells]
    succeeded, missing : numpy.ndarray [windows, cells]
    settings : Ours

    Returns
    -------
    pandas.DataFrame
        A row a window (position) and blamed component; of a group all members, whichever of them it is.
    """
    find = _one_by_one if settings.temporal else _at_once
    rows = [np.zeros((0, 2), np.int64)]
    for first in range(0, len(succeeded), CHUNK):
        k = succeeded[first : first + CHUNK].astype(np.int32)
        failed = sent.astype(np.int32) - k
        if settings.missing == "missing":
            failed -= missing[first : first + CHUNK]
        levels = find(prepared, k, failed, rows[-1], first)
        rows.append(named(prepared.index, levels) + np.array([first, 0]))
    table = np.concatenate(rows)
    return pd.DataFrame({"window": table[:, 0], "component": table[:, 1]})


def named(found, levels: np.ndarray) -> np.ndarray:
    """Return rows of window and component [n, 2] from levels [windows, variables]."""
    window, variable = np.nonzero(levels)
    members = found.member[variable]
    keep = members >= 0
    return np.column_stack([np.broadcast_to(window[:, None], members.shape)[keep], members[keep]]).astype(np.int64)


def _at_once(prepared, succeeded, failed, _before, _first):
    return search.map_windows(prepared, succeeded, failed)[0]


def _one_by_one(prepared, succeeded, failed, before, first):
    """Search window by window: what was blamed in the last is likelier to be down in the next."""
    found, base = prepared.index, prepared.p_up
    levels = np.zeros((len(succeeded), found.variables), np.int8)
    last = before[before[:, 0] == first - 1, 1]
    for w in range(len(succeeded)):
        now = prepared
        if len(last):
            after = base.copy()
            after[last] = BLAMED_UP
            p_up = next_prior(after, base, MEAN_FAULT_WINDOWS)
            now = replace(prepared, p_up=p_up, odds=found.log_odds(p_up), log_prior_up=float(np.log(p_up).sum()))
        explained = search.search_codes(now, now.codes(succeeded[w], failed[w]))
        levels[w] = levels_of(found, explained)
        last = named(found, levels[w : w + 1])[:, 1]
    return levels


def levels_of(found, explained: search.Explanation) -> np.ndarray:
    """Return an explanation as levels [variables]."""
    level = np.zeros(found.variables, np.int8)
    down = np.zeros(len(found.paths.kinds), bool)
    down[list(explained.down)] = True
    single = found.group < 0
    level[single] = down[found.member[single, 0]]
    for row, dead in explained.dead.items():
        level[found.group == row] = dead
    return level
