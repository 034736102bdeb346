"""A schedule for auditing relations: the events of each relation are on the counters together, as often as can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from credence.bayesperf.data.pmu import Pmu
from credence.bayesperf.model.relation import Relation
from credence.bayesperf.schedule.constraints import as_pmu, as_schedule, fits, programmable


def audit_rotation(
    events: Sequence[str], counters: int | Pmu, relations: Sequence[Relation]
) -> tuple[np.ndarray, tuple[Relation, ...]]:
    """Return a schedule [period, events] that counts every relation as a whole, and the relations that it cannot.

    Relations are put into groups, the largest first, each into the group that needs the fewest counters more; then free
    counters are filled with relations that were seen least for their size, and last with events in no relation; those
    that find no free counter are not counted.

    Parameters
    ----------
    events : sequence of str
    counters : int or Pmu
    relations : sequence of Relation
        Those with unlisted events, or with more events than fit at once, are returned.
    """
    pmu = as_pmu(counters, events)
    wanted = programmable(events, pmu)
    needs = {
        number: frozenset(event for event in relation.events if event not in pmu.fixed)
        for number, relation in enumerate(relations)
        if set(relation.events) <= set(events)
    }
    needs = {number: need for number, need in needs.items() if fits(pmu, need)}
    groups: list[set[str]] = []
    for number in sorted(needs, key=lambda n: -len(needs[n])):
        open_groups = [group for group in groups if fits(pmu, group | needs[number])]
        if open_groups:
            best = min(open_groups, key=lambda group: len(needs[number] - group))
            best |= needs[number]
        else:
            groups.append(set(needs[number]))
    for group in groups:
        _fill(group, groups, needs, pmu)
    for event in wanted:
        group = next((group for group in groups if fits(pmu, group | {event})), None)
        if group is not None and not any(event in other for other in groups):
            group.add(event)
    order = {event: place for place, event in enumerate(events)}
    found = as_schedule([sorted(group, key=order.__getitem__) for group in groups or [set()]], events, pmu)
    return found, tuple(relation for number, relation in enumerate(relations) if number not in needs)


def _fill(group: set[str], groups: list[set[str]], needs: dict[int, frozenset[str]], pmu: Pmu) -> None:
    while True:
        more = [n for n, need in needs.items() if not need <= group and fits(pmu, group | need)]
        if not more:
            return
        seen = {n: sum(needs[n] <= other for other in groups) for n in more}
        group |= needs[max(more, key=lambda n: (len(needs[n]) / max(seen[n], 1), -len(needs[n] - group)))]
