"""CounterMiner's data cleaning (Lv et al., MICRO 2018): outliers by a Gumbel law, gaps by nearest neighbours.

Its full text and code were not at hand; its abstract and those who build on it give the two steps. What they leave open
(the quantile, k, what "near" means) is a setting: `PUBLISHED` is the plain reading, `TUNED` was chosen on the training
programs, in the same replay as the methods it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bayesperf.data.observations import Observations
from credence.bench.errors import InputError


@dataclass(frozen=True)
class CleaningSettings:
    """Choices of `counterminer`.

    Attributes
    ----------
    quantile : float
        Counts above this quantile of the fitted Gumbel law are outliers; 1 = none are.
    neighbours : int
        k.
    time_weight : float
        How much a distance in time of the whole run counts against one standard deviation of one event's count;
        infinity = neighbours in time only.
    distance_weighted : bool
        Weigh neighbours by 1/distance, else all alike.
    """

    quantile: float = 0.99
    neighbours: int = 5
    time_weight: float = np.inf
    distance_weighted: bool = False


PUBLISHED = CleaningSettings()
TUNED = CleaningSettings(quantile=1.0, neighbours=2, time_weight=15.0, distance_weighted=True)


def gumbel_quantile(values: np.ndarray, quantile: float) -> float:
    """Return a quantile of the Gumbel law with the mean and standard deviation of `values`."""
    scale = np.std(values, ddof=1) * np.sqrt(6) / np.pi
    return float(np.mean(values) - np.euler_gamma * scale - scale * np.log(-np.log(quantile)))


def without_outliers(counts: np.ndarray, quantile: float) -> np.ndarray:
    """Return counts [slices, events] with each event's outliers replaced by the median of its measured counts."""
    cleaned = counts.copy()
    if quantile >= 1:
        return cleaned
    for column in cleaned.T:
        seen = np.flatnonzero(~np.isnan(column))
        if seen.size > 2:
            far = column[seen] > gumbel_quantile(column[seen], quantile)
            column[seen[far]] = np.median(column[seen])
    return cleaned


def counterminer(observations: Observations, settings: CleaningSettings = PUBLISHED) -> np.ndarray:
    """Return cleaned counts with all gaps filled [slices, events].

    Parameters
    ----------
    observations : Observations
    settings : CleaningSettings

    Raises
    ------
    InputError
        For settings out of range.
    """
    if not 0 < settings.quantile <= 1:
        raise InputError(f"quantile is {settings.quantile!r}; allowed: above 0, up to 1")
    if settings.neighbours < 1 or not settings.time_weight >= 0:
        raise InputError(
            f"neighbours is {settings.neighbours!r}, time_weight {settings.time_weight!r}; allowed: from 1 and from 0"
        )
    cleaned = without_outliers(observations.mean, settings.quantile)
    weights = "distance" if settings.distance_weighted else "uniform"
    if np.isinf(settings.time_weight):
        return _near_in_time(cleaned, settings.neighbours, weights)
    return _near_in_counts(cleaned, settings, weights)


def _near_in_time(counts: np.ndarray, neighbours: int, weights: str) -> np.ndarray:
    from sklearn.neighbors import KNeighborsRegressor

    filled = np.where(np.isnan(counts), 0.0, counts)
    time = np.arange(len(counts), dtype=float)[:, None]
    for event, column in enumerate(counts.T):
        seen = ~np.isnan(column)
        if seen.any() and not seen.all():
            model = KNeighborsRegressor(min(neighbours, int(seen.sum())), weights=weights)
            filled[~seen, event] = model.fit(time[seen], column[seen]).predict(time[~seen])
    return filled


def _near_in_counts(counts: np.ndarray, settings: CleaningSettings, weights: str) -> np.ndarray:
    from sklearn.impute import KNNImputer

    seen = ~np.isnan(counts)
    number = np.maximum(seen.sum(axis=0), 1)
    centre = np.where(seen, counts, 0.0).sum(axis=0) / number
    spread = np.sqrt(np.where(seen, (counts - centre) ** 2, 0.0).sum(axis=0) / number)
    spread[spread == 0] = 1.0
    time = settings.time_weight * np.linspace(0, 1, len(counts))[:, None]
    table = np.hstack([(counts - centre) / spread, time])
    imputer = KNNImputer(n_neighbors=settings.neighbours, weights=weights, keep_empty_features=True)
    filled = imputer.fit_transform(table)[:, :-1] * spread + centre
    return np.maximum(np.where(seen.any(axis=0), filled, 0.0), 0.0)
