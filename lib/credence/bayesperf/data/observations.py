"""What a multiplexed run leaves behind: the one record that every estimator reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError


@dataclass(frozen=True)
class Observations:
    """Counts of the events that were on a counter, slice by slice.

    Attributes
    ----------
    events : tuple of str
    mean : array [slices, events]
        Count of the slice (the sum over its readings) as it was read; NaN where the event was on no counter.
    variance_of_mean : array [slices, events]
        Squared scale of that count in the paper's error model (section 4.2), N S²: the slice's count is
        mean + sqrt(N) S · Student(N − 1). It takes all change within a slice for error and so is an upper bound where
        the event was counted all the time. NaN where not measured.
    readings : int
        N, readings in a slice.
    sd_reading : array [slices, events]
        S, standard deviation of the N readings (N − 1 in the denominator); NaN where not measured.
    """

    events: tuple[str, ...]
    mean: np.ndarray
    variance_of_mean: np.ndarray
    readings: int
    sd_reading: np.ndarray

    def __post_init__(self):
        shape = self.mean.shape
        if len(shape) != 2 or shape[1] != len(self.events):
            raise InputError(f"mean has the shape {shape} for {len(self.events)} events; allowed: [slices, events]")
        for name in ("variance_of_mean", "sd_reading"):
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} has the shape {getattr(self, name).shape}; allowed: that of mean, {shape}")
        if self.readings < 1:
            raise InputError(f"readings is {self.readings!r}; allowed: from 1")

    @property
    def on(self) -> np.ndarray:
        """Which event was on a counter in which slice [slices, events]."""
        return ~np.isnan(self.mean)


def from_readings(events, readings: np.ndarray, on: np.ndarray) -> Observations:
    """Return the record of readings as they came off the counters.

    Parameters
    ----------
    events : sequence of str
    readings : array [slices, readings, events]
        Count of each reading; whatever stands where `on` is False is not looked at.
    on : bool array [slices, events]

    Raises
    ------
    InputError
        For shapes that do not fit, or a reading of an event that was on which is negative or not finite.
    """
    readings, on = np.asarray(readings, float), np.asarray(on, bool)
    if readings.ndim != 3 or readings.shape[2] != len(events) or on.shape != (readings.shape[0], len(events)):
        raise InputError(
            f"readings have the shape {readings.shape}, on {on.shape}, events {len(events)}; "
            "allowed: [slices, readings, events] and [slices, events]"
        )
    wrong = on & ~(np.isfinite(readings) & (readings >= 0)).all(axis=1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        found = readings[row, :, column].tolist()
        raise InputError(f"slice {row}, event {events[column]}: readings {found}; allowed: finite counts from 0")
    count = readings.shape[1]
    spread = np.where(on, readings.std(axis=1, ddof=1) if count > 1 else 0.0, np.nan)
    total = np.where(on, readings.sum(axis=1), np.nan)
    return Observations(tuple(events), total, count * spread**2, count, spread)
