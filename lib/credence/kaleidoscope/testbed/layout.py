"""What the cluster consists of, and the commands that build it; nothing here runs anything.

Two probing clients and one client for load, two routers (equal-cost paths by flow, both ways), one metadata server,
four chunk servers, each with a disk of its own: an image in memory on a loop device, mounted with ``sync``. The
bridges are in a namespace too, so no packet of the cluster is ever seen outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PREFIX = "credence-tb-"
SWITCH = PREFIX + "switch"
CLIENTS = ("client1", "client2")
LOADER = "loader"
ROUTERS = ("router1", "router2")
METADATA = "mds"
LETTERS = ("A", "B", "C", "D")
SERVERS = tuple(f"oss_{letter}" for letter in LETTERS)
TARGETS = tuple(f"ost_{letter}" for letter in LETTERS)
PORT_MASTER_CLIENTS = 9421

DISK_MB = 512
MEMORY_MB = 640
# Each server gets this much, so that four of them on one machine are as slow as four small machines: without caps a
# busy server makes all others slow as well.
CPU_SHARE = 0.2
DISK_BYTES_PER_S = 2_000_000

CLIENT_NET, STORAGE_NET = "10.231.1", "10.231.2"


@dataclass(frozen=True)
class Place:
    """One namespace.

    Attributes
    ----------
    name : str
        Component (or ``"loader"``).
    client_address, storage_address : str
        Address on the clients' and on the servers' network; empty where it isn't on it.
    """

    name: str
    client_address: str = ""
    storage_address: str = ""

    @property
    def namespace(self) -> str:
        """Name of its network namespace."""
        return PREFIX + self.name


PLACES = (
    Place("client1", client_address=f"{CLIENT_NET}.11"),
    Place("client2", client_address=f"{CLIENT_NET}.12"),
    Place(LOADER, client_address=f"{CLIENT_NET}.13"),
    Place("router1", f"{CLIENT_NET}.201", f"{STORAGE_NET}.201"),
    Place("router2", f"{CLIENT_NET}.202", f"{STORAGE_NET}.202"),
    Place(METADATA, storage_address=f"{STORAGE_NET}.1"),
    *(Place(name, storage_address=f"{STORAGE_NET}.{11 + k}") for k, name in enumerate(SERVERS)),
)
PLACE = {place.name: place for place in PLACES}
# Which component an address in a log line speaks of.
ADDRESSES = {
    address: place.name for place in PLACES for address in (place.client_address, place.storage_address) if address
}


def server_of(component: str) -> str:
    """Return the server that holds a target; any other component is returned as it is."""
    return "oss_" + component[4:] if component in TARGETS else component


def network_commands() -> list[list[str]]:
    """Return the commands that build the networks, in order."""
    commands = [["ip", "netns", "add", SWITCH]]
    commands += [["ip", "netns", "add", place.namespace] for place in PLACES]
    for bridge in ("clients", "storage"):
        commands.append(["ip", "-n", SWITCH, "link", "add", bridge, "type", "bridge"])
        commands.append(["ip", "-n", SWITCH, "link", "set", bridge, "up"])
    for place in PLACES:
        commands.append(["ip", "-n", place.namespace, "link", "set", "lo", "up"])
        for bridge, address in (("clients", place.client_address), ("storage", place.storage_address)):
            if address:
                commands += _attached(place, bridge, address)
    for name in ROUTERS:
        commands.append(_in(name, "sysctl", "-qw", "net.ipv4.ip_forward=1"))
    for place in PLACES:
        if place.name in ROUTERS:
            continue
        away, near = (STORAGE_NET, CLIENT_NET) if place.client_address else (CLIENT_NET, STORAGE_NET)
        hops = [word for k in (201, 202) for word in ("nexthop", "via", f"{near}.{k}")]
        commands.append(["ip", "-n", place.namespace, "route", "add", f"{away}.0/24", *hops])
        commands.append(_in(place.name, "sysctl", "-qw", "net.ipv4.fib_multipath_hash_policy=1"))
    return commands


def _attached(place: Place, bridge: str, address: str) -> list[list[str]]:
    inner = interface(bridge)
    outer = f"{place.name}-{bridge[0]}"
    return [
        ["ip", "-n", SWITCH, "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", place.namespace],
        ["ip", "-n", SWITCH, "link", "set", outer, "master", bridge, "up"],
        ["ip", "-n", place.namespace, "addr", "add", f"{address}/24", "dev", inner],
        ["ip", "-n", place.namespace, "link", "set", inner, "up"],
    ]


def interface(bridge: str) -> str:
    """Return the name of a place's interface on the bridge ``clients`` or ``storage``."""
    return f"{bridge}0"


def _in(name: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", PLACE[name].namespace, *command]


def master_files(folder: Path) -> dict[str, str]:
    """Return the files of the metadata server: name and content, in `folder`."""
    settings = {
        "WORKING_USER": "root", "WORKING_GROUP": "root", "DATA_PATH": folder,
        "EXPORTS_FILENAME": folder / "exports.cfg", "TOPOLOGY_FILENAME": folder / "topology.cfg",
        "SYSLOG_IDENT": METADATA,
    }  # fmt: skip
    return {
        "server.cfg": _settings(settings),
        "exports.cfg": f"{CLIENT_NET}.0/24 / rw,alldirs,admin,maproot=0:0\n{CLIENT_NET}.0/24 . rw\n",
        "topology.cfg": "",
        "metadata.mfs": "MFSM NEW",
    }


def server_files(folder: Path, name: str) -> dict[str, str]:
    """Return the files of a chunk server: name and content, in `folder`."""
    settings = {
        "WORKING_USER": "root", "WORKING_GROUP": "root", "DATA_PATH": folder / "data",
        "HDD_CONF_FILENAME": folder / "disks.cfg", "HDD_LEAVE_SPACE_DEFAULT": "0.01GiB", "HDD_FSYNC_BEFORE_CLOSE": 1,
        "MASTER_HOST": PLACE[METADATA].storage_address, "LABELS": name[-1], "SYSLOG_IDENT": name,
    }  # fmt: skip
    return {"server.cfg": _settings(settings), "disks.cfg": f"{folder / 'disk'}\n"}


def disk_script(folder: Path) -> str:
    """Return the shell lines that make a server's disk; run inside the cluster's mount namespace."""
    return "\n".join([
        "set -e",
        f"mkdir -p {folder}/data {folder}/memory {folder}/disk",
        f"mount -t tmpfs -o size={MEMORY_MB}m none {folder}/memory",
        f"truncate -s {DISK_MB}M {folder}/memory/image",
        f"mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 {folder}/memory/image",
        f"mount -o loop,sync {folder}/memory/image {folder}/disk",
        f"findmnt -n -o SOURCE {folder}/disk",
    ])  # fmt: skip


def mount_command(folder: Path) -> list[str]:
    """Return the command of a client's mount, in the foreground."""
    options = "mfscachemode=DIRECT,mfsioretries=3,mfstimeout=30"
    return ["mfsmount", str(folder), "-f", "-H", PLACE[METADATA].storage_address, "-o", options]


def _settings(values: dict) -> str:
    return "".join(f"{name} = {value}\n" for name, value in values.items())
