"""Faults: what is done to a component, and how it is undone.

What a fault does is a list of steps that are data, so that it can be shown before it is done and tested without root.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from credence.bench.errors import InputError, choose
from credence.kaleidoscope.testbed import layout
from credence.kaleidoscope.testbed.cluster import Cluster
from credence.kaleidoscope.testbed.commands import ENVIRONMENT, run

DROP_PERCENT = 20
SLOW_NETWORK = "24kbit"
SLOW_DISK_BYTES_PER_S = 32_768
WRITERS = 4
WRITER_BYTES = 65_536


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes
    ----------
    name : str
    components : tuple of str
        Where it can be done.
    cause : str
        What diagnosis should say: ``"reliability"`` or ``"overload"``.
    what : str
        What is done, in one sentence.
    """

    name: str
    components: tuple[str, ...]
    cause: str
    what: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("server-hang", layout.SERVERS, "reliability", "the chunk server is stopped (SIGSTOP)"),
        Kind("metadata-hang", (layout.METADATA,), "reliability", "the metadata server is stopped (SIGSTOP)"),
        Kind("router-drop", layout.ROUTERS, "reliability", f"the router drops {DROP_PERCENT} % of all packets"),
        Kind("slow-network", layout.SERVERS, "reliability", f"the server's interface sends {SLOW_NETWORK}/s at most"),
        Kind("slow-disk", layout.TARGETS, "reliability", f"the disk writes {SLOW_DISK_BYTES_PER_S} B/s at most"),
        Kind("contention", layout.TARGETS, "overload", f"{WRITERS} writers of another client load the target"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing that is done: a command, a signal, a value written to a file, or a load started.

    Attributes
    ----------
    kind : str
        ``"run"``, ``"signal"``, ``"write"`` or ``"load"``.
    what : tuple of str
        The command; component and signal's name; file and value; the command of a load.
    """

    kind: str
    what: tuple[str, ...]

    def __str__(self) -> str:
        return (
            {"run": "run", "signal": "send", "write": "write", "load": "start"}[self.kind] + " " + " ".join(self.what)
        )


def check(kind: str, component: str | None) -> tuple[Kind, str]:
    """Return the kind of fault and where to do it.

    Parameters
    ----------
    kind : str
    component : str or None
        None: the first that the kind can have.

    Raises
    ------
    InputError
        For an unknown kind, or a component that it can't have.
    """
    found = KINDS[choose(kind, KINDS, "kind of fault")]
    return found, choose(component or found.components[0], found.components, f"place of {kind}")


def steps(kind: str, component: str, cluster: Cluster, device: str = "") -> tuple[list[Step], list[Step]]:
    """Return how a fault is done and how it is undone.

    Parameters
    ----------
    device : str
        ``major:minor`` of the target's disk, for ``slow-disk``.
    """
    place = layout.PLACE.get(layout.server_of(component))
    space = ["ip", "netns", "exec", place.namespace]
    if kind in ("server-hang", "metadata-hang"):
        return [Step("signal", (component, "SIGSTOP"))], [Step("signal", (component, "SIGCONT"))]
    if kind == "router-drop":
        rule = (
            "add table ip testbed; add chain ip testbed drops { type filter hook forward priority 0 ; }; "
            f"add rule ip testbed drops numgen random mod 100 < {DROP_PERCENT} counter drop"
        )
        return [Step("run", (*space, "nft", rule))], [Step("run", (*space, "nft", "delete table ip testbed"))]
    if kind == "slow-network":
        queue = ["dev", layout.interface("storage"), "root"]
        limit = ["tbf", "rate", SLOW_NETWORK, "burst", "1600", "limit", "30000"]
        return (
            [Step("run", (*space, "tc", "qdisc", "replace", *queue, *limit))],
            [Step("run", (*space, "tc", "qdisc", "delete", *queue))],
        )
    if kind == "slow-disk":
        file = str(cluster.control(layout.server_of(component), "blkio") / "blkio.throttle.write_bps_device")
        return (
            [Step("write", (file, f"{device} {SLOW_DISK_BYTES_PER_S}"))],
            [Step("write", (file, f"{device} {layout.DISK_BYTES_PER_S}"))],
        )
    folder = cluster.mount(layout.LOADER) / layout.LOADER / component[-1]
    command = [
        "fio", "--name=load", f"--directory={folder}", "--rw=write", f"--bs={WRITER_BYTES}", "--size=8m", "--fsync=1",
        f"--numjobs={WRITERS}", "--time_based", "--runtime=120", "--ioengine=psync", "--output-format=terse",
        "--fallocate=none",
    ]  # fmt: skip
    return [Step("load", tuple(cluster.inside(layout.LOADER, command)))], []


@contextlib.contextmanager
def injected(kind: str, component: str, cluster: Cluster) -> Iterator[list[Step]]:
    """Do a fault for as long as the block lasts; it is undone however the block ends.

    Raises
    ------
    InputError
        As :func:`check`.
    """
    component = check(kind, component)[1]
    device = ""
    if kind == "slow-disk":
        device = run(["lsblk", "-n", "-o", "MAJ:MIN", cluster.devices[component]]).strip()
    forward, backward = steps(kind, component, cluster, device)
    loads: list[subprocess.Popen] = []
    try:
        for step in forward:
            _do(step, cluster, loads)
        yield forward
    finally:
        for step in backward:
            _do(step, cluster, loads, check=False)
        for load in loads:
            stop(load)


def _do(step: Step, cluster: Cluster, loads: list[subprocess.Popen], check: bool = True) -> None:
    if step.kind == "run":
        run(step.what, check=check)
    elif step.kind == "signal":
        _signal(cluster, *step.what)
    elif step.kind == "write":
        Path(step.what[0]).write_text(step.what[1])
    else:
        loads.append(
            subprocess.Popen(
                step.what,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )


def _signal(cluster: Cluster, component: str, name: str) -> None:
    try:
        os.kill(cluster.processes[component], getattr(signal, name))
    except ProcessLookupError as error:
        if name == "SIGSTOP":
            raise InputError(f"{component} is not running; allowed: a cluster that is up") from error


def stop(process: subprocess.Popen, wait_s: float = 3.0) -> None:
    """End a process and its group, first asking, then not."""
    for each in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            try:
                os.killpg(process.pid, each)
            except ProcessLookupError:
                break
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                continue
    with contextlib.suppress(subprocess.TimeoutExpired):  # it may wait for a hung mount; it ends with the cluster
        process.wait(0.1)
