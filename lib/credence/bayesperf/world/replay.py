"""A real program's exact trace, read through too few counters."""

from __future__ import annotations

import numpy as np

from credence.bayesperf.data.observations import Observations, from_readings
from credence.bench.errors import InputError

__all__ = ["Observations", "distort", "replay"]


def distort(readings: np.ndarray, read_noise: float, skid: float, rng: np.random.Generator) -> np.ndarray:
    """Return exact counts as a counter shows them.

    Parameters
    ----------
    readings : array [slices, readings, events]
        Exact counts of consecutive intervals.
    read_noise : float
        Standard deviation of a reading's relative error, 0..0.5: normal, independent by reading and event, so that
        identities hold no longer. A reading never falls below 0.
    skid : float
        Largest share of an interval's count that is seen only in the next reading, 0..1. The share is uniform on
        [0, skid] (mean skid/2), independent by interval and event; counts are late, not lost, but for the last one.
    rng : numpy.random.Generator

    Returns
    -------
    array [slices, readings, events]
        The same draws whatever is on the counters, so that schedules are compared on one and the same run.
    """
    readings = np.asarray(readings, float)
    if readings.ndim != 3:
        raise InputError(f"readings have the shape {readings.shape}; allowed: [slices, readings, events]")
    if not 0 <= read_noise <= 0.5:
        raise InputError(f"read_noise is {read_noise!r}; allowed: 0 to 0.5")
    if not 0 <= skid <= 1:
        raise InputError(f"skid is {skid!r}; allowed: 0 to 1")
    series = readings.reshape(-1, readings.shape[2])
    late = series * (skid * rng.random(series.shape))
    seen = series - late
    seen[1:] += late[:-1]
    seen *= np.maximum(1.0 + read_noise * rng.standard_normal(series.shape), 0.0)
    return seen.reshape(readings.shape)


def replay(
    events,
    readings: np.ndarray,
    on: np.ndarray,
    rng: np.random.Generator,
    read_noise: float = 0.005,
    skid: float = 0.02,
) -> Observations:
    """Count a trace with a schedule.

    Parameters
    ----------
    events : sequence of str
    readings : array [slices, readings, events]
        Exact counts, as of ``data.traces.slice_counts``.
    on : bool array [slices, events]
        What was on a counter in each slice; the columns of fixed counters are True throughout.
    rng : numpy.random.Generator
    read_noise, skid : float
        See `distort`; the judged case has 0.5 % and 2 %.

    Raises
    ------
    InputError
        For shapes or values out of range.
    """
    return from_readings(events, distort(readings, read_noise, skid, rng), on)
