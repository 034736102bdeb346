"""A rank-aware, A-optimal schedule: the groups that leave the least expected error, given what depends on what.

The posterior variance of a linear Gaussian chain depends on what is measured and not on the counts, so that it can be
minimised before the run. Identities enter through the basis: an event that follows from others earns nothing and is
never put on a counter. Two steps: a greedy schedule, slice by slice, then exchanges of single events that lower the
smoother's expected error. (BayesPerf section 4.1 chooses by overlap of Markov blankets, which knows nothing of sizes.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from credence.bayesperf.data.pmu import Pmu
from credence.bayesperf.schedule.constraints import as_pmu, as_schedule, fits, programmable
from credence.bayesperf.schedule.expectation import Case, expected_error
from credence.bench.errors import InputError

# Variance that counts as none, in squared relative counts.
NOTHING = 1e-9


def open_rank(basis: np.ndarray, on: np.ndarray) -> int:
    """Return how many dimensions of `expansion` [events, rank] the events `on` [events] never see."""
    seen = basis[np.asarray(on, bool)]
    return basis.shape[1] - (int(np.linalg.matrix_rank(seen, tol=1e-8)) if seen.size else 0)


def default_period(cases: Sequence[Case], pmu: Pmu) -> int:
    """Return a period long enough to see every open dimension twice [slices], at least 4.

    Longer ones let a schedule favour what pays most, but short runs then see the rest too seldom to learn its level.
    """
    fixed = np.array([event in pmu.fixed for event in cases[0].events])
    return max(4, 2 * -(-open_rank(cases[0].expansion, fixed) // pmu.counters))


def opening_group(programs: Sequence[np.ndarray], events: Sequence[str], counters: int | Pmu) -> list[str]:
    """Return what to count in the first slice of a run, where a loader's burst may hold most of an event's counts.

    What a missed burst costs is its share of the event's total. Events are taken greedily, as in `greedy`, with the
    second moments of those shares over training programs in place of a covariance: events that burst together need one
    counter between them.

    Parameters
    ----------
    programs : sequence of arrays [slices, events]
        Exact counts of training programs.
    events : sequence of str
    counters : int or Pmu
    """
    pmu = as_pmu(counters, events)
    shares = np.stack([counts[0] / np.maximum(counts.sum(axis=0), 1) for counts in programs])
    moments = shares.T @ shares / len(shares) + 1e-8 * np.eye(len(events))
    group: list[str] = []
    for event in (place for place, name in enumerate(events) if name in pmu.fixed):
        moments = moments - np.outer(moments[event], moments[event]) / moments[event, event]
        moments[event, event] += 1e-12
    while True:
        spread = np.sqrt(np.maximum(np.diag(moments), 1e-12))
        left = np.maximum(np.diag(moments) - moments**2 / spread[:, None] ** 2, 0.0)
        gain = spread.sum() - np.sqrt(left).sum(axis=1)
        order = np.argsort(-gain, kind="stable")
        pick = next(
            (e for e in order if events[e] not in [*group, *pmu.fixed] and fits(pmu, [*group, events[e]])), None
        )
        if pick is None:
            return group
        group.append(events[pick])
        moments = moments - np.outer(moments[pick], moments[pick]) / spread[pick] ** 2


class _Filter:
    """The filter's covariance for one case while a schedule grows; a class since it is state that many picks change."""

    def __init__(self, found: Case, fixed: np.ndarray, weights: np.ndarray):
        self.case, self.outputs, self.weights = found, found.outputs, weights
        self.fixed, self.covariance = np.flatnonzero(fixed), found.stationary
        self.decay = np.outer(found.transition, found.transition)
        self.innovation = self.covariance * (1 - self.decay)
        # what is known of a component still counts after k slices by decay^k, and as much looking back
        self.lasting = (1 + self.decay) / np.maximum(1 - self.decay, 0.02)

    def advance(self) -> None:
        """Move on by a slice and read the fixed counters."""
        self.covariance = self.covariance * self.decay + self.innovation
        for event in self.fixed:
            self.measure(event)

    def measure(self, event: int) -> None:
        """Take a measurement of one event into account."""
        row = self.outputs[event]
        gain = self.covariance @ row
        seen = row @ gain + self.case.noise[event]
        if seen > NOTHING:
            self.covariance = self.covariance - np.outer(gain, gain) / seen

    def gains(self) -> np.ndarray:
        """Return for each event how far measuring it would lower the sum of standard deviations, lasting effect in."""
        spread = self.covariance @ self.outputs.T
        variance = np.einsum("es,se->e", self.outputs, spread)
        # d sd = d variance / 2 sd: weighting by 1/sd turns the trace of A-optimality into the error that is judged
        weights = self.weights / np.sqrt(np.maximum(variance, 1e-4))
        worth = (self.outputs.T * weights) @ self.outputs * self.lasting
        reduced = np.einsum("se,st,te->e", spread, worth, spread)
        return np.where(variance > NOTHING, reduced / (variance + self.case.noise), 0.0)


def greedy(cases: Sequence[Case], pmu: Pmu, period: int, weights: np.ndarray) -> np.ndarray:
    """Return the schedule that takes the best event first, slice by slice [period, events].

    The filters run one period ahead, so that the start of a run does not shape the schedule.
    """
    events = cases[0].events
    fixed = np.array([event in pmu.fixed for event in events])
    filters = [_Filter(found, fixed, weights) for found in cases]
    chosen: list[list[str]] = []
    for _ in range(2 * period):
        group: list[str] = []
        for one in filters:
            one.advance()
        while len(group) < pmu.counters:
            total = sum(one.gains() for one in filters)
            order = np.argsort(-total, kind="stable")
            pick = next(
                (
                    int(e)
                    for e in order
                    if not fixed[e] and events[e] not in group and total[e] > 0 and fits(pmu, [*group, events[e]])
                ),
                None,
            )
            if pick is None:
                break
            group.append(events[pick])
            for one in filters:
                one.measure(pick)
        chosen.append(group)
    return as_schedule(chosen[period:], events, pmu)


def see_everything(schedule: np.ndarray, cases: Sequence[Case], pmu: Pmu, pinned: int = 0) -> np.ndarray:
    """Return a schedule in which every dimension is seen at least once, changing as few cells as possible.

    Otherwise the level of some event would rest on the prior alone. Events are put where the fewest are on, then in
    place of the event that is on most often; the first `pinned` slices stay as they are.
    """
    schedule, events = schedule.copy(), cases[0].events
    basis = cases[0].expansion
    fixed = np.array([event in pmu.fixed for event in events])
    for event in range(len(events)):
        missing = open_rank(basis, schedule.any(axis=0))
        if missing == 0:
            break
        with_it = schedule.any(axis=0)
        with_it[event] = True
        if open_rank(basis, with_it) < missing:
            _insert(schedule, event, fixed, basis, events, pmu, pinned)
    return schedule


def _insert(schedule, event, fixed, basis, events, pmu, pinned) -> bool:
    """Put one event into the schedule, in place; the rest must see as much as before."""
    before = open_rank(basis, schedule.any(axis=0))
    for row in pinned + np.argsort(schedule[pinned:].sum(axis=1), kind="stable"):
        group = [events[e] for e in np.flatnonzero(schedule[row] & ~fixed)]
        if fits(pmu, [*group, events[event]]):
            schedule[row, event] = True
            return True
    often = schedule.sum(axis=0)
    for out in np.argsort(-np.where(fixed, 0, often), kind="stable"):
        for row in pinned + np.flatnonzero(schedule[pinned:, out]):
            group = [events[e] for e in np.flatnonzero(schedule[row] & ~fixed) if e != out]
            if fixed[out] or not fits(pmu, [*group, events[event]]):
                continue
            schedule[row, out], schedule[row, event] = False, True
            if open_rank(basis, schedule.any(axis=0)) < before:
                return True
            schedule[row, out], schedule[row, event] = True, False
    return False


def improve(
    schedule: np.ndarray,
    cases: Sequence[Case],
    pmu: Pmu,
    weights: np.ndarray,
    tries: int,
    rng: np.random.Generator,
    pinned: int = 0,
) -> np.ndarray:
    """Return the schedule after `tries` random exchanges of one event, each kept if the expected error falls.

    The first `pinned` slices stay as they are.
    """
    events, basis = cases[0].events, cases[0].expansion
    fixed = np.array([event in pmu.fixed for event in events])
    best = weights @ expected_error(cases, schedule)
    blind = open_rank(basis, schedule.any(axis=0))
    for _ in range(tries):
        row = int(rng.integers(pinned, len(schedule)))
        on, off = np.flatnonzero(schedule[row] & ~fixed), np.flatnonzero(~schedule[row] & ~fixed)
        if on.size == 0 or off.size == 0:
            continue
        out, into = rng.choice(on), rng.choice(off)
        trial = schedule.copy()
        trial[row, out], trial[row, into] = False, True
        group = [events[e] for e in np.flatnonzero(trial[row] & ~fixed)]
        if not fits(pmu, group) or open_rank(basis, trial.any(axis=0)) > blind:
            continue
        error = weights @ expected_error(cases, trial)
        if error < best * (1 - 1e-9):
            schedule, best = trial, error
    return schedule


def a_optimal(
    cases: Case | Sequence[Case],
    counters: int | Pmu,
    period: int | None = None,
    tries: int = 0,
    rng: np.random.Generator | None = None,
    opening: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the schedule with the least expected error over the cases [period, events].

    Parameters
    ----------
    cases : Case or sequence of Case
        What programs may be like, with the same events: from the training programs, or from a first pass of this one.
    counters : int or Pmu
    period : int or None
        Slices; None = `default_period`.
    tries : int
        Exchanges tried after the greedy step.
    rng : numpy.random.Generator
        Needed when `tries` is above 0.
    opening : sequence of str or None
        What the first slice counts, as of `opening_group`; it comes round again with the period. None = as any other.

    Raises
    ------
    InputError
        For cases with different events, or a period that is not positive.
    """
    several = [cases] if isinstance(cases, Case) else list(cases)
    if not several or any(found.events != several[0].events for found in several):
        raise InputError(f"{len(several)} cases; allowed: at least one, all with the same events")
    events = several[0].events
    pmu = as_pmu(counters, events)
    period = default_period(several, pmu) if period is None else period
    if period < 1 or tries < 0 or (tries and rng is None):
        raise InputError(f"period is {period!r}, tries {tries!r}; allowed: from 1, from 0 (with a generator above 0)")
    wanted = programmable(events, pmu)
    if fits(pmu, wanted):
        return as_schedule([wanted], events, pmu)
    weights = np.array([event not in pmu.fixed for event in events], float)
    weights /= weights.sum()
    schedule, pinned = greedy(several, pmu, period, weights), 0
    if opening is not None and period > 1:
        schedule[0], pinned = as_schedule([opening], events, pmu)[0], 1
    schedule = see_everything(schedule, several, pmu, pinned)
    return improve(schedule, several, pmu, weights, tries, rng, pinned) if tries else schedule
