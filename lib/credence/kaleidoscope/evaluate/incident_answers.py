"""The four published windows of Blue Waters, judged by every method; what is recorded of that, and its metrics.

``python -m credence.kaleidoscope.evaluate.incident_answers --tuning FILE`` judges the windows (third party,
``CREDENCE_MIRROR``) and puts the answers into ``data/kaleidoscope``: numbers of ours, none of the pictures'.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue, catalogue_entries, paths, seeds
from credence.bench.tables import write_parquet
from credence.kaleidoscope import baselines, infer
from credence.kaleidoscope.data.incidents import Incident, incident, incident_window, incidents
from credence.kaleidoscope.data.topology import topology

ANSWERS, SAMPLERS = "kaleidoscope-recorded-windows", "kaleidoscope-recorded-windows-samplers"
READINGS = ("failed", "missing")
CONFIDENCE = 0.75  # the paper's rule (§V-A)
FAILED_BELOW = 0.9  # health under which a component of the Beta model counts as failed; the paper gives none
MODULE = "credence.kaleidoscope.evaluate.incident_answers"

COLUMNS = {
    "window": "when it was [name]",
    "reading": "how rows that fail alike are taken: failed (as the authors do) or missing [name]",
    "method": "exact, MAP, NUTS, authors, or a baseline and its settings [name]",
    "component": "component of the topology bluewaters [name]",
    "score": "P(down) of exact, NUTS and the authors; each baseline's own scale [1]",
    "state": "down, ambiguous or up [name]",
}
SAMPLER_COLUMNS = {
    "window": "when it was [name]",
    "method": "sampler [name]",
    "draws": "draws kept of all chains [draws]",
    "chains": "chains [chains]",
    "r_hat": "largest split R-hat [1]",
    "ess_bulk": "least effective sample size, bulk [draws]",
    "ess_tail": "least effective sample size, tail [draws]",
    "divergences": "divergent transitions [transitions]",
    "seconds": "sampling, on a shared virtual machine, other work beside it [s]",
}


def entrants(tuning: pd.DataFrame | None = None) -> dict[str, tuple]:
    """Return baselines with their settings: as published, and, given a table of tuning, tuned on simulated months."""
    found = {f"{name}, as published": pair for name, pair in baselines.METHODS.items()}
    if tuning is not None:
        from credence.kaleidoscope.evaluate import contest

        settings, best = contest.tried(), contest.best(tuning)
        for name, (method, _) in baselines.METHODS.items():
            found[f"{name}, tuned"] = (method, settings[name][best[name]])
    return found


def answers(found: Incident, reading: str = "failed", methods: dict[str, tuple] | None = None) -> pd.DataFrame:
    """Judge one window by all methods that take no sampling.

    Returns
    -------
    pandas.DataFrame [rows, 6]
        Columns as in :data:`COLUMNS`: every component by the exact posterior; of the others what they blame.
    """
    system = topology("bluewaters")
    window = incident_window(found, missing_rows=reading == "missing")
    crossed = system.paths(window.client, window.target, window.operation)
    exact = infer.health(crossed, window)
    parts = [_rows("exact", system.components, 1 - exact["p_up"].to_numpy(), exact["state"].to_numpy())]
    down = set(infer.map_search(crossed, window).down)
    parts.append(_blamed("MAP", system, dict.fromkeys(down, 1.0)))
    for name, (method, settings) in (methods or entrants()).items():
        blame = method(crossed, window, settings)
        parts.append(_blamed(name, system, {k: float(blame.scores[k]) for k in blame.down}))
    if reading == "failed":
        told = {int(system.ids[name]): 1 - value for name, value in found.authors.items()}
        parts.append(_blamed("authors", system, told))
    return pd.concat(parts, ignore_index=True).assign(window=found.name, reading=reading)[list(COLUMNS)]


def sampled(found: Incident, seed: int = 0, chains: int = 4, draws: int = 500, tune: int = 500):
    """Judge one window by NUTS on the Beta-Binomial model; return rows of answers and one of diagnostics."""
    from credence.kaleidoscope.infer import sampling

    system = topology("bluewaters")
    window = incident_window(found)
    crossed = system.paths(window.client, window.target, window.operation)
    drawn = sampling.nuts(crossed, window, chains=chains, draws=draws, tune=tune, seed=seed, name=found.name)
    failed = drawn.below(FAILED_BELOW)
    state = np.where(failed > CONFIDENCE, "down", np.where(failed < 1 - CONFIDENCE, "up", "ambiguous"))
    names = [system.components[k] for k in drawn.components]
    rows = _rows("NUTS", names, failed, state).assign(window=found.name, reading="failed")[list(COLUMNS)]
    gate = drawn.gate
    facts = (found.name, "NUTS", chains * draws, chains, gate.r_hat_max, gate.ess_bulk_min, gate.ess_tail_min)
    return rows, pd.DataFrame([(*facts, gate.divergences, drawn.seconds)], columns=list(SAMPLER_COLUMNS))


def _rows(method: str, components, score, state) -> pd.DataFrame:
    return pd.DataFrame({"method": method, "component": list(components), "score": score, "state": state})


def _blamed(method: str, system, scores: dict[int, float]) -> pd.DataFrame:
    ids = sorted(scores)
    return _rows(method, [system.components[k] for k in ids], [float(scores[k]) for k in ids], "down")


def read(which: str = ANSWERS) -> pd.DataFrame:
    """Return the recorded answers (or, with :data:`SAMPLERS`, the samplers' diagnostics)."""
    return catalogue.frame(which)


def counts(table: pd.DataFrame, reading: str = "failed") -> pd.DataFrame:
    """Count, by window and method, what is blamed, and how that agrees with the authors.

    Returns
    -------
    pandas.DataFrame [windows × methods, 6]
        ``window``, ``method``, ``blamed``, ``found`` (of the authors' components), ``told`` (by the authors),
        ``extra`` (blamed beyond them).
    """
    down = table[(table["state"] == "down")]
    authors = down[down["method"] == "authors"].groupby("window")["component"].agg(set)
    ours = down[(down["reading"] == reading) & (down["method"] != "authors")]
    methods = table[(table["reading"] == reading) & (table["method"] != "authors")]
    rows = []
    for window, method in methods[["window", "method"]].drop_duplicates().itertuples(index=False):
        chosen = set(ours[(ours["window"] == window) & (ours["method"] == method)]["component"])
        told = authors[window]
        rows.append((window, method, len(chosen), len(chosen & told), len(told), len(chosen - told)))
    # a method that blames nothing in a window has no row there
    names = ["window", "method", "blamed", "found", "told", "extra"]
    counted = pd.DataFrame(rows, columns=names).set_index(["window", "method"])
    every = pd.MultiIndex.from_product([authors.index, methods["method"].unique()], names=names[:2])
    full = counted.reindex(every).fillna(0).astype(int).reset_index()
    return full.assign(told=full["window"].map(authors.map(len)))


def metrics(table: pd.DataFrame, draws: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return draws of the claims' metrics over windows (bootstrap): ``windows_found`` [%], ``windows_extra``."""
    mine = counts(table).query("method == 'exact'")
    rng = seeds.generator(seed, "kaleidoscope windows")
    chosen = rng.integers(0, len(mine), (draws, len(mine)))
    found, told, extra = (mine[name].to_numpy()[chosen] for name in ("found", "told", "extra"))
    return {"windows_found": 100 * found.sum(axis=1) / told.sum(axis=1), "windows_extra": extra.mean(axis=1)}


def put(frame: pd.DataFrame, samplers: pd.DataFrame) -> None:
    """Write both tables into ``data/kaleidoscope`` and enter them into the catalogue."""
    today = datetime.now(UTC).date().isoformat()
    for name, table, columns, title in (
        (ANSWERS, frame, COLUMNS, "What every method says of four published windows of Blue Waters"),
        (SAMPLERS, samplers, SAMPLER_COLUMNS, "Diagnostics of NUTS on four published windows of Blue Waters"),
    ):
        path = paths.data_dir() / "kaleidoscope" / f"{name.removeprefix('kaleidoscope-')}.parquet"
        write_parquet(table, path, compression="zstd", compression_level=19)
        note = (
            f"Recorded {today} from the third-party set bw-incidents; numbers of ours, and the authors' own six. "
            "Tuned baselines: settings chosen on three simulated months."
        )
        fields = {"name": name, "title": title, "paper": "kaleidoscope", "kind": "measured-here", "note": note}
        catalogue_entries.enter(path, fields | {"generator": f"python -m {MODULE} --tuning FILE"}, columns)


def main(arguments: list[str] | None = None) -> None:
    """Judge the four windows and record the answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tuning", type=Path, help="parquet of contest.tune()")
    parser.add_argument("--draws", type=int, default=500)
    asked = parser.parse_args(arguments)
    methods = entrants(None if asked.tuning is None else pd.read_parquet(asked.tuning))
    rows, facts = [], []
    for name in incidents():
        found = incident(name)
        rows += [answers(found, reading, methods) for reading in READINGS]
        more, fact = sampled(found, draws=asked.draws, tune=asked.draws)
        rows.append(more)
        facts.append(fact)
        print(name, fact.to_string(index=False), flush=True)
    put(pd.concat(rows, ignore_index=True), pd.concat(facts, ignore_index=True))


if __name__ == "__main__":
    main()
