"""Tabulated gains: for a schedule that repeats, gains and standard deviations do not depend on the counts.

Covariances of a linear Gaussian chain depend on what is measured, not on the values, and settle into the schedule's
period. So they are computed once per run and per place in the period; a slice then costs a few small matrix products
(notes section 6: about 0.1 us for an update, below one `read` system call; the paper used an FPGA).

Against `smooth`, two things are held fixed: the run's level is taken as known, and read noise as that of a mean count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.bayesperf.infer import chain
from credence.bayesperf.infer.burst_posterior import LearnedBursts
from credence.bayesperf.infer.bursts import EventBasis
from credence.bayesperf.infer.learn import Learned
from credence.bayesperf.infer.settings import Settings
from credence.bench.errors import InputError

ROUNDS = 1000  # periods after which covariances that have not settled never will


@dataclass(frozen=True)
class Tables:
    """Gains per place in the period.

    A *channel* is what is measured and estimated in the chain's own scale: an event in relative counts (linear scale),
    a basis event in logarithms (log scale).

    Attributes
    ----------
    events : tuple of str
    measured : int array [period, most]
        Channels that are read, -1 = none.
    decay : array [states]
    gain, weight : arrays [period, states, most]
        Kalman gain, and transposed rows times the inverse covariance of the residuals.
    seen : array [period, most, rank]
        Rows of the measured channels.
    spread : array [period, channels, states]
        Rows times the predicted covariance.
    rows : array [channels, rank]
    covariance, filtered : arrays [period, channels, channels]
        Of the channels, with all slices and with past slices only.
    scale, offset : arrays [channels]
        Linear scale: ``count = scale (offset + estimate)``.
    basis : EventBasis or None
        Log scale: how counts follow from channels.
    widen : float
    """

    events: tuple[str, ...]
    measured: np.ndarray
    decay: np.ndarray
    gain: np.ndarray
    weight: np.ndarray
    seen: np.ndarray
    spread: np.ndarray
    rows: np.ndarray
    covariance: np.ndarray
    filtered: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    basis: EventBasis | None
    widen: float


def tabulate(
    learned: Learned | LearnedBursts, schedule: np.ndarray, settings: Settings, settled: float = 1e-9
) -> Tables:
    """Compute the gains of a learned chain under a schedule that repeats.

    Parameters
    ----------
    learned : Learned or LearnedBursts
        As in `Posterior.learned`.
    schedule : bool array [period, events]
        The events on counters in each slice of a period. In log scale what it measures outside the basis is not used.
    settings : Settings
    settled : float
        Change of the covariance over a period, relative to it, below which it has settled.

    Raises
    ------
    InputError
        If the schedule has no slice, or not one column per event; in log scale, if it never measures a basis event.
    """
    bursts = isinstance(learned, LearnedBursts)
    events = learned.basis.events if bursts else learned.place.events
    schedule = np.asarray(schedule, bool)
    if schedule.ndim != 2 or not len(schedule) or schedule.shape[1] != len(events):
        raise InputError(f"schedule has the shape {schedule.shape}; allowed: [period from 1, {len(events)}]")
    if bursts:
        basis = learned.basis
        blind = basis.chosen[~schedule[:, basis.chosen].any(axis=0)]
        if blind.size:
            raise InputError(
                f"the schedule never measures {events[blind[0]]}, of which the chain takes logarithms; allowed: a "
                "chain learned with sums = true from a run under this schedule"
            )
        schedule, rows = schedule[:, basis.chosen], np.eye(basis.rank)
        scale, offset = basis.scale[basis.chosen], basis.centre
        read = settings.read_noise
    else:
        basis, rows, read = None, np.ascontiguousarray(learned.place.basis), learned.read_noise
        scale, offset = learned.place.scale, learned.place.offset
    tables = _settle(learned.components, schedule, rows, read**2 + settings.noise_floor**2, settled)
    return Tables(events, *tables, scale, offset, basis, settings.widen)


def _settle(components: chain.Components, schedule, channels, noise, settled) -> tuple:
    """Run the covariances of filter and smoother round the schedule until they repeat."""
    count, rank, period = components.decays.size, channels.shape[1], len(schedule)
    states = count * rank
    decay = np.repeat(components.decays, rank)
    kept, covariance = np.outer(decay, decay), np.zeros((states, states))
    for c in range(count):
        part = slice(c * rank, (c + 1) * rank)
        covariance[part, part] = components.covariances[c]
    innovation = covariance * (1 - kept)
    rows = np.ascontiguousarray(np.tile(channels, count))
    most = max(int(schedule.sum(axis=1).max()), 1)
    measured, seen = np.full((period, most), -1), np.zeros((period, most, rank))
    gain, weight = np.zeros((period, states, most)), np.zeros((period, states, most))
    predicted = np.zeros((period, states, states))
    whole, past = np.zeros((2, period, len(rows), len(rows)))
    on = [np.flatnonzero(schedule[p]) for p in range(period)]
    for _ in range(ROUNDS):
        start = covariance
        for p in range(period):
            predicted[p] = covariance
            through = covariance @ rows[on[p]].T
            inverse = np.linalg.inv(rows[on[p]] @ through + noise * np.eye(on[p].size))
            gain[p, :, : on[p].size], weight[p, :, : on[p].size] = through @ inverse, rows[on[p]].T @ inverse
            covariance = covariance - through @ inverse @ through.T
            past[p] = rows @ covariance @ rows.T
            covariance = covariance * kept + innovation
        if np.abs(covariance - start).max() <= settled * np.abs(start).max():
            break
    back = np.zeros((states, states))
    for _ in range(ROUNDS):
        start = back
        for p in reversed(range(period)):
            keep = np.eye(states) - gain[p, :, : on[p].size] @ rows[on[p]]
            back = weight[p, :, : on[p].size] @ rows[on[p]] + keep.T @ (back * kept) @ keep
            through = rows @ predicted[p]
            whole[p] = through @ rows.T - through @ back @ through.T
        if np.abs(back - start).max() <= settled * np.abs(start).max():
            break
    for p in range(period):
        measured[p, : on[p].size], seen[p, : on[p].size] = on[p], channels[on[p]]
    spread = np.ascontiguousarray(np.einsum("cs,pst->pct", rows, predicted))
    return measured, decay, gain, weight, seen, spread, channels, whole, past


@njit(cache=True, fastmath=True)
def _filter(value, measured, decay, gain, seen, rows, states, residuals, wants, estimate):
    """Run the filter; keep what the backward pass needs, or write the estimates of past slices only."""
    slices, channels = value.shape
    period, most, rank = seen.shape
    size, total, state = decay.size, np.empty(rank), np.zeros(decay.size)
    for t in range(slices):
        p = t % period
        total[:] = 0
        for c in range(size // rank):
            for i in range(rank):
                state[c * rank + i] *= decay[c * rank + i]
                total[i] += state[c * rank + i]
        for k in range(most):
            channel, residual = measured[p, k], 0.0
            if channel >= 0:
                residual = value[t, channel]
                for i in range(rank):
                    residual -= seen[p, k, i] * total[i]
            residuals[t, k] = residual
        states[t] = state
        for i in range(size):
            add = 0.0
            for k in range(most):
                add += gain[p, i, k] * residuals[t, k]
            state[i] += add
        if wants:
            total[:] = 0
            for c in range(size // rank):
                for i in range(rank):
                    total[i] += state[c * rank + i]
            for j in range(channels):
                add = 0.0
                for i in range(rank):
                    add += rows[j, i] * total[i]
                estimate[t, j] = add


@njit(cache=True, fastmath=True)
def _smooth(decay, gain, weight, seen, spread, rows, states, residuals, estimate):
    slices, size = states.shape
    period, most, rank = seen.shape
    r, total, pull = np.zeros(size), np.empty(rank), np.empty(most)
    for t in range(slices - 1, -1, -1):
        p = t % period
        # r = H' S^-1 v + (I - K H)' F' r: the second term moves r only along the measured rows
        pull[:] = 0
        for i in range(size):
            r[i] *= decay[i]
            for k in range(most):
                pull[k] += gain[p, i, k] * r[i]
        for c in range(size // rank):
            for i in range(rank):
                s = c * rank + i
                add = 0.0
                for k in range(most):
                    add += weight[p, s, k] * residuals[t, k] - seen[p, k, i] * pull[k]
                r[s] += add
        total[:] = 0
        for c in range(size // rank):
            for i in range(rank):
                total[i] += states[t, c * rank + i]
        for j in range(rows.shape[0]):
            add = 0.0
            for i in range(rank):
                add += rows[j, i] * total[i]
            for i in range(size):
                add += spread[p, j, i] * r[i]
            estimate[t, j] = add


@njit(cache=True, fastmath=True)
def _to_counts(z, covariance, shift, centre, top, first, column, coefficient, offset, scale, mean, sd):
    """Turn logarithms of basis events into counts and standard deviations of all events (rows in compressed form)."""
    slices, rank = z.shape
    slope, part = np.empty(rank), np.empty(rank)
    least = np.log(shift)
    for t in range(slices):
        inner = covariance[t % covariance.shape[0]]
        for i in range(rank):
            slope[i] = np.exp(min(max(z[t, i] + centre[i], least), top[i]))
            part[i] = max(slope[i] - shift, 0.0)
        for e in range(offset.size):
            value, variance = offset[e], 0.0
            for a in range(first[e], first[e + 1]):
                value += coefficient[a] * part[column[a]]
                for b in range(first[e], first[e + 1]):
                    variance += (
                        coefficient[a] * coefficient[b] * slope[column[a]] * slope[column[b]]
                        * inner[column[a], column[b]]
                    )  # fmt: skip
            mean[t, e], sd[t, e] = max(value, 0.0) * scale[e], np.sqrt(max(variance, 0.0)) * scale[e]


def _check(tables: Tables, value: np.ndarray, names) -> None:
    channels = tables.measured[np.arange(len(value)) % len(tables.measured)]
    needed = np.take_along_axis(value, np.maximum(channels, 0), axis=1)
    wrong = ~np.isfinite(needed) & (channels >= 0)
    if wrong.any():
        t, k = (int(i[0]) for i in np.nonzero(wrong))
        raise InputError(f"slice {t} has no count of {names[channels[t, k]]}, which the schedule measures there")


def estimate(tables: Tables, mean: np.ndarray, online: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations [slices, events] in counts.

    Parameters
    ----------
    tables : Tables
    mean : array [slices, events]
        Measured counts; slice t must hold the events that place ``t % period`` of the schedule measures.
    online : bool
        Use past slices only (the filter), as a running monitor has to.

    Raises
    ------
    InputError
        If an event that the schedule measures in a slice has no count.
    """
    basis, slices = tables.basis, len(mean)
    if basis is None:
        value, names = mean / tables.scale - tables.offset, tables.events
    else:
        value = np.log(mean[:, basis.chosen] / tables.scale + basis.shift) - tables.offset
        names = [tables.events[i] for i in basis.chosen]
    _check(tables, value, names)
    states, residuals = np.empty((slices, tables.decay.size)), np.empty((slices, tables.measured.shape[1]))
    out = np.empty(value.shape)
    _filter(value, tables.measured, tables.decay, tables.gain, tables.seen, tables.rows, states, residuals, online, out)
    if not online:
        _smooth(
            tables.decay, tables.gain, tables.weight, tables.seen, tables.spread, tables.rows, states, residuals, out
        )
    covariance = tables.filtered if online else tables.covariance
    if basis is None:
        spread = np.sqrt(np.maximum(np.einsum("pcc->pc", covariance), 0)) * tables.scale * tables.widen
        return (out + tables.offset) * tables.scale, spread[np.arange(slices) % len(spread)]
    row, column = np.nonzero(basis.expansion)
    first = np.searchsorted(row, np.arange(len(basis.events) + 1))
    counts, sd = np.empty((2, slices, len(basis.events)))
    _to_counts(
        out, covariance * tables.widen**2, basis.shift, basis.centre, basis.centre + basis.ceiling, first, column,
        basis.expansion[row, column], basis.offset, basis.scale, counts, sd,
    )  # fmt: skip
    return counts, sd
