"""Was an issue localised, how soon, and which alarms does nothing explain: pure functions of frames.

*Blames* are rows of window and component. An *alarm* is a run of blames of one component with gaps of at most
one window.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

# the first half hour of an issue: after that operators would know of it anyway (§V-B)
JUDGED = 6
GAP = 2
PER_DAY = 288
STRIDE = 4096


def keys(window, component) -> np.ndarray:
    """Return one number for each window and component [n]."""
    return np.asarray(window, np.int64) * STRIDE + np.asarray(component, np.int64)


def hits(issues: pd.DataFrame, blames: pd.DataFrame) -> pd.DataFrame:
    """Judge every issue.

    Parameters
    ----------
    issues : pandas.DataFrame
        ``event``, ``answers``, ``first``, ``last``; windows are counted as in `blames`.
    blames : pandas.DataFrame
        ``window``, ``component``.

    Returns
    -------
    pandas.DataFrame
        By event: ``named`` (of the first six windows, in how many an answer was blamed), ``localised`` (in two of
        them; in one, if it lasts one), ``delay_min`` (end of the first window that named it; NaN for none).
    """
    rows = [
        (row.event, w, c)
        for row in issues.itertuples()
        for w in range(row.first, min(row.last, row.first + JUDGED))
        for c in row.answers
    ]
    table = pd.DataFrame(rows, columns=["event", "window", "component"])
    found = table[np.isin(keys(table["window"], table["component"]), keys(blames["window"], blames["component"]))]
    by_event = found.groupby("event")["window"]
    width = (issues["last"] - issues["first"]).clip(upper=JUDGED).to_numpy()
    event = issues["event"].to_numpy()
    count = by_event.nunique().reindex(event).fillna(0).to_numpy()
    delay = (by_event.min().reindex(event).to_numpy() - issues["first"].to_numpy() + 1) * 5.0
    return pd.DataFrame(
        {"event": event, "named": count, "localised": count >= np.minimum(2, width), "delay_min": delay}
    )


def explained(blames: pd.DataFrame, events: pd.DataFrame, slack: int = 1, strain=()) -> np.ndarray:
    """Return which blames some event explains: its component among the answers, its window in the event [blames].

    Parameters
    ----------
    events : pandas.DataFrame
        All events, also those that operators don't know.
    slack : int
        Windows after its end in which an event still explains blames.
    strain : array_like of int
        :func:`keys` of windows and components that lose probes by their usual load.
    """
    if not len(blames):
        return np.zeros(0, bool)
    low, high = blames["window"].min(), blames["window"].max()
    here = events[(events["first"] <= high) & (events["last"] + slack > low)]
    width = (here["last"] - here["first"] + slack).to_numpy(np.int64)
    sizes = np.array([len(each) for each in here["answers"]], np.int64)
    event = np.repeat(np.arange(len(here)), width)
    window = here["first"].to_numpy()[event] + _counter(width)
    pair = np.repeat(np.arange(len(window)), sizes[event])
    flat = np.concatenate([np.asarray(each) for each in here["answers"]]) if len(here) else np.zeros(0, int)
    start = np.concatenate([[0], np.cumsum(sizes)])
    component = flat[start[event[pair]] + _counter(sizes[event])]
    wanted = keys(blames["window"], blames["component"])
    return np.isin(wanted, keys(window[pair], component)) | np.isin(wanted, np.asarray(strain, np.int64))


def _counter(widths: np.ndarray) -> np.ndarray:
    """Return 0..w-1 for each width, one after the other."""
    total = int(widths.sum())
    return np.arange(total) - np.repeat(np.cumsum(widths) - widths, widths)


def alarms(blames: pd.DataFrame, events: pd.DataFrame, strain=()) -> pd.DataFrame:
    """Merge blames into alarms; arguments as for :func:`explained`.

    Returns
    -------
    pandas.DataFrame
        ``component``, ``first``, ``last`` (window, excluded), ``windows`` blamed, ``event`` (some event explains
        at least one of its blames), ``true`` (an event does, or strain).
    """
    event = explained(blames, events)
    table = blames.assign(event=event, true=event | explained(blames, events.iloc[:0], 1, strain))
    table = table.sort_values(["component", "window"], ignore_index=True)
    new = (table["component"].diff() != 0) | (table["window"].diff() > GAP)
    groups = table.groupby(new.cumsum(), sort=False)
    return pd.DataFrame(
        {
            "component": groups["component"].first(),
            "first": groups["window"].min(),
            "last": groups["window"].max() + 1,
            "windows": groups["window"].count(),
            "event": groups["event"].any(),
            "true": groups["true"].any(),
        }
    ).reset_index(drop=True)


def filtered(found: pd.DataFrame, reliability: np.ndarray | None = None) -> pd.DataFrame:
    """Return the alarms that operators would see: over half an hour, or diagnosed as a reliability failure (§V-B).

    Parameters
    ----------
    found : pandas.DataFrame
        From :func:`alarms`.
    reliability : numpy.ndarray [alarms], optional
        True where the diagnosis says so; none by default.
    """
    keep = (found["last"] - found["first"]).to_numpy() > JUDGED
    return found[keep if reliability is None else keep | reliability]


def onsets(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return blames of windows that the window before did not have: `before` holds the windows 1 earlier."""
    old = keys(before["window"] + 1, before["component"])
    return now[~np.isin(keys(now["window"], now["component"]), old)]


def wilson(hit: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share [1]."""
    from scipy.stats import norm

    if count == 0:
        return 0.0, 1.0
    z = norm.ppf((1 + level) / 2)
    share = hit / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def bootstrap_share(flags, rng: np.random.Generator, draws: int = 2000) -> np.ndarray:
    """Return draws of a share in percent, resampling what the flags belong to [draws]."""
    flags = np.asarray(flags, bool)
    return 100 * rng.binomial(len(flags), flags.mean(), draws) / len(flags)
