"""What the recorded replay says: Tables I and II, recall against alarms, ablations, and the metrics of the claims."""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench import catalogue, seeds
from credence.kaleidoscope.evaluate import scoring
from credence.kaleidoscope.evaluate.production import draws_of_ratio
from credence.kaleidoscope.world.issues import MONTH

TABLES = ("tuning", "issues", "quiet", "months", "breaks", "causes")
PREFIX = "kaleidoscope-recorded-production-"
# Table II of the paper is about six months; the last six of ours
LAST_MONTHS = range(18, 24)
PAPER_ONE = {"all": (837, 843), "reliability": (340, 346), "overload": (468, 497)}
PAPER_TWO = {"ours": (184, 186, 4_892), "NetBouncer": (110, 186, 116_072)}
SINGLE = "ours, tuned"


def read(name: str) -> pd.DataFrame:
    """Return a recorded table of the replay, one of :data:`TABLES`."""
    return catalogue.frame(PREFIX + name)


def share(flags) -> dict[str, float]:
    """Return ``found``, ``of``, and the share with Wilson's 95 % interval: ``percent``, ``lo``, ``hi`` [%]."""
    flags = np.asarray(flags, bool)
    low, high = scoring.wilson(int(flags.sum()), len(flags))
    return {
        "found": int(flags.sum()),
        "of": len(flags),
        "percent": 100 * flags.mean(),
        "lo": 100 * low,
        "hi": 100 * high,
    }


def neat(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table for reading: counts as integers, the rest with one digit."""
    whole = [name for name in ("found", "of", "alarms", "event", "nothing") if name in frame]
    return frame.astype(float).round(1).astype(dict.fromkeys(whole, int))


def table_one(issues: pd.DataFrame, method: str = "ours") -> pd.DataFrame:
    """Return localised issues by cause and by kind of fault, a row each, as :func:`share`."""
    rows = issues[issues["method"] == method]
    parts = {"all": rows} | {str(cause): part for cause, part in rows.groupby("cause")}
    parts |= {f"{cause}: {fault}": part for (cause, fault), part in rows.groupby(["cause", "fault"])}
    return pd.DataFrame({name: share(part["localised"]) for name, part in parts.items()}).T


def six_months(issues: pd.DataFrame, quiet: pd.DataFrame) -> pd.DataFrame:
    """Return Table II for every method that looks at single windows: issues found and alarms in six months.

    Alarms are those that began in the sampled windows, times the windows of six months over those sampled: an event
    explains them (``event``), a unit strained by its usual load does, or nothing does (``nothing``).
    """
    last = issues[issues["month"].isin(LAST_MONTHS)]
    rows = {}
    for method, part in quiet.groupby("method", sort=False):
        if "#" in str(method):
            continue
        flags = last.loc[last["method"] == method, "localised"]
        found = share(flags)
        scale = len(LAST_MONTHS) * MONTH / len(part)
        rows[method] = found | {
            "alarms": scale * part["onsets"].sum(),
            "event": scale * part["event"].sum(),
            "nothing": scale * part["false"].sum(),
        }
    return pd.DataFrame(rows).T


def points(issues: pd.DataFrame, quiet: pd.DataFrame) -> pd.DataFrame:
    """Return every method and setting as a point: ``method``, ``label``, ``recall`` [%], alarms a day of each sort."""
    recall = issues.groupby("method")["localised"].mean() * 100
    means = quiet.groupby("method")[["onsets", "event", "false"]].mean() * scoring.PER_DAY
    table = means.join(recall.rename("recall")).reset_index(names="label")
    table["method"] = table["label"].str.split(r",| #", regex=True).str[0]
    return table.sort_values(["method", "recall"], ignore_index=True)


def at_recall(table: pd.DataFrame, method: str, recall: float) -> tuple[str, bool]:
    """Return the point of a method with the fewest alarms on nothing at a recall: its label, and whether it gets there.

    A method that never gets there is represented by its point of most recall.
    """
    rows = table[table["method"] == method]
    enough = rows[rows["recall"] >= recall - 1e-9]
    if len(enough):
        return str(enough.sort_values("false")["label"].iloc[0]), True
    return str(rows.sort_values("recall")["label"].iloc[-1]), False


def fixed_recall(issues: pd.DataFrame, quiet: pd.DataFrame, levels=(90.0, 95.0, 97.0, 98.0)) -> pd.DataFrame:
    """Return alarms on nothing a day at fixed recalls, a row a method; NaN where the method does not get there."""
    table = points(issues, quiet)
    rows = {}
    for method in table["method"].unique():
        rows[method] = {}
        for level in levels:
            label, there = at_recall(table, method, level)
            rows[method][f"{level:g} %"] = table.set_index("label").loc[label, "false"] if there else np.nan
    found = pd.DataFrame(rows).T
    return found.sort_values(list(found.columns), na_position="last")


def ablations(issues: pd.DataFrame, months: pd.DataFrame) -> pd.DataFrame:
    """Return the variants of the full replay: recall with its interval, delay, alarms a day of each sort."""
    rows = {}
    for method, part in months.groupby("method", sort=False):
        own = issues[issues["method"] == method]
        days = len(part) * MONTH / scoring.PER_DAY
        rows[method] = share(own["localised"]) | {
            "within 10 min [%]": 100 * (own["delay_min"] <= 10).mean(),
            "alarms a day": part["alarms"].sum() / days,
            "on an event": part["event"].sum() / days,
            "on nothing": part["false"].sum() / days,
            "longer than 30 min": part["long"].sum() / days,
            "longer, on nothing": part["long_false"].sum() / days,
        }
    return pd.DataFrame(rows).T


def _flags(issues: pd.DataFrame, method: str) -> pd.Series:
    rows = issues[issues["method"] == method]
    return rows.set_index("event")["localised"].sort_index()


def metrics(issues: pd.DataFrame, quiet: pd.DataFrame, draws: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return draws of the claims' metrics, resampling issues or windows [draws].

    Keys: ``localised``, ``detected_in_ten_minutes``, ``recall_over_netbouncer``, ``recall_over_netbouncer_tuned``,
    ``alarms_over_netbouncer``, ``false_alarms_over_netbouncer_same_recall``, ``partial_router_first_window``.
    """

    def stream(name: str) -> np.random.Generator:
        return seeds.generator(seed, "kaleidoscope production", name)

    def lead(over: str) -> np.ndarray:
        difference = _flags(issues, SINGLE).astype(float) - _flags(issues, over).astype(float)
        chosen = stream(over).integers(0, len(difference), (draws, len(difference)))
        return 100 * difference.to_numpy()[chosen].mean(axis=1)

    def column(method: str, name: str) -> np.ndarray:
        return quiet[quiet["method"] == method].sort_values("window")[name].to_numpy()

    ours = issues[issues["method"] == "ours"]
    table = points(issues, quiet)
    recall = float(table.set_index("label").loc[SINGLE, "recall"])
    same, _ = at_recall(table, "NetBouncer", recall)
    routers = issues[issues["method"] == "routers: mixture, group named"]
    published = "NetBouncer, as published"
    return {
        "localised": scoring.bootstrap_share(ours["localised"], stream("localised"), draws),
        "detected_in_ten_minutes": scoring.bootstrap_share(ours["delay_min"] <= 10, stream("delay"), draws),
        "recall_over_netbouncer": lead(published),
        "recall_over_netbouncer_tuned": lead("NetBouncer, tuned"),
        "alarms_over_netbouncer": draws_of_ratio(
            column(published, "onsets"), column(SINGLE, "onsets"), stream("alarms"), draws
        ),
        "false_alarms_over_netbouncer_same_recall": draws_of_ratio(
            column(same, "false"), column(SINGLE, "false"), stream("false"), draws
        ),
        "partial_router_first_window": scoring.bootstrap_share(routers["delay_min"] <= 5, stream("routers"), draws),
    }
