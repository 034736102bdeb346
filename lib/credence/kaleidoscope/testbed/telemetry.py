"""Telemetry of the cluster: counters read once a second, and what their differences say.

Everything is read from outside: the kernel's files of disks, control groups, threads, and of each network namespace
(entered by a thread of its own), and ``tc`` for the queues. A stopped server can't keep it from being read.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from credence.kaleidoscope.testbed import layout
from credence.kaleidoscope.testbed.cluster import Cluster
from credence.kaleidoscope.testbed.commands import run

PERIOD_S = 1.0
# Counters that only grow; what is reported is their growth a second, or a ratio of growths.
COUNTERS = (
    "disk_writes", "disk_write_bytes", "disk_write_ms", "disk_busy_ms",
    "cpu_ns", "cpu_held_ns", "received_bytes", "sent_bytes", "received_packets", "sent_packets",
    "retransmits", "queue_drops", "queue_overlimits",
)  # fmt: skip
GAUGES = ("load", "queue_bytes")
METRICS = {
    "await_ms": "mean time of a write at the disk [ms]",
    "disk_bytes_per_s": "written to the disk [B/s]",
    "disk_busy": "share of time in which the disk had something to do [1]",
    "cpu": "processor time of the server [share of one processor]",
    "cpu_held": "time in which the server was kept from its processor by its cap [share]",
    "load": "threads of the server that ran or waited for a disk, mean of four looks a second [threads]",
    "received_bytes_per_s": "received at all interfaces [B/s]",
    "sent_bytes_per_s": "sent from all interfaces [B/s]",
    "lost": "of packets that came in, share that didn't go out again; routers only [share]",
    "retransmits_per_s": "TCP segments sent again [1/s]",
    "queue_bytes": "waiting in the queue of the interface to the storage network [B]",
    "queue_drops_per_s": "packets dropped by that queue [1/s]",
    "queue_overlimits_per_s": "times that queue had to hold a packet back [1/s]",
}  # fmt: skip


def disk_counters(text: str, device: str) -> dict[str, float]:
    """Return a disk's counters from the text of ``/proc/diskstats``; none if it isn't there."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 12 and words[2] == device:
            writes, sectors, ms, busy = (float(words[k]) for k in (7, 9, 10, 12))
            return {
                "disk_writes": writes, "disk_write_bytes": 512 * sectors, "disk_write_ms": ms, "disk_busy_ms": busy,
            }  # fmt: skip
    return {}


def network_counters(text: str) -> dict[str, float]:
    """Return bytes and packets of all interfaces but the loopback, from the text of ``/proc/net/dev``."""
    total = dict.fromkeys(("received_bytes", "received_packets", "sent_bytes", "sent_packets"), 0.0)
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and name.strip() != "lo" and len(words) >= 10:
            for key, k in zip(total, (0, 1, 8, 9), strict=True):
                total[key] += float(words[k])
    return total


def retransmits(text: str) -> dict[str, float]:
    """Return the TCP segments sent again, from the text of ``/proc/net/snmp``; none if it doesn't say."""
    rows = [line.split() for line in text.splitlines() if line.startswith("Tcp:")]
    if len(rows) != 2 or "RetransSegs" not in rows[0]:
        return {}
    return {"retransmits": float(rows[1][rows[0].index("RetransSegs")])}


def queue_counters(text: str) -> dict[str, float]:
    """Return drops, packets held back and bytes waiting of the first queue, from what ``tc -s -j qdisc`` printed."""
    try:
        queue = json.loads(text)[0]
    except (ValueError, IndexError, KeyError):
        return {}
    return {
        "queue_drops": float(queue.get("drops", 0)), "queue_overlimits": float(queue.get("overlimits", 0)),
        "queue_bytes": float(queue.get("backlog", 0)),
    }  # fmt: skip


def rates(samples: pd.DataFrame) -> pd.DataFrame:
    """Turn counters into what they say of the time between two samples.

    Parameters
    ----------
    samples [samples, 2 + counters]
        ``time_s``, ``component`` and any of :data:`COUNTERS` and :data:`GAUGES`.

    Returns
    -------
    pandas.DataFrame [samples - components, 2 + metrics]
        ``time_s`` (end of the time between), ``component``, and :data:`METRICS`, NaN where there is nothing to say:
        no write finished (``await_ms``), no such counter.
    """
    frame = samples.reindex(columns=["time_s", "component", *COUNTERS, *GAUGES]).sort_values(["component", "time_s"])
    grown = frame.groupby("component")[["time_s", *COUNTERS]].diff()
    here = grown["time_s"].notna()
    # a counter that was set back (a queue put in a queue's place) says nothing
    grown, now = grown[here].where(lambda values: values >= 0), frame[here]
    seconds = grown["time_s"]
    writes = grown["disk_writes"].where(grown["disk_writes"] > 0)
    came = grown["received_packets"].where(grown["received_packets"] > 0)
    router = now["component"].isin(layout.ROUTERS)
    table = {
        "time_s": now["time_s"],
        "component": now["component"],
        "await_ms": grown["disk_write_ms"] / writes,
        "disk_bytes_per_s": grown["disk_write_bytes"] / seconds,
        "disk_busy": grown["disk_busy_ms"] / (1e3 * seconds),
        "cpu": grown["cpu_ns"] / (1e9 * seconds),
        "cpu_held": grown["cpu_held_ns"] / (1e9 * seconds),
        "load": now["load"],
        "received_bytes_per_s": grown["received_bytes"] / seconds,
        "sent_bytes_per_s": grown["sent_bytes"] / seconds,
        "lost": (1 - grown["sent_packets"] / came).where(router),
        "retransmits_per_s": grown["retransmits"] / seconds,
        "queue_bytes": now["queue_bytes"],
        "queue_drops_per_s": grown["queue_drops"] / seconds,
        "queue_overlimits_per_s": grown["queue_overlimits"] / seconds,
    }
    return pd.DataFrame(table).sort_values(["time_s", "component"]).reset_index(drop=True)


class Sampler:
    """Reads all counters of a cluster once a second, in a thread, until it is stopped."""

    def __init__(self, cluster: Cluster, period_s: float = PERIOD_S, clock: Callable[[], float] = time.time):
        self.cluster, self.period_s, self.clock = cluster, period_s, clock
        self.rows: list[dict] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(5)

    def _loop(self) -> None:
        looks: dict[str, list[int]] = {}
        due, k = time.monotonic(), 0
        while not self._stop.is_set():
            for name in (*layout.SERVERS, layout.METADATA):
                looks.setdefault(name, []).append(waiting_threads(self.cluster.processes[name]))
            if k % 4 == 0:
                self.sample({name: float(np.mean(seen)) for name, seen in looks.items()})
                looks = {}
            k += 1
            due += self.period_s / 4
            self._stop.wait(max(0.0, due - time.monotonic()))

    def sample(self, load: dict[str, float]) -> None:
        """Read everything once."""
        disks = Path("/proc/diskstats").read_text()
        now = self.clock()
        for place in layout.PLACES:
            if place.name == layout.LOADER:
                continue
            row: dict = {"time_s": now, "component": place.name, **self._network(place)}
            if place.name in load:
                row |= {"load": load[place.name], **self._processor(place.name)}
            if place.name in layout.SERVERS:
                row |= disk_counters(disks, Path(self.cluster.devices["ost_" + place.name[-1]]).name)
            self.rows.append(row)

    def _processor(self, name: str) -> dict[str, float]:
        held = [line.split() for line in self._read(self.cluster.control(name, "cpu") / "cpu.stat").splitlines()]
        found = {words[0]: float(words[1]) for words in held if len(words) == 2}
        used = self._read(self.cluster.control(name, "cpuacct") / "cpuacct.usage")
        return {"cpu_ns": float(used or "nan"), "cpu_held_ns": found.get("throttled_time", float("nan"))}

    def _network(self, place: layout.Place) -> dict[str, float]:
        try:
            space = os.open(f"/run/netns/{place.namespace}", os.O_RDONLY)
            try:
                os.setns(space, os.CLONE_NEWNET)  # of this thread only
            finally:
                os.close(space)
        except OSError:
            return {}
        here = Path("/proc/thread-self/net")
        row = network_counters(self._read(here / "dev")) | retransmits(self._read(here / "snmp"))
        if place.storage_address:
            row |= queue_counters(
                run(["tc", "-s", "-j", "qdisc", "show", "dev", layout.interface("storage")], check=False)
            )
        return row

    @staticmethod
    def _read(path: Path) -> str:
        try:
            return path.read_text()
        except OSError:
            return ""


def waiting_threads(process: int) -> int:
    """Return how many threads of a process run, or wait for a disk; 0 if it has ended."""
    found = 0
    for path in Path(f"/proc/{process}/task").glob("*/stat"):
        try:
            found += path.read_text().rpartition(")")[2].split()[0] in ("R", "D")
        except OSError:
            continue
    return found
