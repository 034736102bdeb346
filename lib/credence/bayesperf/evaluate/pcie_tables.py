"""Tables of the case study: paper beside ours, limits of the world, what a choice of level or sparsity does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from credence.bayesperf.evaluate import pcie, pcie_filtering
from credence.bayesperf.world.pcie import CounterError

# metric of a claim: comparison, the paper's cut and its half-width [%]
CLAIMED = {
    "pcie_iterations_cut": ("iterations: BayesPerf vs Linux", 37.0, 3.0),
    "pcie_iterations_cut_counterminer": ("iterations: CounterMiner vs Linux", 12.5, 3.0),
    "pcie_iterations_cut_accelerator": ("iterations: accelerator vs CPU", 28.5, 3.0),
    "pcie_scheduler_cut_filtering": ("shuffle, filtering: Linux vs none", 15.1, 2.2),
    "pcie_shuffle_cut_filtering": ("shuffle, filtering: BayesPerf vs Linux", 8.7, 0.9),
    "pcie_scheduler_cut_learning": ("shuffle, learned: Linux vs none", 22.3, 7.9),
    "pcie_shuffle_cut_learning": ("shuffle, learned: BayesPerf vs Linux", 19.0, 3.4),
}


def beside_paper(metrics: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Return the paper's cuts and ours, as ``figures.pcie.cuts`` draws them.

    Parameters
    ----------
    metrics : mapping of str to mapping of str to array [draws]
        For each series (set of counter errors), `pcie.claim_metrics`.

    Returns
    -------
    pandas.DataFrame
        ``comparison``, ``series``, ``cut``, ``lo``, ``hi`` [%]; 90 % intervals, the paper's as it prints them.
    """
    rows = [(name, "paper", cut, cut - half, cut + half) for name, cut, half in CLAIMED.values()]
    for series, found in metrics.items():
        for metric, (name, _, _) in CLAIMED.items():
            rows.append((name, series, found[metric].mean(), *np.quantile(found[metric], [0.05, 0.95])))
    return pd.DataFrame(rows, columns=["comparison", "series", "cut", "lo", "hi"])


def limits(seed_list: Sequence[int] = pcie.SEEDS) -> pd.DataFrame:
    """Return the mean time of a shuffle [ms] and its cut [%] for choices that no counter is needed for, or no learning.

    On the shuffles that trained schedulers are timed on: either card at random, the card of the own NUMA node, the card
    that was better in the slice before, and the one that is better now (which nobody can know).
    """
    from credence.bayesperf.evaluate import pcie_training as training

    found = []
    for seed in seed_list:
        happened = training.fresh_inputs(seed, "test", [CounterError("exact", 0.0)], 1000, 16)[0]
        best = happened.excess.argmin(axis=-1)
        # what counts of the slice before can tell: the emptier link, unless the hop costs more than it saves
        before = np.concatenate([happened.occupancy[:, :1], happened.occupancy[:, :-1]], axis=1)
        clear = np.abs(before[..., 0] - before[..., 1]) > 0.2
        card = np.where(clear, before.argmin(axis=-1), happened.local)
        random = (happened.isolated * (1 + happened.excess.mean(axis=-1))).mean()
        rows = {"either card": random, "own node's card": training.mean_time(happened, happened.local)}
        rows |= {"better in the slice before": training.mean_time(happened, card)}
        rows |= {"better now": training.mean_time(happened, best)}
        found.append(rows)
    mean = pd.DataFrame(found).mean()
    cut = 100 * (1 - mean / mean["own node's card"])
    return pd.DataFrame({"shuffle [ms]": mean, "cut against own node's card [%]": cut})


def level_shares(curves: pd.DataFrame, shares: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.98)) -> pd.DataFrame:
    """Return the cut of iterations [%] by the share of Linux's improvement that has to be made: a row a share."""
    rows = []
    for share in shares:
        mean = pcie.needed(curves, share=share).groupby("system")["iterations"].mean()
        row = {"share": share, "Linux: iterations": mean["Linux"]}
        row |= {f"{name}: cut [%]": 100 * (1 - mean[name] / mean["Linux"]) for name in ("CounterMiner", "BayesPerf")}
        row["Acc vs CPU: cut [%]"] = 100 * (1 - mean["BayesPerf"] / mean["BayesPerf CPU"])
        rows.append(row)
    return pd.DataFrame(rows)


def sparsity_sweep(errors: Sequence[CounterError], seed_list: Sequence[int]) -> pd.DataFrame:
    """Return the cut of a filtered shuffle against no scheduler [%] by ``sparsity`` (rows) and system (columns)."""
    none = pcie_filtering.unscheduled_times(seed_list).mean()
    rows = {}
    for sparsity in pcie_filtering.SPARSITIES:
        times = pcie_filtering.shuffle_times(seed_list, errors, sparsity=sparsity).mean(axis=1)
        rows[sparsity] = {error.system: 100 * (1 - time / none) for error, time in zip(errors, times, strict=True)}
    return pd.DataFrame(rows).T.rename_axis("missing entries [1]")


def mid_training(curves: pd.DataFrame, iterations: Sequence[int] = (20, 50, 100, 200, 500, 3000)) -> pd.DataFrame:
    """Return mean losses at given iterations (rows), by system."""
    rows = curves[curves["iteration"].isin(iterations)]
    found = rows.pivot_table(index="iteration", columns="system", values="loss", aggfunc="mean")
    return found[[name for name in pcie.SYSTEMS if name in found]]


def paper_mid_training(iterations: Sequence[int] = (3000, 4000, 4500, 5000, 6000, 7000, 8000)) -> pd.DataFrame:
    """Return the shuffle times that Fig 10 implies at given iterations: BayesPerf's cut against Linux's [%].

    Read as excess over an isolated shuffle, a loss x means a shuffle 1 + x times as long.
    """
    figure = {name: part.sort_values("iteration") for name, part in pcie.paper_figure_10().groupby("system")}

    def loss(system: str) -> np.ndarray:
        return np.interp(iterations, figure[system]["iteration"], figure[system]["loss"])

    linux, ours = loss("Linux"), loss("BayesPerf")
    cut = 100 * (1 - (1 + ours) / (1 + linux))
    return pd.DataFrame({"iteration": iterations, "Linux": linux, "BayesPerf": ours, "implied cut [%]": cut})


def late_posterior(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what a late posterior costs: cut of iterations [%] by reading at once, a row an age [slices].

    Parameters
    ----------
    runs : pandas.DataFrame
        Recorded rows of one set of errors; those of the break ``age`` are used.
    """
    rows = runs[(runs["break"] == "age") & (runs["system"] == "BayesPerf")]
    mean = rows.groupby("strength")["iterations"].mean()
    cut = 100 * (1 - mean.loc[0.0] / mean)
    found = pd.DataFrame({"BayesPerf: iterations": mean, "saved by reading at once [%]": cut})
    return found.rename_axis("posterior late by [slices]")
