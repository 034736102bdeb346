"""What the baselines see of a topology: nodes in series, since none of them knows redundancy.

Two readings of a group (a pair of servers, routers in turn) are offered. ``"series"``: every member stands on the path,
as in the methods' own papers, which have no redundancy. ``"node"``: the group is one node that fails as a whole, which
is the reading that helps them most on these paths (tuned settings).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import choose
from credence.kaleidoscope.infer.index import by_variable

GROUPS = ("series", "node")
MISSING = ("missing", "failed")


@dataclass(frozen=True, eq=False)
class Crossing:
    """Which nodes every cell crosses.

    Attributes
    ----------
    nodes : numpy.ndarray [cells, V]
        Node ids, -1 fills up, int32.
    start, cells : numpy.ndarray [nodes + 1], [entries]
        Cells of node v: ``cells[start[v]:start[v + 1]]``.
    members : tuple of tuple of int
        Component ids that a node stands for.
    components : int
        Number of components of the topology.
    """

    nodes: np.ndarray
    start: np.ndarray
    cells: np.ndarray
    members: tuple[tuple[int, ...], ...]
    components: int

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.members)


@dataclass(frozen=True, eq=False)
class Blame:
    """What a method answers.

    Attributes
    ----------
    scores : numpy.ndarray [components]
        Higher is more suspect; each method's own scale, 0 for what it does not suspect.
    down : tuple of int
        Component ids that it blames, in the order it found them.
    """

    scores: np.ndarray
    down: tuple[int, ...]


def crossing(paths, groups: str = "node") -> Crossing:
    """Return the nodes of a set of paths; do it once for all windows of the same cells.

    Parameters
    ----------
    paths : Paths or Crossing
        A crossing is handed back as it is.
    groups : str
        ``"series"`` or ``"node"``, see the top of the module.
    """
    if isinstance(paths, Crossing):
        return paths
    choose(groups, GROUPS, "reading of a group")
    components, cells = paths.components, paths.cells
    columns = [paths.series]
    for column in range(paths.groups.shape[1]):
        group = paths.groups[:, column]
        if groups == "node":  # a node of its own behind the components
            columns.append(np.where(group >= 0, components + group, -1)[:, None])
        else:
            columns.append(np.where(group[:, None] >= 0, paths.members[group], -1))
    raw = np.concatenate(columns, axis=1).astype(np.int64)
    seen = np.unique(raw[raw >= 0])
    nodes = np.where(raw >= 0, np.searchsorted(seen, np.maximum(raw, 0)), -1).astype(np.int32)
    members = tuple(
        (int(each),) if each < components else tuple(int(m) for m in paths.members[each - components] if m >= 0)
        for each in seen
    )
    start, order = by_variable(nodes, len(seen))
    assert len(nodes) == cells
    return Crossing(nodes, start, order, members, components)


def counted(window, missing: str = "missing") -> tuple[np.ndarray, np.ndarray]:
    """Return succeeded and failed probes of a window, float [cells] each; missing ones are left out, or failed."""
    choose(missing, MISSING, "reading of missing probes")
    succeeded = np.asarray(window.succeeded, float)
    failed = np.asarray(window.sent, float) - succeeded
    if missing == "missing":
        failed = failed - np.asarray(window.missing, float)
    return succeeded, failed


def to_components(found: Crossing, scores: np.ndarray, blamed) -> Blame:
    """Turn scores [nodes] and blamed nodes into components: all members of a blamed group are blamed."""
    spread = np.zeros(found.components)
    for node, members in enumerate(found.members):
        for component in members:
            spread[component] = max(spread[component], scores[node])
    down: dict[int, None] = {}
    for node in blamed:
        down.update(dict.fromkeys(found.members[int(node)]))
    return Blame(spread, tuple(down))
