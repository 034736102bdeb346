"""Telemetry and log lines around an issue, to be diagnosed: simulated.

For an issue's culprit and some healthy components of its kind: load averages, waiting times of disks, stalled network
counters (the paper's three, §V-B), and the log lines of the half hour. Loads are Fig. 9's, waiting times Fig. 7's; how
often a line misleads is nowhere published, so it is a strength here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError
from credence.kaleidoscope.world import calibration

METRICS = ("load", "await_ms", "stall")

FAULT_LINES = {
    "target": ("blk_update_request: I/O error, dev sdc, sector {n}",
               "md/raid:md{n}: Disk failure on sdc, disabling device",
               "Buffer I/O error on dev md{n}, logical block {n}"),
    "server": ("kernel: Kernel panic - not syncing: Fatal exception", "heartbeat: WARN: node oss{n}: is dead",
               "mce: [Hardware Error]: Machine check events logged"),
    "pair": ("heartbeat: WARN: node oss{n}: is dead", "LustreError: {n}: failover failed, rc = -19"),
    "metadata": ("LustreError: {n}: mdt_handle: operation failed with -5",
                 "Buffer I/O error on dev md{n}, logical block {n}"),
    "network": ("LNetError: {n}: timed out tx for peer, error -110", "ib0: link down"),
    "router": ("LNetError: {n}: timed out tx for peer, error -110", "LNet: router {n}: dropped, queue full, error"),
    "client": ("Kernel panic - not syncing: Out of memory", "LustreError: {n}: evicted, error -108"),
}  # fmt: skip
# keywords without a fault: what healthy systems print all the time
STRAY_LINES = (
    "smartd[{n}]: Device: /dev/sdb, failed to read attributes, retried",
    "multipathd: sdd: path checker failed, restored",
    "EDAC MC0: {n} CE memory read error, corrected",
    "LNet: {n}: dropped a late reply",
    "ib1: link down, port not in use",
    "Lustre: client {n}: connection timed out, restored, error -110",
    "bmc: power supply {n} lost redundancy, restored",
)
USUAL_LINES = (
    "systemd[1]: Started Session {n} of user root.",
    "sshd[{n}]: Accepted publickey for admin",
    "ntpd[{n}]: time reset +0.0{n} s",
    "Lustre: {n}: Client reconnected",
    "crond[{n}]: (root) CMD (run-parts /etc/cron.hourly)",
)


@dataclass(frozen=True)
class LogBreaks:
    """How often telemetry misleads.

    Attributes
    ----------
    unmarked : float
        Share of reliability failures whose log has no keyword.
    stray : float
        Share of components without such a failure whose log has one all the same.
    faint : float
        Share of overloads whose load average had fallen again when it was read (every five minutes).
    """

    unmarked: float = 0.01
    stray: float = 0.05
    faint: float = 0.01

    def __post_init__(self):
        for name in ("unmarked", "stray", "faint"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed: 0 to 1")


@dataclass(frozen=True, eq=False)
class Telemetry:
    """What is known of a culprit, in place 0, and of its healthy peers.

    Attributes
    ----------
    metrics : dict of str to numpy.ndarray [components]
        ``load``, ``await_ms``, ``stall`` (share of time).
    logs : tuple of tuple of str [components]
    """

    metrics: dict[str, np.ndarray]
    logs: tuple[tuple[str, ...], ...]


def around(
    fault: str, cause: str, load: float, rng: np.random.Generator, breaks: LogBreaks | None = None, peers: int = 30
):
    """Draw telemetry around an issue.

    Parameters
    ----------
    fault, cause : str
        As in the timetable.
    load : float
        Load average of an overload.
    rng : numpy.random.Generator
    breaks : LogBreaks, optional
    peers : int
        Healthy components of the kind.

    Returns
    -------
    Telemetry
    """
    breaks = breaks or LogBreaks()
    low, high, share = calibration.load_histogram()
    usual = high <= calibration.OVERLOAD + 1e-9
    bins = rng.choice(np.flatnonzero(usual), size=peers + 1, p=share[usual] / share[usual].sum())
    loads = rng.uniform(low[bins], high[bins])
    waits = 5.0 * np.exp(0.5 * rng.standard_normal(peers + 1)) * (1 + loads / 20)
    stalls = rng.beta(1, 60, peers + 1)
    overload = cause == "overload"
    if overload and rng.random() >= breaks.faint:
        loads[0] = load
        waits[0] = 5.0 * np.exp(0.5 * rng.standard_normal()) * (1 + load / 20)
    marked = rng.random(peers + 1) < breaks.stray
    marked[0] = marked[0] if overload else rng.random() >= breaks.unmarked
    logs = []
    for k in range(peers + 1):
        lines = [_written(USUAL_LINES, rng) for _ in range(int(rng.integers(1, 4)))]
        if marked[k]:
            about = FAULT_LINES[fault] if k == 0 and not overload else STRAY_LINES
            lines.insert(int(rng.integers(len(lines))), _written(about, rng))
        logs.append(tuple(lines))
    return Telemetry({"load": loads, "await_ms": waits, "stall": stalls}, tuple(logs))


def _written(templates, rng: np.random.Generator) -> str:
    return templates[int(rng.integers(len(templates)))].replace("{n}", str(int(rng.integers(1, 1000))))
