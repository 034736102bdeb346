"""The network's graph, generated from the declaration of the stack's variables (paper, Figures 3 and 6).

Within a slice arrows follow the data flow: measurement → world model → planner → controller. Arrows between slices are
states that modules keep, and the road: actuation moves the car. Three such slices, k-1, k and k+1, are the paper's
3-TBN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError

SLICES = ("k-1", "k", "k+1")


@dataclass(frozen=True)
class Structure:
    """Graph of a temporal Bayesian network that is the same in every slice.

    Attributes
    ----------
    variables : tuple of str
        Names, in an order in which parents within a slice come before their children.
    within, between : tuple of tuple of int
        For each variable the indices of its parents in the same slice, and in the slice before.
    """

    variables: tuple[str, ...]
    within: tuple[tuple[int, ...], ...]
    between: tuple[tuple[int, ...], ...]

    def index(self, name: str) -> int:
        """Return the position of variable `name`; raises InputError if there is none."""
        if name not in self.variables:
            raise InputError(f"unknown variable {name!r}; allowed: {', '.join(self.variables)}")
        return self.variables.index(name)


def structure(variables: Iterable) -> Structure:
    """Return the graph that a declaration of variables implies.

    Parameters
    ----------
    variables : iterable
        Objects with ``name``, ``parents`` (names, same slice) and ``previous`` (names, slice before), in the order of
        the data flow, such as ``credence.drivefi.data.variables.VARIABLES``.

    Raises
    ------
    InputError
        If a parent is not declared, stands after its child in the same slice, or a name is declared twice.
    """
    declared = list(variables)
    names = [variable.name for variable in declared]
    if len(set(names)) != len(names):
        raise InputError(f"variables {names}: a name is there twice; allowed: each once")
    within, between = [], []
    for child, variable in enumerate(declared):
        for parent in (*variable.parents, *variable.previous):
            if parent not in names:
                raise InputError(f"variable {variable.name!r}: unknown parent {parent!r}; allowed: {', '.join(names)}")
        parents = sorted({names.index(parent) for parent in variable.parents})
        if parents and parents[-1] >= child:
            raise InputError(
                f"variable {variable.name!r}: parent {names[parents[-1]]!r} of the same slice stands after it; "
                f"allowed: {', '.join(names[:child]) or 'none'}"
            )
        within.append(tuple(parents))
        between.append(tuple(sorted({names.index(parent) for parent in variable.previous})))
    return Structure(tuple(names), tuple(within), tuple(between))


def unrolled(graph: Structure) -> dict[str, tuple[str, ...]]:
    """Return the parents of every node of three slices, nodes named ``variable[slice]``; the first slice has none.

    Nodes of the first slice are roots: it is observed, so that what lies before it does not matter (Markov).
    """
    found: dict[str, tuple[str, ...]] = {node(name, 0): () for name in graph.variables}
    for step in (1, 2):
        for child, name in enumerate(graph.variables):
            same = [node(graph.variables[p], step) for p in graph.within[child]]
            before = [node(graph.variables[p], step - 1) for p in graph.between[child]]
            found[node(name, step)] = (*same, *before)
    return found


def node(variable: str, step: int) -> str:
    """Return the name of a variable's node in slice 0, 1 or 2: ``speed[k-1]``, ``speed[k]``, ``speed[k+1]``."""
    return f"{variable}[{SLICES[step]}]"


def cut(parents: dict[str, tuple[str, ...]], targets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the graph under do(targets): what is set from outside no longer listens to its parents."""
    for target in targets:
        if target not in parents:
            raise InputError(f"unknown node {target!r}; allowed: {', '.join(parents)}")
    return {name: () if name in targets else found for name, found in parents.items()}


def descendants(parents: dict[str, tuple[str, ...]], target: str) -> set[str]:
    """Return every node that `target` can act on, itself left out; `parents` must list parents before children."""
    reached = {target}
    for name, found in parents.items():
        if reached & set(found):
            reached.add(name)
    return reached - {target}


def masks(graph: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Return the adjacency within and between slices: bool [child, parent] each."""
    size = len(graph.variables)
    within, between = np.zeros((size, size), bool), np.zeros((size, size), bool)
    for child in range(size):
        within[child, list(graph.within[child])] = True
        between[child, list(graph.between[child])] = True
    return within, between
