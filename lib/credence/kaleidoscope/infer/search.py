"""The likeliest explanation of a window, by local search: add, remove and swap on incremental likelihoods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError
from credence.kaleidoscope.infer import search_kernels as kernels
from credence.kaleidoscope.infer.index import Index, index
from credence.kaleidoscope.model.cells import cell_table, counts, log_likelihoods
from credence.kaleidoscope.model.variants import Priors, Variant


@dataclass(frozen=True)
class Alternative:
    """Another explanation, found by taking one blamed part away and explaining the rest without it.

    Attributes
    ----------
    log_odds : float
        Its log posterior minus that of the explanation, at most 0.
    without, instead : tuple of int
        Components that are blamed in the one and not in the other. Of a group of routers in turn all members are
        named, as nobody can tell which of them is meant.
    """

    log_odds: float
    without: tuple[int, ...]
    instead: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What is down, most likely.

    Attributes
    ----------
    down : tuple of int
        Ids of components that are down.
    dead : dict of int to int
        Number of dead members by row of ``paths.members``, for groups in which there are any. Members of a group
        that has lost some but not all are not in ``down``: it cannot be said which they are.
    log_posterior : float
        log P(explanation) + log P(counts | explanation), without binomial coefficients.
    log_all_up : float
        The same for "all up".
    alternatives : tuple of Alternative
        Best first.
    """

    down: tuple[int, ...]
    dead: dict[int, int]
    log_posterior: float
    log_all_up: float
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, eq=False)
class Ready:
    """Sums over cells for the usual counts, from which windows differ in few cells; see :func:`ready`."""

    index: Index
    priors: Priors
    p_up: np.ndarray
    odds: np.ndarray
    log_prior_up: float
    usual: np.ndarray
    gain: np.ndarray
    height: np.ndarray
    table: np.ndarray
    log_likelihood: float
    most: int

    def codes(self, succeeded: np.ndarray, failed: np.ndarray) -> np.ndarray:
        """Return the rows of the table for counts of any shape; one pass."""
        if max(succeeded.max(initial=0), failed.max(initial=0)) > self.most:
            raise InputError(f"a cell has more than {self.most} probes; allowed: make ready for more")
        return succeeded * np.int32(self.most + 1) + failed


def ready(
    paths, priors: Priors | None = None, variant: Variant | None = None, *, usual=None, most: int = 16, p_up=None
):
    """Prepare the search for many windows of the same cells.

    Parameters
    ----------
    paths : Paths or Index
    priors : Priors, optional
    variant : Variant, optional
    usual : numpy.ndarray [cells], optional
        Successful probes of a cell in a healthy window; none fails there. 0 by default, which is right but slower.
    most : int
        Most probes of a cell in any window.
    p_up : numpy.ndarray [components], optional
        Prior of each component instead of that of its kind.

    Returns
    -------
    Ready
    """
    priors = priors or Priors()
    found = index(paths, variant)
    p_up = found.priors_up(priors, p_up)
    cells = len(found.cell_variables)
    usual = np.zeros(cells, np.int32) if usual is None else np.ascontiguousarray(usual, np.int32)
    most = max(most, int(usual.max(initial=0)))
    grid = np.arange((most + 1) ** 2)
    table = _table(*np.divmod(grid, most + 1), found, priors)
    usual = usual * np.int32(most + 1)
    gain, height, total = _base(found, usual, table)
    return Ready(
        found, priors, p_up, found.log_odds(p_up), float(np.log(p_up).sum()), usual, gain, height, table, total, most
    )


def _table(succeeded, failed, found: Index, priors: Priors) -> np.ndarray:
    return log_likelihoods(succeeded, failed, priors, found.shares)


def _base(found: Index, code: np.ndarray, table: np.ndarray):
    gain = np.zeros(found.variables)
    height = np.zeros((found.variables if found.mixed.any() else 1, found.column.shape[1]))
    total = kernels.base(
        found.start, found.cells, found.cell_variables, found.size, found.mixed, found.column, code, table, gain, height
    )
    return gain, height, total


def map_search(
    paths, window, priors: Priors | None = None, variant: Variant | None = None, *, p_up=None
) -> Explanation:
    """Search for the likeliest explanation of one window.

    Greedy descent by single changes; then every blamed variable in turn is taken away and the rest explained anew
    without it, and every variable that shares cells with several blamed ones is tried in their place. Several such
    windows: :func:`map_windows`.

    Parameters
    ----------
    paths : Paths, Index or Ready
        An `Index` saves the indexing, a `Ready` also the pass over all cells.
    window : Window
        ``sent``, ``succeeded``, ``missing`` [cells].
    priors, variant : optional
    p_up : numpy.ndarray [components], optional
        Prior of each component instead of that of its kind (see :mod:`credence.kaleidoscope.infer.temporal`).

    Returns
    -------
    Explanation
    """
    if isinstance(paths, Ready):
        prepared = paths
        succeeded, failed = counts(window, prepared.index.variant)
        return search_codes(prepared, prepared.codes(succeeded, failed))
    priors, found = priors or Priors(), index(paths, variant)
    succeeded, failed = counts(window, found.variant)
    _check_cells(found, succeeded)
    p_up = found.priors_up(priors, p_up)
    cells = cell_table(succeeded, failed, priors, found.shares)
    gain, height, total = _base(found, cells.code, cells.values)
    return _search(found, p_up, found.log_odds(p_up), cells.code, cells.values, gain, height, total)


def search_codes(prepared: Ready, code: np.ndarray) -> Explanation:
    """Search one window whose cells are given as rows of ``prepared.table`` [cells]."""
    found = prepared.index
    gain, height = prepared.gain.copy(), prepared.height.copy()
    total = prepared.log_likelihood + kernels.deviate(
        prepared.usual,
        found.cell_variables,
        found.size,
        found.mixed,
        found.column,
        code,
        prepared.table,
        gain,
        height,
    )
    return _search(found, prepared.p_up, prepared.odds, code, prepared.table, gain, height, total)


def map_windows(prepared: Ready, succeeded: np.ndarray, failed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Search many windows.

    Parameters
    ----------
    prepared : Ready
    succeeded, failed : numpy.ndarray [windows, cells]
        int32; missing probes are in neither.

    Returns
    -------
    levels : numpy.ndarray [windows, variables]
        Dead members of every variable of ``prepared.index``, int8; :func:`down_components` names them.
    log_posterior : numpy.ndarray [windows]
    """
    found = prepared.index
    codes = prepared.codes(np.ascontiguousarray(succeeded, np.int32), np.ascontiguousarray(failed, np.int32))
    levels, totals = kernels.replay(
        prepared.usual,
        codes,
        found.start,
        found.cells,
        found.cell_variables,
        found.size,
        found.fatal,
        found.mixed,
        found.column,
        prepared.table,
        prepared.odds,
        prepared.gain,
        prepared.height,
        prepared.log_likelihood,
    )
    return levels, totals + prepared.log_prior_up


def down_components(found: Index, levels: np.ndarray, p_up: np.ndarray) -> tuple[tuple[int, ...], dict[int, int]]:
    """Return components that are down, and dead members by group, from levels [variables]; see `Explanation`."""
    down, dead = [], {}
    for v in np.flatnonzero(levels):
        members = found.member[v][found.member[v] >= 0]
        if found.group[v] >= 0:
            dead[int(found.group[v])] = int(levels[v])
        if levels[v] == len(members):
            down += members.tolist()
    return tuple(sorted(down)), dead


def _check_cells(found: Index, succeeded: np.ndarray) -> None:
    if len(succeeded) != len(found.cell_variables):
        raise InputError(f"a window of {len(succeeded)} cells; allowed: {len(found.cell_variables)}, as the paths have")


def _search(found: Index, p_up, odds, code, table, gain, height, total) -> Explanation:
    level = np.zeros(found.variables, np.int8)
    dead = np.zeros(len(code), np.int16)
    other = np.full(kernels.KEPT, -np.inf)
    change = np.full((kernels.KEPT, kernels.KEPT, 2), -1, np.int32)
    frame = (
        found.start,
        found.cells,
        found.cell_variables,
        found.size,
        found.fatal,
        found.mixed,
        found.column,
        code,
        table,
        odds,
    )
    up = total + float(np.log(p_up).sum())
    best = kernels.improve(frame, (level, dead, gain, height), up, True, other, change)
    down, groups = down_components(found, level, p_up)
    return Explanation(down, groups, float(best), up, _alternatives(found, level, other, change))


def _alternatives(found: Index, level, other, change) -> tuple[Alternative, ...]:
    result = []
    for worth, changes in zip(other, change, strict=True):
        without, instead = [], []
        for v, new in changes:
            if v < 0:
                break
            members = found.member[v][found.member[v] >= 0].tolist()
            (without if new < level[v] else instead).extend(members)
        if without or instead:
            result.append(Alternative(float(worth), tuple(sorted(without)), tuple(sorted(instead))))
    return tuple(sorted(result, key=lambda each: -each.log_odds))
