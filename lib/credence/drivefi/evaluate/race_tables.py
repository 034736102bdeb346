"""Tables and claim metrics of the race and of the paper's engine, from recorded rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench.seeds import generator
from credence.drivefi.data.paper import paper_values
from credence.drivefi.data.variables import fault_types
from credence.drivefi.evaluate import race
from credence.drivefi.evaluate.engine_study import PAPERS_TRAINING
from credence.drivefi.evaluate.race_recorded import SHARES

PEERS = ("tpe", "taliro", "verifai", "srmf")
# the same with what the process knows of effect sizes from the tuning seeds
PEERS_WITH_SIZES = ("tpe-size", "taliro-size", "verifai-size")
PAPER = "one slice (paper)"


def resampled(values: pd.Series | np.ndarray, draws: int, seed: int, statistic=np.mean) -> np.ndarray:
    """Return draws of a statistic over scenario seeds drawn with replacement [draws]."""
    values = np.asarray(values, float)
    rng = generator(seed, "scenario seeds")
    return statistic(values[rng.integers(len(values), size=(draws, len(values)))], axis=1)


def race_metrics(rows: pd.DataFrame, draws: int = 1000, seed: int = 0, selector: str = "gp") -> dict[str, np.ndarray]:
    """Return the claims' metrics of the race (training paid), draws over scenario seeds [%].

    Parameters
    ----------
    rows : DataFrame
        Recorded rows of one kind of training.
    draws, seed : int
        Of the resampling.
    selector : str
        Whose metrics; the best peer by mean recall is one of `PEERS` and `PEERS_WITH_SIZES` for it, one of `PEERS` for
        the process that knows nothing of effect sizes (``gp-plain``).
    """
    recall = 100 * rows.pivot_table(index="seed", columns="selector", values="recall")
    ours = rows[rows["selector"] == selector].sort_values("seed")
    alone = recall[[name for name in PEERS if name in recall]].mean().idxmax()
    best = recall[[name for name in (*PEERS, *PEERS_WITH_SIZES) if name in recall]].mean().idxmax()
    # the same seeds are drawn for both parts of a ratio or a difference
    found = resampled(ours["types_often"], draws, seed) / resampled(ours["types_to_find"], draws, seed)
    return {
        "gp_recall": resampled(recall[selector], draws, seed),
        # as run: a minimum of seeds drawn again cannot be lower, so that its spread would only flatter
        "gp_recall_worst": np.full(draws, recall[selector].min()),
        "gp_types": 100 * found,
        "gp_beyond_peers": resampled(recall[selector] - recall[best], draws, seed),
        "gp_plain_beyond_peers": resampled(recall["gp-plain"] - recall[alone], draws, seed),
    }


def engine_metrics(rows: pd.DataFrame, pool: int, training: int, draws: int = 1000, seed: int = 0) -> dict:
    """Return the claims' metrics of the paper's engine, draws over scenario seeds.

    Parameters
    ----------
    rows : DataFrame
        Recorded rows of the engine; those of the paper's own forecast are used.
    pool, training : int
        Faults of a pool, and training runs.
    draws, seed : int
        Of the resampling.
    """
    one = rows[rows["variant"] == PAPER].sort_values("seed")
    sizes = resampled(one["size"], draws, seed)
    found = resampled(one["found"], draws, seed)
    shares = {
        name: 100 * resampled(one[name] * one["size"], draws, seed) / np.maximum(sizes, 1)
        for name in one
        if name.startswith("share_")
    }
    return {
        "tbn_precision": 100 * found / np.maximum(sizes, 1),
        "tbn_selected": 100 * sizes / pool,
        "tbn_beyond_random": found - resampled(one["random_found"], draws, seed),
        "tbn_critical_scenes": 100 * resampled(one["critical_scenes"], draws, seed),
        "speed_up_all_in": pool / (sizes + training),
        **shares,
    }


def shares(selected: pd.DataFrame, pool: race.Pool, counts: pd.DataFrame, least: float = 10.0) -> pd.DataFrame:
    """Return what is corrupted by the faults selected, and by those that are critical: one row an output, in percent.

    The outputs are those that the paper names, then all others that have `least` percent of the critical faults in one
    of the draws of seeds.

    Parameters
    ----------
    selected : DataFrame
        Recorded rows of the engine, as for `engine_metrics`.
    pool : Pool
        Whose enumerated truth is set beside them.
    counts : DataFrame
        Critical faults by output and seed (``engine_study.read("counts")``).
    least : float
        [%].

    Returns
    -------
    DataFrame
        ``paper selects``, ``selected here`` (NaN: not given, not recorded), and of the critical faults those of each
        draw of ten seeds and of `pool` [%].
    """
    one = selected[selected["variant"] == PAPER]
    paper = paper_values("critical_shares").set_index("variable")["percent"]
    outputs = {variable: name for name, (variable,) in SHARES.items()}
    here = {variable: 100 * (one[name] * one["size"]).sum() / one["size"].sum() for variable, name in outputs.items()}
    found = {"paper selects": paper.reindex(list(outputs)), "selected here": pd.Series(here)}
    for seeds in (race.FIRST_SEEDS, race.JUDGING_SEEDS, race.TUNING_SEEDS):
        total = counts[counts["seed"].isin(seeds)].groupby("variable")["critical"].sum()
        found[f"{seeds[0]}-{seeds[-1]}"] = 100 * total / max(total.sum(), 1)
    live = pool.truth.loc[pool.critical, "variable"].value_counts(normalize=True)
    found[f"{pool.seed} (live)"] = 100 * live
    table = pd.DataFrame(found)
    critical = table.columns[2:]
    table[critical] = table[critical].fillna(0.0)
    others = table.loc[~table.index.isin(list(outputs)), critical[:-1]]
    others = others[others.max(axis=1) >= least].sum(axis=1).sort_values(ascending=False)
    return table.loc[[*outputs, *others.index]]


def speed_ups(size: float, pool: int, training: int, size_with_effort: float) -> pd.DataFrame:
    """Return the speed-up over simulating every fault, counted four ways, the paper's beside ours [1].

    The paper mines 98,400 faults a scenario in 4 hours, validates 561 in about 54, at 9 minutes a run; it trains on 41
    types times 20 to 50 runs. Ours needs a second to mine, so only simulations are counted.

    Parameters
    ----------
    size : float
        Faults selected after `training` runs.
    pool, training : int
        Faults of a pool, and training runs.
    size_with_effort : float
        Faults selected after as many training runs as the paper's (`PAPERS_TRAINING`).
    """
    hours, run = 98400 * 9 / 60, 9 / 60
    low, high = 41 * 20 * run, 41 * 50 * run
    even = PAPERS_TRAINING
    counted = {
        "mining alone": ("3,690", "not defined (mining takes seconds)"),
        "with validation": (f"{hours / 58:.0f}", f"{pool / max(size, 1):.0f}"),
        f"with validation and training (ours: {training} runs)": (
            f"{hours / (58 + high):.0f} to {hours / (58 + low):.0f}",
            f"{pool / (size + training):.0f}",
        ),
        f"with validation and the paper's training effort ({even:,} runs)": (
            f"{hours / (58 + even * run):.0f}",
            f"{pool / (size_with_effort + even):.0f}",
        ),
    }
    return pd.DataFrame.from_dict(counted, orient="index", columns=["paper", "ours"])


def map_of(pool: race.Pool, scenario: str, values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return values of one scenario's faults as a map [types, scenes], rows `kinds`."""
    rows = (pool.truth["scenario"] == scenario).to_numpy()
    table = values[rows].reshape(-1, len(fault_types()))
    return table[:, kinds].T


def delays(pool: race.Pool, size: int = 60, seed: int = 0) -> pd.DataFrame:
    """Return how long critical faults take to do harm: ``variable``, ``slices`` from fault to closest approach.

    Parameters
    ----------
    pool : Pool
    size : int
        Critical faults looked at, at random.
    seed : int
        Of their choice.
    """
    critical = np.flatnonzero(pool.critical)
    if not len(critical):
        return pd.DataFrame({"variable": [], "slices": []})
    chosen = generator(seed, "delays").choice(critical, min(size, len(critical)), replace=False)
    types, rows = fault_types(), []
    from credence.drivefi.world import simulate

    for one in pool.truth.iloc[np.sort(chosen)].itertuples():
        run = simulate.traced(one.scenario, pool.seed, types[one.type], one.scene, 1, pool.stack)
        rows.append((one.variable, max(run.worst_scene - one.scene, 1)))
    return pd.DataFrame(rows, columns=["variable", "slices"])
