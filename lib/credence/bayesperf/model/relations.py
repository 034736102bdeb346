"""Linear relations between events: exact identities and inequalities, and what they determine together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from credence.bayesperf.model.elimination import eliminated
from credence.bayesperf.model.relation import KINDS, Relation, parse_relation, read_relations, relations_text
from credence.bench import paths
from credence.bench.errors import InputError, choose

__all__ = [
    "KINDS",
    "Basis",
    "Relation",
    "basis",
    "constants",
    "determined",
    "eliminated",
    "known_cpus",
    "known_relations",
    "matrix",
    "parse_relation",
    "rank",
    "read_relations",
    "relations_text",
]

# Tables in git; those of the others are derived from files of the kernel (GPL-2.0) that are never in git.
_COMMITTED = ("qemu-x86", "qemu-ppc64", "skylakex", "icelakex", "broadwellx")
_FROM_MIRROR = ("zen2", "zen3", "power9", "power10")


def known_cpus() -> tuple[str, ...]:
    """Return the CPUs that :func:`known_relations` knows."""
    return (*_COMMITTED, *_FROM_MIRROR)


def known_relations(cpu: str) -> tuple[Relation, ...]:
    """Return the relations between the events of a CPU.

    Parameters
    ----------
    cpu : str
        One of :func:`known_cpus`. zen and power are derived anew from the kernel's files below ``CREDENCE_MIRROR``.

    Raises
    ------
    InputError
        For an unknown name, or without a mirror where one is needed.
    """
    choose(cpu, known_cpus(), "CPU")
    if cpu in _COMMITTED:
        return read_relations(paths.data_dir() / "bayesperf" / f"relations-{cpu}.toml")
    from credence.bayesperf.model import extract  # reads large files: only where there is no table

    return extract.extract(cpu).relations


def matrix(relations: Iterable[Relation], events: Sequence[str], kind: str = "eq") -> np.ndarray:
    """Return the coefficients [relations, events] of the relations of one kind all of whose events are listed."""
    return _rows(relations, events, kind)[0]


def constants(relations: Iterable[Relation], events: Sequence[str], kind: str = "eq") -> np.ndarray:
    """Return the right-hand sides [relations] of the rows of :func:`matrix` [events]."""
    return _rows(relations, events, kind)[1]


def _rows(relations, events, kind):
    place = {event: column for column, event in enumerate(events)}
    chosen = [r for r in relations if r.kind == kind and all(event in place for event in r.coefficients)]
    table = np.zeros((len(chosen), len(place)))
    for row, relation in enumerate(chosen):
        for event, coefficient in relation.coefficients.items():
            table[row, place[event]] = coefficient
    return table, np.array([relation.constant for relation in chosen], dtype=float)


def rank(table: np.ndarray) -> int:
    """Return the rank of coefficients [relations, events]: how many events the relations save."""
    table = np.asarray(table, float)
    if table.size == 0:
        return 0
    return int(np.linalg.matrix_rank(_unit_rows(table), tol=1e-9 * max(table.shape)))


def _unit_rows(table: np.ndarray) -> np.ndarray:
    largest = np.abs(table).max(axis=1, keepdims=True)
    return table / np.where(largest > 0, largest, 1)


@dataclass(frozen=True)
class Basis:
    """Events from which all others follow: ``counts = offset + expansion @ counts[chosen]``.

    Attributes
    ----------
    events : tuple of str
        All events.
    chosen : tuple of str
        The basis.
    expansion : array [events, chosen]
    offset : array [events]
    """

    events: tuple[str, ...]
    chosen: tuple[str, ...]
    expansion: np.ndarray
    offset: np.ndarray


def basis(relations: Iterable[Relation], events: Sequence[str], prefer: Sequence[str] = ()) -> Basis:
    """Choose events from which, with the identities, all events follow.

    Parameters
    ----------
    relations : iterable of Relation
        Identities with unlisted events are used only as far as :func:`eliminated` gave them.
    events : sequence of str
    prefer : sequence of str
        Taken first where possible (fixed events: they cost no counter); then in the order of `events`.

    Raises
    ------
    InputError
        For identities that contradict each other.
    """
    events = tuple(events)
    table, right = _rows(relations, events, "eq")
    offset = np.linalg.lstsq(table, right, rcond=None)[0] if len(table) else np.zeros(len(events))
    if len(table) and np.abs(table @ offset - right).max() > 1e-6 * max(1.0, np.abs(right).max()):
        raise InputError("identities contradict each other: no counts satisfy them all; allowed: consistent relations")
    free = _null_space(table, len(events))
    order = sorted(range(len(events)), key=lambda i: (events[i] not in prefer, i))
    # one row of the null space after another, kept when it is independent of those before (Gram–Schmidt)
    chosen: list[int] = []
    rest = free.copy()
    for row in order:
        length = np.linalg.norm(rest[row])
        if length > 1e-8 and len(chosen) < free.shape[1]:
            chosen.append(row)
            direction = rest[row] / length
            rest = rest - np.outer(rest @ direction, direction)
    expansion = np.linalg.solve(free[chosen].T, free.T).T if chosen else np.zeros((len(events), 0))
    expansion[np.abs(expansion) < 1e-10] = 0.0
    return Basis(events, tuple(events[i] for i in chosen), expansion, offset - expansion @ offset[chosen])


def _null_space(table: np.ndarray, size: int) -> np.ndarray:
    if not len(table):
        return np.eye(size)
    _, values, vectors = np.linalg.svd(_unit_rows(table), full_matrices=True)
    return vectors[int((values > 1e-9 * max(table.shape)).sum()) :].T


def determined(table: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return which events follow exactly from the measured ones and the identities.

    Parameters
    ----------
    table : array [relations, events]
        Coefficients of the identities.
    measured : bool array [events]

    Returns
    -------
    bool array [events]
        True for the measured events too.
    """
    measured = np.asarray(measured, bool)
    free = _null_space(np.asarray(table, float).reshape(-1, measured.size), measured.size)
    # an event is free to move only along directions that no measured event sees
    _, values, vectors = np.linalg.svd(free[measured], full_matrices=True)
    unseen = vectors[int((values > 1e-9).sum()) :].T
    return np.linalg.norm(free @ unseen, axis=1) < 1e-9
