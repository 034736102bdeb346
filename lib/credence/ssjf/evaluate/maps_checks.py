"""What the maps are checked against: queueing theory where it is exact, and an earlier simulation of this project."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from credence.ssjf.evaluate.maps import OWN, label
from credence.ssjf.model import profile, queueing
from credence.ssjf.model.profiles import service_s

# This project's own earlier check of a stationary queue (4,000 requests x 5, the authors' lengths and five classes; no
# number of the paper): load, slots, cut of five classes and of the oracle [%], p99 JCT FCFS and five classes [s].
NOTES_CHECK = (
    (0.5, 1, 8.9, 12.0, 28, 30),
    (0.5, 4, 0.9, 1.3, 11, 11),
    (0.8, 1, 25.6, 33.8, 62, 88),
    (0.8, 4, 11.2, 14.7, 18, 24),
    (0.8, 16, 2.3, 3.1, 11, 12),
    (0.9, 1, 34.2, 45.7, 104, 173),
    (0.9, 4, 23.0, 29.8, 29, 45),
    (0.9, 16, 7.6, 9.9, 13, 16),
    (0.95, 1, 39.5, 53.3, 166, 467),
    (0.95, 4, 31.5, 41.5, 46, 147),
    (0.95, 16, 14.9, 19.6, 17, 30),
)


def exact_cuts(source: pd.DataFrame, loads: Sequence[float], engine: str = "ssjf-paper") -> pd.DataFrame:
    """Return the exact mean JCT of one server in the long run, and the cut: no simulation, no noise.

    FCFS by Pollaczek and Khinchine; a predictor with classes is Cobham's queue of priority classes, whatever mistakes
    it makes: a class is the set of requests it calls so; the oracle is Cobham with a class for each length.

    Returns
    -------
    pandas.DataFrame
        ``load``, ``predictor`` (`label` of `OWN` and of 1), ``fcfs_mean_s``, ``mean_s`` [s], ``cut`` [%].
    """
    service = service_s(profile(engine), source["prompt_tokens"], source["output_tokens"])
    atoms, share = queueing.empirical_atoms(service)
    classes = pd.Series(service).groupby(source["predicted"].to_numpy())
    order = classes.size() / service.size, classes.mean(), classes.agg(lambda s: float(np.mean(s**2)))
    rows = []
    for load in loads:
        rate = load / service.mean()
        fcfs = queueing.pollaczek_khinchine_wait(rate, atoms, share) + service.mean()
        waits = {
            OWN: float(queueing.cobham_waits(rate, *order) @ order[0]),
            1.0: queueing.sjf_wait(rate, atoms, share),
        }
        for tau, wait in waits.items():
            mean = float(wait + service.mean())
            row = {"load": load, "predictor": label(tau), "fcfs_mean_s": fcfs, "mean_s": mean}
            rows.append(row | {"cut": 100 * (1 - mean / fcfs)})
    return pd.DataFrame(rows)


def notes_check() -> pd.DataFrame:
    """Return `NOTES_CHECK` as a frame: ``load``, ``slots``, ``predictor``, ``cut`` [%], ``fcfs_p99_s``, ``p99_s`` [s].

    The oracle's rows have no p99: the check did not keep it.
    """
    rows = []
    for load, slots, own, oracle, fcfs_p99, p99 in NOTES_CHECK:
        head = {"load": load, "slots": slots}
        rows.append(head | {"predictor": label(OWN), "cut": own, "fcfs_p99_s": fcfs_p99, "p99_s": p99})
        rows.append(head | {"predictor": label(1.0), "cut": oracle, "fcfs_p99_s": np.nan, "p99_s": np.nan})
    return pd.DataFrame(rows)


def beside_notes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that the notes' check has too, theirs beside ours, as a table to be read.

    Parameters
    ----------
    frame : pandas.DataFrame
        From ``maps.map_frame``.

    Returns
    -------
    pandas.DataFrame
        ``load``, ``slots``, ``predictor``; the cut [%] and p99 JCT [s] of the notes and ours, as text.
    """
    both = notes_check().merge(frame, on=["load", "slots", "predictor"], suffixes=("_notes", ""))

    def tail(row: pd.Series, ending: str) -> str:
        fcfs, other = row[f"fcfs_p99_s{ending}"], row[f"p99_s{ending}"]
        return "–" if np.isnan(fcfs) else f"{fcfs:.0f} → {other:.0f}"

    return pd.DataFrame(
        {
            "load": both["load"],
            "slots": both["slots"],
            "predictor": both["predictor"],
            "cut, notes [%]": both["cut_notes"],
            "cut, ours [%]": [f"{r.cut:.1f} [{r.cut_lo:.1f}, {r.cut_hi:.1f}]" for r in both.itertuples()],
            "p99, notes [s]": [tail(row, "_notes") for _, row in both.iterrows()],
            "p99, ours [s]": [tail(row, "") for _, row in both.iterrows()],
        }
    )
