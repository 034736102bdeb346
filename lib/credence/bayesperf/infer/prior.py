"""The prior on covariances: what programs have in common, learned from exact counts of the training programs.

Moments suffice, because there every count of every slice is known: the autocovariance of relative counts at lag l is
``sum over components of V * decay^l``, so that the V are a least-squares fit over a few lags, made positive
semidefinite. Programs differ in how much an event varies, less in what varies together, so correlations are averaged
and variations are taken in the geometric mean; a run then brings its own variations (`learn.start`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from credence.bayesperf.data import traces
from credence.bayesperf.infer.learn import Prior
from credence.bayesperf.infer.settings import Settings
from credence.bench.errors import InputError

LAGS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # slices


def positive(matrix: np.ndarray) -> np.ndarray:
    """Return the nearest positive semidefinite matrix (in the Frobenius norm)."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0)) @ vectors.T


def component_moments(counts: np.ndarray, decays, shift: float | None = None) -> np.ndarray:
    """Return covariances [components, events, events] of the relative counts of one program, or of their logarithms.

    Parameters
    ----------
    counts : array [slices, events]
        Exact counts; an event that never happens gets covariance 0.
    decays : sequence of float
    shift : float or None
        Covariances of ``log(relative count + shift)``; None = of relative counts.
    """
    level = counts.mean(axis=0)
    moves = np.where(level > 0, counts / np.where(level > 0, level, 1) - 1, 0)
    if shift is not None:
        moves = np.log(moves + 1 + shift)
        moves = np.where(level > 0, moves - moves.mean(axis=0), 0)
    lags = [lag for lag in LAGS if lag < len(counts) // 4] or [0]
    auto = np.stack([moves[: len(moves) - lag].T @ moves[lag:] / (len(moves) - lag) for lag in lags])
    auto = (auto + auto.transpose(0, 2, 1)) / 2
    powers = np.asarray(decays, float)[None, :] ** np.asarray(lags, float)[:, None]
    fitted = np.einsum("cl,lij->cij", np.linalg.pinv(powers, rcond=1e-3), auto)
    fitted = np.stack([positive(f) for f in fitted])
    # cutting negative parts off adds variance: keep the total at lag 0
    total, wanted = np.sqrt(np.einsum("cii->i", fitted)), np.sqrt(np.einsum("ii->i", auto[0]))
    factor = np.where(total > 0, wanted / np.where(total > 0, total, 1), 0)
    return fitted * np.outer(factor, factor)


def pool(
    programs: Iterable[np.ndarray],
    events,
    decays,
    strength: float,
    source: str,
    shift: float | None = Settings.shift,
) -> Prior:
    """Average the covariances of several programs.

    Parameters
    ----------
    programs : iterable of arrays [slices, events]
        Exact counts per slice of each program.
    events : sequence of str
    decays : sequence of float
    strength : float
        Slices of evidence that the prior is worth.
    source : str
        What the programs are, for reports.
    shift : float or None
        See `component_moments`; the same as in the settings of the smoother.

    Raises
    ------
    InputError
        If there is no program.
    """
    correlations, variations, present = [], [], []
    for counts in programs:
        parts = component_moments(np.asarray(counts, float), decays, shift)
        variation = np.sqrt(np.einsum("cii->i", parts))
        safe = np.where(variation > 0, variation, 1)
        correlations.append(parts / np.outer(safe, safe))
        variations.append(np.log(safe))
        present.append(variation > 0)
    if not present:
        raise InputError(f"no program to learn a prior from ({source}); allowed: at least one")
    here = np.array(present, float)
    both = np.maximum(np.einsum("pi,pj->ij", here, here), 1)
    mean = np.sum(correlations, axis=0) / both
    variation = np.exp((np.array(variations) * here).sum(axis=0) / np.maximum(here.sum(axis=0), 1))
    covariances = np.stack([positive(m) for m in mean]) * np.outer(variation, variation)
    return Prior(tuple(events), np.asarray(decays, float), covariances, strength, source)


@cache
def trained_prior(machine: str, events: tuple[str, ...], without: str = "", settings: Settings | None = None) -> Prior:
    """Return the prior learned on the training programs of all simulated machines.

    What varies together is much the same on the other machine, and three training programs (ppc64) are few. A program
    that is a test program on `machine` does not train under its name on another one either.

    Parameters
    ----------
    machine : str
        The machine it is for.
    events : tuple of str
    without : str
        A training program to leave out everywhere, because it is being tested.
    settings : Settings, optional
        For decays, shift, scale and strength.
    """
    settings = settings or Settings()
    barred = {*traces.programs(machine, "test"), without}
    used = [(other, name) for other in traces.machines() for name in traces.programs(other, "train")]
    used = [(other, name) for other, name in used if name not in barred]
    counts = (traces.slice_counts(traces.trace(other, name), events).sum(axis=1) for other, name in used)
    source = "; ".join(f"{other} {name}" for other, name in used)
    shift = settings.shift if settings.scale == "log" else None
    return pool(counts, events, settings.decays, settings.strength, source, shift)
