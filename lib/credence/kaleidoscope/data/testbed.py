"""Runs of the test cluster with and without a fault, measured by this project (``testbed.campaign``)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.bench.errors import choose
from credence.kaleidoscope.data.probes import Window
from credence.kaleidoscope.data.topology import OPERATIONS, Topology

TABLES = ("runs", "probes", "telemetry", "messages", "overhead")
COUNTS = ("sent", "succeeded", "missing")
CLIENTS = ("client1", "client2")
# All cells that are probed, in the order of a window's rows.
CELLS = tuple(
    (client, target, operation)
    for client in CLIENTS
    for operation, targets in (("crwr", "ABCD"), ("wrex", "ABCD"), ("rmex", ""))
    for target in ([f"ost_{letter}" for letter in targets] or ["mds"])
)


@cache
def table(name: str) -> pd.DataFrame:
    """Return a committed table: ``runs``, ``probes``, ``telemetry``, ``messages`` or ``overhead``."""
    return catalogue.frame("kaleidoscope-testbed-" + choose(name, TABLES, "table of the test cluster"))


def count(pings: pd.DataFrame, slo_s: dict[str, float], system: Topology) -> Window:
    """Count pings into a window: done without an error within the time limit of their operation is good.

    A ping that timed out has failed; one that was never launched is missing.

    Parameters
    ----------
    pings [pings, >= 6]
        ``client``, ``target``, ``operation``, ``latency_s``, ``errno``, ``outcome``.
    slo_s : dict of float
        Time limit of a good ping by operation [s].
    system : Topology
        An ``rmex`` asks the metadata server of its target only.

    Returns
    -------
    Window [18 cells]
        In the order of :data:`CELLS`, those without a ping too.
    """
    pings = pings.assign(
        target=pings["target"].where(pings["operation"] != "rmex", "mds"),
        sent=1,
        succeeded=(
            (pings["outcome"] == "done") & (pings["errno"] == 0) & (pings["latency_s"] <= pings["operation"].map(slo_s))
        ).astype(int),
        missing=(pings["outcome"] == "missing").astype(int),
    )
    every = pd.MultiIndex.from_tuples(CELLS, names=["client", "target", "operation"])
    cells = pings.groupby(every.names)[list(COUNTS)].sum().reindex(every, fill_value=0).reset_index()
    operation = np.array([OPERATIONS.index(name) for name in cells["operation"]], dtype=np.int8)
    counts = [cells[name].to_numpy(np.int64) for name in COUNTS]
    places = [system.index(cells[name].tolist()) for name in ("client", "target")]
    return Window(*places, operation, *counts)


def answered(pings: pd.DataFrame, start_s: float, end_s: float) -> pd.DataFrame:
    """Return the pings whose answer (or time-out) came from `start_s` up to `end_s` [s]; what a live loop knows."""
    came = pings["time_s"] + pings["latency_s"]
    return pings[(came > start_s) & (came <= end_s)]
