"""NetBouncer (Tan et al., NSDI 2019, §4.3): coordinate descent on a regularised least-squares problem.

minimise  sum_j (y_j - prod_{i in path j} x_i)^2 + lambda sum_i x_i (1 - x_i)   over 0 <= x_i <= 1

with y_j the success rate of path j and x_i that of component i. The second term pulls every x_i to 0 or 1. Before it,
whatever lies on a path without any loss is known to be good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.kaleidoscope.baselines.crossing import Blame, counted, crossing, to_components


@dataclass(frozen=True)
class NetBouncer:
    """Settings.

    Attributes
    ----------
    penalty : float
        lambda; 1 in the evaluation that accompanies the Kaleidoscope artifact.
    tolerance : float
        Stop when no x changes by more.
    sweeps : int
        At most so many rounds over all components.
    threshold : float
        Blamed below this success rate.
    lossless : float
        Success rate of a path from which on all of it is taken for good (1 as published: not one probe lost).
    groups, missing : str
        See :mod:`credence.kaleidoscope.baselines.crossing`.
    """

    penalty: float = 1.0
    tolerance: float = 1e-3
    sweeps: int = 100
    threshold: float = 0.99
    lossless: float = 1.0
    groups: str = "series"
    missing: str = "failed"


def netbouncer(paths, window, settings: NetBouncer | None = None) -> Blame:
    """Estimate every component's success rate and blame those below the threshold.

    Parameters
    ----------
    paths : Paths or Crossing
    window : Window
    settings : NetBouncer, optional
        As published by default.

    Returns
    -------
    Blame
        Scores are 1 - x.
    """
    settings = settings or NetBouncer()
    found = crossing(paths, settings.groups)
    k, f = counted(window, settings.missing)
    total = k + f
    probed = total > 0
    rate = np.where(probed, k / np.maximum(total, 1), 1.0)
    health = descend(found.nodes, found.start, found.cells, rate, probed, settings.penalty, settings.tolerance,
                     settings.sweeps, settings.lossless)  # fmt: skip
    blamed = np.flatnonzero(health < settings.threshold)
    return to_components(found, 1 - health, blamed[np.argsort(health[blamed], kind="stable")])


@njit(cache=True)
def descend(nodes, start, cells, rate, probed, penalty, tolerance, sweeps, lossless):
    """Return every node's success rate [nodes]; for the arguments see :class:`NetBouncer` and ``Crossing``."""
    count = len(start) - 1
    x = np.ones(count)
    good = np.zeros(count, np.bool_)
    for v in range(count):
        total, number = 0.0, 0
        for i in range(start[v], start[v + 1]):
            c = cells[i]
            if probed[c]:
                total += rate[c]
                number += 1
                if rate[c] >= lossless:
                    good[v] = True
        if number == 0:
            good[v] = True
        elif not good[v]:
            x[v] = total / number
    for _ in range(sweeps):
        moved = 0.0
        for v in range(count):
            if good[v]:
                continue
            square, cross = 0.0, 0.0
            for i in range(start[v], start[v + 1]):
                c = cells[i]
                if not probed[c]:
                    continue
                others = 1.0
                for j in range(nodes.shape[1]):
                    u = nodes[c, j]
                    if u >= 0 and u != v:
                        others *= x[u]
                square += others * others
                cross += rate[c] * others
            new = _minimum(square, cross, penalty)
            moved = max(moved, abs(new - x[v]))
            x[v] = new
        if moved < tolerance:
            break
    return x


@njit(cache=True)
def _minimum(square, cross, penalty):
    """Minimise (square - penalty) x^2 - (2 cross - penalty) x over [0, 1]."""
    bend, slope = square - penalty, 2 * cross - penalty
    if bend > 0:
        return min(1.0, max(0.0, slope / (2 * bend)))
    return 1.0 if bend - slope < 0 else 0.0
