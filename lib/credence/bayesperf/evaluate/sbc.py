"""Simulation-based calibration: whether a posterior is right about data made from its own model (Talts et al. 2018).

A program is drawn from the prior and read as the counters would read it; where the truth then lies among draws from the
posterior must be uniform. A sampler that does not converge, a model that is coded differently from how it is simulated,
or an approximation that is too sure of itself each show as ranks that are not. The truth is drawn by
`model.window.simulate`, which shares nothing with the PyMC model but the matrices.

``python -m credence.bayesperf.evaluate.sbc --sets 200 --out FILE`` records the ranks, with ``--fixed-scales`` those of
the fast path too, in the same file; run again, it goes on where it stopped. ``evaluate.recorded`` puts it into git.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bayesperf.infer.nuts import MODES, Compiled, Sampling, compile_window, draw
from credence.bayesperf.infer.windows import fast
from credence.bayesperf.model.window import Window, simulate
from credence.bench import diagnostics, seeds
from credence.bench.tables import write_parquet

SLICES, LEVELS = 6, 99
KINDS = ("fixed", "free")
RANKED = ("set", "quantity", "method", "rank", "levels", "truth", "mean", "sd")
COLUMNS = ("scales", *RANKED, "r_hat", "ess_bulk", "divergences")
_IDENTITIES = np.array([[1.0, -1.0, -1.0, 0, 0, 0, 0, 0], [0, 0, 0, 1.0, -1.0, -1.0, 0, 0]])


def template(seed: int = 0) -> Window:
    """Return the window that calibration is done on: 6 slices, 8 events with two identities, 3 counters.

    One event is counted always, two of the others by turns; noise is Student-t as in the paper. The values are
    placeholders.
    """
    rng = seeds.generator(seed, "sbc template")
    events = ("LOADS", "HIT", "MISS", "BR", "TAKEN", "NTAKEN", "INST", "WALKS")
    scale = np.array([900.0, 800.0, 100.0, 200.0, 120.0, 80.0, 4000.0, 10.0])
    _, _, turned = np.linalg.svd(_IDENTITIES * scale, full_matrices=True)
    basis = np.ascontiguousarray(turned[2:].T)
    rank = basis.shape[1]
    mixed = rng.normal(size=(2, rank, rank)) / np.sqrt(rank)
    covariances = 0.04 * (0.5 * np.eye(rank) + 0.5 * mixed @ mixed.transpose(0, 2, 1))
    slot = np.repeat(np.arange(SLICES), 3)
    turns = np.array([(6, 0, 3), (6, 1, 4), (6, 2, 7), (6, 0, 5)])
    event = turns[np.arange(SLICES) % len(turns)].ravel()
    return Window(
        events=events,
        slices=SLICES,
        scale=scale,
        offset=np.ones(len(events)),
        basis=basis,
        decays=np.array([0.9, 0.3]),
        covariances=covariances,
        level=0.01 * np.eye(rank),
        slot=slot,
        event=event,
        value=np.ones(len(slot)),
        spread=np.full(len(slot), 0.02),
        degrees=3.0,
    )


def quantities(window: Window, moves: np.ndarray, scales: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the numbers whose ranks are looked at [...], from moves [..., slices * rank] and free scales.

    Some cells that no counter saw (their answer comes through identities and time), one that was seen, a sum over the
    window, and the free scales.
    """
    counts = window.counts(moves)
    found = {
        "MISS, slice 0": counts[..., 0, 2],
        "NTAKEN, slice 3": counts[..., 3, 5],
        "WALKS, slice 5": counts[..., 5, 7],
        "LOADS, slice 0 (measured)": counts[..., 0, 0],
        "MISS, all slices": counts[..., 2].sum(axis=-1),
    }
    if scales:
        found |= {"noise": scales["log_noise"], "amplitude 0": scales["log_amplitude"][..., 0]}
        found |= {"amplitude 5": scales["log_amplitude"][..., 5]}
    return found


def one_set(
    compiled: Compiled, window: Window, number: int, sampling: Sampling, free_scales: bool = True, seed: int = 0
) -> pd.DataFrame:
    """Make one data set, fit it, and rank the truth.

    Parameters
    ----------
    compiled : Compiled
        Of the template, with the same `free_scales`.
    window : Window
        The template.
    number : int
        Of the data set; it gives its seed.
    sampling : Sampling
    free_scales : bool
        Draw and infer the scales too. Without them, the fast path is ranked on the same data.
    seed : int
    """
    from credence.bayesperf.model.generative import AMPLITUDE_SD, NOISE_SD

    rng = seeds.generator(seed, "sbc", number)
    true_scales = {}
    if free_scales:
        true_scales["log_amplitude"] = AMPLITUDE_SD * rng.standard_normal(window.rank)
        true_scales["log_noise"] = NOISE_SD * rng.standard_normal()
    amplitude = np.exp(true_scales["log_amplitude"]) if free_scales else None
    noise = float(np.exp(true_scales.get("log_noise", 0.0)))
    moves, seen = simulate(window, rng, amplitude, noise)
    truth = quantities(window, moves, true_scales)
    tree = draw(compiled, seen, sampling)
    sample = {name: value.values.reshape(-1, *value.shape[2:]) for name, value in tree["posterior"].dataset.items()}
    gate = diagnostics.gate(tree, f"SBC set {number}", variables=["moves", *true_scales])
    thin = np.linspace(0, len(sample["moves"]) - 1, LEVELS).round().astype(int)
    scales = {name: sample[name] for name in true_scales}
    drawn = quantities(window, sample["moves"], scales)
    rows = []
    for name, value in drawn.items():
        rank = int((value[thin] < truth[name]).sum())
        rows.append((number, name, "nuts", rank, LEVELS, float(truth[name]), value.mean(), value.std(ddof=1)))
    frame = pd.DataFrame(rows, columns=list(RANKED))
    if not free_scales:
        frame = pd.concat([frame, _fast_rows(seen, number, truth)], ignore_index=True)
    frame.insert(0, "scales", KINDS[free_scales])
    return frame.assign(r_hat=gate.r_hat_max, ess_bulk=gate.ess_bulk_min, divergences=gate.divergences)


def _fast_rows(seen: Window, number: int, truth: dict) -> pd.DataFrame:
    from scipy.stats import norm

    mean, sd = fast(seen)
    cells = {"MISS, slice 0": (0, 2), "NTAKEN, slice 3": (3, 5), "WALKS, slice 5": (5, 7)}
    cells["LOADS, slice 0 (measured)"] = (0, 0)
    rows = []
    for name, at in cells.items():
        place = float(norm.cdf((truth[name] - mean[at]) / sd[at]))
        rank = min(int(place * (LEVELS + 1)), LEVELS)
        rows.append((number, name, "fast", rank, LEVELS, float(truth[name]), mean[at], sd[at]))
    return pd.DataFrame(rows, columns=list(RANKED))


def calibrate(
    sets: int,
    sampling: Sampling | None = None,
    free_scales: bool = True,
    seed: int = 0,
    done: pd.DataFrame | None = None,
    mode: str = "NUMBA",
    keep=None,
) -> pd.DataFrame:
    """Rank the truth in many data sets.

    Parameters
    ----------
    sets : int
        Number of data sets in all.
    sampling : Sampling, optional
    free_scales : bool
    seed : int
    done : DataFrame, optional
        Rows recorded earlier; their sets are not made again.
    mode : str
        See `compile_window`.
    keep : callable, optional
        Gets all rows so far after every set.

    Returns
    -------
    DataFrame
        One row per set, quantity and method; columns `COLUMNS`. ``rank`` draws of ``levels`` lie below the truth.
    """
    sampling = sampling or Sampling(draws=700, tune=300, chains=2)
    window = template()
    parts = [] if done is None or done.empty else [done]
    known = set() if done is None else set(done.loc[done["scales"] == KINDS[free_scales], "set"])
    compiled = compile_window(window, free_scales, mode) if len(known) < sets else None
    for number in range(sets):
        if number in known:
            continue
        parts.append(one_set(compiled, window, number, sampling, free_scales, seed))
        if keep is not None:
            keep(pd.concat(parts, ignore_index=True))
    order = ["scales", "set", "method", "quantity"]
    return pd.concat(parts, ignore_index=True).sort_values(order, ignore_index=True)


def uniformity(ranks: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Return for every method and quantity how uniform its ranks are.

    Parameters
    ----------
    ranks : DataFrame
        As of `calibrate`.
    bins : int
        Of the chi-square test; at least 5 sets should fall into each.

    Returns
    -------
    DataFrame
        ``scales``, ``method``, ``quantity``, ``sets``, ``p`` (chi-square test of uniform ranks), ``inside_50`` and
        ``inside_90`` (share of truths in the central 50 and 90 % of the ranks).
    """
    from scipy.stats import chisquare

    rows = []
    by = ["scales", "method", "quantity"]
    for key, part in ranks.groupby(by, sort=True):
        place = (part["rank"].to_numpy() + 0.5) / (part["levels"].to_numpy() + 1)
        counts = np.bincount(np.minimum((place * bins).astype(int), bins - 1), minlength=bins)
        inside = [float((np.abs(place - 0.5) <= share / 2).mean()) for share in (0.5, 0.9)]
        rows.append((*key, len(part), float(chisquare(counts).pvalue), *inside))
    return pd.DataFrame(rows, columns=[*by, "sets", "p", "inside_50", "inside_90"])


def main(arguments: list[str] | None = None) -> None:
    """Record ranks, going on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m credence.bayesperf.evaluate.sbc", description=main.__doc__)
    parser.add_argument("--sets", type=int, default=200, help="data sets in all (200)")
    parser.add_argument("--out", type=Path, required=True, help="parquet file to write or to go on with")
    parser.add_argument("--fixed-scales", action="store_true", help="scales as given; the fast path is ranked too")
    parser.add_argument("--mode", choices=MODES, default="NUMBA", help="PyTensor's mode")
    chosen = parser.parse_args(arguments)
    done = pd.read_parquet(chosen.out) if chosen.out.is_file() else None

    def keep(rows):
        write_parquet(rows, chosen.out, compression="zstd")

    rows = calibrate(chosen.sets, free_scales=not chosen.fixed_scales, done=done, mode=chosen.mode, keep=keep)
    keep(rows)
    sys.stdout.write(uniformity(rows).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
