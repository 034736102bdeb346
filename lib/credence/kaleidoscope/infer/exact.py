"""The exact posterior of the binary model: condition on the global components, sum over trees of the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from credence.bench.errors import InputError
from credence.kaleidoscope.infer import exact_kernels as kernels
from credence.kaleidoscope.infer.index import Index, index
from credence.kaleidoscope.infer.tree import Plan, plan
from credence.kaleidoscope.model.cells import cell_table, counts
from credence.kaleidoscope.model.variants import Priors, Variant


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the counts of a window say about every component.

    Attributes
    ----------
    p_up : numpy.ndarray [components]
        P(up | counts). Members of one group share its dead evenly (by their priors): it cannot be told which they are.
    dead : numpy.ndarray [groups, M + 1]
        P(number of dead members | counts) of every row of ``paths.members``; NaN for groups that no cell crosses.
    log_evidence : float
        log P(counts), without binomial coefficients.
    p_global : numpy.ndarray [2**global]
        P(state of the global components | counts); bit j is set where ``conditioned[j]`` is down.
    conditioned : numpy.ndarray [global]
        Component ids that were conditioned on.
    else_up : numpy.ndarray [cells, V] or None
        For every variable that a cell crosses, P(all else that it crosses works, at least in part | counts),
        where asked for.
    """

    p_up: np.ndarray
    dead: np.ndarray
    log_evidence: float
    p_global: np.ndarray
    conditioned: np.ndarray
    else_up: np.ndarray | None = None

    @property
    def dead_routers_per_group(self) -> np.ndarray:
        """Expected number of dead members [groups]; NaN for groups that no cell crosses."""
        return self.dead @ np.arange(self.dead.shape[1])


def exact_posterior(
    paths, window, priors: Priors | None = None, variant: Variant | None = None, *, p_up=None, by_cell: bool = False
) -> Posterior:
    """Return the exact posterior of the binary model.

    A failed path's success rate is integrated out for each cell on its own, Beta(a, b); it is not fixed. The sum over
    all states is exact: 2^g states of the g global components times, for each pattern of paths that these leave alive,
    a sum over small trees (research notes §6).

    Parameters
    ----------
    paths : Paths, Index or Plan
        A `Plan` (:func:`credence.kaleidoscope.infer.plan` of an index) saves what does not depend on the counts.
    window : Window
        ``sent``, ``succeeded``, ``missing`` [cells].
    priors, variant : optional
    p_up : numpy.ndarray [components], optional
        Prior of each component instead of that of its kind.
    by_cell : bool
        Fill ``else_up`` as well.

    Raises
    ------
    InputError
        If the graph does not come apart, or the window has another number of cells than the paths.
    """
    priors = priors or Priors()
    order = paths if isinstance(paths, Plan) else plan(index(paths, variant))
    found = order.index
    if variant not in (None, found.variant):
        raise InputError(f"the plan is of {found.variant}; allowed: the same variant, or paths in its place")
    succeeded, failed = counts(window, found.variant)
    if len(succeeded) != len(found.cell_variables):
        raise InputError(f"a window of {len(succeeded)} cells; allowed: {len(found.cell_variables)}, as the paths have")
    p_up = found.priors_up(priors, p_up)
    cells = cell_table(succeeded, failed, priors, found.shares)
    with np.errstate(divide="ignore"):
        log_prior = np.log(found.level_priors(p_up))
    terms, gone = kernels.fill(
        order.node,
        order.parent,
        order.offset,
        found.size,
        found.fatal,
        found.mixed,
        found.column,
        found.cell_variables,
        order.cell_node,
        order.cell_mask,
        cells.code,
        cells.values,
        order.width,
    )
    trees = (order.root, order.parent, order.offset, found.size[order.node].astype(np.int64) + 1)
    trees = (*trees, log_prior[order.node], terms)
    joint, members = _global_states(order, cells, log_prior, trees)
    log_evidence = float(logsumexp(joint))
    p_global = np.exp(joint - log_evidence)
    joint_terms = np.zeros((len(terms) if by_cell else 0, order.width + 1))
    level = _levels(order, p_global, trees, members, joint_terms)
    else_up = _else_up(order, p_global, joint_terms) if by_cell else None
    return _posterior(order, found, p_up, level, p_global, log_evidence + float(gone.sum()), else_up)


def _longest(order: Plan) -> int:
    return int(np.diff(order.offset[order.root]).max(initial=1))


def _global_states(order: Plan, cells, log_prior, trees) -> tuple[np.ndarray, list[np.ndarray]]:
    """Log joint of every global state with the counts [2**global], and the blocks of each class."""
    down = np.arange(1 << len(order.conditioned), dtype=np.int64)
    joint = np.zeros(len(down))
    for j, v in enumerate(order.conditioned):
        joint += log_prior[v, (down >> j) & 1]
    alone = order.cell_node < 0
    if alone.any():
        works, fails = (
            np.bincount(order.cell_mask[alone], cells.values[cells.code[alone], side], len(order.bare))
            for side in (0, 1)
        )
        for mask, up, gone in zip(order.bare, works, fails, strict=True):
            joint += np.where(down & mask, gone, up)
    members = []
    for k in range(len(order.classes)):
        blocks = np.flatnonzero(order.block_class == k)
        sums = kernels.block_sums(blocks, *trees, order.live[k], _longest(order))
        joint += sums.sum(axis=1)[order.pattern[k]]
        members.append(blocks)
    return joint, members


def _levels(order: Plan, p_global, trees, members, joint) -> np.ndarray:
    """P(level | counts) of every variable [variables, M + 1]."""
    found = order.index
    width = found.column.shape[1]
    at_node = np.zeros((len(order.node), width))
    for k, blocks in enumerate(members):
        weight = np.bincount(order.pattern[k], p_global, len(order.live[k]))
        kernels.block_levels(blocks, *trees, order.live[k], weight, _longest(order), at_node, joint)
    level = np.zeros((found.variables, width))
    level[order.node] = at_node
    states = np.arange(len(p_global))
    for j, v in enumerate(order.conditioned):
        level[v, 1] = p_global[(states >> j) & 1 == 1].sum()
        level[v, 0] = p_global[(states >> j) & 1 == 0].sum()
    return level


def member_down(found: Index, prior: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return P(down) of every member of every variable [variables, M], given P(level) [variables, M + 1].

    The counts speak about the number of dead members only; given that number, which ones they are follows the prior.
    """
    result = np.full(found.member.shape, np.nan)
    for v in range(found.variables):
        members = found.member[v][found.member[v] >= 0]
        down = 1 - prior[members]
        if len(members) == 1 or np.allclose(down, down[0]):
            result[v, : len(members)] = level[v] @ np.arange(level.shape[1]) / len(members)
            continue
        for m in range(len(members)):
            others = np.array([1.0])
            for p in np.delete(down, m):
                others = np.convolve(others, [1 - p, p])
            both = np.concatenate([[0], others * down[m]])
            whole = both + np.concatenate([others * (1 - down[m]), [0]])
            result[v, m] = level[v, : len(whole)] @ (both / whole)
    return result


def _posterior(order: Plan, found: Index, prior, level, p_global, log_evidence, else_up) -> Posterior:
    p_up = prior.copy()
    known = found.member >= 0
    p_up[found.member[known]] = 1 - member_down(found, prior, level)[known]
    dead = np.full((len(found.paths.members), level.shape[1]), np.nan)
    grouped = found.group >= 0
    dead[found.group[grouped]] = level[grouped]
    conditioned = found.member[order.conditioned, 0] if len(order.conditioned) else np.zeros(0, np.int32)
    return Posterior(np.clip(p_up, 0, 1), dead, log_evidence, p_global, conditioned, else_up)


def _else_up(order: Plan, p_global, joint) -> np.ndarray:
    """P(all else works) by cell and variable; a product only between global components and the rest."""
    found = order.index
    bit = np.zeros(found.variables + 1, np.int64)
    bit[order.conditioned] = 1 << np.arange(len(order.conditioned))
    bits = bit[found.cell_variables]
    rest = bits.sum(axis=1)[:, None] & ~bits
    masks, which = np.unique(rest, return_inverse=True)
    states = np.arange(len(p_global), dtype=np.int64)
    alive = np.array([p_global[(states & mask) == 0].sum() for mask in masks])
    without = np.where(bits > 0, alive[which.reshape(rest.shape)], -1.0)
    return kernels.else_up(
        order.node,
        order.parent,
        order.offset,
        found.size,
        found.fatal,
        found.cell_variables,
        order.cell_node,
        order.cell_mask,
        joint,
        without,
    )
