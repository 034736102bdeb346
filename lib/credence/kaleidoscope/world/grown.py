"""Graphs like Blue Waters' of any size, and windows on them with faults that are known.

Clients cross the first network, the last sixth of them the second one as well; targets hang on pairs of servers, and
on one of three metadata servers. Every client probes every target (write existing): cells = clients x targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError
from credence.kaleidoscope.data.probes import Window
from credence.kaleidoscope.data.topology import KINDS, Paths

NETWORKS, METADATA = 2, 3


@dataclass(frozen=True, eq=False)
class Grown:
    """A graph of clients and pairs.

    Attributes
    ----------
    clients, pairs : int
    paths : Paths
        Components in this order: clients, two networks, three metadata servers, servers, targets; groups are the pairs.
    """

    clients: int
    pairs: int
    paths: Paths

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.paths.kinds)


def grow(clients: int, pairs: int) -> Grown:
    """Build the graph of `clients` clients and `pairs` pairs of servers with a target each: two a pair.

    Raises
    ------
    InputError
        For fewer than one client, or than three pairs (one a metadata server).
    """
    if clients < 1 or pairs < METADATA:
        raise InputError(f"{clients} clients, {pairs} pairs; allowed: from 1 client and {METADATA} pairs")
    targets = 2 * pairs
    first_target = clients + NETWORKS + METADATA + targets
    client = np.repeat(np.arange(clients, dtype=np.int32), targets)
    target = np.tile(np.arange(targets, dtype=np.int32), clients)
    second = client >= clients - max(1, clients // 6)
    series = np.empty((len(client), 5), np.int32)
    series[:, 0] = client
    series[:, 1] = clients
    series[:, 2] = clients + NETWORKS + (target // 2) * METADATA // pairs
    series[:, 3] = first_target + target
    series[:, 4] = np.where(second, clients + 1, -1)
    members = (clients + NETWORKS + METADATA + np.arange(targets, dtype=np.int32)).reshape(pairs, 2)
    groups = (target // 2)[:, None].astype(np.int32)
    sizes = (
        ("client", clients),
        ("network", NETWORKS),
        ("metadata", METADATA),
        ("server", targets),
        ("target", targets),
    )
    kinds = np.repeat([KINDS.index(kind) for kind, _ in sizes], [n for _, n in sizes]).astype(np.int8)
    return Grown(clients, pairs, Paths(series, groups, members, np.zeros(pairs, bool), kinds))


def faults(graph: Grown, many: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the ids of `many` components that are down [n]: targets, whole pairs (which count twice), one client in ten.

    Single servers are not drawn: their partner takes over, nothing can be seen of it.
    """
    first_server = graph.clients + NETWORKS + METADATA
    first_target = first_server + 2 * graph.pairs
    kind = rng.random(many)
    units = rng.permutation(graph.pairs)[:many]
    down: list[int] = []
    for draw, unit in zip(kind, units, strict=False):
        if draw < 0.1 and graph.clients > 3:
            down.append(int(rng.integers(graph.clients)))
        elif draw < 0.4:
            down += [first_server + 2 * int(unit), first_server + 2 * int(unit) + 1]
        else:
            down.append(first_target + 2 * int(unit) + int(rng.integers(2)))
    return np.unique(down)


def observe(
    graph: Grown,
    down: np.ndarray,
    rng: np.random.Generator,
    *,
    sent: int = 5,
    up_rate: float = 0.9972,
    failed: tuple[float, float] = (0.5, 1.5),
    missing: float = 0.0,
    dispersion: float = 0.0,
    own: np.ndarray | None = None,
    strength: float | None = None,
) -> Window:
    """Draw the counts of a window in which `down` is down.

    Parameters
    ----------
    graph : Grown
    down : numpy.ndarray [n]
        Component ids.
    rng : numpy.random.Generator
    sent : int
        Probes of every cell.
    up_rate : float
        Success rate of a path that works.
    failed : tuple of float
        Beta(a, b) of a failed path's success rate, drawn for every cell.
    missing : float
        Share of the probes that are never launched.
    dispersion : float
        Not 0: losses of working cells are multiplied by Gamma(1/d, d), of mean 1, which the model does not know.
    own : numpy.ndarray [n], optional
        Success rate of each of `down`, shared by all its cells, instead of one drawn for every cell: the model takes
        every cell's rate for its own.
    strength : float, optional
        Success rates of working cells are Beta of mean `up_rate` and this weight; the same for all by default.
    """
    paths = graph.paths
    dead = np.zeros(graph.components + 1, bool)
    dead[down] = True
    broken = dead[paths.series].any(axis=1) | dead[paths.members].all(axis=1)[paths.groups[:, 0]]
    if strength is None:
        loss = np.full(paths.cells, 1 - up_rate)
    else:
        loss = rng.beta(strength * (1 - up_rate), strength * up_rate, paths.cells)
    if dispersion:
        loss = np.minimum(loss * rng.gamma(1 / dispersion, dispersion, paths.cells), 1)
    rate = 1 - loss
    if own is None:
        rate[broken] = rng.beta(*failed, int(broken.sum()))
    else:
        through = np.ones(graph.components + 1)
        through[down] = own
        rate *= through[paths.series].prod(axis=1) * through[paths.members].max(axis=1)[paths.groups[:, 0]]
    absent = rng.binomial(sent, missing, paths.cells) if missing else np.zeros(paths.cells, np.int64)
    total = np.full(paths.cells, sent) - absent
    succeeded = total.copy()
    lost = rng.random(paths.cells) < 1 - rate**total  # most working cells lose nothing: draw the others only
    where = np.flatnonzero(lost)
    while len(where):
        draws = rng.binomial(total[where], rate[where])
        keep = draws < total[where]
        succeeded[where[keep]] = draws[keep]
        where = where[~keep]
    filler = np.zeros(paths.cells, np.int32)
    return Window(filler, filler, filler.astype(np.int8), np.full(paths.cells, sent), succeeded, absent)
