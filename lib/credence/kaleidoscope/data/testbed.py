"""Runs of the test cluster with and without a fault, measured by this project (``testbed.campaign``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.bench.errors import choose
from credence.kaleidoscope.data.probes import Window
from credence.kaleidoscope.data.topology import OPERATIONS, Topology

TABLES = ("runs", "probes", "telemetry", "messages", "overhead")
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


@dataclass(frozen=True, eq=False)
class Pings:
    """Pings as numbers, in order of the time of their answer.

    Attributes
    ----------
    came_s : numpy.ndarray [pings]
        When the answer (or the time-out) came [s].
    cell : numpy.ndarray [pings]
        Row of :data:`CELLS`.
    succeeded, missing : numpy.ndarray [pings]
        Done without an error within the time limit; never launched.
    """

    came_s: np.ndarray
    cell: np.ndarray
    succeeded: np.ndarray
    missing: np.ndarray


def pings(log: pd.DataFrame, slo_s: dict[str, float]) -> Pings:
    """Judge the pings of a log; a ping that timed out has failed.

    Parameters
    ----------
    log [pings, >= 7]
        ``client``, ``target``, ``operation``, ``time_s``, ``latency_s``, ``errno``, ``outcome``. An ``rmex`` asks the
        metadata server of its target only.
    slo_s : dict of float
        Time limit of a good ping by operation [s].
    """
    target = log["target"].where(log["operation"] != "rmex", "mds")
    row = {cell: k for k, cell in enumerate(CELLS)}
    cell = np.array([row[each] for each in zip(log["client"], target, log["operation"], strict=True)], dtype=np.int64)
    limit = log["operation"].map(slo_s).to_numpy(float)
    good = (log["outcome"] == "done") & (log["errno"] == 0) & (log["latency_s"] <= limit)
    came = (log["time_s"] + log["latency_s"]).to_numpy(float)
    order = np.argsort(came, kind="stable")
    missing = (log["outcome"] == "missing").to_numpy()
    return Pings(came[order], cell[order], good.to_numpy()[order], missing[order])


def count(judged: Pings, start_s: float, end_s: float, system: Topology) -> Window:
    """Count the pings whose answer came after `start_s`, up to `end_s` [s]: what a live loop knows by then.

    Returns
    -------
    Window [18 cells]
        In the order of :data:`CELLS`, those without a ping too.
    """
    here = slice(*np.searchsorted(judged.came_s, (start_s, end_s), side="right"))
    cell = judged.cell[here]
    counts = [
        np.bincount(cell, weights, len(CELLS)).astype(np.int64)
        for weights in (None, judged.succeeded[here], judged.missing[here])
    ]
    client, target, operation = zip(*CELLS, strict=True)
    codes = np.array([OPERATIONS.index(name) for name in operation], dtype=np.int8)
    return Window(system.index(client), system.index(target), codes, *counts, float(start_s), float(end_s - start_s))
