"""What inference knows of a set of paths before it sees a count: its variables, and which cells cross them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.bench.errors import InputError
from credence.kaleidoscope.model.variants import Priors, Variant


@dataclass(frozen=True, eq=False)
class Index:
    """Variables of a set of paths.

    A variable is a component that is crossed in series, or a group; only the number of its dead members matters, so a
    variable has *levels* 0 (all up) to ``size``.

    Attributes
    ----------
    paths : Paths
    variant : Variant
    size : numpy.ndarray [variables]
        Number of members.
    fatal : numpy.ndarray [variables]
        Level from which on the cells that cross it fail.
    mixed : numpy.ndarray [variables]
        True for routers in turn: levels between lose a share of the probes.
    member : numpy.ndarray [variables, M]
        Component ids, -1 fills up.
    group : numpy.ndarray [variables]
        Row of ``paths.members``, or -1 for a single component.
    cell_variables : numpy.ndarray [cells, V]
        Variables that a cell crosses, -1 fills up.
    start, cells : numpy.ndarray [variables + 1], [entries]
        Cells of variable v: ``cells[start[v]:start[v + 1]]``.
    shares : tuple of float
        Distinct shares of dead members: 0, 1, then those of mixed groups.
    column : numpy.ndarray [variables, M + 1]
        Position in ``shares`` of each level.
    """

    paths: object
    variant: Variant
    size: np.ndarray
    fatal: np.ndarray
    mixed: np.ndarray
    member: np.ndarray
    group: np.ndarray
    cell_variables: np.ndarray
    start: np.ndarray
    cells: np.ndarray
    shares: tuple[float, ...]
    column: np.ndarray

    @property
    def variables(self) -> int:
        """Number of variables."""
        return len(self.size)

    def priors_up(self, priors: Priors, p_up: np.ndarray | None = None) -> np.ndarray:
        """Return P(up) of every component [components]: by kind, or `p_up` where one is given for each."""
        if p_up is None:
            return priors.of_components(self.paths.kinds)
        p_up = np.asarray(p_up, float)
        if p_up.shape != self.paths.kinds.shape or not ((p_up > 0) & (p_up < 1)).all():
            raise InputError(f"p_up of shape {p_up.shape}; allowed: {len(self.paths.kinds)} numbers between 0 and 1")
        return p_up

    def log_odds(self, p_up: np.ndarray) -> np.ndarray:
        """Return log prior of the likeliest members at each level against level 0 [variables, M + 1]."""
        odds = np.where(self.member >= 0, (np.log1p(-p_up) - np.log(p_up))[self.member], -np.inf)
        odds = -np.sort(-odds, axis=1)
        return np.concatenate([np.zeros((self.variables, 1)), np.cumsum(odds, axis=1)], axis=1)

    def level_priors(self, p_up: np.ndarray) -> np.ndarray:
        """Return the prior probability of each level [variables, M + 1]: Poisson-binomial."""
        width = self.member.shape[1]
        result = np.zeros((self.variables, width + 1))
        result[:, 0] = 1
        for m in range(width):
            down = np.where(self.member[:, m] >= 0, 1 - p_up[self.member[:, m]], 0.0)[:, None]
            result[:, 1:] = result[:, 1:] * (1 - down) + result[:, :-1] * down
            result[:, :1] *= 1 - down
        return result


def index(paths, variant: Variant | None = None) -> Index:
    """Build the index of a set of paths; do it once for all windows of the same cells.

    Parameters
    ----------
    paths : Paths
        ``series`` [cells, S], ``groups`` [cells, G], ``members`` [groups, M], ``lnet`` [groups], ``kinds``
        [components].
    variant : Variant, optional

    Raises
    ------
    InputError
        If a component belongs to two groups, or to a group and to a path in series, or if a cell crosses two groups
        of routers in turn (variant "mixture").
    """
    if isinstance(paths, Index):
        if variant not in (None, paths.variant):
            raise InputError(f"the index is of {paths.variant}; allowed: the same variant, or paths in its place")
        return paths
    variant = variant or Variant()
    components = len(paths.kinds)
    crossed = np.zeros(components + 1, bool)  # the last place takes the -1 that fill rows up
    crossed[paths.series.ravel()] = True
    crossed = np.flatnonzero(crossed[:components])
    used = np.zeros(len(paths.members) + 1, bool)
    used[paths.groups.ravel()] = True
    groups = np.flatnonzero(used[: len(paths.members)])
    members = paths.members[groups]
    _refuse_shared(crossed, members)

    width = max(1, members.shape[1] if len(groups) else 1)
    count = len(crossed) + len(groups)
    member = np.full((count, width), -1, np.int32)
    member[: len(crossed), 0] = crossed
    if len(groups):
        member[len(crossed) :, : members.shape[1]] = members
    group = np.full(count, -1, np.int32)
    group[len(crossed) :] = groups
    size = (member >= 0).sum(axis=1).astype(np.int8)
    lnet = np.zeros(count, bool)
    lnet[len(crossed) :] = np.asarray(paths.lnet)[groups]
    fatal = np.where((group >= 0) & ~lnet & (not variant.pair), 1, size).astype(np.int8)
    mixed = lnet & (variant.lnet == "mixture") & (size > 1)

    of_component = np.full(components + 1, -1, np.int32)
    of_component[crossed] = np.arange(len(crossed))
    of_group = np.full(len(paths.members) + 1, -1, np.int32)
    of_group[groups] = len(crossed) + np.arange(len(groups))
    cell_variables = np.concatenate([of_component[paths.series], of_group[paths.groups]], axis=1)
    if mixed.any():
        many = (np.append(mixed, False)[cell_variables]).sum(axis=1) > 1
        if many.any():
            raise InputError(
                f"cell {int(np.argmax(many))} crosses two groups of routers in turn; allowed: one (or lnet 'or')"
            )
    start, cells = by_variable(cell_variables, count)
    shares, column = _shares(size, fatal, mixed, width)
    return Index(
        paths, variant, size, fatal, mixed, member, group, cell_variables, start, cells, tuple(shares), column
    )  # fmt: skip


def _refuse_shared(crossed: np.ndarray, members: np.ndarray) -> None:
    inside, times = np.unique(members[members >= 0], return_counts=True)
    both = np.concatenate([inside[times > 1], np.intersect1d(inside, crossed)])
    if both.size:
        raise InputError(
            f"component {int(both[0])} stands in two groups, or in a group and in series; allowed: one of them"
        )


def _shares(size, fatal, mixed, width: int) -> tuple[list[float], np.ndarray]:
    shares = [0.0, 1.0]
    column = np.zeros((len(size), width + 1), np.int32)
    column[np.arange(width + 1) >= fatal[:, None]] = 1
    for v in np.flatnonzero(mixed):
        for level in range(1, size[v]):
            share = level / size[v]
            if share not in shares:
                shares.append(share)
            column[v, level] = shares.index(share)
    return shares, column


@njit(cache=True)
def by_variable(cell_variables, count):
    """Return the cells of every variable, the other way round: where each one's begin [count + 1], and the cells."""
    start = np.zeros(count + 1, np.int64)
    for c in range(cell_variables.shape[0]):
        for j in range(cell_variables.shape[1]):
            if cell_variables[c, j] >= 0:
                start[cell_variables[c, j] + 1] += 1
    for v in range(count):
        start[v + 1] += start[v]
    cells = np.empty(start[count], np.int32)
    place = start[:count].copy()
    for c in range(cell_variables.shape[0]):
        for j in range(cell_variables.shape[1]):
            v = cell_variables[c, j]
            if v >= 0:
                cells[place[v]] = c
                place[v] += 1
    return start, cells
