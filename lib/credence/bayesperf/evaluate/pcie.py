"""The case study (section 6.3): how soon a NIC scheduler learns, and what shuffles gain, by who reads the counters.

Two sets of counter errors stand side by side: those that the paper prints (Fig 8) and those measured in the notebook
`error_vs_events`. The paper prints neither bias nor autocorrelation: `PAPER_AUTOCORRELATION` and no bias are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from credence.bayesperf.data.paper import paper_figure
from credence.bayesperf.evaluate import pcie_filtering
from credence.bayesperf.evaluate.pcie_errors import pooled
from credence.bayesperf.world import pcie
from credence.bench import catalogue, seeds
from credence.bench.errors import InputError, choose

ERRORS = ("measured", "paper")
MEASURED = "bayesperf-counter-errors"
SYSTEMS = ("Linux", "CounterMiner", "BayesPerf CPU", "BayesPerf", "exact")
TABLE_OF = {"BayesPerf CPU": "BayesPerf"}  # the same posterior, read more slowly
FIGURE_8 = {"Linux": "linux_x86", "CounterMiner": "cm_x86", "BayesPerf": "bayesperf_x86"}
PAPER_AUTOCORRELATION = 0.8  # an event that waits its turn keeps its error for several slices; our assumption
SEEDS = tuple(range(10))
TUNING_SEEDS = (100, 101, 102)
ITERATIONS = 3000
SHARE = 0.95  # of Linux's improvement that has to be made

# What is broken on purpose, and how far; the first four change the error, with its mean kept.
BREAKS: dict[str, tuple[float, ...]] = {
    "shared": (0.0, 0.25, 0.5, 0.75, 1.0),
    "autocorrelation": (0.0, 0.5, 0.8, 0.95),
    "bias": (0.0, 0.5, 1.0),
    "tail": (0.0, 0.2, 0.4, 0.6),
    "busy": (0.0, 1.0, 3.0, 10.0),
    "online": (1.0, 1.5, 2.0, 3.0),
    "age": (0.0, 0.5, 1.0, 2.0, 4.0),
    "contention": (0.25, 0.5, 1.0, 1.5),
    "nuisance": (0.1, 0.5, 1.0),
    "stay": (2.0, 8.0, 32.0),
    "rate": (3e-4, 1e-3, 3e-3, 1e-2),
}
BREAK_TITLES = {
    "shared": "share of the error's variance<br>common to a link's events [1]",
    "autocorrelation": "autocorrelation of the error,<br>slice to slice [1]",
    "bias": "share of the mean error<br>that is bias [1]",
    "tail": "1 / degrees of freedom<br>of the error [1]",
    "busy": "how much larger the error is<br>on a busy link [1]",
    "online": "BayesPerf's error online<br>over the smoother's [1]",
    "age": "age of BayesPerf's counts<br>beyond Linux's [slices]",
    "contention": "exponent on the ratio<br>of Fig 9 [1]",
    "nuisance": "spread of other drivers<br>(log) [1]",
    "stay": "mean time until the GPUs'<br>traffic moves [slices]",
    "rate": "learning rate<br>(chosen: 0.003) [1]",
}


def error_table(errors: str) -> pd.DataFrame:
    """Return mean error, bias and autocorrelation of Linux, CounterMiner and BayesPerf, a row a system.

    Parameters
    ----------
    errors : str
        ``"measured"``: the catalogue's `MEASURED`, mean over programs; ``"paper"``: Fig 8 (x86, KMeans) at 32 events,
        between its points.

    Raises
    ------
    InputError
        If the measured set is not in the catalogue yet, or lacks a system, a column or a number.
    """
    if choose(errors, ERRORS, "counter errors") == "measured":
        if MEASURED not in catalogue.names():
            raise InputError(f"data set {MEASURED!r} is not in the catalogue yet; allowed now: errors 'paper'")
        return checked_errors(pooled(catalogue.frame(MEASURED)))
    figure = paper_figure("fig8")
    rows = []
    for system, series in FIGURE_8.items():
        part = figure[figure["series"] == series].sort_values("n_counters")
        mean = float(np.interp(pcie.EVENTS, part["n_counters"], part["err_pct"])) / 100
        rows.append((system, mean, 0.0, PAPER_AUTOCORRELATION))
    return pd.DataFrame(rows, columns=["system", "mean_error", "bias", "autocorrelation"])


def checked_errors(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of counter errors if it is one: one row a system (`FIGURE_8`), finite numbers."""
    columns = ["system", "mean_error", "bias", "autocorrelation"]
    if missing := [name for name in columns if name not in frame]:
        raise InputError(f"counter errors: no column {', '.join(missing)}; allowed: {', '.join(columns)}")
    rows = frame[frame["system"].isin(FIGURE_8)]
    if sorted(rows["system"]) != sorted(FIGURE_8):
        raise InputError(
            f"counter errors of {', '.join(rows['system'])}; allowed: one row each for {', '.join(FIGURE_8)}"
        )
    if not np.isfinite(rows[columns[1:]].to_numpy(float)).all():
        raise InputError("counter errors: a number is missing; allowed: finite numbers")
    return rows[columns].reset_index(drop=True)


def readers(table: pd.DataFrame, systems: Sequence[str] = SYSTEMS) -> list[pcie.CounterError]:
    """Return the reader of each system: its errors from `error_table`, its age by the paper's read times (Fig 3)."""
    rows = table.set_index("system")
    found = []
    for system in systems:
        age = pcie.read_age(system)
        if system == "exact":
            found.append(pcie.CounterError(system, 0.0, age=age))
            continue
        row = rows.loc[TABLE_OF.get(system, system)]
        mean = float(row["mean_error"])
        # a bias cannot exceed the mean error it is part of; rounding of the table may put it there
        bias = min(float(abs(row["bias"])), mean)
        found.append(pcie.CounterError(system, mean, bias, float(row["autocorrelation"]), age))
    return found


def _larger(error: pcie.CounterError, factor: float) -> pcie.CounterError:
    return replace(error, mean_error=factor * error.mean_error, bias=factor * error.bias)


def broken(name: str, strength: float, errors: Sequence[pcie.CounterError]) -> tuple[list, dict]:
    """Return readers, and keyword arguments ``setting`` and ``rate``, with one assumption broken at a strength."""
    choose(name, BREAKS, "break")
    setting, rate = pcie.Setting(), None
    if name in ("shared", "autocorrelation", "tail", "busy"):
        errors = [replace(error, **{name: strength}) for error in errors]
    elif name == "bias":
        errors = [replace(error, bias=strength * error.mean_error) for error in errors]
    elif name == "online":  # a smoother has seen the slices after; a scheduler has not
        errors = [_larger(e, strength) if e.system.startswith("BayesPerf") else e for e in errors]
    elif name == "age":
        errors = [replace(e, age=e.age + strength) if e.system.startswith("BayesPerf") else e for e in errors]
    elif name == "rate":
        rate = strength
    else:
        setting = replace(setting, **{name: strength})
    return list(errors), {"setting": setting, "rate": rate}


# Strengths at which nothing is broken.
WHOLE = {
    "shared": 0.0,
    "tail": 0.0,
    "busy": 0.0,
    "online": 1.0,
    "age": 0.0,
    "contention": 1.0,
    "nuisance": 0.5,
    "stay": 8.0,
}
WHOLE |= {"rate": 3e-3}


def run(
    errors: Sequence[pcie.CounterError],
    seed_list: Sequence[int] = SEEDS,
    iterations: int = ITERATIONS,
    setting: pcie.Setting | None = None,
    rate: float | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and time both schedulers for every reader and seed.

    Parameters
    ----------
    errors : sequence of CounterError
        The readers.
    seed_list : sequence of int
        Scenario seeds.
    iterations : int
        Of training; a multiple of ten.
    setting : Setting or None
        The world.
    rate : float or None
        Learning rate; None: the frozen one.

    Returns
    -------
    curves : pandas.DataFrame
        ``system``, ``seed``, ``iteration``, ``loss`` (`pcie_training.Trained`).
    times : pandas.DataFrame
        ``system``, ``seed`` and the mean time of a shuffle [ms]: ``learning_ms``, ``filtering_ms``, and on the same two
        sets of shuffles without a scheduler ``learning_none_ms``, ``filtering_none_ms``.
    """
    from credence.bayesperf.evaluate import pcie_training as training

    learning = training.Learning() if rate is None else training.Learning(rate=rate)
    trained = training.train(seed_list, errors, iterations, learning, setting)
    axes = {"system": [error.system for error in errors], "seed": seed_list, "iteration": trained.iteration}
    points = pd.MultiIndex.from_product(list(axes.values()), names=list(axes))
    index = pd.MultiIndex.from_product(list(axes.values())[:2], names=list(axes)[:2])
    curves = pd.DataFrame({"loss": trained.loss.ravel()}, index=points).reset_index()
    none = [training.unscheduled_time(seed, setting=setting) for seed in seed_list]
    columns = {
        "learning_ms": training.shuffle_times(trained, seed_list, errors, setting=setting),
        "filtering_ms": pcie_filtering.shuffle_times(seed_list, errors, setting=setting),
        "learning_none_ms": np.tile(none, (len(errors), 1)),
        "filtering_none_ms": np.tile(pcie_filtering.unscheduled_times(seed_list, setting=setting), (len(errors), 1)),
    }
    times = pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=index).reset_index()
    return curves, times


def needed(curves: pd.DataFrame, reference: str = "Linux", share: float = SHARE) -> pd.DataFrame:
    """Return the ``iterations`` each ``system`` and ``seed`` needs to its ``level``, and whether it ``reached`` it.

    The level is the seed's own: where `share` of the improvement is made that `reference` ends with (mean of its last
    tenth). Between points of a curve it is linear; who never gets there counts with all iterations, ``reached`` False.
    """
    rows = []
    for seed, part in curves.groupby("seed", sort=False):
        wide = part.pivot(index="iteration", columns="system", values="loss")
        if reference not in wide:
            raise InputError(f"no curve of {reference!r}; allowed: {', '.join(wide.columns)}")
        first, last = wide[reference].iloc[0], wide[reference].iloc[-max(1, len(wide) // 10) :].mean()
        level = first - share * (first - last)
        rows += [(name, seed, level, *crossing(wide.index.to_numpy(), wide[name].to_numpy(), level)) for name in wide]
    return pd.DataFrame(rows, columns=["system", "seed", "level", "iterations", "reached"])


def crossing(iteration: np.ndarray, loss: np.ndarray, level: float) -> tuple[float, bool]:
    """Return where a curve first is at or below `level`, linear between points, and whether it ever is."""
    below = np.flatnonzero(loss <= level)
    if not below.size:
        return float(iteration[-1]), False
    k = below[0]
    if k == 0:
        return float(iteration[0]), True
    share = (loss[k - 1] - level) / (loss[k - 1] - loss[k])
    return float(iteration[k - 1] + share * (iteration[k] - iteration[k - 1])), True


def cut_draws(frame: pd.DataFrame, value: str, before: str, after: str, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Return by how much `after` is less than `before` [%], a draw for each resampling of the scenario seeds.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a system and seed; ``before`` and ``after`` are systems, or ``"column:system"`` for another column.
    value : str
        Column that is compared.
    before, after : str
        The two sides.
    draws, seed : int
        Number of resamplings, and their seed.
    """

    def side(name: str) -> pd.Series:
        column, found, system = name.rpartition(":")
        return frame[frame["system"] == system].set_index("seed")[column if found else value].sort_index()

    first, second = side(before), side(after)
    if not len(first) or list(first.index) != list(second.index):
        raise InputError(f"{before!r} and {after!r} have not the same seeds; allowed: one row each for every seed")
    rng = seeds.generator(seed, "pcie", "bootstrap")
    picked = rng.integers(len(first), size=(draws, len(first)))
    return 100 * (1 - second.to_numpy()[picked].mean(axis=1) / first.to_numpy()[picked].mean(axis=1))


def claim_metrics(runs: pd.DataFrame, draws: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the metrics of the claims [draws] from the rows of `runs` (`summary_rows`) of one set of errors."""

    def cut(value, before, after):
        return cut_draws(runs, value, before, after, draws, seed)

    return {
        "pcie_iterations_cut": cut("iterations", "Linux", "BayesPerf"),
        "pcie_iterations_cut_counterminer": cut("iterations", "Linux", "CounterMiner"),
        "pcie_iterations_cut_accelerator": cut("iterations", "BayesPerf CPU", "BayesPerf"),
        "pcie_shuffle_cut_filtering": cut("filtering_ms", "Linux", "BayesPerf"),
        "pcie_shuffle_cut_learning": cut("learning_ms", "Linux", "BayesPerf"),
        "pcie_scheduler_cut_filtering": cut("filtering_ms", "filtering_none_ms:Linux", "Linux"),
        "pcie_scheduler_cut_learning": cut("learning_ms", "learning_none_ms:Linux", "Linux"),
    }


def summary_rows(curves: pd.DataFrame, times: pd.DataFrame, reference: str = "Linux") -> pd.DataFrame:
    """Return one row a system and seed: iterations needed, loss at the end (last tenth), times of shuffles [ms]."""
    last = curves[curves["iteration"] > 0.9 * curves["iteration"].max()]
    final = last.groupby(["system", "seed"], sort=False)["loss"].mean().rename("final_loss").reset_index()
    return times.merge(needed(curves, reference), on=["system", "seed"]).merge(final, on=["system", "seed"])


def break_curves(runs: pd.DataFrame, draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return the two headline cuts at every strength of every break: mean and 90 % interval [%].

    Parameters
    ----------
    runs : pandas.DataFrame
        Recorded rows of one set of errors, with ``break`` and ``strength``.

    Returns
    -------
    pandas.DataFrame
        ``break``, ``strength``, ``quantity`` (``iterations``, ``learning_ms``, ``filtering_ms``), ``cut``, ``lo``,
        ``hi``, ``p`` (share of draws above zero), ``reached`` (share of BayesPerf's seeds that reached the level).
    """
    rows = []
    for (name, strength), part in runs.groupby(["break", "strength"], sort=False):
        for quantity in ("iterations", "learning_ms", "filtering_ms"):
            found = cut_draws(part, quantity, "Linux", "BayesPerf", draws, seed)
            reached = part.loc[part["system"] == "BayesPerf", "reached"].mean()
            low, high = np.quantile(found, [0.05, 0.95])
            rows.append((name, strength, quantity, found.mean(), low, high, (found > 0).mean(), reached))
    columns = ["break", "strength", "quantity", "cut", "lo", "hi", "p", "reached"]
    return pd.DataFrame(rows, columns=columns)


def tune_learning(rates=(1e-3, 3e-3, 1e-2, 3e-2), entropies=(0.0, 0.01), iterations: int = 1500) -> dict:
    """Return the loss at the end of training by (rate, entropy): exact counts, seeds that judge nothing."""
    from credence.bayesperf.evaluate import pcie_training as training

    exact, found = [pcie.CounterError("exact", 0.0)], {}
    for rate, entropy in product(rates, entropies):
        trained = training.train(TUNING_SEEDS, exact, iterations, training.Learning(rate=rate, entropy=entropy))
        found[rate, entropy] = float(trained.loss[..., -trained.loss.shape[-1] // 10 :].mean())
    return found


def paper_figure_10() -> pd.DataFrame:
    """Return the paper's Fig 10: ``system``, ``iteration``, ``loss``."""
    frame = paper_figure("fig10")
    names: Mapping[str, str] = {"CM": "CounterMiner", "BayesPerf_CPU": "BayesPerf CPU", "BayesPerf_Acc": "BayesPerf"}
    return frame.assign(system=frame["series"].replace(names)).drop(columns="series")


def paper_levels(levels=(0.5, 0.4, 0.37, 0.36, 0.35)) -> pd.DataFrame:
    """Return the iterations at which Fig 10's curves first pass each level, and the cuts these give [%]."""
    rows = []
    for level in levels:
        figure = {name: part.sort_values("iteration") for name, part in paper_figure_10().groupby("system")}
        at = {k: crossing(v["iteration"].to_numpy(), v["loss"].to_numpy(), level)[0] for k, v in figure.items()}
        row = {"level": level} | {name: at[name] for name in ("Linux", "CounterMiner", "BayesPerf CPU", "BayesPerf")}
        row["BayesPerf: cut [%]"] = 100 * (1 - at["BayesPerf"] / at["Linux"])
        row["CounterMiner: cut [%]"] = 100 * (1 - at["CounterMiner"] / at["Linux"])
        row["Acc vs CPU: cut [%]"] = 100 * (1 - at["BayesPerf"] / at["BayesPerf CPU"])
        rows.append(row)
    return pd.DataFrame(rows)


def largest_cut() -> float:
    """Return the largest cut of a shuffle's time that Fig 9 allows at all [%]: contended always, then never."""
    law = pcie.bandwidth_law()
    return float(100 * (1 - (law["contention_GBps"] / law["isolated_GBps"]).min()))
