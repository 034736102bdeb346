"""What a probe plan can tell apart: Boolean tomography of components and groups.

Two hypotheses (sets of components that are down) look the same if they make the same cells fail. A component is
*k-identifiable* if no two hypotheses of at most k components each look the same while it is down in one of them only
(Ma et al., the criterion behind the paper's placement of monitors, §IV-A; here both directions are checked, not only
the sufficient condition).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from credence.bench.errors import InputError
from credence.kaleidoscope.infer.index import Index, index
from credence.kaleidoscope.model.variants import Variant

MOST_PAIRS = 30_000_000


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What a probe plan can tell.

    Attributes
    ----------
    sets : tuple of tuple of int
        Components each of which, down alone, makes the same cells fail; sets of two and more.
    unprobed : tuple of int
        Components that no cell crosses.
    hidden : tuple of int
        Components whose failure alone makes no cell fail, as others stand in for them.
    level : numpy.ndarray [components]
        Largest k up to the one asked for at which the component is k-identifiable; 0 for those above.
    confused : tuple
        Examples at k = 2: pairs of hypotheses (tuples of ids) that look the same.
    suggested : int or None
        Position in the candidates of the probe that tells most pairs of hypotheses apart that the plan does not.
    resolves : int
        Number of those pairs.
    """

    sets: tuple[tuple[int, ...], ...]
    unprobed: tuple[int, ...]
    hidden: tuple[int, ...]
    level: np.ndarray
    confused: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    suggested: int | None
    resolves: int


def identifiability(paths, candidates=None, variant: Variant | None = None, k: int = 1) -> Identifiability:
    """Report what the cells of a plan can tell apart.

    Parameters
    ----------
    paths : Paths or Index
        What the probes of the plan cross.
    candidates : Paths, optional
        Probes that could be added, over the same components and groups.
    variant : Variant, optional
    k : int
        1 or 2: size of the hypotheses that are compared.

    Raises
    ------
    InputError
        For another `k`, or for more pairs than 30 million at ``k=2``.
    """
    if k not in (1, 2):
        raise InputError(f"k is {k!r}; allowed: 1, 2")
    found = index(paths, variant)
    components = len(found.paths.kinds)
    weight = _hashes(found)
    factor = _factors(len(found.shares))
    known = found.member >= 0
    at = np.nonzero(known)[0]
    alone = np.zeros(components, np.uint64)  # what each component, down alone, makes of the cells; 0: nothing
    alone[found.member[known]] = (weight * factor[found.column[:, 1]])[at]
    probed = np.zeros(components, bool)
    probed[found.member[known]] = True
    values, which, times = np.unique(alone, return_inverse=True, return_counts=True)
    sets = tuple(
        tuple(np.flatnonzero(which == s).tolist()) for s in np.flatnonzero((times > 1) & (values != 0)).tolist()
    )
    unprobed = np.flatnonzero(~probed)
    hidden = np.flatnonzero(probed & (alone == 0))
    level = np.where((times[which] == 1) & (alone != 0), 1, 0)
    confused: tuple = ()
    if k == 2:
        unsure, confused = _pairs(found, weight, factor)
        level[(level == 1) & ~unsure] = 2
    suggested, resolves = (None, 0) if candidates is None else _suggest(found, candidates, which, values)
    return Identifiability(
        sets, tuple(unprobed.tolist()), tuple(hidden.tolist()), level, confused, suggested, resolves
    )  # fmt: skip


def _random(n: int, seed: int) -> np.ndarray:
    # odd numbers, so that products modulo 2**64 lose nothing
    return np.random.default_rng(seed).integers(0, 2**63, n, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def _hashes(found: Index) -> np.ndarray:
    """Sum of random numbers of a variable's cells, modulo 2**64 [variables]: equal if and only if the cells are."""
    numbers = np.append(_random(len(found.cell_variables), 1), np.uint64(0))
    total = np.concatenate([[np.uint64(0)], np.cumsum(numbers[found.cells], dtype=np.uint64)])
    return total[found.start[1:]] - total[found.start[:-1]]


def _factors(shares: int) -> np.ndarray:
    """Factor of a hash by share of dead members: none is lost, all, or so many."""
    factor = _random(shares, 2)
    factor[:2] = 0, 1
    return factor


def _hypotheses(found: Index, weight, factor) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
    """Changes that at most two components down can make: (variable, level), hash, and number of components.

    A component that others stand in for makes none, alone, and is left out.
    """
    changes = [
        (v, level)
        for v in range(found.variables)
        for level in range(1, min(int(found.size[v]), 2) + 1)
        if factor[found.column[v, level]]
    ]
    at = np.array(changes)
    return changes, weight[at[:, 0]] * factor[found.column[at[:, 0], at[:, 1]]], at[:, 1]


def _pairs(found: Index, weight, factor) -> tuple[np.ndarray, tuple]:
    """Components that some two hypotheses of at most two components leave in doubt, and examples of such."""
    changes, hashes, cost = _hypotheses(found, weight, factor)
    ones = np.flatnonzero(cost == 1)
    if len(ones) ** 2 / 2 > MOST_PAIRS:
        raise InputError(f"{len(ones)} components make too many pairs for k = 2; allowed: k = 1")
    first, second = (ones[side] for side in np.triu_indices(len(ones), 1))
    variable = np.array([v for v, _ in changes])
    rows = np.repeat(np.arange(len(found.cell_variables)), (found.cell_variables >= 0).sum(axis=1))
    cross = csr_array(
        (np.ones(len(rows), np.uint64), (found.cell_variables[found.cell_variables >= 0], rows)),
        shape=(found.variables, len(found.cell_variables)),
    )
    scaled = csr_array((_random(cross.shape[1], 1)[cross.indices], cross.indices, cross.indptr), shape=cross.shape)
    both = (cross @ scaled.T).toarray()
    m1, m2 = (factor[found.column[variable[side], 1]] for side in (first, second))
    # where two overlap, one that takes a cell down whole hides what another takes of it
    overlap = both[variable[first], variable[second]] * np.where(m1 == 1, m2, np.where(m2 == 1, m1, np.uint64(0)))
    joined = hashes[first] + hashes[second] - overlap
    of_two = np.flatnonzero(cost == 2)
    names = [_named(found, (c,), changes) for c in [*ones, *of_two]]
    everything = np.concatenate([[np.uint64(0)], hashes[ones], hashes[of_two], joined])
    order = np.argsort(everything, kind="stable")
    cuts = np.flatnonzero(np.diff(everything[order])) + 1
    unsure = np.zeros(len(found.paths.kinds), bool)
    examples = []
    for same in np.split(order, cuts):
        if len(same) < 2:
            continue
        members = [_members(h, names, first, second, found, changes) for h in same[:2000].tolist()]
        sure = set(members[0]).intersection(*map(set, members[1:]))
        unsure[sorted(set().union(*map(set, members)) - sure)] = True
        if len(examples) < 20:
            examples.append((members[0], members[1]))
    return unsure, tuple(examples)


def _named(found: Index, which, changes) -> tuple[int, ...]:
    members: list[int] = []
    for c in which:
        v, level = changes[c]
        # of a group with some members down, nobody can tell which; all are named, so that all count as unsure
        group = found.member[v][found.member[v] >= 0].tolist()
        members += group if len(group) > 1 else group[:level]
    return tuple(sorted(members))


def _members(h: int, names, first, second, found, changes) -> tuple[int, ...]:
    if h == 0:
        return ()
    if h <= len(names):
        return names[h - 1]
    pair = h - 1 - len(names)
    return _named(found, (first[pair], second[pair]), changes)


def _suggest(found: Index, candidates, which, values) -> tuple[int | None, int]:
    """The candidate that splits most pairs of equal hypotheses; "all up" is a hypothesis like any other."""
    components = len(found.paths.kinds)
    classes = len(values)
    size = np.bincount(which, minlength=classes) + (values == 0)
    series = candidates.series
    group_members = candidates.members[candidates.groups] if candidates.groups.size else None
    mixture = found.variant.lnet == "mixture"
    best, chosen = 0, None
    for c in range(len(series)):
        touched = set(series[c][series[c] >= 0].tolist())
        if mixture and group_members is not None:
            for g, row in zip(candidates.groups[c], group_members[c], strict=True):
                if g >= 0 and candidates.lnet[g]:
                    touched |= set(row[row >= 0].tolist())
        inside = np.bincount(which[[i for i in touched if i < components]], minlength=classes)
        worth = int((inside * (size - inside)).sum())
        if worth > best:
            best, chosen = worth, c
    return chosen, best
