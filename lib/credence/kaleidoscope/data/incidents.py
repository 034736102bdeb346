"""Four real 5-minute windows of Blue Waters with the authors' posteriors (third party, ``CREDENCE_MIRROR``).

What is known is the share of pings of a client to a target that took more than 1 s *or never came*: a missing ping is
drawn as a failed one. Rows are client0 to client4, so nothing is known of client5, nor of gem_net, which only it
crosses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import numpy as np

from credence.bench import catalogue
from credence.bench.errors import choose
from credence.kaleidoscope.data.probes import Window
from credence.kaleidoscope.data.topology import OPERATIONS, topology

SET = "bw-incidents"
FILE_SYSTEMS = ("scratch", "projects", "home")
PINGS = 5  # one a minute


@dataclass(frozen=True)
class Incident:
    """One window.

    Attributes
    ----------
    name : str
        When it was: ``"2018-08-14T18:55"``.
    label : str
        What the authors call it.
    failed_fraction : dict of numpy.ndarray [5, targets]
        By file system: share of pings that failed or never came.
    authors : dict of float
        The authors' posterior health of the components that they show, by name in the topology ``bluewaters``.
        ``gem_net`` isn't among them: their program prints ib_net's value a second time under its name.
    exact_columns : bool
        False where the picture is so small that the number of a target may be wrong by 1 (projects, home) or 3.
    """

    name: str
    label: str
    failed_fraction: dict[str, np.ndarray]
    authors: dict[str, float]
    exact_columns: bool


def incidents() -> tuple[str, ...]:
    """Return the names of the four windows, the paper's Fig 10 first."""
    return tuple(_incidents())


def incident(name: str) -> Incident:
    """Return one window.

    Raises
    ------
    InputError
        For another name, or if the set is not to be had (``CREDENCE_MIRROR``).
    """
    found = _incidents()
    return found[choose(name, found, "window of Blue Waters")]


def incident_window(found: Incident, missing_rows: bool = False) -> Window:
    """Return the pings of an incident: 5 clients by 432 targets, on the topology ``bluewaters``.

    Parameters
    ----------
    found : Incident
    missing_rows : bool
        Take what fails alike in a whole row of a file system as missing: for each client and file system the smallest
        number of failed pings over the targets is counted as missing. That reading is the other extreme: a dead client
        then looks like one that never sent. False: all failed, as the authors' program counts.

    Returns
    -------
    Window
        Operation ``wrex``; 5 pings a cell, 6 where the share is a number of sixths.
    """
    system = topology("bluewaters")
    columns = []
    for file_system in FILE_SYSTEMS:
        share = found.failed_fraction[file_system]
        clients, targets = share.shape
        fifths = np.abs(share * PINGS - np.round(share * PINGS)) < 0.01
        sent = np.where(fifths, PINGS, PINGS + 1)
        failed = np.round(share * sent).astype(np.int64)
        missing = np.zeros_like(failed)
        if missing_rows:
            missing += np.round(share.min(axis=1, keepdims=True) * sent).astype(np.int64)
            missing = np.minimum(missing, failed)
        client = system.index([f"client{k}" for k in range(clients)])
        target = system.index([f"{file_system}_ost_{k}" for k in range(targets)])
        columns.append(
            (
                np.repeat(client, targets),
                np.tile(target, clients),
                sent.ravel().astype(np.int64),
                (sent - failed).ravel().astype(np.int64),
                missing.ravel(),
            )
        )
    client, target, sent, succeeded, missing = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    operation = np.full(len(client), OPERATIONS.index("wrex"), dtype=np.int8)
    return Window(client, target, operation, sent, succeeded, missing, start_s=0.0, length_s=300.0)


@cache
def _incidents() -> dict[str, Incident]:
    frame = catalogue.frame(SET)
    documents = [json.loads("\n".join(rows["line"])) for _, rows in frame.groupby("file", sort=True)]
    posteriors = documents.pop()
    found = {}
    for document in documents:
        told = posteriors[document["incident"]]
        authors = {
            name.replace("ib_status", "ib_net"): float(value)
            for name, value in told["posterior_health"].items()
            if name != "gem_status"
        }
        shares = {name: np.array(document["failed_fraction"][name], dtype=np.float64) for name in FILE_SYSTEMS}
        name = document["incident"].split("_")[0]
        found[name] = Incident(name, told["authors_label"], shares, authors, exact_columns="paper" in told)
    return found
