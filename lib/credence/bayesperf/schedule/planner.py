"""What can be known before anything is measured: the rank, what is exact, the groups to count, the error to expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from credence.bayesperf.data import traces
from credence.bayesperf.data.pmu import Pmu, pmu
from credence.bayesperf.infer import Settings, trained_prior
from credence.bayesperf.infer.learn import plain_prior
from credence.bayesperf.model.relations import determined, eliminated, known_relations, matrix, rank
from credence.bayesperf.schedule.constraints import as_groups, as_pmu
from credence.bayesperf.schedule.expectation import case, coordinates, expected_error
from credence.bayesperf.schedule.rotation import basis_rotation
from credence.bench.errors import InputError, choose

NO_TRAINING = "no programs were traced on this CPU: every event is taken to vary by half, half of it in common"


@dataclass(frozen=True)
class Plan:
    """What to count, and what to expect of it.

    Attributes
    ----------
    cpu : str
    counters : int
    fixed : tuple of str
        Listed events that are always counted.
    rank : int
        Counts a slice that the relations leave open, beside the fixed ones: with as many counters all is known.
    identities : tuple of str
        What the relations say about the listed events, as text.
    exact : tuple of str
        Events that are known in every slice but for the noise of reading.
    groups : tuple of tuple of str
        Programmable events to count together, one slice after another, then from the start.
    expected_error : dict of str to float
        Mean absolute error of each event's count of a slice, in shares of its mean.
    basis : str
        What the expected errors rest on.
    """

    cpu: str
    counters: int
    fixed: tuple[str, ...]
    rank: int
    identities: tuple[str, ...]
    exact: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    expected_error: dict[str, float]
    basis: str


def plan(events: Sequence[str], counters: int | None = None, cpu: str = "qemu-x86", relations=None) -> Plan:
    """Plan a run.

    Parameters
    ----------
    events : sequence of str
        What is to be known; the CPU's fixed events come along where its relations know them.
    counters : int or None
        Programmable counters; None = the CPU's own number.
    cpu : str
        Of `data.pmu.pmus`; "" = counters that count anything, none fixed.
    relations : sequence of Relation or None
        Instead of those known of the CPU.

    Raises
    ------
    InputError
        For no event, one listed twice or unknown, or an unknown CPU.
    """
    unit = pmu(cpu, counters) if cpu else Pmu("", counters or 4, ())
    known = (known_relations(cpu) if cpu else ()) if relations is None else relations
    related = {event for relation in known for event in relation.coefficients}
    asked = list(events)
    if not asked:
        raise InputError("no events to plan for; allowed: one or more")
    if unit.events:
        for event in asked:
            choose(event, (*unit.fixed, *unit.events), f"event of {cpu}")
    listed = tuple([event for event in unit.fixed if event in related or event in asked])
    listed += tuple(event for event in asked if event not in unit.fixed)
    unit = as_pmu(unit, listed)
    consequences = tuple(eliminated(known, listed))
    table = matrix(consequences, listed, "eq")
    scale, prior, basis = _imagined(cpu, listed)
    place = coordinates(listed, consequences, scale)
    schedule = basis_rotation(listed, unit, place.basis)
    groups = as_groups(schedule, listed, unit)
    exact = np.logical_and.reduce([determined(table, row) for row in schedule])
    found = case(prior.restricted(listed), listed, consequences, scale, prior.decays)
    error = expected_error(found, schedule)
    fixed = tuple(event for event in listed if event in unit.fixed)
    free = np.array([event in fixed for event in listed])
    seen_by_fixed = rank(place.basis[free]) if free.any() else 0
    return Plan(
        cpu,
        unit.counters,
        fixed,
        place.rank - seen_by_fixed,
        tuple(relation.expression for relation in consequences if relation.kind == "eq"),
        tuple(event for event, known_always in zip(listed, exact, strict=True) if known_always),
        tuple(tuple(group) for group in groups),
        {event: float(value) for event, value in zip(listed, error, strict=True)},
        basis,
    )


def _imagined(cpu: str, events: tuple[str, ...]):
    """Return mean counts [events], a prior and where they come from."""
    if cpu not in traces.machines():
        return np.ones(len(events)), plain_prior(events, Settings()), NO_TRAINING
    means = [
        traces.slice_counts(traces.trace(cpu, name), events).sum(axis=1).mean(axis=0)
        for name in traces.programs(cpu, "train")
    ]
    scale = np.exp(np.mean([np.log(np.maximum(mean, 1e-3)) for mean in means], axis=0))
    prior = trained_prior(cpu, events)
    return scale, prior, f"the training programs: {prior.source} ({traces.LABEL})"
