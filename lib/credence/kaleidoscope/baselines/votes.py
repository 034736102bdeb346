"""Two simple methods: 007's votes of failed probes (Arzani et al., NSDI 2018, §5.1-5.3) and a plain threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.kaleidoscope.baselines.crossing import Blame, counted, crossing, to_components


@dataclass(frozen=True)
class Vote007:
    """Settings of the votes.

    Attributes
    ----------
    share : float
        Blamed while the leader has at least this share of all votes (1 % in the paper, Algorithm 1).
    least : float
        And at least so many votes (per probe across it, if `per_probe`).
    per_probe : bool
        Lead by votes per probe across a component, not by votes: a component on every path, such as a network, gets
        votes for everybody's losses, and as published it always leads. Then `share` is not looked at.
    groups, missing : str
        See :mod:`credence.kaleidoscope.baselines.crossing`.
    """

    share: float = 0.01
    least: float = 0.0
    per_probe: bool = False
    groups: str = "series"
    missing: str = "failed"


@dataclass(frozen=True)
class Threshold:
    """Settings of the plain threshold.

    Attributes
    ----------
    rate : float
        Blamed when less than this share of the probes across a component succeeds; 0.99 is the paper's service level
        (99 % within a second).
    groups, missing : str
        See :mod:`credence.kaleidoscope.baselines.crossing`.
    """

    rate: float = 0.99
    groups: str = "series"
    missing: str = "failed"


def vote007(paths, window, settings: Vote007 | None = None) -> Blame:
    """Let every failed probe give 1/length of its path to all on it; blame the leader, drop its probes, repeat.

    Parameters
    ----------
    paths : Paths or Crossing
    window : Window
    settings : Vote007, optional
        As published by default.

    Returns
    -------
    Blame
        Scores are the votes at first.
    """
    settings = settings or Vote007()
    found = crossing(paths, settings.groups)
    succeeded, failed = counted(window, settings.missing)
    here = found.nodes >= 0
    length = np.maximum(here.sum(axis=1), 1)
    weight = np.ones(found.count)
    share = settings.share
    if settings.per_probe:
        across = np.broadcast_to((succeeded + failed)[:, None], here.shape)
        weight = 1 / np.maximum(np.bincount(found.nodes[here], across[here], minlength=found.count), 1)
        share = 0.0
    first, order = tally(found.nodes, found.start, found.cells, failed / length, weight, share, settings.least)
    return to_components(found, first, order)


@njit(cache=True)
def tally(nodes, start, cells, votes, weight, share, least):
    """Return the score of every node [nodes] and the nodes blamed, in order.

    `votes` [cells] is what each node on a path gets; `weight` [nodes] turns votes into scores.
    """
    count = len(start) - 1
    score = np.zeros(count)
    total = 0.0
    for c in range(len(votes)):
        for j in range(nodes.shape[1]):
            v = nodes[c, j]
            if v >= 0:
                score[v] += votes[c] * weight[v]
                total += votes[c] * weight[v]
    first = score.copy()
    left = votes.copy()
    blamed = np.empty(count, np.int64)
    used = 0
    while used < count:
        leader = np.argmax(score)
        if score[leader] <= 1e-12 or score[leader] < share * total or score[leader] < least:
            break
        blamed[used] = leader
        used += 1
        for i in range(start[leader], start[leader + 1]):
            c = cells[i]
            if left[c] > 0:
                for j in range(nodes.shape[1]):
                    v = nodes[c, j]
                    if v >= 0:
                        score[v] -= left[c] * weight[v]
                left[c] = 0.0
        score[leader] = 0.0
    return first, blamed[:used]


def threshold(paths, window, settings: Threshold | None = None) -> Blame:
    """Blame every component whose probes succeed too rarely, whatever else could explain it.

    Parameters
    ----------
    paths : Paths or Crossing
    window : Window
    settings : Threshold, optional

    Returns
    -------
    Blame
        Scores are the share of failed probes.
    """
    settings = settings or Threshold()
    found = crossing(paths, settings.groups)
    k, f = counted(window, settings.missing)
    here = found.nodes >= 0
    ids = found.nodes[here]
    lost = np.bincount(ids, np.broadcast_to(f[:, None], here.shape)[here], minlength=found.count)
    seen = np.bincount(ids, np.broadcast_to((k + f)[:, None], here.shape)[here], minlength=found.count)
    score = np.where(seen > 0, lost / np.maximum(seen, 1), 0.0)
    blamed = np.flatnonzero(1 - score < settings.rate)
    return to_components(found, score, blamed[np.argsort(-score[blamed], kind="stable")])
