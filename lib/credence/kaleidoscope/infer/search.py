"""The likeliest explanation of a window, by local search: add, remove and swap on incremental likelihoods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError
from credence.kaleidoscope.infer import search_kernels as kernels
from credence.kaleidoscope.infer.index import Index, index
from credence.kaleidoscope.model.cells import cell_table, code_type, counts, log_likelihoods
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
        Best first; those within 15 nats.
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
        return (succeeded * np.int32(self.most + 1) + failed).astype(self.usual.dtype)

    def read(self, window) -> np.ndarray:
        """Return the rows of the table for a window [cells], in one pass over its counts."""
        code = np.empty_like(self.usual)
        if len(window.sent) != len(code):
            raise InputError(f"a window of {len(window.sent)} cells; allowed: {len(code)}, as the paths have")
        columns = (np.ascontiguousarray(each) for each in (window.sent, window.succeeded, window.missing))
        wrong = kernels.encode(*columns, self.index.variant.missing == "failed", self.most, code)
        if wrong >= 0:
            counts(window, self.index.variant)  # says what cannot be; what can be was made ready for fewer
            raise InputError(f"cell {wrong} has more than {self.most} probes; allowed: make ready for more")
        return code


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
    usual = (usual * np.int32(most + 1)).astype(code_type(len(grid)))
    odds = found.log_odds(p_up)
    gain, height, total = _base(found, usual, table, odds)
    return Ready(found, priors, p_up, odds, float(np.log(p_up).sum()), usual, gain, height, table, total, most)


def _table(succeeded, failed, found: Index, priors: Priors) -> np.ndarray:
    return log_likelihoods(succeeded, failed, priors, found.shares)


def _frame(found: Index, code, table, odds) -> tuple:
    cost = np.ascontiguousarray(odds[np.arange(found.variables), found.fatal])
    return (
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
        cost,
    )


def _state(found: Index, cells: int, gain, height) -> tuple:
    n = found.variables
    hot = (np.empty(n, np.int32), np.zeros(n, bool), np.zeros(1, np.int64))
    return (np.zeros(n, np.int8), np.zeros(cells, np.int8), gain, height, *hot)


def _base(found: Index, code: np.ndarray, table: np.ndarray, odds: np.ndarray):
    gain = np.zeros(found.variables)
    height = np.zeros((found.variables if found.mixed.any() else 1, found.column.shape[1]))
    return gain, height, kernels.base(_frame(found, code, table, odds), _state(found, 0, gain, height))


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
        return search_codes(paths, paths.read(window))
    priors, found = priors or Priors(), index(paths, variant)
    succeeded, failed = counts(window, found.variant)
    _check_cells(found, succeeded)
    p_up = found.priors_up(priors, p_up)
    cells = cell_table(succeeded, failed, priors, found.shares)
    odds = found.log_odds(p_up)
    gain, height, total = _base(found, cells.code, cells.values, odds)
    return _search(found, p_up, _frame(found, cells.code, cells.values, odds), gain, height, total)


def search_codes(prepared: Ready, code: np.ndarray) -> Explanation:
    """Search one window whose cells are given as rows of ``prepared.table`` [cells]."""
    found = prepared.index
    gain, height = prepared.gain.copy(), prepared.height.copy()
    frame = _frame(found, code, prepared.table, prepared.odds)
    total = prepared.log_likelihood + kernels.deviate(prepared.usual, frame, _state(found, 0, gain, height))
    return _search(found, prepared.p_up, frame, gain, height, total)


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
    frame = _frame(found, codes, prepared.table, prepared.odds)
    still = (*frame[:7], *frame[8:])
    levels, totals = kernels.replay(
        prepared.usual, codes, still, prepared.gain, prepared.height, prepared.log_likelihood
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


def _search(found: Index, p_up, frame, gain, height, total) -> Explanation:
    state = _state(found, len(found.cell_variables), gain, height)
    other = np.full(kernels.KEPT, -np.inf)
    change = np.full((kernels.KEPT, kernels.KEPT, 2), -1, np.int32)
    up = total + float(np.log(p_up).sum())
    best = kernels.improve(frame, state, up, other, change)
    level = state[0]
    down, groups = down_components(found, level, p_up)
    return Explanation(down, groups, float(best), up, _alternatives(found, level, other, change))


def _alternatives(found: Index, level, other, change) -> tuple[Alternative, ...]:
    result = []
    for worth, changes in zip(other, change, strict=True):
        if np.isneginf(worth):
            break
        without, instead = [], []
        for v, new in changes:
            if v < 0:
                break
            members = found.member[v][found.member[v] >= 0].tolist()
            (without if new < level[v] else instead).extend(members)
        if without or instead:
            result.append(Alternative(float(worth), tuple(sorted(without)), tuple(sorted(instead))))
    return tuple(sorted(result, key=lambda each: -each.log_odds))
