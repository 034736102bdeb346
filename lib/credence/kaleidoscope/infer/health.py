"""What to tell a person about every component: up, down or ambiguous, with what it cannot be told apart from."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv

from credence.kaleidoscope.infer.exact import Posterior, exact_posterior
from credence.kaleidoscope.infer.index import Index, index
from credence.kaleidoscope.infer.tree import Plan, plan
from credence.kaleidoscope.model.cells import counts
from credence.kaleidoscope.model.variants import Priors, Variant

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.75  # the paper's rule: a failure is reported at more than 75 % (§V-A)


def health(
    paths,
    window,
    priors: Priors | None = None,
    variant: Variant | None = None,
    *,
    p_up=None,
    confidence: float = CONFIDENCE,
    posterior: Posterior | None = None,
) -> pd.DataFrame:
    """Return one row for each component.

    Parameters
    ----------
    paths : Paths, Index or Plan
    window : Window
    priors, variant, p_up : optional
        As in :func:`exact_posterior`.
    confidence : float
        P(up) from which a component is up; below 1 minus that it is down.
    posterior : Posterior, optional
        Where it is known already, with ``by_cell=True``.

    Returns
    -------
    pandas.DataFrame [components]
        ``component`` (id), ``p_up`` (P(up | counts)), ``rate``, ``lo90``, ``hi90`` (success rate of the probes through
        the component for which all else works, at least in part, weighted by the chance of that; posterior under
        Beta(0.5, 0.5)),
        ``state`` (``"up"``, ``"down"``, ``"ambiguous"``), ``set`` (0, or the number of a set whose members the data
        cannot tell apart), ``probes`` (weighted number of probes that can tell of it), ``rank`` (1: most suspect).
        A component with less than half a probe to tell of it is ambiguous whatever its prior, in a set with those that
        share its fate.
    """
    import pandas as pd

    priors = priors or Priors()
    order = paths if isinstance(paths, Plan) else plan(index(paths, variant))
    found = order.index
    if posterior is None or posterior.else_up is None:
        posterior = exact_posterior(order, window, priors, p_up=p_up, by_cell=True)
    good, bad = told(found, window, posterior)
    sure_down = posterior.p_up <= 1 - confidence
    state = np.where(posterior.p_up >= confidence, "up", np.where(sure_down, "down", "ambiguous"))
    joined = _sets(found, posterior, counts(window, found.variant)[1], confidence)
    unseen = good + bad < 0.5
    state = np.where(unseen | (joined > 0), "ambiguous", state)
    joined = _unseen_sets(found, posterior, unseen, joined)
    lo, hi = (betaincinv(good + 0.5, bad + 0.5, p) for p in (0.05, 0.95))
    rank = np.empty(len(state), int)
    rank[np.argsort(posterior.p_up, kind="stable")] = np.arange(1, len(state) + 1)
    return pd.DataFrame(
        {
            "component": np.arange(len(state)),
            "p_up": posterior.p_up,
            "rate": (good + 0.5) / (good + bad + 1),
            "lo90": lo,
            "hi90": hi,
            "state": state,
            "set": joined,
            "probes": good + bad,
            "rank": rank,
        }
    )


def told(found: Index, window, posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """Return succeeded and failed probes that tell of each component [components] each.

    Each cell counts with the chance that everything else it crosses works (``posterior.else_up``).
    """
    succeeded, failed = counts(window, found.variant)
    good, bad = np.zeros(len(posterior.p_up)), np.zeros(len(posterior.p_up))
    by_variable = np.zeros((2, found.variables))
    for j in range(found.cell_variables.shape[1]):
        here = found.cell_variables[:, j] >= 0
        others = posterior.else_up[here, j]
        v = found.cell_variables[here, j]
        by_variable[0] += np.bincount(v, others * succeeded[here], found.variables)
        by_variable[1] += np.bincount(v, others * failed[here], found.variables)
    known = found.member >= 0
    at = np.nonzero(known)[0]
    good[found.member[known]], bad[found.member[known]] = by_variable[0, at], by_variable[1, at]
    return good, bad


def _sets(found: Index, posterior: Posterior, failed: np.ndarray, confidence: float) -> np.ndarray:
    """Sets of components one of which is likely down, but not which [components]; 0: none.

    Suspects (more than 5 %) belong together if they share most of the cells with failed probes, not explained by what
    is surely down, of the one of them that has fewer; a set counts if half a fault or more is expected in it.
    """
    down = 1 - posterior.p_up
    p_down = np.array([_p_down(found, posterior, v) for v in range(found.variables)] + [0.0])
    sure = p_down >= confidence
    open_cells = (failed > 0) & ~sure[found.cell_variables].any(axis=1)
    suspect = (p_down > 0.05) & ~sure
    own: Counter[int] = Counter()
    shared: Counter[tuple[int, int]] = Counter()
    for c in np.flatnonzero(open_cells & suspect[found.cell_variables].any(axis=1)):
        here = sorted(found.cell_variables[c][suspect[found.cell_variables[c]]].tolist())
        own.update(here)
        shared.update(itertools.combinations(here, 2))
    members = [frozenset(row[row >= 0].tolist()) for row in found.member]
    bundles = [members[v] for v in own]
    bundles += [members[u] | members[v] for (u, v), n in shared.items() if 2 * n > min(own[u], own[v])]
    for v in np.flatnonzero(found.mixed):
        # some of these routers are dead, nobody can tell which
        if posterior.dead[found.group[v], 1 : found.size[v]].sum() > 1 - confidence:
            bundles.append(members[v])
    joined = _merge(set(bundles), len(down))
    for k in range(1, joined.max(initial=0) + 1):
        if down[joined == k].sum() < 0.5:
            joined[joined == k] = 0
    return np.unique(joined, return_inverse=True)[1] if (joined == 0).any() else joined


def _p_down(found: Index, posterior: Posterior, v: int) -> float:
    """P(all cells of variable v fail because of it | counts)."""
    if found.group[v] < 0:
        return 1 - posterior.p_up[found.member[v, 0]]
    return posterior.dead[found.group[v], found.fatal[v] :].sum()


def _merge(bundles: set[frozenset[int]], components: int) -> np.ndarray:
    joined: list[frozenset[int]] = []
    for bundle in bundles:
        apart = []
        for other in joined:
            if other & bundle:
                bundle = bundle | other
            else:
                apart.append(other)
        joined = [*apart, bundle]
    result = np.zeros(components, int)
    for k, bundle in enumerate(sorted(joined, key=min), start=1):
        result[sorted(bundle)] = k
    return result


def _unseen_sets(found: Index, posterior: Posterior, unseen: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """Give components that nothing tells of a set with those that the same failures hide."""
    joined = joined.copy()
    fate: dict[frozenset, list[int]] = {}
    variable = np.full(len(unseen), -1)
    known = found.member >= 0
    variable[found.member[known]] = np.nonzero(known)[0]
    blamed = np.array([_p_down(found, posterior, v) > 0.5 for v in range(found.variables)] + [False])
    for i in np.flatnonzero(unseen & (joined == 0)):
        v = variable[i]
        hiding: frozenset = frozenset()
        if v >= 0:
            crossed = np.unique(found.cell_variables[found.cells[found.start[v] : found.start[v + 1]]])
            hiding = frozenset(crossed[blamed[crossed] & (crossed != v)].tolist())
        fate.setdefault(hiding, []).append(i)
    following = joined.max(initial=0) + 1
    for members in fate.values():
        joined[members] = following
        following += 1
    return joined
