"""What the runs of the test cluster come to: tables by kind of fault, time limits, overhead, draws."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from credence.bench.seeds import generator
from credence.kaleidoscope.data.testbed import table
from credence.kaleidoscope.evaluate import testbed as judging
from credence.kaleidoscope.testbed.faults import KINDS
from credence.kaleidoscope.testbed.layout import ROUTERS

CALIBRATION_REPEATS = (0, 1)
ADDRESS = re.compile(r"\d+(\.\d+){3}:\d+")
LONGEST = 60  # characters of evidence in a table
TABLES = ("runs", "probes", "telemetry", "messages")


def calibration_pings() -> pd.DataFrame:
    """Return the pings of the base runs that set limits; the other base runs judge false alarms."""
    runs = table("runs")
    chosen = runs.loc[(runs["fault"] == "none") & runs["repeat"].isin(CALIBRATION_REPEATS), "run"]
    return table("probes")[table("probes")["run"].isin(chosen)]


def judged_runs(repeats: int) -> dict[str, pd.DataFrame]:
    """Return the tables with so many runs of each kind of fault, and the base runs that set no limits."""
    runs = table("runs")
    base = (runs["fault"] == "none") & ~runs["repeat"].isin(CALIBRATION_REPEATS)
    runs = runs[base | ((runs["fault"] != "none") & (runs["repeat"] < repeats))]
    parts = {name: table(name)[table(name)["run"].isin(runs["run"])] for name in TABLES[1:]}
    return {"runs": runs, **parts}


def median_writes(runs: pd.Series) -> np.ndarray:
    """Return the median latency of a write to an existing file in each run [ms]."""
    probes = table("probes")
    writes = probes[(probes["operation"] == "wrex") & (probes["outcome"] == "done")]
    return 1e3 * writes.groupby("run")["latency_s"].median().reindex(runs).to_numpy()


def by_kind(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row a kind of fault: runs, localised, median delay [s], other sets blamed, right causes by rule."""
    rows = []
    for kind, group in scores[scores["fault"] != "none"].groupby("fault", sort=False):
        row = {"fault": kind, "should be": group["cause"].iloc[0], "runs": len(group)}
        row |= {"localised": int(group["localised"].sum()), "delay [s]": group["delay_s"].median()}
        row["others"] = group["others"].mean()
        row |= {f"right, {name}": int((group[f"cause: {name}"] == group["cause"]).sum()) for name in judging.SETTINGS}
        rows.append(row)
    return pd.DataFrame(rows)


def causes(scores: pd.DataFrame) -> pd.DataFrame:
    """Return counts of causes: ``fault``, ``rule``, ``cause``, ``runs``."""
    faulty = scores[scores["fault"] != "none"]
    parts = []
    for name in judging.SETTINGS:
        counted = faulty.groupby(["fault", f"cause: {name}"], sort=False).size().reset_index()
        counted.columns = ["fault", "cause", "runs"]
        parts.append(counted.assign(rule=name))
    return pd.concat(parts, ignore_index=True)


def evidence(scores: pd.DataFrame, repeat: int = 0) -> pd.DataFrame:
    """Return what decided each cause in one run of each kind, by rule: text cut to 60 characters."""
    rows = scores[(scores["fault"] != "none") & (scores["repeat"] == repeat)]
    shown = []
    for _, run in rows.iterrows():
        for name in judging.SETTINGS:
            text = ADDRESS.sub("ADDRESS", run[f"evidence: {name}"])
            cut = text if len(text) <= LONGEST else text[: LONGEST - 2] + " …"
            shown.append({"fault": run["fault"], "rule": name, "cause": run[f"cause: {name}"], "evidence": cut})
    return pd.DataFrame(shown)


def sensitivity(quantiles, repeats: int, margin: float = 1.0) -> pd.DataFrame:
    """Judge the runs under other time limits.

    Returns
    -------
    pandas.DataFrame [quantiles]
        ``quantile`` of the base runs' latencies, ``wrex_ms`` the limit that follows, ``localised`` share of the runs
        with a fault, ``false_windows`` share of the windows without one that blame anything, ``median_delay_s``.
    """
    rows, tables = [], judged_runs(repeats)
    for quantile in quantiles:
        known = judging.calibrate(calibration_pings(), quantile, margin)
        scores, _ = judging.study(tables, known)
        faulty = scores[scores["fault"] != "none"]
        rows.append({
            "quantile": quantile, "wrex_ms": 1e3 * known.slo_s["wrex"], "localised": faulty["localised"].mean(),
            "false_windows": scores.loc[scores["fault"] == "none", "false_windows"].mean(),
            "median_delay_s": faulty["delay_s"].median(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def router_loss() -> pd.DataFrame:
    """Return what the routers' own counters say where packets are dropped: share lost, before and with the fault."""
    runs, telemetry, rows = table("runs"), table("telemetry"), []
    for _, run in runs[runs["fault"] == "router-drop"].iterrows():
        here = telemetry[(telemetry["run"] == run["run"]) & telemetry["component"].isin(ROUTERS)]
        put = here["time_s"].between(run["began_s"] + 1, run["ended_s"])
        for name, part in here.groupby("component"):
            rows.append({
                "run": run["run"], "dropping": run["component"], "router": name,
                "lost before": part.loc[part["time_s"] < run["began_s"], "lost"].mean(),
                "lost with the fault": part.loc[put[part.index], "lost"].mean(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def overhead() -> pd.DataFrame:
    """Return throughput under probing as a percentage of the same round's without probes: [rounds * intervals]."""
    rows = table("overhead")
    without = rows[rows["interval_s"].isna()].set_index("run")["written_bytes_per_s"]
    return rows.assign(percent=100 * rows["written_bytes_per_s"] / rows["run"].map(without))


def metrics(scores: pd.DataFrame, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Return draws of the claims' metrics, by resampling runs with a fault, and rounds.

    Returns
    -------
    dict of numpy.ndarray [draws]
        ``testbed_localised``, ``testbed_root_cause`` (paper's rule), ``testbed_root_cause_work`` [%],
        ``testbed_detection_windows`` (median over localised runs), ``testbed_throughput`` [%].
    """
    rng = generator(seed, "kaleidoscope", "testbed")
    faulty = scores[scores["fault"] != "none"].reset_index(drop=True)
    # not within each kind: all runs of a kind come out alike, and which kinds there are is what one knows least of
    picks = rng.integers(0, len(faulty), (draws, len(faulty)))
    hit = faulty["localised"].to_numpy(bool)
    delay = np.where(hit, faulty["delay_s"].to_numpy(float), np.nan) / judging.WINDOW_S
    result = {"testbed_localised": 100 * hit[picks].mean(axis=1)}
    for name, rule in (("testbed_root_cause", "paper's rule"), ("testbed_root_cause_work", "with work done")):
        good = hit & (faulty[f"cause: {rule}"] == faulty["cause"]).to_numpy()
        result[name] = 100 * good[picks].mean(axis=1)
    some = hit[picks].any(axis=1)  # a draw without any run that was localised has no delay
    result["testbed_detection_windows"] = np.nanmedian(delay[picks[some]], axis=1)
    rows = overhead()
    slowest = rows.loc[rows["interval_s"] == rows["interval_s"].max(), "percent"].to_numpy()
    result["testbed_throughput"] = rng.choice(slowest, (draws, len(slowest))).mean(axis=1)
    return result


def kinds() -> pd.DataFrame:
    """Return the kinds of faults: name, what is done, how often it was, and what a diagnosis should say."""
    runs = table("runs")
    rows = [
        {
            "fault": kind.name,
            "what": kind.what,
            "should be": kind.cause,
            "runs": int((runs["fault"] == kind.name).sum()),
        }
        for kind in KINDS.values()
    ]
    base = {"fault": "none", "what": "nothing", "should be": "", "runs": int((runs["fault"] == "none").sum())}
    return pd.DataFrame([*rows, base])
