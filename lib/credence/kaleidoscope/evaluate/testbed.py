"""The loop on the test cluster: detect, localise, diagnose, window after window; and what comes of it run by run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import betaln

from credence.kaleidoscope import diagnose, infer
from credence.kaleidoscope.data.testbed import CELLS, Pings, count
from credence.kaleidoscope.data.testbed import pings as judged_pings
from credence.kaleidoscope.data.topology import OPERATIONS, Topology, topology
from credence.kaleidoscope.model.variants import Priors, Variant

WINDOW_S, STEP_S = 5.0, 1.0
SETTLE_S = 1.0
QUANTILE = 0.99  # the paper's limit of 1 s is the 99th percentile of its pings
BLAME = 0.75
SYSTEM_METRICS = ("load", "await_ms", "queue_bytes", "retransmits_per_s")  # the paper's: load, await, network stall
WORK_METRICS = ("disk_bytes_per_s", "received_bytes_per_s")
PAPER = diagnose.Settings()
OURS = diagnose.Settings(peer_ratio=1.5, work=WORK_METRICS)
SETTINGS = {"paper's rule": PAPER, "with work done": OURS}
PAST = 20  # seconds of its own past that stand in for peers where a component has none
MOST_STRENGTH = 300.0  # more is as good as a fixed rate, at tens of pings a cell


@dataclass(frozen=True)
class Calibration:
    """What runs without a fault say.

    Attributes
    ----------
    slo_s : dict of float
        Time limit of a good ping by operation [s].
    priors : Priors
        ``up_rate`` and ``up_strength`` of the pings of a path that works.
    """

    slo_s: dict[str, float]
    priors: Priors


@dataclass(frozen=True)
class Blamed:
    """Components one of which has failed, as they cannot be told apart.

    Attributes
    ----------
    components : tuple of str
    p_down : float
        Expected number of failed ones among them, at most 1.
    """

    components: tuple[str, ...]
    p_down: float

    def __str__(self) -> str:
        return " or ".join(self.components) + f" ({self.p_down:.2f})"


def calibrate(pings: pd.DataFrame, quantile: float = QUANTILE, margin: float = 1.0) -> Calibration:
    """Set time limits and rates from pings of runs without a fault.

    Parameters
    ----------
    pings [pings, >= 8]
        ``run`` and the columns of a log.
    quantile, margin : float
        The limit is `margin` times this quantile of the latencies of each operation.
    """
    done = pings[(pings["outcome"] != "missing") & (pings["time_s"] > SETTLE_S)]
    slo = {
        name: float(margin * done.loc[done["operation"] == name, "latency_s"].quantile(quantile)) for name in OPERATIONS
    }
    system, good, bad = topology("moosefs"), [], []
    for _, run in done.groupby("run"):
        judged = judged_pings(run, slo)
        for end in np.arange(SETTLE_S + WINDOW_S, run["time_s"].max(), WINDOW_S):
            window = count(judged, end - WINDOW_S, end, system)
            good.append(window.succeeded)
            bad.append(window.failed)
    rate, strength = beta_binomial(np.concatenate(good), np.concatenate(bad))
    return Calibration(slo, Priors(up_rate=rate, up_strength=strength))


def beta_binomial(good: np.ndarray, bad: np.ndarray) -> tuple[float, float]:
    """Return mean and strength (pseudo-pings) of cells' success rates: mean by counting, strength by likelihood.

    Parameters
    ----------
    good, bad : numpy.ndarray [cells]
    """
    rate = float((good.sum() + 0.5) / (good.sum() + bad.sum() + 1))

    def loss(log_strength: float) -> float:
        a, b = np.exp(log_strength) * rate, np.exp(log_strength) * (1 - rate)
        return -float((betaln(a + good, b + bad) - betaln(a, b)).sum())

    return rate, float(np.exp(minimize_scalar(loss, bounds=(np.log(0.5), np.log(MOST_STRENGTH)), method="bounded").x))


def localise(judged: Pings, start_s: float, end_s: float, known: Calibration, system: Topology) -> list[Blamed]:
    """Return who is blamed for the pings answered in a window, the most suspect first."""
    window = count(judged, start_s, end_s, system)
    posterior = infer.exact_posterior(_plan(), window, known.priors, by_cell=True)
    table = infer.health(_plan(), window, known.priors, posterior=posterior)
    table["set"] = table["set"].where(table["set"] > 0, -1 - table["component"])  # a set of its own
    found = []
    for _, rows in table.groupby("set"):
        p_down = float((1 - rows["p_up"]).sum())
        if p_down >= BLAME:
            found.append(Blamed(tuple(system.components[k] for k in rows["component"]), min(1.0, p_down)))
    return sorted(found, key=lambda each: -each.p_down)


@cache
def _plan() -> infer.Plan:
    system = topology("moosefs")
    paths = system.paths(*(list(column) for column in zip(*CELLS, strict=True)))
    return infer.plan(infer.index(paths, Variant(lnet="mixture")))


def metrics_of(telemetry: pd.DataFrame, component: str, start_s: float, end_s: float, names: Sequence[str]):
    """Return the mean of metrics of a component in a window, then those of its peers.

    A chunk server's (or its target's) peers are the other servers; a component without two peers is compared with
    itself: each of the last seconds before the window.

    Returns
    -------
    dict of numpy.ndarray [1 + peers]
    """
    from credence.kaleidoscope.testbed.layout import SERVERS, server_of

    place = server_of(component)
    here = telemetry[(telemetry["time_s"] > start_s) & (telemetry["time_s"] <= end_s)]
    means = here.groupby("component")[list(names)].mean()
    own = means.loc[place] if place in means.index else pd.Series(np.nan, list(names))
    if place in SERVERS:
        others = means.reindex([name for name in SERVERS if name != place])
    else:
        before = telemetry[(telemetry["component"] == place) & (telemetry["time_s"] <= start_s)]
        others = before.sort_values("time_s").tail(PAST)
    return {name: np.append(own[name], others[name].to_numpy(float)) for name in names}


def explain(
    telemetry: pd.DataFrame,
    messages: pd.DataFrame,
    blamed: Sequence[str],
    start_s: float,
    end_s: float,
    settings: diagnose.Settings,
) -> diagnose.Diagnosis:
    """Say why a component (or one of a set) failed in a window.

    Parameters
    ----------
    telemetry, messages : pandas.DataFrame
        Of the run.
    blamed : sequence of str
        The set; a server stands for it where one is in it.
    start_s, end_s : float
        The window [s]; messages count if they came in it.
    """
    place = next((name for name in blamed if name.startswith("oss")), blamed[0])
    mine = {place, *blamed}
    here = messages[(messages["time_s"] > start_s) & (messages["time_s"] <= end_s)]
    others = [rows["line"].tolist() for name, rows in here.groupby("about") if name not in mine]
    lines = here.loc[here["about"].isin(mine), "line"].tolist()
    metrics = metrics_of(telemetry, place, start_s, end_s, (*SYSTEM_METRICS, *settings.work))
    with warnings.catch_warnings():
        # of four servers, three often have no queue at all: equal values, next to which any other is far away
        warnings.filterwarnings("ignore", message="Duplicate values")
        return diagnose.diagnose(lines, others, metrics, settings)


def windows(
    pings: pd.DataFrame, known: Calibration, step_s: float = STEP_S, window_s: float = WINDOW_S
) -> pd.DataFrame:
    """Localise a run window by window.

    Returns
    -------
    pandas.DataFrame [windows, 4]
        ``start_s``, ``end_s``, ``blamed`` (tuple of :class:`Blamed`), ``cells`` counted.
    """
    system, rows = topology("moosefs"), []
    judged = judged_pings(pings, known.slo_s)
    for end in np.arange(SETTLE_S + window_s, judged.came_s.max(), step_s):
        found = localise(judged, end - window_s, end, known, system)
        rows.append({"start_s": end - window_s, "end_s": float(end), "blamed": tuple(found)})
    return pd.DataFrame(rows, columns=["start_s", "end_s", "blamed"])


def names(component: str) -> set[str]:
    """Return the components that a fault at `component` may be blamed on: a router stands for its group."""
    from credence.kaleidoscope.testbed.layout import ROUTERS

    return set(ROUTERS) if component in ROUTERS else {component}


def right(blamed: Sequence[Blamed], component: str) -> Blamed | None:
    """Return what of `blamed` holds the component, or None."""
    return next((each for each in blamed if names(component) & set(each.components)), None)


def score(run: pd.Series, seen: pd.DataFrame, telemetry: pd.DataFrame, messages: pd.DataFrame) -> dict:
    """Return what came of one run.

    Returns
    -------
    dict
        ``false_windows``: share of the windows that end before the fault (of all without one) with any blame.
        With a fault: ``delay_s`` until the end of the first window that blames the right place (NaN: never before it
        was taken back), ``localised`` (in at least half of the windows wholly in the fault), ``others`` (mean number
        of other sets blamed in those), ``cause: <name>`` for each of :data:`SETTINGS`, and ``by: <name>``.
    """
    calm = seen if run["fault"] == "none" else seen[seen["end_s"] <= run["began_s"]]
    result = {"false_windows": float(calm["blamed"].map(bool).mean())} if len(calm) else {"false_windows": np.nan}
    if run["fault"] == "none":
        return result
    during = seen[(seen["end_s"] > run["began_s"]) & (seen["start_s"] < run["ended_s"])]
    hit = during["blamed"].map(lambda blamed: right(blamed, run["component"]) is not None)
    result["delay_s"] = float((during.loc[hit, "end_s"] - run["began_s"]).min()) if hit.any() else np.nan
    whole = during[(during["start_s"] >= run["began_s"]) & (during["end_s"] <= run["ended_s"])]
    result["localised"] = bool(len(whole) and hit[whole.index].mean() >= 0.5)
    result["others"] = float(
        whole["blamed"].map(lambda b: sum(right([each], run["component"]) is None for each in b)).mean()
    )
    blamed = [right(each, run["component"]) for each in whole["blamed"]]
    components = next((each.components for each in reversed(blamed) if each), (run["component"],))
    for name, settings in SETTINGS.items():
        found = explain(telemetry, messages, components, run["began_s"], run["ended_s"], settings)
        result |= {
            f"cause: {name}": found.cause,
            f"by: {name}": found.by,
            f"evidence: {name}": "; ".join(found.evidence),
        }
    return result


def study(tables: dict[str, pd.DataFrame], known: Calibration, **how) -> tuple[pd.DataFrame, dict[int, pd.DataFrame]]:
    """Score every run.

    Parameters
    ----------
    tables : dict of pandas.DataFrame
        ``runs``, ``probes``, ``telemetry``, ``messages``.

    Returns
    -------
    (pandas.DataFrame [runs], dict of pandas.DataFrame)
        One row a run (:func:`score` beside the run's own columns), and each run's windows.
    """
    rows, seen = [], {}
    for _, run in tables["runs"].iterrows():
        parts = [tables[name][tables[name]["run"] == run["run"]] for name in ("probes", "telemetry", "messages")]
        seen[run["run"]] = windows(parts[0], known, **how)
        rows.append({**run, **score(run, seen[run["run"]], *parts[1:])})
    return pd.DataFrame(rows), seen
