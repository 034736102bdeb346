"""What really happens to automated vehicles, beside what our scenarios show: crash reports, disengagements, miles.

Third-party records, needed from the mirror. They carry no exposure by situation, so nothing here is a probability of a
crash: it only tells which situations the scenarios leave out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.drivefi.data.scenarios import scenario

REPORTS, LEFT, MILES = "nhtsa-sgo-ads", "ca-dmv-2021-disengagements", "ca-dmv-2021-mileage"
MPH = 0.44704  # m/s
SCENARIOS = ("DS1", "DS2", "DS3", "DS4", "DS5", "DS6")


def available() -> bool:
    """Return whether all three sets can be read here."""
    return all(catalogue.available(name) for name in (REPORTS, LEFT, MILES))


def crashes(reports: pd.DataFrame) -> pd.DataFrame:
    """Return one row a crash with the driving system engaged: its last report.

    Parameters
    ----------
    reports : DataFrame
        The set `REPORTS`.

    Returns
    -------
    DataFrame
        ``speed_mps`` (NaN: unknown), ``movement`` (of the automated vehicle), ``other`` (crashed with), ``road``.
    """
    kept = reports[reports["Automation System Engaged?"].str.strip() == "ADS"].sort_values("Report Version")
    # a few reports name no incident: each is one of its own
    incident = kept["Same Incident ID"].str.strip()
    kept = kept[~incident.where(incident != "", kept["Report ID"]).duplicated(keep="last")]
    named = {"SV Pre-Crash Movement": "movement", "Crash With": "other", "Roadway Type": "road"}
    found = kept[list(named)].rename(columns=named).apply(lambda column: column.str.strip())
    return found.assign(speed_mps=MPH * pd.to_numeric(kept["SV Precrash Speed (MPH)"], errors="coerce"))


def beside_scenarios(found: pd.DataFrame) -> pd.DataFrame:
    """Return one row a scenario: the ego's speed and how many crashes were slower.

    Parameters
    ----------
    found : DataFrame
        Of `crashes`.

    Returns
    -------
    DataFrame
        ``speed_mps`` at the start, ``others`` (their kinds), ``slower`` [%] of the crashes with a known speed.
    """
    known = found["speed_mps"].dropna().to_numpy()
    rows = {}
    for name in SCENARIOS:
        item = scenario(name, 0)
        kinds = ", ".join(sorted({actor.kind for actor in item.actors}))
        rows[name] = {"speed_mps": item.speed_mps, "others": kinds, "slower": 100.0 * np.mean(known < item.speed_mps)}
    return pd.DataFrame.from_dict(rows, orient="index")


def shares(found: pd.DataFrame, column: str, most: int = 4) -> pd.Series:
    """Return the most frequent values of a column of `crashes` [%]."""
    return 100.0 * found[column].value_counts(normalize=True).head(most)


def disengagements(left: pd.DataFrame, miles: pd.DataFrame) -> pd.DataFrame:
    """Return miles, disengagements and disengagements per 1,000 miles, one row a permit holder, most miles first.

    Parameters
    ----------
    left, miles : DataFrame
        The sets `LEFT` and `MILES`. Numbers have blanks and commas in them; what is none counts as 0 miles.

    Returns
    -------
    DataFrame
        ``holder``, ``miles``, ``disengagements``, ``per_1000_miles`` (NaN without a mile); index: permit number.
    """
    text = miles["ANNUAL TOTAL"].astype(str).str.replace(r"[ ,]", "", regex=True)
    driven = pd.to_numeric(text, errors="coerce").fillna(0.0).groupby(miles["Permit Number"].str.strip()).sum()
    holder = miles.groupby(miles["Permit Number"].str.strip())["Manufacturer"].first().str.strip()
    count = left["Permit Number"].str.strip().value_counts().reindex(driven.index, fill_value=0)
    table = pd.DataFrame({"holder": holder, "miles": driven, "disengagements": count})
    table = table[table.index != ""]
    return table.assign(
        per_1000_miles=1000.0 * table["disengagements"] / table["miles"].where(table["miles"] > 0)
    ).sort_values("miles", ascending=False)
