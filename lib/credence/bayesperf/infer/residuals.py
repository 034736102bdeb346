"""Residuals of relations in a multiplexed run, with the variance that read noise and skid give them.

Where `settings` is asked for, it is `audit.AuditSettings`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bayesperf.data.observations import Observations
from credence.bayesperf.model.relation import Relation


@dataclass(frozen=True)
class Residuals:
    """Residuals of one relation.

    Attributes
    ----------
    residual : array [slices]
    terms : array [slices, terms]
        Coefficient times count.
    weight : array [slices]
        Variance of the residual per unit of squared read noise.
    size : array [slices]
        The larger of both sides.
    floor : float
        Variance of the residual by rounding, whatever the noise.
    slices : int
        Slices with all events, also those in which none of them happened, which say nothing and are left out above.
    """

    residual: np.ndarray
    terms: np.ndarray
    weight: np.ndarray
    size: np.ndarray
    floor: float
    slices: int


def residuals_together(observations: Observations, relation: Relation, settings) -> Residuals:
    """Return the residuals of the slices in which all events of a relation were counted.

    The variance of an event's count per unit of squared read noise is the sum of its squared readings: with N readings
    of mean m and standard deviation S, ``N m² + (N - 1) S²``; skid moves a share of the first and the last reading.
    """
    columns = [observations.events.index(event) for event in relation.coefficients]
    counts = observations.mean[:, columns]
    rows = np.isfinite(counts).all(axis=1)
    counts, spread = counts[rows], np.nan_to_num(observations.sd_reading[rows][:, columns])
    factors = np.array(list(relation.coefficients.values()))
    number = observations.readings
    mean = counts / number
    squares = number * mean**2 + (number - 1) * spread**2
    late = 2 * (mean**2 + spread**2) * (settings.skid / settings.read_noise) ** 2 if number > 1 else 0.0
    weight = ((squares + late) * factors**2).sum(axis=1)
    return _residuals(relation, counts * factors, weight, factors, settings)


def residuals_over_time(observations: Observations, relation: Relation, settings) -> Residuals:
    """Return residuals with interpolated counts, about one for each turn of the schedule.

    Their noise is that of interpolation, which is not known beforehand; it is taken as a share of the counts. Slices
    are those in which the most of the relation was counted, far enough apart that no measurement is used twice.
    """
    columns = [observations.events.index(event) for event in relation.coefficients]
    counts = observations.mean[:, columns]
    factors = np.array(list(relation.coefficients.values()))
    measured = np.isfinite(counts)
    empty = np.zeros((0, len(columns)))
    if measured.sum(axis=0).min() < settings.fewest:
        return _residuals(relation, empty, np.zeros(0), factors, settings)
    slots = np.arange(len(counts))
    filled = np.stack(
        [np.interp(slots, slots[on], column[on]) for on, column in zip(measured.T, counts.T, strict=True)], axis=1
    )
    inside = (slots >= max(slots[on][0] for on in measured.T)) & (slots <= min(slots[on][-1] for on in measured.T))
    level = np.abs(factors) * filled.mean(axis=0)
    worth = np.where(inside, measured @ level, -1.0)
    gap = int(max(np.diff(slots[on]).max() for on in measured.T)) + 1
    chosen, last = [], -gap
    for slot in slots[worth >= 0.999 * worth.max()]:
        if slot >= last + gap:
            chosen.append(slot)
            last = slot
    terms = filled[chosen] * factors
    return _residuals(relation, terms, np.abs(terms).sum(axis=1) ** 2 / 4, factors, settings)


def _residuals(relation, terms, weight, factors, settings) -> Residuals:
    # a count is off by up to 1 whatever its size
    floor = 0.25 * float((factors**2).sum())
    residual = terms.sum(axis=1) - relation.constant
    size = np.maximum(np.where(terms > 0, terms, 0).sum(axis=1), -np.where(terms < 0, terms, 0).sum(axis=1))
    size = np.maximum(size, abs(relation.constant))
    some = size > 0
    return Residuals(residual[some], terms[some], weight[some], size[some], floor, len(size))
