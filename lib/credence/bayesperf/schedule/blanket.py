"""The paper's overlap scheduler (BayesPerf section 4.1): neighbouring groups are tied by a factor of the graph.

The factor graph has a node per event and one per relation. The *Markov blanket* of an event is every event that shares
a relation with it. Two groups that follow each other must have blankets that overlap, so that what one measures says
something about the other; where they do not, groups along the shortest paths between them are put in between.

The text leaves open how the first chain is made. Figure 2 turns {a b c}, {d e f} into {a b c}, {a d e}, {e f a}: each
group keeps one event of the one before. `share` is that number.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from credence.bayesperf.data.pmu import Pmu
from credence.bayesperf.schedule.constraints import as_pmu, as_schedule, fits, programmable
from credence.bayesperf.schedule.rotation import linux_round_robin
from credence.bench.errors import InputError

Graph = Mapping[str, frozenset[str]]


def factor_graph(events: Sequence[str], relations) -> dict[str, frozenset[str]]:
    """Return every event's neighbours: the listed events with which it shares a relation.

    Relations with unlisted events tie the listed ones together as well (the unlisted is a hidden variable).
    """
    listed = set(events)
    near: dict[str, set[str]] = {event: set() for event in events}
    for relation in relations:
        members = [event for event in relation.coefficients if event in listed]
        for event in members:
            near[event].update(members)
    return {event: frozenset(found - {event}) for event, found in near.items()}


def blanket(group: Collection[str], graph: Graph) -> frozenset[str]:
    """Return the Markov blanket of a group, its own events included since their values are what is carried over."""
    return frozenset(group).union(*(graph[event] for event in group))


def shortest_path(start: str, ends: Collection[str], graph: Graph) -> list[str] | None:
    """Return the shortest path from `start` to the nearest of `ends` (Dijkstra, every step costs 1), both included.

    Ties go to the first in the alphabet; None if there is no path.
    """
    queue, done = [(0, [start])], set()
    while queue:
        cost, path = heapq.heappop(queue)
        here = path[-1]
        if here in ends:
            return path
        if here in done:
            continue
        done.add(here)
        for event in sorted(graph[here] - done):
            heapq.heappush(queue, (cost + 1, [*path, event]))
    return None


def _merge_common(group: Sequence[str], graph: Graph, pmu: Pmu) -> list[str] | None:
    """Prune common steps: events that share a neighbour are replaced by it, until the group fits; None if it cannot."""
    group = list(dict.fromkeys(group))
    while not fits(pmu, group):
        shared: dict[str, list[str]] = {}
        for event in group:
            for other in graph[event]:
                shared.setdefault(other, []).append(event)
        best = max(shared.items(), key=lambda item: (len(item[1]), item[0]), default=(None, ()))
        if len(best[1]) < 2:
            return None
        group = [event for event in group if event not in best[1] and event != best[0]] + [best[0]]
    return group


def connect(before: Sequence[str], after: Sequence[str], graph: Graph, pmu: Pmu) -> list[list[str]]:
    """Return the groups to be put between two groups whose blankets do not overlap; none if no path is valid."""
    paths = [shortest_path(event, set(after), graph) for event in before if event not in pmu.fixed]
    paths = [path[1:-1] for path in paths if path is not None and len(path) > 2]
    steps: list[list[str]] = []
    for index in range(max(map(len, paths), default=0)):
        merged = _merge_common([path[index] for path in paths if index < len(path)], graph, pmu)
        if merged is None:
            # section 4.1: break the chain and start again from the next valid configuration
            return []
        if merged:
            steps.append(merged)
    kept: list[list[str]] = []
    previous = blanket(before, graph)
    for step in steps:
        # redundant steps add nothing to what the chain already reaches
        if blanket(step, graph) != previous:
            kept.append(step)
            previous = blanket(step, graph)
    return kept


def _overlapping(queue: list[str], pmu: Pmu, graph: Graph, share: int) -> list[list[str]]:
    """Chain groups so that each keeps up to `share` events of the one before, preferably tied to new ones."""
    waiting, groups = list(queue), []
    while waiting:
        group: list[str] = []
        if groups:
            ties = {event: len(graph[event] & set(waiting)) for event in groups[-1]}
            best = sorted(groups[-1], key=lambda event: -ties[event])
            group = best[: min(share, pmu.counters - 1)]
        room = len(group)
        tied = blanket(group, graph)
        # new events tied to what is kept come first, the user's order decides among equals
        for event in sorted(waiting, key=lambda event: event not in tied):
            if fits(pmu, [*group, event]):
                group.append(event)
        if len(group) == room:
            # nothing new fits beside what is kept: break the chain
            group = [waiting[0]]
        waiting = [event for event in waiting if event not in group]
        groups.append(group)
    return groups


def markov_blanket(events: Sequence[str], counters: int | Pmu, relations, share: int = 1) -> np.ndarray:
    """Return the paper's overlap schedule [period, events].

    Parameters
    ----------
    events : sequence of str
    counters : int or Pmu
    relations : sequence of Relation
        Every relation known, unlisted events included.
    share : int
        Events that a group keeps of the one before (figure 2: 1); 0 = Linux's groups with what connects them.
    """
    pmu = as_pmu(counters, events)
    if share < 0:
        raise InputError(f"share is {share!r}; allowed: from 0")
    graph = factor_graph(events, relations)
    queue = programmable(events, pmu)
    if fits(pmu, queue):
        return as_schedule([queue], events, pmu)
    if share and pmu.counters > 1:
        chain = _overlapping(queue, pmu, graph, share)
    else:
        rows = linux_round_robin(queue, pmu)
        chain = [[event for event, on in zip(queue, row, strict=True) if on] for row in rows]
    groups: list[list[str]] = []
    for index, group in enumerate(chain):
        groups.append(group)
        following = chain[(index + 1) % len(chain)]
        if not blanket(group, graph) & blanket(following, graph):
            groups += connect(group, following, graph, pmu)
    return as_schedule(groups, events, pmu)
