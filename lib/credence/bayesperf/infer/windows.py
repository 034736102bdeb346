"""From a run to a window, and the fast path on a window: one set of matrices for NUTS and for Kalman."""

from __future__ import annotations

import numpy as np

from credence.bayesperf.infer import chain, kalman, sites
from credence.bayesperf.infer.learn import Learned
from credence.bayesperf.infer.mixture import mixture
from credence.bayesperf.infer.posterior import below_sites, order_rows, student_noise
from credence.bayesperf.infer.propagation import StudentCells, propagate
from credence.bayesperf.infer.settings import Settings
from credence.bayesperf.model.window import Window
from credence.bench.errors import InputError

NOISES = ("normal", "student")


def window_of(
    learned: Learned,
    observations,
    first: int = 0,
    slices: int | None = None,
    settings: Settings | None = None,
    noise: str = "normal",
    relations=(),
    nonnegative: bool = False,
    margin: float = 0.01,
) -> Window:
    """Cut a window out of a run.

    Parameters
    ----------
    learned : Learned
        Chain of the run: coordinates, and the covariances that maximise the marginal likelihood.
    observations : Observations
        Of the whole run.
    first : int
        First slice of the window.
    slices : int or None
        Its length; None = to the end of the run.
    settings : Settings, optional
    noise : str
        ``"normal"``: the fast path's read noise. ``"student"``: the paper's error model (section 4.2) with
        ``N - 1`` degrees of freedom; its scale, ``sqrt(N) S`` for the count of a slice, is that of the readings.
    relations : sequence of Relation
        Inequalities (kind "le") between counts; exact identities are in `learned` already.
    nonnegative : bool
        Add ``count >= 0`` for every event.
    margin : float
        See `Window`, relative to the largest term of the inequality.

    Returns
    -------
    Window
        Its coordinates are turned so that direction 0 is the one in which the run moves most.

    Raises
    ------
    InputError
        For slices outside the run, another noise, or too few readings for the paper's error model.
    """
    settings, place = settings or Settings(), learned.place
    mean = np.asarray(observations.mean, float)
    slices = len(mean) - first if slices is None else slices
    if first < 0 or slices < 1 or first + slices > len(mean):
        raise InputError(f"slices {first} to {first + slices - 1}; allowed: within 0 to {len(mean) - 1}")
    if noise not in NOISES:
        raise InputError(f"noise is {noise!r}; allowed: {', '.join(NOISES)}")
    slot, event = sites.cells(mean[first : first + slices])
    value = mean[first + slot, event]
    if noise == "student":
        spread, degrees = student_noise(observations, first + slot, event, place.scale, settings)
    else:
        variance = sites.read_variance(value, place.scale[event], learned.read_noise, settings.noise_floor)
        spread, degrees = np.sqrt(variance), None
    below_rows, bound = order_rows(relations, place.events, place.scale, nonnegative)
    volatility = None if learned.volatility is None else learned.volatility[first : first + slices]
    total = learned.components.covariances.sum(axis=0)
    _, turn = np.linalg.eigh(total)
    turn = turn[:, ::-1]
    return Window(
        events=place.events,
        slices=slices,
        scale=place.scale,
        offset=place.offset,
        basis=place.basis @ turn,
        decays=np.asarray(learned.components.decays, float),
        covariances=np.stack([turn.T @ c @ turn for c in learned.components.covariances]),
        level=turn.T @ learned.components.level @ turn,
        slot=slot,
        event=event,
        value=value / place.scale[event],
        spread=spread,
        degrees=degrees,
        below_rows=below_rows,
        bound=bound,
        margin=margin,
        volatility=volatility,
    )


def _parts(window: Window) -> tuple:
    """Return dynamics, rows of all events, Gaussian blocks, Student-t cells and inequalities of a window."""
    components = chain.Components(window.decays, window.covariances, window.level)
    moving, count = chain.dynamics(components, window.volatility), len(window.decays)
    basis = chain.design(window.basis, count)
    value = window.value - window.offset[window.event]
    blocks, student, below = [], None, None
    if window.degrees is None:
        blocks.append((basis, window.slot, window.event, value, window.spread**2))
    else:
        student = StudentCells(basis, window.slot, window.event, value, window.spread, window.degrees)
    if len(window.soft_rows):
        held = np.arange(len(window.soft_rows))
        target = window.soft_value - window.soft_rows @ window.offset
        slot, row = np.repeat(np.arange(window.slices), len(held)), np.tile(held, window.slices)
        design = chain.design(window.soft_rows @ window.basis, count)
        blocks.append((design, slot, row, target[row], np.full(row.size, window.softness**2)))
    if len(window.below_rows):
        below = below_sites(window.below_rows, window.bound, window.basis, window.offset, count)
    return moving, basis, tuple(blocks), student, below


def fast(window: Window, sweeps: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return the posterior of a window by the fast path.

    Kalman smoothing where everything is Gaussian, expectation propagation where it is not.

    Parameters
    ----------
    window : Window
    sweeps : int
        Most sweeps of expectation propagation.

    Returns
    -------
    mean, sd : arrays [slices, events]
        Counts per slice.
    """
    moving, basis, blocks, student, below = _parts(window)
    if student is None and below is None:
        together, _ = sites.join(window.slices, *blocks)
        done = kalman.run(moving, together, window.slices, basis)
    else:
        done = propagate(moving, window.slices, blocks, basis, student, below, sweeps)
    return (done.mean + window.offset) * window.scale, np.sqrt(done.variance) * window.scale


def by_mixture(window: Window, rng: np.random.Generator, rounds: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd [slices, events] of a window with Student-t noise by `mixture`: slower than `fast`, and exact.

    Raises
    ------
    InputError
        For a window with normal noise or with inequalities.
    """
    moving, basis, blocks, student, below = _parts(window)
    if student is None or below is not None:
        raise InputError("the window has normal noise or inequalities; allowed: Student-t noise, no inequalities")
    mean, variance = mixture(moving, window.slices, blocks, basis, student, rng, rounds)
    return (mean + window.offset) * window.scale, np.sqrt(variance) * window.scale
