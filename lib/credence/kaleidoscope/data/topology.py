"""Topologies: what a probe of a client to a target crosses.

A topology is a TOML file (three are built in, ``data/kaleidoscope/topology-*.toml``):

.. code-block:: toml

    name = "small"

    [components]                     # every component, by kind
    client = ["client{0..2}"]
    network = ["ib_net", "gem_net"]
    metadata = ["mds"]
    server = ["oss_{0..3}"]
    target = ["ost_{0..3}"]
    router = ["lnet_{0..3}"]

    [[client]]                       # what all probes of a client cross besides the client itself
    name = "client{0..1}"
    crosses = ["ib_net"]

    [[target]]                       # where a target hangs
    name = "ost_{0..3}"
    metadata = "mds"
    server = "oss_{0..3}"

    [[group]]                        # redundancy: "pair" of servers, "lnet" group of routers
    name = "pair_{0..1}"
    kind = "pair"
    members = ["oss_{0..2..2}", "oss_{1..3..2}"]

    [[group]]
    name = "lnet_group_0"
    kind = "lnet"
    members = ["lnet_{0..3}"]
    serves = ["oss_{0..3}"]          # servers (and metadata servers) that are reached through this group

A name may hold one range, ``{0..3}``, ``{0..6..2}`` (every second) or ``{A,B}``. In a table whose ``name`` is a range,
every other range runs beside it, value by value; in a table of one name a range stands for all its values.

A probe *succeeds* if and only if everything in series is up (the client, what it crosses, the metadata server, the
target, a server that is in no pair) and every group on the way works. ``crwr`` and ``wrex`` (create and write, write
existing) go to a storage target, ``rmex`` (remove) to a metadata server (paper §IV-A, §V-A).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from credence.bench import paths as places
from credence.bench.errors import InputError, choose

KINDS = ("client", "network", "metadata", "server", "target", "router")
OPERATIONS = ("crwr", "wrex", "rmex")
GROUP_KINDS = {"pair": "server", "lnet": "router"}
BUILT_IN = ("bluewaters", "bluewaters-lnet", "moosefs")


@dataclass(frozen=True)
class Group:
    """Components that stand in for each other.

    Attributes
    ----------
    name : str
    members : tuple of int
        Component ids.
    kind : str
        ``"pair"`` (servers, one takes over for the other) or ``"lnet"`` (routers in turn).
    """

    name: str
    members: tuple[int, ...]
    kind: str


@dataclass(frozen=True, eq=False)
class Paths:
    """What each probed cell crosses; ids are component ids, -1 fills the rows up at the end.

    Attributes
    ----------
    series : numpy.ndarray [cells, S]
        Components that must all be up, int32.
    groups : numpy.ndarray [cells, G]
        Rows of ``members``: groups that must all work, int32.
    members : numpy.ndarray [groups, M]
        Members of every group of the topology, int32.
    lnet : numpy.ndarray [groups]
        True for a group of routers, False for a pair of servers.
    kinds : numpy.ndarray [components]
        Kind of every component of the topology as a position in :data:`KINDS`, int8.
    """

    series: np.ndarray
    groups: np.ndarray
    members: np.ndarray
    lnet: np.ndarray
    kinds: np.ndarray

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.series)

    @property
    def components(self) -> int:
        """Number of components of the topology, probed or not."""
        return len(self.kinds)


@dataclass(frozen=True, eq=False)
class Topology:
    """A system of components; see the top of this module.

    Attributes
    ----------
    name : str
    components, kinds : tuple of str
        Name and kind of every component; a component's id is its position.
    groups : tuple of Group
    client_series : numpy.ndarray [components, A]
        For a client: itself and what it crosses; -1 elsewhere.
    target_series, target_groups : numpy.ndarray [components, B], [components, G]
        For a storage target and for a metadata server: components and groups that a probe to it needs; -1 elsewhere.
    """

    name: str
    components: tuple[str, ...]
    kinds: tuple[str, ...]
    groups: tuple[Group, ...]
    client_series: np.ndarray = field(repr=False)
    target_series: np.ndarray = field(repr=False)
    target_groups: np.ndarray = field(repr=False)

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """Component id by name."""
        return {name: k for k, name in enumerate(self.components)}

    @functools.cached_property
    def kind_codes(self) -> np.ndarray:
        """Position in :data:`KINDS` of each component's kind: int8 [components]."""
        return np.array([KINDS.index(kind) for kind in self.kinds], dtype=np.int8)

    def of_kind(self, kind: str) -> np.ndarray:
        """Return the ids of all components of a kind, in order: int32 [n]."""
        return np.flatnonzero(self.kind_codes == KINDS.index(choose(kind, KINDS, "kind of component"))).astype(np.int32)

    def index(self, names: Sequence[str]) -> np.ndarray:
        """Return component ids of names: int32 [n]; an unknown one is an InputError."""
        ids = self.ids
        for name in names:
            if name not in ids:
                raise InputError(f"component {name!r} is not in topology {self.name}; allowed: {self.examples()}")
        return np.array([ids[name] for name in names], dtype=np.int32)

    def examples(self) -> str:
        """Return a few component names of every kind, for messages."""
        shown = []
        for kind in KINDS:
            found = [name for name, each in zip(self.components, self.kinds, strict=True) if each == kind]
            if len(found) > 3:
                found = [found[0], "…", found[-1]]
            shown += found
        return ", ".join(shown)

    def paths(self, client, target, operation) -> Paths:
        """Return what probed cells cross.

        Parameters
        ----------
        client, target : sequences [cells]
            Component ids, or names.
        operation : sequence [cells] or str
            Positions in :data:`OPERATIONS`, or names; one for all cells, or one each.

        Raises
        ------
        InputError
            For a client that is none, or a target that the operation can't have; names the first cell.
        """
        client, target = self._as_ids(client), self._as_ids(target)
        operation = np.broadcast_to(as_operations(operation), client.shape)
        if target.shape != client.shape:
            raise InputError(f"{len(client)} clients but {len(target)} targets; allowed: as many of both")
        wrong = np.flatnonzero(self.refused(client, target, operation))
        if wrong.size:
            k = int(wrong[0])
            raise InputError(
                f"cell {k}: {OPERATIONS[operation[k]]} from {self.components[client[k]]} to "
                f"{self.components[target[k]]}; allowed: from a client, crwr and wrex to a target, rmex to a metadata "
                "server"
            )
        series = _packed(np.hstack([self.client_series[client], self.target_series[target]]))
        groups = _packed(self.target_groups[target])
        width = max([len(group.members) for group in self.groups], default=0)
        members = padded([group.members for group in self.groups], width)
        lnet = np.array([group.kind == "lnet" for group in self.groups], dtype=bool)
        return Paths(series, groups, members, lnet, self.kind_codes)

    def refused(self, client: np.ndarray, target: np.ndarray, operation: np.ndarray) -> np.ndarray:
        """Return which cells can't be: bool [cells]; arguments are ids and operation codes [cells]."""
        kinds = self.kind_codes
        wanted = np.where(operation == OPERATIONS.index("rmex"), KINDS.index("metadata"), KINDS.index("target"))
        return (kinds[client] != KINDS.index("client")) | (kinds[target] != wanted)

    def _as_ids(self, values) -> np.ndarray:
        array = np.atleast_1d(np.asarray(values))
        if array.dtype.kind in "iu":
            if array.size and not 0 <= array.min() <= array.max() < len(self.components):
                raise InputError(f"component id {array.min()} to {array.max()}; allowed: 0 to {len(self.kinds) - 1}")
            return array.astype(np.int32)
        return self.index([str(name) for name in array.tolist()])


def as_operations(values) -> np.ndarray:
    """Return operations as positions in :data:`OPERATIONS`: int8 [n]; takes one or several names, or such positions."""
    array = np.atleast_1d(np.asarray(values))
    if array.dtype.kind in "iu":
        if array.size and not 0 <= array.min() <= array.max() < len(OPERATIONS):
            raise InputError(f"operation {array.min()} to {array.max()}; allowed: 0 to {len(OPERATIONS) - 1}")
        return array.astype(np.int8)
    return np.array([OPERATIONS.index(choose(str(name), OPERATIONS, "operation")) for name in array], dtype=np.int8)


@functools.cache
def _built_in(name: str) -> Topology:
    return read_topology(places.data_dir() / "kaleidoscope" / f"topology-{name}.toml")


def topology(name: str) -> Topology:
    """Return a built-in topology by name, or read one from a ``.toml`` file.

    ``bluewaters`` has 875 components: 6 clients, two networks, 3 metadata servers, 432 servers in pairs, 432 targets;
    ``bluewaters-lnet`` has the 582 routers as well; ``moosefs`` is the test cluster.
    """
    if str(name).endswith(".toml"):
        return read_topology(name)
    return _built_in(choose(str(name), BUILT_IN, "topology (or a .toml file)"))


def read_topology(path: str | Path) -> Topology:
    """Read a topology from its TOML file.

    Raises
    ------
    InputError
        Naming the file, the table, the name and what is allowed.
    """
    from credence.kaleidoscope.data.topology_files import parse_file  # which builds the records above

    return parse_file(Path(path))


def padded(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Return rows of ids as a table [rows, width], int32, filled up with -1."""
    result = np.full((len(rows), width), -1, dtype=np.int32)
    for k, row in enumerate(rows):
        result[k, : len(row)] = row
    return result


def _packed(table: np.ndarray) -> np.ndarray:
    """Move the gaps of every row to its end, and drop columns that are gaps only."""
    table = table.copy()
    width = table.shape[1]
    for last in range(width - 1, 0, -1):
        for k in range(last):
            swap = (table[:, k] < 0) & (table[:, k + 1] >= 0)
            if swap.any():
                table[swap, k], table[swap, k + 1] = table[swap, k + 1], -1
    return table[:, : int((table >= 0).any(axis=0).sum())]
