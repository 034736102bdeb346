"""Probe logs of a real MooseFS cluster with real faults, measured by this project (see the topology ``moosefs``).

Each client ran one loop for each target: write 64 bytes to an existing file and fsync (``wrex``), create and write a
file (``crwr``), remove it (``rmex``), pause 50 ms. Each fault is one run of 6 to 17 s; the logs don't say at which
moment a fault began, nor when it was taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.bench.errors import choose
from credence.kaleidoscope.data.probes import Probes, Window, split
from credence.kaleidoscope.data.topology import KINDS, OPERATIONS, Topology, topology

SET = "kaleidoscope-moosefs-probes"
COLUMNS = ("run", "fault", "client", "target", "operation", "time_s", "latency_s", "errno")


@dataclass(frozen=True)
class Run:
    """One run of the cluster.

    Attributes
    ----------
    run, fault : str
        Its name and what was done.
    component : str
        Where it was done; empty for a run without a fault.
    note : str
    """

    run: str
    fault: str
    component: str
    note: str


RUNS = {
    run.run: run
    for run in (
        Run("base2", "none", "", "disks mounted as usual"),
        Run("syncbase", "none", "", "the disk of A mounted with -o sync, as for slowA2"),
        Run("stopB", "server-hang", "oss_B", "SIGSTOP to the server for 4 s"),
        Run("stopM", "metadata-hang", "mds", "SIGSTOP to the metadata server for 3 s"),
        Run("drop20", "router-drop", "router1", "20 % of all packets dropped at random"),
        Run("tbfC", "slow-network", "oss_C", "token bucket of 64 kbit/s on its network interface"),
        Run("slowA", "slow-disk", "ost_A", "64 KiB/s; no effect to see: an fsync didn't reach the disk"),
        Run("slowA2", "slow-disk", "ost_A", "64 KiB/s, disk mounted with -o sync"),
        Run("loadD", "contention", "ost_D", "four writers, nothing capped: the two processors are what is short"),
        Run("loadD2", "contention", "ost_D", "four writers, each server capped to 2 MB/s and a fifth of a processor"),
    )
}


def measured_log(run: str | None = None) -> pd.DataFrame:
    """Return one run's pings, or those of all runs, in order of run and time.

    Returns
    -------
    pandas.DataFrame [pings, 8]
        ``run``, ``fault``, ``client``, ``target`` (of an ``rmex`` the target whose file was removed), ``operation``,
        ``time_s`` since the run's first ping [s], ``latency_s`` [s], ``errno`` (0: no error).

    Raises
    ------
    InputError
        For an unknown run.
    """
    frame = _log()
    return frame if run is None else frame[frame["run"] == choose(run, RUNS, "run")].reset_index(drop=True)


def log_windows(
    log: pd.DataFrame,
    slo_s: float,
    window_s: float | None = None,
    system: Topology | None = None,
    operations: Sequence[str] = OPERATIONS,
) -> list[Window]:
    """Count a log's pings: those without an error and within `slo_s` succeeded, none is missing.

    A loop that hangs sends fewer pings meanwhile; the log doesn't hold those that it would have sent.

    Parameters
    ----------
    log [pings, >= 6]
        ``client``, ``target``, ``operation``, ``time_s``, ``latency_s``, ``errno``; the target of an ``rmex`` may be a
        storage target: it stands for that target's metadata server.
    slo_s
        Time limit of a good ping [s].
    window_s
        As in :func:`~credence.kaleidoscope.data.probes.read_probes`; times are those at which a ping began.
    system
        Topology of the names; ``moosefs`` if None.
    operations
        Which of them to count.
    """
    system = system or topology("moosefs")
    log = log[log["operation"].isin(list(operations))]
    target = system.index(log["target"].tolist())
    operation = np.array([OPERATIONS.index(name) for name in log["operation"]], dtype=np.int8)
    storage = (operation == OPERATIONS.index("rmex")) & (system.kind_codes[target] != KINDS.index("metadata"))
    target[storage] = system.target_series[target[storage], 0]  # a target's first component is its metadata server
    good = ((log["latency_s"] <= slo_s) & (log["errno"] == 0)).to_numpy()
    ones = np.ones(len(log), dtype=np.int64)
    client = system.index(log["client"].tolist())
    time_s = log["time_s"].to_numpy(dtype=np.float64)
    probes = Probes(client, target, operation, ones, good.astype(np.int64), 0 * ones, np.arange(len(log)), time_s)
    return split(probes, window_s)


@cache
def _log() -> pd.DataFrame:
    return catalogue.frame(SET)
