"""Closed form of the 3-TBN: least squares for every node, and do() as one row of a matrix.

With all variables logged, the paper's expectation–maximisation (eq. 10) has nothing to expect: its maximum is least
squares of each node on its parents. With linear-Gaussian nodes the mode of eq. 2 and 8, which the paper found by MCMC,
is a sum over paths: a fault that moves variable i by d moves variable j one slice later by d times an entry of a
matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError
from credence.drivefi.model.structure import Structure

# relative size below which a direction of the (standardised) parents counts as absent from the training runs
NULL_DIRECTION = 1e-10


@dataclass(frozen=True)
class Conditionals:
    """Linear-Gaussian conditionals x_t = W x_t + T x_(t-1) + c + e of every variable, e ~ Normal(0, sigma).

    Attributes
    ----------
    graph : Structure
        Whose parents they are.
    within, between : array [variables, variables]
        W and T, row = child, column = parent; zero where there is no arrow.
    intercept, sigma : array [variables]
        c (the paper prints none: its data would have to be centred) and the standard deviation of e.
    """

    graph: Structure
    within: np.ndarray
    between: np.ndarray
    intercept: np.ndarray
    sigma: np.ndarray

    def total_within(self) -> np.ndarray:
        """Return the total effect within a slice [variables, variables]: (I - W)^-1, summed over all paths."""
        return np.linalg.inv(np.eye(len(self.intercept)) - self.within)

    def step(self) -> np.ndarray:
        """Return what a deviation of slice t becomes in slice t+1 [variables, variables]: (I - W)^-1 T."""
        return self.total_within() @ self.between


def fit(graph: Structure, runs: np.ndarray, forced: np.ndarray | None = None, rows: np.ndarray | None = None):
    """Fit the conditionals by least squares, the maximum of eq. 10.

    Parameters
    ----------
    graph : Structure
        Of the variables, in the order of the last axis of `runs`.
    runs : array [runs, scenes, variables]
        Logged golden and faulty runs; all finite.
    forced : array of bool [runs, scenes, variables], optional
        True where a fault set the value: such a value does not follow its conditional and is no target (it still is a
        parent, which is what faulty runs are for).
    rows : array of bool [runs, scenes], optional
        Scenes to learn from, as children; default all but each run's first.

    Returns
    -------
    Conditionals

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, or there are fewer rows than a node has parents.
    """
    runs = np.asarray(runs, dtype=float)
    size = len(graph.variables)
    if runs.ndim != 3 or runs.shape[2] != size or runs.shape[1] < 2:
        raise InputError(f"runs: shape {runs.shape}; allowed: [runs, at least 2 scenes, {size} variables]")
    if not np.isfinite(runs).all():
        raise InputError(f"runs: {int((~np.isfinite(runs)).sum())} values are not finite; allowed: finite values")
    chosen = np.ones(runs.shape[:2], bool) if rows is None else np.asarray(rows, bool).copy()
    chosen[:, 0] = False
    run, scene = np.nonzero(chosen)
    widest = max(len(a) + len(b) for a, b in zip(graph.within, graph.between, strict=True)) + 2
    if len(run) < widest:
        raise InputError(f"runs: {len(run)} scenes to learn from; allowed: at least {widest}")
    now, before = runs[run, scene], runs[run, scene - 1]
    mean, scale = now.mean(axis=0), now.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    table = np.hstack([(now - mean) / scale, (before - mean) / scale, np.ones((len(run), 1))])
    gram = table.T @ table
    held = None if forced is None else np.asarray(forced, bool)[run, scene]
    within, between = np.zeros((size, size)), np.zeros((size, size))
    intercept, sigma = np.zeros(size), np.zeros(size)
    for child in range(size):
        moments, count = gram, len(run)
        if held is not None and held[:, child].any():
            out = table[held[:, child]]
            moments, count = gram - out.T @ out, count - len(out)
        parents = [*graph.within[child], *(size + p for p in graph.between[child]), 2 * size]
        square, cross = moments[np.ix_(parents, parents)], moments[parents, child]
        weight = np.linalg.pinv(square, rcond=NULL_DIRECTION, hermitian=True) @ cross
        rest = moments[child, child] - 2 * weight @ cross + weight @ square @ weight
        sigma[child] = scale[child] * np.sqrt(max(rest, 0.0) / max(count, 1))
        same = len(graph.within[child])
        inside, outside = list(graph.within[child]), list(graph.between[child])
        within[child, inside] = weight[:same] * scale[child] / scale[inside]
        between[child, outside] = weight[same:-1] * scale[child] / scale[outside]
        intercept[child] = mean[child] + scale[child] * weight[-1]
    intercept -= within @ mean + between @ mean
    return Conditionals(graph, within, between, intercept, sigma)


def forecast(cpds: Conditionals, golden: np.ndarray, variable: np.ndarray, value: np.ndarray, abduct: bool = True):
    """Return the network's answer to do(variable = value) in slice k: means of slices k and k+1 (eq. 2 and 8).

    Parameters
    ----------
    cpds : Conditionals
        Fitted.
    golden : array [queries, 3, variables]
        Golden values of slices k-1, k and k+1.
    variable : array of int [queries]
        Which variable the fault sets.
    value : array [queries]
        What it is set to.
    abduct : bool
        True: the golden run's residuals are kept (abduction, action, prediction), so that do() of the golden value
        gives the golden run back. False: as eq. 8 reads, descendants at their conditional mean, all else in slice k as
        in the golden run.

    Returns
    -------
    array [queries, 2, variables]
    """
    golden = np.asarray(golden, dtype=float)
    rows = np.arange(len(golden))
    total = cpds.total_within()
    if abduct:
        move = (np.asarray(value) - golden[rows, 1, variable])[:, None]
        now = total.T[variable] * move
        return golden[:, 1:] + np.stack([now, now @ cpds.step().T], axis=1)
    # descendants' residuals of slice k are dropped, those of the others are what the golden run shows
    acts = descendant_mask(cpds)[variable]
    now = golden[:, 1].copy()
    for child in range(len(cpds.intercept)):
        mean = now @ cpds.within[child] + golden[:, 0] @ cpds.between[child] + cpds.intercept[child]
        now[:, child] = np.where(acts[:, child], mean, now[:, child])
        now[:, child] = np.where(variable == child, value, now[:, child])
    after = (now @ cpds.between.T + cpds.intercept) @ total.T
    return np.stack([now, after], axis=1)


def descendant_mask(cpds: Conditionals) -> np.ndarray:
    """Return which variable acts on which within a slice: bool [cause, effect], the diagonal False."""
    size = len(cpds.graph.variables)
    acts = np.zeros((size, size), bool)
    for child, parents in enumerate(cpds.graph.within):
        for parent in parents:
            acts[:, child] |= acts[:, parent]
            acts[parent, child] = True
    return acts


def answers(cpds: Conditionals, outputs: tuple[int, ...]) -> np.ndarray:
    """Return the table of one-slice answers [variables, outputs]: change of an output at k+1 by a unit of do() at k."""
    return (cpds.step() @ cpds.total_within())[list(outputs)].T.copy()


def query(table: np.ndarray, variable: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Answer many do() queries: what each adds to the golden outputs of slice k+1.

    Parameters
    ----------
    table : array [variables, outputs]
        From `answers`.
    variable : array of int [queries]
        Variable set by the fault.
    change : array [queries]
        Its value less the golden one.

    Returns
    -------
    array [queries, outputs]
    """
    return table[variable] * np.asarray(change)[:, None]
