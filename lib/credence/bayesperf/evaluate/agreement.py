"""NUTS against the fast path on one window: the same matrices, so that a difference is one of method."""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bayesperf.infer.nuts import Sampled
from credence.bayesperf.infer.windows import fast
from credence.bayesperf.model.window import Window

# Draws with a larger kurtosis (3 for a normal) do not tell their standard deviation: Student-t tails.
LIGHT = 4.0
# A cell whose standard deviation is below this share of the event's scale is determined: its sd is rounding.
DETERMINED = 1e-3


def agreement(sampled: Sampled, mean: np.ndarray | None = None, sd: np.ndarray | None = None) -> pd.DataFrame:
    """Compare means and standard deviations cell by cell.

    Parameters
    ----------
    sampled : Sampled
        The reference.
    mean, sd : arrays [slices, events] or None
        Of another method, in counts; None = the fast path on the same window.

    Returns
    -------
    DataFrame
        One row per cell: ``slice``, ``event``, ``measured``, ``determined``; ``mean_difference`` in posterior standard
        deviations (of NUTS) and ``mean_mcse`` in the same unit; ``sd_ratio`` (other / NUTS) and ``sd_mcse``, the Monte
        Carlo error of the NUTS standard deviation as a share of it. Student-t noise with 3 degrees has no fourth
        moment, so that `sd_mcse` says too little where ``kurtosis``, that of the draws, is large.
    """
    import arviz_stats

    window = sampled.window
    if mean is None or sd is None:
        mean, sd = fast(window)
    count = sampled.tree["posterior"].dataset[["count"]]
    own_mean, own_sd = sampled.mean, sampled.sd
    # a cell that identities fix has no spread, and no Monte Carlo error either
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = [arviz_stats.mcse(count, method=method)["count"].values for method in ("mean", "sd")]
        table = {
            "mean_difference": (mean - own_mean) / own_sd,
            "mean_mcse": errors[0] / own_sd,
            "sd_ratio": sd / own_sd,
            "sd_mcse": errors[1] / own_sd,
            "kurtosis": ((sampled.counts - own_mean) ** 4).mean(axis=0) / own_sd**4,
        }
    measured = np.zeros(mean.shape, bool)
    measured[window.slot, window.event] = True
    slices, events = np.indices(mean.shape)
    return pd.DataFrame(
        {
            "slice": slices.ravel(),
            "event": np.array(window.events)[events.ravel()],
            "measured": measured.ravel(),
            "determined": (own_sd <= DETERMINED * window.scale).ravel(),
        }
        | {name: value.ravel() for name, value in table.items()}
    )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the largest differences over several kinds of cells.

    Open cells were neither measured nor determined; light tails are those of all cells whose draws have a kurtosis
    below `LIGHT`, so that their standard deviation can be told from draws.

    Parameters
    ----------
    table : DataFrame
        As of `agreement`.

    Returns
    -------
    DataFrame
        ``cells``, how many; ``mean_in_sd``, ``mean_in_mcse``: largest difference of means; ``sd_percent``: largest
        difference of standard deviations [%]; ``sd_in_mcse``.
    """
    known = table[~table["determined"]]
    rows = []
    for name, part in (
        ("open", known[~known["measured"]]),
        ("measured", known[known["measured"]]),
        ("light tails", known[known["kurtosis"] < LIGHT]),
        ("all but determined", known),
    ):
        off = (part["sd_ratio"] - 1).abs()
        rows.append(
            {
                "which": name,
                "cells": len(part),
                "mean_in_sd": part["mean_difference"].abs().max(),
                "mean_in_mcse": (part["mean_difference"] / part["mean_mcse"]).abs().max(),
                "sd_percent": 100 * off.max(),
                "sd_in_mcse": (off / part["sd_mcse"]).max(),
            }
        )
    return pd.DataFrame(rows)


def predictive(window: Window, draws: np.ndarray, rng: np.random.Generator, noise=1.0) -> pd.DataFrame:
    """Replicate the measured cells and say where the real ones lie among the replicates.

    Parameters
    ----------
    window : Window
    draws : array [draws, slices, events]
        Counts drawn from the prior (a check of what the model takes for possible before it sees data) or from the
        posterior (a check of what it did not grasp).
    rng : numpy.random.Generator
    noise : float or array [draws, 1]
        Factor on the window's spread.

    Returns
    -------
    DataFrame
        One row per measured cell: ``slice``, ``event``, ``value`` and the replicates' ``lo90``, ``hi90`` in relative
        counts, ``pit`` (share of replicates below the value) and ``inside_90``.
    """
    shape = (len(draws), len(window.slot))
    error = rng.standard_normal(shape) if window.degrees is None else rng.standard_t(window.degrees, shape)
    centre = draws[:, window.slot, window.event] / window.scale[window.event]
    replicate = centre + noise * window.spread * error
    low, high = np.quantile(replicate, [0.05, 0.95], axis=0)
    return pd.DataFrame(
        {
            "slice": window.slot,
            "event": np.array(window.events)[window.event],
            "value": window.value,
            "lo90": low,
            "hi90": high,
            "pit": (replicate < window.value).mean(axis=0),
            "inside_90": (low <= window.value) & (window.value <= high),
        }
    )
