"""How good is the rule on outliers? Slow disks with labels, a bad target, slow probes of a year, simulated issues."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.kaleidoscope.diagnose import difference, outlier, read_rules
from credence.kaleidoscope.diagnose.logs import Rule
from credence.kaleidoscope.diagnose.outliers import NEIGHBOURS, RATIO, local_outlier_factors
from credence.kaleidoscope.world import telemetry
from credence.kaleidoscope.world.telemetry import LogBreaks

CHOSEN_ON = "A"  # cluster of PERSEUS on which settings are chosen
RATIOS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0)
NEIGHBOURHOODS = (2, 3, 4, 5)
PEER_RATIOS = (1.05, 1.1, 1.15, 1.2, 1.3, 1.5)
SLOW_PROBE = 0.5  # a probe is slow below this share of its kind's median
TOKIO_METRICS = {
    "fs_max_mds_cpu": "metadata server, processor",
    "fs_max_oss_cpu": "storage servers, processor",
    "fs_ave_open_ops_per_sec": "files opened a second",
    "fs_tot_gibs_written": "written by all",
    "fs_tot_gibs_read": "read by all",
    "fshealth_ost_overloaded_oss_count": "servers with another's targets (fail-over)",
    "jobsdb_concurrent_nodehrs": "node hours of other jobs",
}


def among_peers(
    table: pd.DataFrame, value: str, group: Sequence[str], neighbours: int = NEIGHBOURS, failed: str = ""
) -> pd.DataFrame:
    """Compare every member of every group with its peers.

    Parameters
    ----------
    table : pandas.DataFrame
    value : str
        Column of the metric.
    group : sequence of str
        Columns that make a homogeneous group.
    neighbours : int
        At most half the peers, as in `diagnose.outlier`.
    failed : str
        Column that is True for members that failed: they are no one's peers, as in the paper, where probes say who
        failed. Empty: everybody is a peer, and two that failed alike hide each other.

    Returns
    -------
    pandas.DataFrame
        ``table`` with ``factor_ratio`` (local outlier factor over the largest of a peer; 0 for values that are not
        above the peers' median) and ``peer_ratio``.
    """
    parts = []
    for _, rows in table.groupby(list(group), sort=True):
        values = rows[value].to_numpy(float)
        out = rows[failed].to_numpy(bool) if failed else np.zeros(len(rows), bool)
        ratio, share = np.empty(len(rows)), np.empty(len(rows))
        ratio[~out], share[~out] = _each(values[~out], neighbours)
        for place in np.flatnonzero(out):
            both = _each(np.append(values[place], values[~out]), neighbours)
            ratio[place], share[place] = both[0][0], both[1][0]
        parts.append(rows.assign(factor_ratio=ratio, peer_ratio=share))
    return pd.concat(parts, ignore_index=True)


def _each(values: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ratio of factors and the ratio to the peers' median of every value; one fit for all."""
    factor = local_outlier_factors(values, min(neighbours, max(1, (len(values) - 1) // 2)))
    order = np.argsort(factor)
    largest = np.where(np.arange(len(factor)) == order[-1], factor[order[-2]], factor[order[-1]])
    middle = np.array([np.median(np.delete(values, i)) for i in range(len(values))])
    return np.where(values > middle, factor / largest, 0.0), values / middle


def called(table: pd.DataFrame, ratio: float, peer_ratio: float = 0.0) -> np.ndarray:
    """Return which rows of :func:`among_peers` are out of line: bool [rows]."""
    return ((table["factor_ratio"] >= ratio) & (table["peer_ratio"] >= peer_ratio)).to_numpy()


def scores(said: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Return recall and precision [%]; NaN where there is nothing to divide by."""
    hits = int((said & true).sum())
    return tuple(100 * hits / count if count else float("nan") for count in (int(true.sum()), int(said.sum())))


def over_settings(
    table: pd.DataFrame, value: str, group: Sequence[str], peer_ratios: Sequence[float] = (0.0,), failed: str = "slow"
) -> pd.DataFrame:
    """Return recall and precision over the ratio of factors, the neighbours and the peer ratio.

    Returns
    -------
    pandas.DataFrame
        ``neighbours``, ``ratio``, ``peer_ratio``, ``recall``, ``precision`` [%].
    """
    rows = []
    for neighbours in NEIGHBOURHOODS:
        compared = among_peers(table, value, group, neighbours, failed)
        for ratio in RATIOS:
            for least in peer_ratios:
                found = scores(called(compared, ratio, least), compared["slow"].to_numpy(bool))
                rows.append((neighbours, ratio, least, *found))
    return pd.DataFrame(rows, columns=["neighbours", "ratio", "peer_ratio", "recall", "precision"])


def chosen(table: pd.DataFrame, value: str, group: Sequence[str]) -> float:
    """Choose the peer ratio at the paper's ratio of factors: the best F1, then the smallest.

    `table` holds what may be chosen on, nothing else. The neighbours stay what they are in the library: two slow disks
    are too few to choose them by.
    """
    compared, best = among_peers(table, value, group, NEIGHBOURS, "slow"), (-1.0, 0.0)
    for least in PEER_RATIOS:
        recall, precision = np.nan_to_num(scores(called(compared, RATIO, least), compared["slow"].to_numpy(bool)))
        best = max(best, (round(2 * recall * precision / max(recall + precision, 1e-9), 6), -least))
    return -best[1]


def share_draws(said: np.ndarray, true: np.ndarray, host: np.ndarray, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Return recall and precision [%] over resampled hosts: ``recall``, ``precision`` [at most draws].

    Draws without a host that has something to find, or in which nothing is called, say nothing and are left out.
    """
    names, place = np.unique(host, return_inverse=True)
    counts = np.stack(
        [np.bincount(place, weights=each, minlength=len(names)) for each in (said & true, true, said)]
    )  # hits, wanted, called by host
    rng = seeds.generator(seed, "hosts")
    weight = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    hits, wanted, named = (weight @ each for each in counts)
    tells = (wanted > 0) & (named > 0)
    return {"recall": 100 * hits[tells] / wanted[tells], "precision": 100 * hits[tells] / named[tells]}


def bad_target(files: pd.DataFrame, draws: int, seed: int, expected: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Look for a target whose files are slow.

    Parameters
    ----------
    files : pandas.DataFrame
        ``target``, ``MiB_per_s``, a row a file.
    draws, seed : int
        Files are resampled within each target.
    expected : int
        The bad one.

    Returns
    -------
    pandas.DataFrame
        A row a target: ``target``, ``ms_per_MiB`` (median), ``factor_ratio``, ``peer_ratio``, ``called``.
    numpy.ndarray [draws]
        1 where the expected target and no other is called.
    """
    by = {target: 1000 / rows["MiB_per_s"].to_numpy(float) for target, rows in files.groupby("target", sort=True)}
    table = _targets({target: np.median(values) for target, values in by.items()})
    rng = seeds.generator(seed, "files")
    named = np.empty(draws)
    for k in range(draws):
        again = _targets({t: np.median(rng.choice(values, len(values))) for t, values in by.items()})
        named[k] = again.loc[again["called"], "target"].tolist() == [expected]
    return table, named


def _targets(medians: dict[int, float]) -> pd.DataFrame:
    table = pd.DataFrame({"target": list(medians), "ms_per_MiB": list(medians.values()), "all": 0})
    found = among_peers(table, "ms_per_MiB", ["all"], NEIGHBOURS).drop(columns="all")
    return found.assign(called=called(found, RATIO))


def slow_probes(runs: pd.DataFrame, most: int = 150, peers: int = 40, seed: int = 0) -> pd.DataFrame:
    """Ask which metric sets slow probes of a year apart from those around them, and usual ones likewise.

    Parameters
    ----------
    runs : pandas.DataFrame
        `data.storage_sets.tokio_year`.
    most : int
        Slow probes and usual probes looked at, drawn at random.
    peers : int
        Usual probes of the same kind nearest in time that one is compared with.

    Returns
    -------
    pandas.DataFrame
        ``metric``, ``slow``, ``usual``: share of probes that the rule calls out of line in it [%]; last row: in any.
    """
    kind = runs["darshan_app"].astype(str).str.rsplit("/", n=1).str[-1]
    written = pd.to_numeric(runs["darshan_tot_bytes_written_posix"], errors="coerce").fillna(0) > 0
    speed = pd.to_numeric(runs["darshan_agg_perf_by_slowest_posix"], errors="coerce")
    begin = pd.to_numeric(runs["darshan_start_time"], errors="coerce")
    group = kind + runs["_file_system"].astype(str) + written.astype(str)
    known = speed.gt(0) & begin.notna()
    slow = speed < SLOW_PROBE * speed[known].groupby(group[known]).transform("median").reindex(runs.index)
    rng = seeds.generator(seed, "probes of a year")
    flags: dict[str, dict[str, list[bool]]] = {name: {"slow": [], "usual": []} for name in TOKIO_METRICS}
    every: dict[str, list[bool]] = {"slow": [], "usual": []}
    for label, which in (("slow", known & slow), ("usual", known & ~slow)):
        places = rng.permutation(np.flatnonzero(which))[:most]
        for place in places:
            alike = np.flatnonzero(known & ~slow & (group == group.iloc[place]))
            alike = alike[alike != place]
            near = alike[np.argsort(np.abs(begin.to_numpy()[alike] - begin.iloc[place]), kind="stable")[:peers]]
            said = []
            for name in TOKIO_METRICS:
                values = pd.to_numeric(runs[name].iloc[[place, *near]], errors="coerce").to_numpy(float)
                said.append(outlier(values).lof)
                flags[name][label].append(said[-1])
            every[label].append(any(said))
    rows = [(TOKIO_METRICS[name], *(100 * np.mean(flags[name][k]) for k in ("slow", "usual"))) for name in flags]
    rows.append(("any of them", *(100 * np.mean(every[k]) for k in ("slow", "usual"))))
    return pd.DataFrame(rows, columns=["metric", "slow", "usual"])


def rules_on_lines(lines: pd.DataFrame, released: pd.DataFrame) -> pd.DataFrame:
    """Return how many sample lines our rules and the authors' mark: ``library``, ``rules``, ``marked`` [%]."""
    theirs, broken = [], 0
    for row in released[released["library"] == "all"].itertuples():
        try:
            theirs.append(Rule(row.tag, row.category, re.compile(row.regex, re.IGNORECASE)))
        except re.error:
            broken += 1
    found = []
    for name, rules in (("ours", read_rules()), ("released", theirs)):
        hits = [any(rule.pattern.search(line) for rule in rules) for line in lines["line"]]
        found.append((name, len(rules), 100 * np.mean(hits)))
    return pd.DataFrame(found, columns=["library", "rules", "marked"]).assign(unreadable=[0, broken])


def simulated_shares(
    count: int, ratios: Sequence[float] = RATIOS, neighbourhoods: Sequence[int] = (3, 10, 15), seed: int = 0
) -> pd.DataFrame:
    """Return the share of right causes on simulated issues over LOF_r and the neighbours, half of them overloads.

    Returns
    -------
    pandas.DataFrame
        ``neighbours``, ``ratio``, ``reliability``, ``overload`` [%].
    """
    breaks, rows = LogBreaks(), []
    issues = [_issue(k, seed, breaks, neighbourhoods) for k in range(count)]
    for place, neighbours in enumerate(neighbourhoods):
        for ratio in ratios:
            right: dict[str, list[bool]] = {"reliability": [], "overload": []}
            for cause, by_log, best in issues:
                said = "reliability" if by_log else "overload" if best[place] >= ratio else "unknown"
                right[cause].append(said == cause)
            rows.append((neighbours, ratio, *(100 * np.mean(right[name]) for name in ("reliability", "overload"))))
    return pd.DataFrame(rows, columns=["neighbours", "ratio", "reliability", "overload"])


def simulated_issue(number: int, seed: int = 0, breaks: LogBreaks | None = None) -> tuple[str, telemetry.Telemetry]:
    """Return cause and telemetry of a simulated issue of a server; odd ones are overloads."""
    rng = seeds.generator(seed, "simulated issues", number)
    cause = ("reliability", "overload")[number % 2]
    load = float(rng.uniform(65, 300)) if number % 2 else 0.0
    return cause, telemetry.around("server", cause, load, rng, breaks or LogBreaks())


def _issue(number: int, seed: int, breaks: LogBreaks, neighbourhoods: Sequence[int]) -> tuple[str, bool, list[float]]:
    """Return cause, whether the log decides, and the best ratio of factors of any metric for each number of neighbours.

    What `diagnose` says follows from these for every LOF_r, which saves fitting anew for each.
    """
    cause, seen = simulated_issue(number, seed, breaks)
    best = []
    for neighbours in neighbourhoods:
        found = [outlier(values, 0, RATIO, neighbours) for values in seen.metrics.values()]
        best.append(max((each.factor / each.largest for each in found if each.value > each.peers), default=0.0))
    return cause, bool(difference(seen.logs[0], seen.logs[1:]).lines), best
