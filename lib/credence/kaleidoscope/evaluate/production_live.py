"""What the production report computes while it runs: a stretch of the replay, the case study, the queue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.bench.presets import pick
from credence.kaleidoscope.evaluate import contest, localising, production, production_causes
from credence.kaleidoscope.evaluate import production_tables as tables
from credence.kaleidoscope.evaluate.localising import Ours
from credence.kaleidoscope.infer import search
from credence.kaleidoscope.world import issues, queueing, windows

# The default priors: a failed path loses everything or anything, so that a dead router of four costs a quarter.
DEFAULT = Ours()


def replayed(here: production.Scene, preset: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return issues, quiet windows, months and tuning: recorded, or at ``full`` computed again."""
    tuning = tables.read("tuning")
    recorded = pick(preset, smoke=True, quick=True, full=False)
    if recorded:
        return tables.read("issues"), tables.read("quiet"), tables.read("months"), tuning
    found = production.judged(here, tuning, issues.MONTHS)
    return found["issues"], found["quiet"], found["months"], tuning


def diagnosed(rows: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Return the causes found for our localised issues: recorded, or at ``full`` anew."""
    if pick(preset, smoke=True, quick=True, full=False):
        return tables.read("causes")
    return production_causes.over_strengths(rows[rows["method"] == "ours"])


def queue_points(loads, seconds: float, seed: int) -> pd.DataFrame:
    """Simulate the queue at some loads; ``load``, ``mean`` and ``p99`` [s], by one probe a second of `seconds`."""
    rows = []
    for load in loads:
        times = queueing.probe_times(load, seconds, seeds.generator(seed, "kaleidoscope queue", load))
        rows.append({"load": load, "mean": times.mean(), "p99": np.quantile(times, 0.99)})
    return pd.DataFrame(rows)


def live(here: production.Scene, settings: Ours, number: int) -> dict[str, object]:
    """Simulate the first windows of the replay and localise them twice: as a batch, and one by one.

    Returns
    -------
    dict
        ``windows``, ``blames``, and ``repeats``: whether both gave the same.
    """
    events = contest.timetable(here.full, production.SEED, issues.MONTHS)
    succeeded, missing, _ = windows.month(here.full, here.what, events, 0, production.SEED, windows=number)
    paths = here.small.paths(here.what.client, here.what.target, here.what.operation)
    prepared = localising.prepare(paths, here.what.sent, settings)
    batch = localising.blamed(prepared, here.what.sent, succeeded, missing, settings)
    some = min(number, 60)
    rows = []
    for w in range(some):
        explained = search.map_search(prepared, here.what.window(succeeded[w], missing[w]))
        rows += [(w, component) for component in explained.down]
    again = pd.DataFrame(rows, columns=["window", "component"]).sort_values(["window", "component"])
    first = batch[batch["window"] < some].sort_values(["window", "component"])
    return {"windows": number, "blames": len(batch), "repeats": np.array_equal(first.to_numpy(), again.to_numpy())}


def router_case(here: production.Scene, settings: Ours, seed: int, groups: int = 20) -> pd.DataFrame:
    """Let one router of a group lose its turns, group by group, and localise six windows with both readings.

    Returns
    -------
    pandas.DataFrame
        By reading: share of groups ``named in the first window``, mean ``dead routers said``, ``others blamed`` a
        window (components outside of the group).
    """
    rng = seeds.generator(seed, "kaleidoscope routers live")
    paths = here.full.paths(here.what.client, here.what.target, here.what.operation)
    culprits = rng.choice(here.full.of_kind("router")[: 4 * 140], groups, replace=False)
    rows: dict[str, list] = {"or": [], "mixture": []}
    prepared = {name: localising.prepare(paths, here.what.sent, replace(settings, lnet=name)) for name in rows}
    for culprit in culprits:
        event = pd.DataFrame({"culprit": [culprit], "fault": "router", "first": 0, "last": 6, "loss": 0.25})
        table = windows.losses(here.full, event, 0, 6)
        succeeded, missing, _ = windows.draw(here.what, table, windows.Breaks(), rng)
        failed = here.what.sent.astype(np.int32) - succeeded - missing
        for name, ready in prepared.items():
            levels, _ = search.map_windows(ready, succeeded.astype(np.int32), failed)
            group = (ready.index.member == culprit).any(axis=1)
            dead = levels[:, group].sum(axis=1)
            rows[name].append(
                (dead[0] > 0, dead[dead > 0].mean() if (dead > 0).any() else 0, (levels[:, ~group] > 0).sum(1).mean())
            )
    columns = ["named in the first window", "dead routers said", "others blamed"]
    return pd.DataFrame({name: np.mean(each, axis=0) for name, each in rows.items()}, index=columns).T
