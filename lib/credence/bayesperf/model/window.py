"""A window of slices as one Gaussian model: the matrices that NUTS and the fast path have in common.

In a slice the counts are ``x = scale * u``, ``u = offset + basis z``: relative counts in the coordinates that exact
identities leave open (there are as many as the rank). In time, z is a level of the run plus a sum of stationary
first-order autoregressions, each with a decay per slice and a covariance of its own. A measured cell is
``value = u + spread * e`` with e normal, or Student-t with N - 1 degrees of freedom as in the paper (section 4.2: the
count of an interval lies at ``mean + S / sqrt(N) * Student(N - 1)``). Everything that anyone computes about a window is
computed from this record, so that a difference between two computations is a difference of method.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from credence.bench.errors import InputError

# Added to the diagonal of a covariance before it is factorised, as a share of its mean: rounding, nothing else.
JITTER = 1e-10


def _none(columns: int = 0) -> np.ndarray:
    return np.zeros((0, columns) if columns else 0)


@dataclass(frozen=True)
class Window:
    """The exact model of a window.

    Attributes
    ----------
    events : tuple of str
    slices : int
    scale : array [events]
        Counts per slice that a relative count of 1 stands for.
    offset : array [events]
        Relative counts at z = 0.
    basis : array [events, rank]
        Directions in which relative counts can move.
    decays : array [components]
        Share of a deviation left after one slice, in [0, 1).
    covariances : array [components, rank, rank]
        Stationary covariance of each component.
    level : array [rank, rank]
        Covariance of the level, the same in all slices.
    slot, event : int arrays [cells]
        Slice and event of each measured cell.
    value : array [cells]
        Measured relative counts.
    spread : array [cells]
        Scale of the noise of each, in relative counts.
    degrees : float or None
        Degrees of freedom of the Student-t; None = normal.
    soft_rows, soft_value : arrays [soft, events], [soft]
        Identities that hold within `softness` in every slice: ``soft_rows u = soft_value``.
    softness : float
    below_rows, bound : arrays [inequalities, events], [inequalities]
        ``below_rows u <= bound`` in every slice, within `margin`.
    margin : float
        Standard deviation of the smoothed step: 0 would be exact, but has no gradient.
    volatility : array [slices, components] or None
        Factor on the innovation of each component that leads into a slice.
    """

    events: tuple[str, ...]
    slices: int
    scale: np.ndarray
    offset: np.ndarray
    basis: np.ndarray
    decays: np.ndarray
    covariances: np.ndarray
    level: np.ndarray
    slot: np.ndarray
    event: np.ndarray
    value: np.ndarray
    spread: np.ndarray
    degrees: float | None = None
    soft_rows: np.ndarray = field(default_factory=_none)
    soft_value: np.ndarray = field(default_factory=_none)
    softness: float = 0.01
    below_rows: np.ndarray = field(default_factory=_none)
    bound: np.ndarray = field(default_factory=_none)
    margin: float = 0.01
    volatility: np.ndarray | None = None

    def __post_init__(self):
        events, rank, parts = len(self.events), self.basis.shape[1], len(self.decays)
        for name in ("soft_rows", "below_rows"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), float).reshape(-1, events))
        allowed = {
            "scale": (events,), "offset": (events,), "basis": (events, rank), "covariances": (parts, rank, rank),
            "level": (rank, rank), "event": self.slot.shape, "value": self.slot.shape, "spread": self.slot.shape,
            "soft_value": (len(self.soft_rows),), "bound": (len(self.below_rows),),
        }  # fmt: skip
        for name, shape in allowed.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} has the shape {getattr(self, name).shape}; allowed: {shape}")
        if self.volatility is not None and self.volatility.shape != (self.slices, parts):
            raise InputError(f"volatility has the shape {self.volatility.shape}; allowed: {(self.slices, parts)}")
        if not np.all(np.isfinite(self.value)) or not np.all(self.spread > 0):
            k = int(np.flatnonzero(~np.isfinite(self.value) | ~(self.spread > 0))[0])
            raise InputError(
                f"slice {self.slot[k]}, {self.events[self.event[k]]}: value {self.value[k]}, spread {self.spread[k]}; "
                "allowed: finite values, spreads above 0"
            )

    @property
    def rank(self) -> int:
        """Number of directions that the exact identities leave open."""
        return self.basis.shape[1]

    @property
    def design(self) -> np.ndarray:
        """The measured cells as rows over all coordinates [cells, slices * rank]."""
        rows = np.zeros((len(self.slot), self.slices, self.rank))
        rows[np.arange(len(self.slot)), self.slot] = self.basis[self.event]
        return rows.reshape(len(self.slot), -1)

    def counts(self, coordinates: np.ndarray) -> np.ndarray:
        """Return counts [..., slices, events] at coordinates [..., slices * rank]."""
        parts = np.asarray(coordinates).reshape(*np.shape(coordinates)[:-1], self.slices, self.rank)
        return (self.offset + parts @ self.basis.T) * self.scale


def time_kernels(window: Window) -> np.ndarray:
    """Return the correlation in time of each component [components, slices, slices].

    A component starts stationary, with variance 1; with a volatility g its variance then follows
    ``p_t = d^2 p_(t-1) + g_t^2 (1 - d^2)``, and two slices share ``d^(t-s) p_s``.
    """
    steps = np.arange(window.slices)
    factor = np.ones((window.slices, len(window.decays))) if window.volatility is None else window.volatility
    out = np.empty((len(window.decays), window.slices, window.slices))
    for c, decay in enumerate(window.decays):
        power = np.ones(window.slices)
        for t in range(1, window.slices):
            power[t] = decay**2 * power[t - 1] + factor[t, c] ** 2 * (1 - decay**2)
        apart = np.abs(steps[:, None] - steps)
        out[c] = np.power(float(decay), apart) * power[np.minimum(steps[:, None], steps)]
    return out


def prior_covariance(window: Window) -> np.ndarray:
    """Return the covariance of all coordinates before anything is measured [slices * rank, slices * rank]."""
    total = np.kron(np.ones((window.slices, window.slices)), window.level)
    for kernel, covariance in zip(time_kernels(window), window.covariances, strict=True):
        total += np.kron(kernel, covariance)
    return (total + total.T) / 2


def root(covariance: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factor of a covariance."""
    return np.linalg.cholesky(covariance + JITTER * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))


def _condition(mean, covariance, rows, value, variance):
    through = covariance @ rows.T
    inner = cho_factor(rows @ through + np.diag(variance), lower=True)
    mean = mean + through @ cho_solve(inner, value - rows @ mean)
    covariance = covariance - through @ cho_solve(inner, through.T)
    return mean, (covariance + covariance.T) / 2


def gaussian(window: Window, reweights: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Condition the joint Gaussian of all coordinates, densely and in one go.

    With normal noise and no inequality this is the exact posterior. Student-t noise is replaced by normal noise with
    the expected precision of its scale mixture, found by a few reweightings; inequalities are left out. What results is
    where NUTS starts and how it stretches its axes.

    Parameters
    ----------
    window : Window
    reweights : int
        Rounds of reweighting (only with Student-t noise).

    Returns
    -------
    mean : array [slices * rank]
    covariance : array [slices * rank, slices * rank]
    """
    start = np.zeros(window.slices * window.rank), prior_covariance(window)
    if len(window.soft_rows):
        rows = np.kron(np.eye(window.slices), window.soft_rows @ window.basis)
        value = np.tile(window.soft_value - window.soft_rows @ window.offset, window.slices)
        start = _condition(*start, rows, value, np.full(len(value), window.softness**2))
    if not len(window.slot):
        return start
    rows, value = window.design, window.value - window.offset[window.event]
    variance = window.spread**2
    if window.degrees is None:
        return _condition(*start, rows, value, variance)
    weight = np.full(len(value), 0.5)
    for _ in range(max(reweights, 1)):
        mean, covariance = _condition(*start, rows, value, variance / weight)
        gap = (value - rows @ mean) ** 2 + np.einsum("ki,ij,kj->k", rows, covariance, rows)
        weight = (window.degrees + 1) / (window.degrees + gap / variance)
    return _condition(*start, rows, value, variance / weight)


def simulate(window: Window, rng: np.random.Generator, amplitude=None, noise: float = 1.0):
    """Draw a program from the window's prior, and what its measured cells would have read.

    Parameters
    ----------
    window : Window
        Its `value` is not looked at. Soft identities and inequalities are not imposed.
    rng : numpy.random.Generator
    amplitude : array [rank] or None
        Factor on the prior standard deviation of each direction (None = 1).
    noise : float
        Factor on the spread.

    Returns
    -------
    coordinates : array [slices * rank]
    window : Window
        With values in place of those that were measured.
    """
    factor = np.ones(window.rank) if amplitude is None else np.asarray(amplitude, float)
    coordinates = np.tile(factor, window.slices) * (
        root(prior_covariance(window)) @ rng.standard_normal(window.slices * window.rank)
    )
    cells = len(window.slot)
    error = rng.standard_normal(cells) if window.degrees is None else rng.standard_t(window.degrees, cells)
    value = window.offset[window.event] + window.design @ coordinates + noise * window.spread * error
    return coordinates, replace(window, value=value)
