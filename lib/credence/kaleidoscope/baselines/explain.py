"""Two searches for the likeliest set of failed components, all paths in series.

Both judge a set by the same joint likelihood: a probe is lost with probability ``loss_up`` on a path without a failed
component, ``loss_down`` on one with; each component fails with the prior ``p_down``. Flock (Harsh et al., 2023, §4)
adds the best component until none helps, with incremental updates; Sherlock (Bahl et al., SIGCOMM 2007, §4.2) tries
all sets of at most k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.bench.errors import InputError
from credence.kaleidoscope.baselines.crossing import Blame, counted, crossing, to_components


@dataclass(frozen=True)
class Flock:
    """Settings of the greedy search.

    Attributes
    ----------
    loss_up, loss_down : float
        P(a probe is lost) on a good and on a failed path. Flock fits both to a training network; unfitted, the first
        is Fig. 6's 0.28 % and a failed path loses half.
    p_down : float
        Prior of a failed component.
    removals : bool
        Also take components away again if that helps (not in the published search).
    groups, missing : str
        See :mod:`credence.kaleidoscope.baselines.crossing`.
    """

    loss_up: float = 0.0028
    loss_down: float = 0.5
    p_down: float = 1e-3
    removals: bool = False
    groups: str = "series"
    missing: str = "failed"


@dataclass(frozen=True)
class Sherlock:
    """Settings of the enumeration: as :class:`Flock`, with `faults`, the largest set tried (1 to 3)."""

    loss_up: float = 0.0028
    loss_down: float = 0.5
    p_down: float = 1e-3
    faults: int = 2
    groups: str = "series"
    missing: str = "failed"


def _gains(window, settings) -> np.ndarray:
    """Log-likelihood of each cell having failed minus that of working [cells]."""
    for name in ("loss_up", "loss_down", "p_down"):
        if not 0 < getattr(settings, name) < 1:
            raise InputError(f"{name} is {getattr(settings, name)!r}; allowed: between 0 and 1")
    k, f = counted(window, settings.missing)
    kept = np.log1p(-settings.loss_down) - np.log1p(-settings.loss_up)
    return k * kept + f * np.log(settings.loss_down / settings.loss_up)


def _costs(found, p_down: float) -> np.ndarray:
    """Log prior odds of every node [nodes]; a group costs as much as all its members."""
    return np.array([len(members) for members in found.members]) * np.log(p_down / (1 - p_down))


def flock(paths, window, settings: Flock | None = None) -> Blame:
    """Add the component that improves the joint likelihood most, until none does.

    Parameters
    ----------
    paths : Paths or Crossing
    window : Window
    settings : Flock, optional

    Returns
    -------
    Blame
        Scores are the gain in log posterior of each component alone (0 where negative).
    """
    settings = settings or Flock()
    found = crossing(paths, settings.groups)
    alone, order = greedy(found.nodes, found.start, found.cells, _gains(window, settings),
                          _costs(found, settings.p_down), settings.removals)  # fmt: skip
    return to_components(found, np.maximum(alone, 0), order)


def sherlock(paths, window, settings: Sherlock | None = None) -> Blame:
    """Try every set of at most ``faults`` components and return the likeliest.

    Parameters
    ----------
    paths : Paths or Crossing
    window : Window
    settings : Sherlock, optional

    Returns
    -------
    Blame
        Scores as for :func:`flock`.

    Raises
    ------
    InputError
        For more faults than 3: the sets grow with the power of their number.
    """
    settings = settings or Sherlock()
    if settings.faults not in (1, 2, 3):
        raise InputError(f"faults is {settings.faults!r}; allowed: 1, 2 or 3")
    found = crossing(paths, settings.groups)
    alone, best = enumerate_sets(found.nodes, found.start, found.cells, _gains(window, settings),
                                 _costs(found, settings.p_down), settings.faults)  # fmt: skip
    return to_components(found, np.maximum(alone, 0), best[best >= 0])


@njit(cache=True)
def _start(nodes, cell_gain, cost):
    gain = cost.copy()
    for c in range(len(cell_gain)):
        for j in range(nodes.shape[1]):
            if nodes[c, j] >= 0:
                gain[nodes[c, j]] += cell_gain[c]
    return gain


@njit(cache=True)
def _put(v, step, nodes, start, cells, cell_gain, dead, gain, down):
    """Fail node v (step 1) or take that back (-1); ``gain`` of the others follows.

    ``gain[u]`` is what failing u adds while u is up, and what it adds now while u is down.
    """
    for i in range(start[v], start[v + 1]):
        c = cells[i]
        others = dead[c] if step > 0 else dead[c] - 1
        for j in range(nodes.shape[1]):
            u = nodes[c, j]
            if u < 0 or u == v:
                continue
            # another node matters to this cell only while no third one has failed
            besides = others - 1 if down[u] else others
            if besides == 0:
                gain[u] -= step * cell_gain[c]
        dead[c] += step
    down[v] = step > 0


@njit(cache=True)
def greedy(nodes, start, cells, cell_gain, cost, removals):
    """Return the gain of each node alone [nodes] and the nodes failed, in order."""
    gain = _start(nodes, cell_gain, cost)
    alone = gain.copy()
    count = len(cost)
    down = np.zeros(count, np.bool_)
    dead = np.zeros(len(cell_gain), np.int32)
    order = np.empty(4 * count, np.int64)
    used = 0
    for _ in range(4 * count):
        best, chosen = 1e-9, -1
        for v in range(count):
            if not down[v] and gain[v] > best:
                best, chosen = gain[v], v
            elif down[v] and removals and -gain[v] > best:
                best, chosen = -gain[v], v
        if chosen < 0:
            break
        if down[chosen]:
            _put(chosen, -1, nodes, start, cells, cell_gain, dead, gain, down)
        else:
            _put(chosen, 1, nodes, start, cells, cell_gain, dead, gain, down)
            order[used] = chosen
            used += 1
    kept = np.array([v for v in order[:used] if down[v]], dtype=np.int64)
    return alone, kept


@njit(cache=True)
def enumerate_sets(nodes, start, cells, cell_gain, cost, faults):
    """Return the gain of each node alone [nodes] and the likeliest set of at most `faults` nodes, -1 fills up [3].

    A node none of whose cells lost anything can't be in the likeliest set: it is left out at once.
    """
    gain = _start(nodes, cell_gain, cost)
    alone = gain.copy()
    count = len(cost)
    useful = np.zeros(count, np.bool_)
    for v in range(count):
        for i in range(start[v], start[v + 1]):
            if cell_gain[cells[i]] > 0:
                useful[v] = True
    candidates = np.flatnonzero(useful)
    down = np.zeros(count, np.bool_)
    dead = np.zeros(len(cell_gain), np.int32)
    best, chosen = 0.0, np.full(3, -1, np.int64)
    for a in range(len(candidates)):
        first = candidates[a]
        one = gain[first]
        if one > best:
            best = one
            chosen[0], chosen[1], chosen[2] = first, -1, -1
        if faults < 2:
            continue
        _put(first, 1, nodes, start, cells, cell_gain, dead, gain, down)
        for b in range(a + 1, len(candidates)):
            second = candidates[b]
            two = one + gain[second]
            if two > best:
                best = two
                chosen[0], chosen[1], chosen[2] = first, second, -1
            if faults < 3:
                continue
            _put(second, 1, nodes, start, cells, cell_gain, dead, gain, down)
            for d in range(b + 1, len(candidates)):
                third = candidates[d]
                if two + gain[third] > best:
                    best = two + gain[third]
                    chosen[0], chosen[1], chosen[2] = first, second, third
            _put(second, -1, nodes, start, cells, cell_gain, dead, gain, down)
        _put(first, -1, nodes, start, cells, cell_gain, dead, gain, down)
    return alone, chosen
