"""Traces: every event of every interval of a program, counted without multiplexing.

The programs are real; the counters are those of a simulated PMU, a counting plugin inside QEMU (``data/plugin``).
Hence the label that belongs beside every number made from them: :data:`LABEL`.

An *interval* is one row of a trace, 1 M model cycles. A *slice* is :data:`READINGS` intervals on end: an event that is
on a counter during a slice is read once an interval, which gives the N samples of the paper's error model (§4.2).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import numpy as np

from credence.bench import catalogue
from credence.bench.errors import InputError, choose

LABEL = "real programs, simulated PMU"
READINGS = 4
INTERVAL_CYCLES = 1_000_000

MACHINES = ("qemu-x86", "qemu-ppc64")
SPLITS = ("train", "test")
_SETS = {"qemu-x86": "bayesperf-traces-x86", "qemu-ppc64": "bayesperf-traces-ppc64"}

# Named before any result: whatever is chosen by looking at results is chosen on these programs only.
TRAIN = {
    "qemu-x86": ("als", "awk", "bzip2", "gmm", "join", "openssl", "pca", "wordcount"),
    "qemu-ppc64": ("gzip", "join", "wordcount"),
}


@dataclass(frozen=True)
class Trace:
    """The counts of one program.

    Attributes
    ----------
    program, machine : str
        What ran, and on which simulated machine (:func:`machines`).
    events : tuple of str
        Names of the events, in the order of the columns.
    counts : numpy.ndarray [intervals, events]
        Exact counts of each interval [events], int64; SLOTS in quarter cycles.
    """

    program: str
    machine: str
    events: tuple[str, ...]
    counts: np.ndarray

    @property
    def slices(self) -> int:
        """Number of whole slices; intervals left over at the end belong to none."""
        return len(self.counts) // READINGS


def machines() -> tuple[str, ...]:
    """Return the simulated machines that there are traces of."""
    return MACHINES


def programs(machine: str, split: str | None = None) -> tuple[str, ...]:
    """Return the programs traced on a machine, in alphabetical order.

    Parameters
    ----------
    machine : str
        One of :func:`machines`.
    split : str or None
        ``"train"``: those on which settings may be chosen (:data:`TRAIN`); ``"test"``: all others, on which results
        are reported; None: all.

    Raises
    ------
    InputError
        For an unknown machine or split.
    """
    choose(machine, MACHINES, "machine")
    if split is None:
        return tuple(sorted(_traces(machine)))
    if choose(split, SPLITS, "split") == "train":
        return TRAIN[machine]
    return tuple(name for name in sorted(_traces(machine)) if name not in TRAIN[machine])


def trace(machine: str, program: str) -> Trace:
    """Return the trace of one program.

    Parameters
    ----------
    machine : str
        One of :func:`machines`.
    program : str
        One of :func:`programs`.

    Returns
    -------
    Trace
        Its counts are shared and can't be written to.

    Raises
    ------
    InputError
        For an unknown machine or program, naming those that there are.
    """
    known = _traces(choose(machine, MACHINES, "machine"))
    return known[choose(program, sorted(known), f"program on {machine}")]


def columns(found: Trace, events: Collection[str] | None = None) -> np.ndarray:
    """Return the counts of some events as floats [intervals, events], in the order asked for (None: all)."""
    if events is None:
        return found.counts.astype(np.float64)
    where = {name: k for k, name in enumerate(found.events)}
    chosen = [where[choose(name, found.events, f"event of {found.machine}")] for name in events]
    return found.counts[:, chosen].astype(np.float64)


def slice_counts(found: Trace, events: Collection[str] | None = None) -> np.ndarray:
    """Return the readings of every slice of a trace.

    Parameters
    ----------
    found : Trace
        The trace.
    events : collection of str or None
        Which events, in which order; all of the trace's when None.

    Returns
    -------
    numpy.ndarray [slices, READINGS, events]
        Counts of each interval of each slice [events], float64; the sum over axis 1 is the slice's count. Intervals
        that fill no whole slice at the end are left out.

    Raises
    ------
    InputError
        For an event that the trace hasn't, or a trace shorter than one slice.
    """
    if found.slices == 0:
        raise InputError(
            f"trace of {found.program!r} has {len(found.counts)} intervals; allowed: at least {READINGS}, one slice"
        )
    counts = columns(found, events)[: found.slices * READINGS]
    return counts.reshape(found.slices, READINGS, -1)


@cache
def _traces(machine: str) -> dict[str, Trace]:
    frame = catalogue.frame(_SETS[machine])
    events = tuple(frame.columns[2:])
    found = {}
    for program, rows in frame.groupby("program", sort=True):
        counts = rows[list(events)].to_numpy(dtype=np.int64)
        counts.setflags(write=False)  # one array for all callers
        found[str(program)] = Trace(str(program), machine, events, counts)
    return found
