"""The first runs of the test cluster, judged: what was put in, what the posterior answers (measured)."""

from __future__ import annotations

import pandas as pd

from credence.kaleidoscope.data.measured import RUNS, log_windows, measured_log
from credence.kaleidoscope.data.probes import Window
from credence.kaleidoscope.data.topology import OPERATIONS, topology
from credence.kaleidoscope.evaluate.health import Health, health
from credence.kaleidoscope.model.variants import Variant


def judged(run: str, slo_s: float, lnet: str = "or") -> tuple[Window, Health]:
    """Return the whole run as one window, and the health of every component in it.

    Parameters
    ----------
    run : str
        One of :data:`credence.kaleidoscope.data.measured.RUNS`.
    slo_s : float
        Time limit of a good ping [s].
    lnet : str
        As in :class:`Variant`: how the two routers stand in for each other.
    """
    (window,) = log_windows(measured_log(run), slo_s)
    return window, health(topology("moosefs"), window, variant=Variant(lnet=lnet))


def answers(slo_s: float, lnet: str = "or") -> pd.DataFrame:
    """Return truth and answer of every run.

    Returns
    -------
    pandas.DataFrame [runs, 6]
        ``run``, ``fault``, ``put into``, ``slow`` (share of pings over the limit), ``answer`` (what is likely not up,
        with P(up)), ``outcome``: right (the component, or a set that the cluster's wiring can't take apart), another
        set, nothing, or nothing to find.
    """
    rows = []
    for run in RUNS.values():
        window, found = judged(run.run, slo_s, lnet)
        suspects = found.suspects
        answer = ", ".join(f"{row.component} {row.p_healthy:.2f}" for row in suspects.itertuples()) or "-"
        outcome = _outcome(run.component, set(suspects["component"]))
        slow = float(window.failed.sum() / window.sent.sum())
        rows.append((run.run, run.fault, run.component or "-", slow, answer, outcome))
    return pd.DataFrame(rows, columns=["run", "fault", "put into", "slow", "answer", "outcome"])


def same_chain(component: str) -> set[str]:
    """Return the components that no probe of this cluster can tell from one: a server and its target, both routers."""
    if component.startswith(("oss_", "ost_")):
        return {f"{kind}_{component[-1]}" for kind in ("oss", "ost")}
    return {"router1", "router2"} if component.startswith("router") else {component}


def _outcome(component: str, blamed: set[str]) -> str:
    if not component:
        return "false alarm" if blamed else "nothing to find"
    if not blamed:
        return "missed"
    return "right" if blamed == same_chain(component) else "another set"


def shares(run: str, slo_s: float) -> pd.DataFrame:
    """Return slow pings by path: ``client``, ``path`` (operation, target), ``slow`` [1], ``n`` [pings]."""
    log = measured_log(run)
    slow = (log["latency_s"] > slo_s) | (log["errno"] != 0)
    order = {name: k for k, name in enumerate(OPERATIONS)}
    cells = log.assign(slow=slow).groupby(["client", "operation", "target"])["slow"].agg(["mean", "size"]).reset_index()
    cells = cells.sort_values(["operation", "target"], key=lambda c: c.map(order) if c.name == "operation" else c)
    path = cells["operation"] + " " + cells["target"]
    return pd.DataFrame({"client": cells["client"], "path": path, "slow": cells["mean"], "n": cells["size"]})
