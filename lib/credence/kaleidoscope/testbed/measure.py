"""One run: probes, telemetry and messages together, with or without a fault; and many runs after one another."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from credence.kaleidoscope.testbed import faults, layout, messages, probe, telemetry
from credence.kaleidoscope.testbed.cluster import Cluster
from credence.kaleidoscope.testbed.commands import ENVIRONMENT

INTERVAL_S = 0.25
TIME_LIMIT_S = 1.0
BEFORE_S, DURING_S, AFTER_S = 5.0, 10.0, 6.0
PROBE_COLUMNS = ("time_s", "client", "target", "operation", "latency_s", "errno", "outcome")


@dataclass(frozen=True)
class Run:
    """What a run measured; times are seconds since its start.

    Attributes
    ----------
    probes : pandas.DataFrame [pings, 7]
        :data:`PROBE_COLUMNS`; ``outcome`` is ``"done"``, ``"timeout"`` or ``"missing"`` (never launched).
    telemetry : pandas.DataFrame
        As :func:`telemetry.rates`.
    messages : pandas.DataFrame
        As :func:`messages.frame`.
    began_s, ended_s : float
        When the fault was put in and taken back; NaN without one.
    steps : str
        What was done.
    """

    probes: pd.DataFrame
    telemetry: pd.DataFrame
    messages: pd.DataFrame
    began_s: float
    ended_s: float
    steps: str


class Probers:
    """The two probers, running; their lines can be asked for while they run."""

    def __init__(self, cluster: Cluster, seconds: float, interval_s: float, limit_s: float):
        self._folder = Path(cluster.home)
        self._files, self._processes, self._rest = [], [], []
        for client in layout.CLIENTS:
            path = self._folder / f"probes-{client}"
            command = [
                sys.executable, "-I", "-S", probe.__file__, str(cluster.mount(client)), client,
                "".join(layout.LETTERS), f"{seconds:g}", f"{interval_s:g}", f"{limit_s:g}",
            ]  # fmt: skip
            with path.open("wb") as out:
                self._processes.append(
                    subprocess.Popen(
                        cluster.inside(client, command),
                        env=ENVIRONMENT,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,
                    )
                )
            self._files.append(path.open("rb"))
            self._rest.append(b"")

    def poll(self) -> list[dict]:
        """Return the pings that have been answered or given up since the last call."""
        rows = []
        for k, file in enumerate(self._files):
            content = self._rest[k] + file.read()
            whole, _, self._rest[k] = content.rpartition(b"\n")
            rows += [json.loads(line) for line in whole.splitlines() if line]
        return rows

    def running(self) -> bool:
        """Whether one still probes."""
        return any(process.poll() is None for process in self._processes)

    def close(self) -> None:
        """End them, whatever they wait for."""
        for process in self._processes:
            faults.stop(process, wait_s=1.0)
        for file in self._files:
            file.close()


def probe_frame(rows: list[dict], start: float) -> pd.DataFrame:
    """Return pings as a table, in order of time; `start` is the run's start [s since 1970]."""
    names = {"t": "time_s", "op": "operation", "dt": "latency_s"}
    table = pd.DataFrame(rows, columns=["t", "client", "target", "op", "dt", "errno", "outcome"]).rename(columns=names)
    table["time_s"] = (table["time_s"] - start).round(6)
    return table.sort_values(["time_s", "client", "target"], kind="stable").reset_index(drop=True)[list(PROBE_COLUMNS)]


@dataclass
class Recording:
    """What has been read so far in a run; :meth:`poll` reads on."""

    start: float
    probers: Probers
    sampler: telemetry.Sampler
    follower: messages.Follower
    pings: list[dict]

    def poll(self) -> None:
        """Read what is new."""
        self.pings += self.probers.poll()
        self.follower.poll()

    def now(self) -> float:
        """Seconds since the run's start."""
        return time.time() - self.start

    def sleep_until(self, second: float) -> None:
        """Wait until a second of the run, reading on meanwhile."""
        while self.now() < second:
            time.sleep(min(0.2, max(0.0, second - self.now())))
            self.poll()

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return pings, telemetry and messages up to now."""
        samples, lines = pd.DataFrame(list(self.sampler.rows)), messages.frame(list(self.follower.rows))
        rates = telemetry.rates(samples) if len(samples) else samples
        for table in (rates, lines):
            if len(table):
                table["time_s"] = (table["time_s"] - self.start).round(3)
        return probe_frame(self.pings, self.start), rates, lines


@contextlib.contextmanager
def recording(cluster: Cluster, seconds: float, interval_s: float, limit_s: float) -> Iterator[Recording]:
    """Probe, sample and read messages for as long as the block lasts (probes: `seconds` at most)."""
    follower = messages.Follower(cluster)
    try:
        with telemetry.Sampler(cluster) as sampler:
            probers = Probers(cluster, seconds, interval_s, limit_s)
            try:
                yield Recording(time.time(), probers, sampler, follower, [])
            finally:
                probers.close()
    finally:
        follower.close()


def measure(
    cluster: Cluster,
    kind: str = "none",
    component: str | None = None,
    *,
    before_s: float = BEFORE_S,
    during_s: float = DURING_S,
    after_s: float = AFTER_S,
    interval_s: float = INTERVAL_S,
    limit_s: float = TIME_LIMIT_S,
) -> Run:
    """Measure one run; the fault is undone however it ends.

    Parameters
    ----------
    cluster : Cluster
    kind, component : str
        Fault and place; ``"none"`` for a base run.
    before_s, during_s, after_s : float
        Seconds without, with, and again without the fault.
    interval_s : float
        Time between two pings of a client to a target, of each kind [s].
    limit_s : float
        Hard time limit of a ping [s].
    """
    total = before_s + during_s + after_s
    began = ended = float("nan")
    done = ""
    with recording(cluster, total, interval_s, limit_s) as now:
        now.sleep_until(before_s)
        if kind == "none":
            now.sleep_until(before_s + during_s)
        else:
            began = now.now()
            with faults.injected(kind, component, cluster) as steps:
                done = "; ".join(str(step) for step in steps).replace(cluster.home, "HOME")
                now.sleep_until(before_s + during_s)
            ended = now.now()
        now.sleep_until(total + limit_s)
        while now.probers.running() and now.now() < total + limit_s + 5:
            now.sleep_until(now.now() + 0.2)
        now.poll()
        return Run(*now.tables(), began, ended, done)
