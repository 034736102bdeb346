"""How a graph of components comes apart: global ones to condition on, and trees of what is left.

On Blue Waters, given the state of the clients, networks and metadata servers (11 components), nothing connects one
pair of servers, with its two targets, to another; with routers, the pairs behind one group of routers stay together,
and come apart once the number of its dead members is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from credence.bench.errors import InputError
from credence.kaleidoscope.infer.index import Index

MOST_GLOBAL = 20
# Terms (states of a variable and of its ancestors, summed over all trees) that are tried for: a few for each variable,
# and in the end whatever is feasible. A condition more halves the terms of what hangs on it and doubles the patterns
# at most, so the first number of conditions below the lower limit is near the quickest.
TERMS_PER_VARIABLE = (8, 32)
MOST_TERMS = 300_000


@dataclass(frozen=True, eq=False)
class Plan:
    """Order of an exact summation; arrays over nodes are in pre-order, block by block.

    Attributes
    ----------
    index : Index
    conditioned : numpy.ndarray [global]
        Variables (single components) that are conditioned on.
    node : numpy.ndarray [nodes]
        Variable of each node.
    parent, depth : numpy.ndarray [nodes]
        Node above (-1: root) and number of nodes above.
    offset : numpy.ndarray [nodes + 1]
        First term of each node in the tables of terms; a term is a state of all ancestors and of the node.
    width : int
        Most masks of any class.
    root : numpy.ndarray [blocks + 1]
        First node of each block.
    cell_node : numpy.ndarray [cells]
        Node that a cell hangs on, the deepest that it crosses; -1 for cells that cross only global components.
    cell_mask : numpy.ndarray [cells]
        Position of the set of global components that the cell crosses, in its block's class; in ``bare`` for cells
        without a node.
    block_class : numpy.ndarray [blocks]
    classes : tuple of numpy.ndarray [masks]
        Sets of global components (bits) of the cells of a block of that class.
    pattern : tuple of numpy.ndarray [2**global]
        For each class, row of ``live`` in each global state (bit set: that component is down).
    live : tuple of numpy.ndarray [patterns, masks]
        Whether cells with that mask still have a chance.
    bare : numpy.ndarray
        Masks of cells that cross only global components.
    """

    index: Index
    conditioned: np.ndarray
    node: np.ndarray
    parent: np.ndarray
    depth: np.ndarray
    offset: np.ndarray
    width: int
    root: np.ndarray
    cell_node: np.ndarray
    cell_mask: np.ndarray
    block_class: np.ndarray
    classes: tuple[np.ndarray, ...]
    pattern: tuple[np.ndarray, ...]
    live: tuple[np.ndarray, ...]
    bare: np.ndarray


def plan(found: Index) -> Plan:
    """Find global components and trees, so that the exact sum is feasible.

    Components that most cells cross are conditioned on, one more at a time, until what is left comes apart into small
    trees.

    Raises
    ------
    InputError
        If 20 global components are not enough.
    """
    rows, of_row = np.unique(found.cell_variables, axis=0, return_inverse=True)
    of_row = of_row.ravel()
    busy = np.diff(found.start)
    singles = np.flatnonzero(found.size == 1)
    order = singles[np.argsort(-busy[singles], kind="stable")]
    for most in limits(found.variables):
        for many in range(min(MOST_GLOBAL, len(order)) + 1):
            chosen = order[:many]
            trees = _trees(found, rows, chosen, most)
            if trees is not None:
                return _assemble(found, rows, of_row, chosen, trees)
    raise InputError(
        f"{found.variables} variables do not come apart given the {MOST_GLOBAL} components that most probes cross; "
        "allowed: map_search, which needs no such structure"
    )


def limits(variables: int) -> tuple[int, ...]:
    """Return the numbers of terms to try for, rising."""
    return (*(each * variables for each in TERMS_PER_VARIABLE), max(MOST_TERMS, 64 * variables))


def _blocks(rows: np.ndarray, variables: int) -> tuple[int, np.ndarray]:
    """Connected parts: number, and part of each variable (variables that no row crosses are parts of their own)."""
    at, _ = np.nonzero(rows >= 0)
    graph = csr_array((np.ones(len(at), np.int8), (at, rows[rows >= 0])), shape=(len(rows), variables))
    joined = csr_array(
        (np.ones(graph.nnz, np.int8), graph.indices + len(rows), graph.indptr), shape=(len(rows), len(rows) + variables)
    )
    joined.resize((len(rows) + variables, len(rows) + variables))
    count, part = connected_components(joined, directed=False)
    return count, part[len(rows) :]


def _trees(found: Index, rows: np.ndarray, chosen: np.ndarray, most: int):
    """Trees of what is left without `chosen`: list of lists of (variable, parent's place); None if too large."""
    gone = np.zeros(found.variables + 1, bool)
    gone[chosen] = True
    left = np.where(gone[rows], -1, rows)
    left = left[(left >= 0).any(axis=1)]
    if not len(left):
        return []
    left = np.unique(left, axis=0)
    _, part = _blocks(left, found.variables)
    first = np.where(left >= 0, left, found.variables).min(axis=1)
    belongs = part[first]
    order = np.argsort(belongs, kind="stable")
    cuts = np.flatnonzero(np.diff(belongs[order])) + 1
    states = found.size.astype(int) + 1
    result, terms = [], [most]
    for block in np.split(left[order], cuts):
        tree: list[tuple[int, int]] = []
        if not _grow(block, states, 1, -1, tree, terms):
            return None
        result.append(tree)
    return result


def _grow(rows: np.ndarray, states: np.ndarray, above: int, parent: int, tree: list, terms: list) -> bool:
    """Add the tree of connected `rows`; False if it needs more terms than are left."""
    inside, times = np.unique(rows[rows >= 0], return_counts=True)
    chosen = int(inside[np.argmax(times)])
    terms[0] -= above * int(states[chosen])
    if terms[0] < 0:
        return False
    place = len(tree)
    tree.append((chosen, parent))
    left = np.where(rows == chosen, -1, rows)
    left = left[(left >= 0).any(axis=1)]
    while len(left):
        # the part that holds the first row; blocks are small, so growing it step by step is quick
        mine = np.zeros(len(left), bool)
        mine[0] = True
        while True:
            seen = np.unique(left[mine])
            more = np.isin(left, seen[seen >= 0]).any(axis=1)
            if (more == mine).all():
                break
            mine = more
        if not _grow(left[mine], states, above * int(states[chosen]), place, tree, terms):
            return False
        left = left[~mine]
    return True


def _assemble(found: Index, rows, of_row, chosen, trees) -> Plan:
    place = np.full(found.variables + 1, -1)  # node of a variable; the last place takes the -1 that fill rows up
    node, parent, depth, offset, root = [], [], [], [0], [0]
    for tree in trees:
        first, above = len(node), []
        for variable, up in tree:
            above.append(1 if up < 0 else above[up] * int(found.size[tree[up][0]] + 1))
            place[variable] = len(node)
            node.append(variable)
            parent.append(up + first if up >= 0 else -1)
            depth.append(0 if up < 0 else depth[up + first] + 1)
            offset.append(offset[-1] + above[-1] * int(found.size[variable] + 1))
        root.append(len(node))
    bit = np.zeros(found.variables + 1, np.int64)
    bit[chosen] = 1 << np.arange(len(chosen))
    depth = np.array(depth, np.int32)
    where = place[rows]
    # the nodes of a row lie on one branch, so the deepest comes last in pre-order
    row_node = where.max(axis=1)
    row_mask = bit[rows].sum(axis=1)
    root = np.array(root)
    row_block = np.where(row_node >= 0, np.searchsorted(root, row_node, side="right") - 1, -1)
    keys: dict[bytes, int] = {}
    classes, block_class = [], np.zeros(len(trees), np.int32)
    position = np.zeros(len(rows), np.int32)
    order = np.argsort(row_block, kind="stable")
    cuts = np.searchsorted(row_block[order], np.arange(len(trees) + 1))
    for block in range(len(trees)):
        mine = order[cuts[block] : cuts[block + 1]]
        masks, position[mine] = np.unique(row_mask[mine], return_inverse=True)
        key = masks.tobytes()
        if key not in keys:
            keys[key] = len(classes)
            classes.append(masks)
        block_class[block] = keys[key]
    bare_rows = order[: cuts[0]]
    bare, position[bare_rows] = np.unique(row_mask[bare_rows], return_inverse=True)
    pattern, live = [], []
    down = np.arange(1 << len(chosen), dtype=np.int64)
    for masks in classes:
        alive = (down[:, None] & masks) == 0
        distinct, which = np.unique(alive, axis=0, return_inverse=True)
        pattern.append(which.ravel().astype(np.int32))
        live.append(distinct)
    return Plan(
        index=found,
        conditioned=chosen,
        node=np.array(node, np.int32),
        parent=np.array(parent, np.int32),
        depth=depth,
        offset=np.array(offset, np.int64),
        width=max([len(masks) for masks in classes], default=1),
        root=root,
        cell_node=row_node[of_row].astype(np.int32),
        cell_mask=position[of_row],
        block_class=block_class,
        classes=tuple(classes),
        pattern=tuple(pattern),
        live=tuple(live),
        bare=bare,
    )
