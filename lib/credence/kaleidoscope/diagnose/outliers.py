"""Is a metric out of line among its peers? Local outlier factor with the paper's ratio, and a peer ratio."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError

RATIO = 1.5  # LOF_r (paper §V-B)
NEIGHBOURS = 10  # not given in the paper


@dataclass(frozen=True)
class Outlier:
    """One metric of one component among its peers.

    Attributes
    ----------
    value, peers : float
        The component's value and its peers' median.
    factor, largest : float
        Local outlier factor of the component, and the largest of a peer.
    lof : bool
        ``factor`` at least `RATIO` times ``largest``, and the value above the peers' median.
    peer_ratio : float
        Value over the peers' median; infinite where that is 0 and the value is not.
    """

    value: float
    peers: float
    factor: float
    largest: float
    lof: bool
    peer_ratio: float


def outlier(values, suspect: int = 0, ratio: float = RATIO, neighbours: int = NEIGHBOURS) -> Outlier:
    """Compare a component with its peers.

    Parameters
    ----------
    values : array [components]
        One metric of a homogeneous group; NaN: not known, left out.
    suspect : int
        Place of the component in question.
    ratio : float
        From which ratio of factors it is an outlier.
    neighbours : int
        Of the local outlier factor; at most half the peers, since a group that is all neighbours has nothing local.

    Returns
    -------
    Outlier
        Without two known peers, or if the component's own value is unknown, nothing is an outlier.

    Raises
    ------
    InputError
        For a place outside the group.
    """
    values = np.asarray(values, dtype=float)
    if not 0 <= suspect < len(values):
        raise InputError(f"suspect is {suspect}; allowed: 0 to {len(values) - 1}")
    own, others = values[suspect], np.delete(values, suspect)
    others = others[np.isfinite(others)]
    middle = float(np.median(others)) if others.size else float("nan")
    if others.size < 2 or not np.isfinite(own):
        return Outlier(float(own), middle, 1.0, 1.0, False, float("nan"))
    factor, largest = factors(own, others, min(neighbours, max(1, others.size // 2)))
    share = own / middle if middle else (1.0 if own == 0 else float("inf"))
    return Outlier(float(own), middle, factor, largest, bool(own > middle and factor >= ratio * largest), float(share))


def factors(own: float, others: np.ndarray, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Return the local outlier factor of a value, and the largest among the others [others]."""
    found = local_outlier_factors(np.append(own, others), max(1, min(neighbours, len(others))))
    return float(found[0]), float(found[1:].max())


def local_outlier_factors(values: np.ndarray, neighbours: int) -> np.ndarray:
    """Return the local outlier factor of every value [values] (Breunig et al., 2000)."""
    from sklearn.neighbors import LocalOutlierFactor

    with warnings.catch_warnings():
        # Equal values, such as zeros of idle servers, have no density; what differs from them is then far out, rightly.
        warnings.filterwarnings("ignore", message="Duplicate values")
        model = LocalOutlierFactor(n_neighbors=neighbours).fit(values[:, None])
    return -model.negative_outlier_factor_
