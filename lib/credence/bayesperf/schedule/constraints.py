"""Which sets of events fit on the counters together, and groups of them as a schedule."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from credence.bayesperf.data.pmu import Pmu, place
from credence.bench.errors import InputError


def as_pmu(counters: int | Pmu, events: Sequence[str]) -> Pmu:
    """Return the PMU to schedule for; a number means that many counters that count anything, and none fixed.

    Raises
    ------
    InputError
        For an event listed twice, one that fits on no counter, or fewer than one counter.
    """
    pmu = counters if isinstance(counters, Pmu) else Pmu("counters", int(counters), ())
    if pmu.counters < 1:
        raise InputError(f"counters is {pmu.counters!r}; allowed: from 1")
    if len(set(events)) != len(events):
        twice = sorted({event for event in events if list(events).count(event) > 1})
        raise InputError(f"events are listed twice: {', '.join(twice)}; allowed: each once")
    for event in events:
        if not fits(pmu, [event]):
            raise InputError(f"{event} fits on none of {pmu.counters} counters of {pmu.name}; allowed: events that do")
    return pmu


def fits(pmu: Pmu, group: Collection[str]) -> bool:
    """Return whether all of `group` can be counted at the same time (section 4.1: a valid configuration)."""
    wanted = [event for event in group if event not in pmu.fixed]
    if len(wanted) > pmu.counters:
        return False
    # a matching is only needed where some event is tied to some counters
    return not any(event in pmu.constraints for event in wanted) or place(pmu, wanted) is not None


def programmable(events: Sequence[str], pmu: Pmu) -> list[str]:
    """Return the events that need a counter, in order."""
    return [event for event in events if event not in pmu.fixed]


def as_schedule(groups: Sequence[Collection[str]], events: Sequence[str], pmu: Pmu) -> np.ndarray:
    """Return groups of events as a schedule [groups, events]; fixed events are on throughout.

    Raises
    ------
    InputError
        For a group that does not fit on the counters.
    """
    column = {event: index for index, event in enumerate(events)}
    schedule = np.zeros((len(groups), len(events)), bool)
    for row, group in enumerate(groups):
        if not fits(pmu, group):
            raise InputError(
                f"group {row} ({', '.join(group)}) does not fit; allowed: what {pmu.counters} counters hold"
            )
        schedule[row, [column[event] for event in group]] = True
    schedule[:, [column[event] for event in pmu.fixed if event in column]] = True
    return schedule


def as_groups(schedule: np.ndarray, events: Sequence[str], pmu: Pmu) -> list[list[str]]:
    """Return what is on a programmable counter in each slice of a schedule.

    Raises
    ------
    InputError
        For a schedule of another shape, or a slice that does not fit on the counters.
    """
    if schedule.ndim != 2 or schedule.shape[1] != len(events) or schedule.shape[0] == 0:
        raise InputError(f"schedule has the shape {schedule.shape}; allowed: [period, {len(events)} events]")
    groups = []
    for row, on in enumerate(schedule):
        group = [event for event, is_on in zip(events, on, strict=True) if is_on and event not in pmu.fixed]
        if not fits(pmu, group):
            raise InputError(f"slice {row} counts {', '.join(group)}; allowed: what fits on {pmu.counters} counters")
        groups.append(group)
    return groups
