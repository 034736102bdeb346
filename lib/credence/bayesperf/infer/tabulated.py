"""Tabulated gains: for a schedule that repeats, gains and standard deviations do not depend on the counts.

Covariances of a linear Gaussian chain depend on what is measured, not on the values, and settle into the schedule's
period. So they are computed once per run and per place in the period; a slice then costs a few small matrix products
(notes section 6: about 0.1 us for an update, below one `read` system call; the paper used an FPGA).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.bayesperf.infer import chain
from credence.bayesperf.infer.learn import Learned
from credence.bayesperf.infer.settings import Settings
from credence.bench.errors import InputError

# The run's level is a constant; a table that holds for every slice lets it drift, this share of it kept per slice.
LEVEL_DECAY = 0.999


@dataclass(frozen=True)
class Tables:
    """Gains per place in the period.

    Attributes
    ----------
    events : tuple of str
    measured : int array [period, most]
        Events on counters, -1 = none.
    decay : array [states]
    gain, weight : arrays [period, states, most]
        Kalman gain, and transposed design times the inverse covariance of the measured residuals.
    seen : array [period, most, rank]
        Rows of the measured events.
    spread : array [period, events, states]
        Output rows times the predicted covariance.
    rows : array [events, rank]
    sd, filtered_sd : arrays [period, events]
        In counts, with all slices and with past slices only.
    scale, offset : arrays [events]
    """

    events: tuple[str, ...]
    measured: np.ndarray
    decay: np.ndarray
    gain: np.ndarray
    weight: np.ndarray
    seen: np.ndarray
    spread: np.ndarray
    rows: np.ndarray
    sd: np.ndarray
    filtered_sd: np.ndarray
    scale: np.ndarray
    offset: np.ndarray


def tabulate(learned: Learned, schedule: np.ndarray, settings: Settings, settled: float = 1e-10) -> Tables:
    """Compute the gains of a learned chain under a schedule that repeats.

    Parameters
    ----------
    learned : Learned
    schedule : bool array [period, events]
        The events on counters in each slice of a period.
    settings : Settings
    settled : float
        Change of the covariance over a period, relative to it, below which it has settled.

    Raises
    ------
    InputError
        If the schedule has no slice, or not one column per event.
    """
    place, schedule = learned.place, np.asarray(schedule, bool)
    if schedule.ndim != 2 or not len(schedule) or schedule.shape[1] != len(place.events):
        raise InputError(f"schedule has the shape {schedule.shape}; allowed: [period from 1, {len(place.events)}]")
    whole = chain.dynamics(learned.components)
    rank, states, period = place.rank, whole.start_mean.size, len(schedule)
    decay, innovation = whole.transition.copy(), whole.innovation.copy()
    decay[-rank:] = LEVEL_DECAY
    innovation[-rank:, -rank:] = learned.components.level * (1 - LEVEL_DECAY**2)
    rows = chain.design(place.basis, learned.components.decays.size)
    most = max(int(schedule.sum(axis=1).max()), 1)
    measured = np.full((period, most), -1)
    gain, weight = np.zeros((period, states, most)), np.zeros((period, states, most))
    seen, predicted = np.zeros((period, most, rank)), np.zeros((period, states, states))
    sd, filtered_sd = np.zeros((period, len(rows))), np.zeros((period, len(rows)))
    noise = learned.read_noise**2 + settings.noise_floor**2
    covariance = whole.start_covariance
    for _ in range(2000):
        start = covariance
        for p in range(period):
            on = np.flatnonzero(schedule[p])
            predicted[p] = covariance
            through = covariance @ rows[on].T
            inverse = np.linalg.inv(rows[on] @ through + noise * np.eye(on.size))
            measured[p, : on.size] = on
            gain[p, :, : on.size], weight[p, :, : on.size] = through @ inverse, rows[on].T @ inverse
            seen[p, : on.size] = place.basis[on]
            covariance = covariance - through @ inverse @ through.T
            filtered_sd[p] = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", rows, covariance, rows), 0))
            covariance = covariance * np.outer(decay, decay) + innovation
        if np.abs(covariance - start).max() <= settled * np.abs(start).max():
            break
    back = np.zeros((states, states))
    for _ in range(2000):
        start = back
        for p in reversed(range(period)):
            on = np.flatnonzero(schedule[p])
            keep = np.eye(states) - gain[p, :, : on.size] @ rows[on]
            back = weight[p, :, : on.size] @ rows[on] + keep.T @ (back * np.outer(decay, decay)) @ keep
            through = rows @ predicted[p]
            variance = np.einsum("ni,ni->n", through, rows) - np.einsum("ni,ij,nj->n", through, back, through)
            sd[p] = np.sqrt(np.maximum(variance, 0))
        if np.abs(back - start).max() <= settled * np.abs(start).max():
            break
    spread = np.ascontiguousarray(np.einsum("ns,pst->pnt", rows, predicted))
    factor = place.scale * settings.widen
    return Tables(
        place.events, measured, decay, gain, weight, seen, spread, np.ascontiguousarray(place.basis),
        sd * factor, filtered_sd * factor, place.scale, place.offset,
    )  # fmt: skip


@njit(cache=True, fastmath=True)
def _filter(mean, measured, decay, gain, seen, rows, scale, offset, states, residuals, wants, estimate):
    """Run the filter; keep what the backward pass needs, or write the estimates of past slices only."""
    slices, events = mean.shape
    period, most, rank = seen.shape
    size, total, state = decay.size, np.empty(rank), np.zeros(decay.size)
    for t in range(slices):
        p = t % period
        total[:] = 0
        for i in range(size):
            state[i] *= decay[i]
            total[i % rank] += state[i]
        for k in range(most):
            e = measured[p, k]
            residuals[t, k] = 0.0
            if e >= 0:
                predicted = offset[e]
                for i in range(rank):
                    predicted += seen[p, k, i] * total[i]
                residuals[t, k] = mean[t, e] / scale[e] - predicted
        states[t] = state
        for i in range(size):
            add = 0.0
            for k in range(most):
                add += gain[p, i, k] * residuals[t, k]
            state[i] += add
        if wants:
            total[:] = 0
            for i in range(size):
                total[i % rank] += state[i]
            for e in range(events):
                value = offset[e]
                for i in range(rank):
                    value += rows[e, i] * total[i]
                estimate[t, e] = value * scale[e]


@njit(cache=True, fastmath=True)
def _smooth(measured, decay, gain, weight, seen, spread, rows, scale, offset, states, residuals, estimate):
    slices, size = states.shape
    period, most, rank = seen.shape
    r, total, pull = np.zeros(size), np.empty(rank), np.empty(most)
    for t in range(slices - 1, -1, -1):
        p = t % period
        for i in range(size):
            r[i] *= decay[i]
        # r = H' S^-1 v + (I - K H)' r: the second term moves r only along the measured rows
        pull[:] = 0
        for i in range(size):
            for k in range(most):
                pull[k] += gain[p, i, k] * r[i]
        for i in range(size):
            add = 0.0
            for k in range(most):
                add += weight[p, i, k] * residuals[t, k] - seen[p, k, i % rank] * pull[k]
            r[i] += add
        total[:] = 0
        for i in range(size):
            total[i % rank] += states[t, i]
        for e in range(rows.shape[0]):
            value = offset[e]
            for i in range(rank):
                value += rows[e, i] * total[i]
            for i in range(size):
                value += spread[p, e, i] * r[i]
            estimate[t, e] = value * scale[e]


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
    period = len(tables.measured)
    slot = np.arange(len(mean)) % period
    events = tables.measured[slot]
    needed = np.take_along_axis(mean, np.maximum(events, 0), axis=1)
    if np.isnan(needed[events >= 0]).any():
        t, k = (int(i[0]) for i in np.nonzero(np.isnan(needed) & (events >= 0)))
        raise InputError(f"slice {t} has no count of {tables.events[events[t, k]]}, which the schedule measures there")
    states, residuals = np.empty((len(mean), tables.decay.size)), np.empty(events.shape)
    out = np.empty(mean.shape)
    shared = tables.rows, tables.scale, tables.offset, states, residuals
    _filter(mean, tables.measured, tables.decay, tables.gain, tables.seen, *shared, online, out)
    if not online:
        _smooth(tables.measured, tables.decay, tables.gain, tables.weight, tables.seen, tables.spread, *shared, out)
    return out, (tables.filtered_sd if online else tables.sd)[slot]
