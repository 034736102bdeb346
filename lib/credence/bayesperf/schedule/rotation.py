"""Linux's rotation, and laying a schedule over a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from credence.bayesperf.data.pmu import Pmu
from credence.bayesperf.schedule.constraints import as_pmu, as_schedule, fits, programmable
from credence.bench.errors import InputError


def linux_round_robin(events: Sequence[str], counters: int | Pmu, step: int | None = None) -> np.ndarray:
    """Return the schedule that perf's rotation gives [period, events].

    Events stand in a queue. In every slice the counters are filled from its head, skipping what does not fit; then the
    head moves on. perf moves it by one event per timer tick; a slice is many ticks long, and the paper (figure 2)
    alternates disjoint groups, so the default moves by what was counted.

    Parameters
    ----------
    events : sequence of str
        In the user's order.
    counters : int or Pmu
    step : int or None
        Events that the head moves by; None = as many as were just counted, so that no counter is ever idle and every
        event gets its turn equally often.
    """
    pmu = as_pmu(counters, events)
    queue = programmable(events, pmu)
    if step is not None and step < 1:
        raise InputError(f"step is {step!r}; allowed: from 1")
    if not queue:
        return as_schedule([[]], events, pmu)
    groups, seen, state = [], {}, tuple(queue)
    # the queue's order is all that the future depends on: stop when it comes back
    while state not in seen:
        seen[state] = len(groups)
        group: list[str] = []
        for event in state:
            if fits(pmu, [*group, event]):
                group.append(event)
        groups.append(group)
        if step is None:
            state = (*(event for event in state if event not in group), *group)
        else:
            move = step % len(state)
            state = (*state[move:], *state[:move])
        if len(groups) > 10 * len(queue) ** 2:
            break
    return as_schedule(groups[seen.get(state, 0) :], events, pmu)


def basis_rotation(events: Sequence[str], counters: int | Pmu, basis: np.ndarray) -> np.ndarray:
    """Return Linux's rotation over as many events as the identities leave open; all others follow [period, events].

    Parameters
    ----------
    events : sequence of str
    counters : int or Pmu
    basis : array [events, rank]
        Orthonormal directions in which relative counts can move (`infer.chain.Coordinates.basis`). Events are chosen
        greedily by how far they move in directions not yet seen; fixed events cost nothing and come first.
    """
    pmu = as_pmu(counters, events)
    rows, chosen = np.array(basis, float), []
    fixed = [place for place, event in enumerate(events) if event in pmu.fixed]
    for step in range(len(fixed) + rows.shape[1]):
        size = np.linalg.norm(rows, axis=1)
        pick = fixed[step] if step < len(fixed) else int(np.argmax(size))
        if size[pick] < 1e-6:
            if step < len(fixed):
                continue
            break
        chosen.append(events[pick])
        direction = rows[pick] / size[pick]
        for _ in range(2):  # twice: rounding of the first projection
            rows = rows - np.outer(rows @ direction, direction)
    turns = linux_round_robin([event for event in chosen if event not in pmu.fixed], pmu)
    schedule = np.zeros((len(turns), len(events)), bool)
    schedule[:, [list(events).index(event) for event in chosen if event not in pmu.fixed]] = turns
    schedule[:, fixed] = True
    return schedule


def repeat(schedule: np.ndarray, slices: int, start: int = 0) -> np.ndarray:
    """Return a schedule laid over a run [slices, events], beginning with its slice `start`."""
    if slices < 0 or len(schedule) == 0:
        raise InputError(f"slices is {slices!r} and the period {len(schedule)}; allowed: from 0 and from 1")
    return schedule[(start + np.arange(slices)) % len(schedule)]
