"""Messages of the cluster and of the kernel, stamped as they come in, and which component each speaks of."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable

import pandas as pd

from credence.kaleidoscope.testbed import layout
from credence.kaleidoscope.testbed.cluster import Cluster

ADDRESS = re.compile(r"\b(\d{1,3}(?:\.\d{1,3}){3})\b")
LOOP = re.compile(r"\b(loop\d+)\b")


def about(source: str, line: str, devices: dict[str, str]) -> str:
    """Return the component that a line speaks of.

    A line that names an address of the cluster speaks of that address's component, whoever wrote it; a line of the
    kernel that names a disk of the cluster speaks of its target; any other speaks of whoever wrote it.

    Parameters
    ----------
    source : str
        Component that wrote it, or ``"kernel"``.
    line : str
    devices : dict of str
        Loop device of each target.
    """
    for address in ADDRESS.findall(line):
        found = layout.ADDRESSES.get(address)
        if found and found != source:
            return found
    disks = {path.rsplit("/", 1)[-1]: target for target, path in devices.items()}
    for name in LOOP.findall(line):
        if name in disks:
            return disks[name]
    return source


class Follower:
    """Reads what the cluster's programs and the kernel have written since it was last asked."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time):
        self.cluster, self.clock = cluster, clock
        self._files = {name: cluster.log(name) for name in cluster.processes}
        self._at = {name: path.stat().st_size if path.exists() else 0 for name, path in self._files.items()}
        self._kernel = _kernel_log()
        self.rows: list[dict] = []

    def poll(self) -> list[dict]:
        """Return the new lines: ``time_s``, ``source``, ``about``, ``line``."""
        fresh = [("kernel", line) for line in self._kernel_lines()]
        for name, path in self._files.items():
            fresh += [(name, line) for line in self._lines(name, path)]
        now = self.clock()
        rows = [
            {"time_s": now, "source": source, "about": about(source, line, self.cluster.devices), "line": line}
            for source, line in fresh
        ]
        self.rows += rows
        return rows

    def close(self) -> None:
        """Stop reading."""
        if self._kernel is not None:
            os.close(self._kernel)
            self._kernel = None

    def _lines(self, name: str, path) -> Iterable[str]:
        try:
            with path.open("rb") as stream:
                stream.seek(self._at[name])
                content = stream.read()
        except OSError:
            return []
        content = content[: content.rfind(b"\n") + 1]
        self._at[name] += len(content)
        return [line.strip() for line in content.decode(errors="replace").splitlines() if line.strip()]

    def _kernel_lines(self) -> Iterable[str]:
        while self._kernel is not None:
            try:
                record = os.read(self._kernel, 8192)
            except BlockingIOError:
                return
            except OSError:  # records were overwritten before they were read
                continue
            yield kernel_text(record.decode(errors="replace"))


def kernel_text(record: str) -> str:
    """Return the message of a record of ``/dev/kmsg``: ``priority,number,time,flags;message``."""
    return record.partition(";")[2].split("\n")[0].strip()


def _kernel_log() -> int | None:
    try:
        file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(file, 0, os.SEEK_END)
    except OSError:
        return None
    return file


def frame(rows: list[dict]) -> pd.DataFrame:
    """Return lines as a table: ``time_s``, ``source``, ``about``, ``line``."""
    return pd.DataFrame(rows, columns=["time_s", "source", "about", "line"])
