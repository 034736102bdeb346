"""Time and accuracy of every method against the number of components and cells.

``python -m credence.kaleidoscope.evaluate.scale --out FOLDER`` runs all sizes (some 20 minutes on one core, 2 GB) and
writes ``recorded-scale.parquet``. Times are processor seconds of one core; compilation is never in them.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit

from credence.bench import seeds, tables
from credence.bench.progress import track
from credence.kaleidoscope import baselines
from credence.kaleidoscope.infer import exact_posterior, index, plan, ready
from credence.kaleidoscope.infer.search import search_codes
from credence.kaleidoscope.world.grown import METADATA, NETWORKS, Grown, faults, grow, observe

CONFIDENT = 0.75


@dataclass(frozen=True)
class Size:
    """A graph: clients, pairs of servers (two targets each), and how many faults a window has."""

    clients: int
    pairs: int
    faults: int


BLUE_WATERS = Size(6, 216, 3)
SIZES = (
    Size(6, 27, 1),
    Size(6, 72, 2),
    BLUE_WATERS,
    Size(6, 700, 5),
    Size(12, 700, 5),
    Size(34, 1_620, 20),
    Size(100, 5_000, 40),
    Size(340, 16_200, 100),
)
# at what size a method is no longer tried: it would take minutes, or its structure is not there
LAST = {"exact": 12, "Sherlock": 12, "NetBouncer": 100, "NUTS": 6, "ADVI": 6, "binary Gibbs": 6}
MOST_PAIRS = {"exact": 700, "Sherlock": 72, "NUTS": 216, "ADVI": 216, "binary Gibbs": 216}
OTHERS = {
    "NetBouncer": baselines.NetBouncer(groups="node", missing="missing"),
    "Flock": baselines.Flock(groups="node", missing="missing"),
    "Sherlock": baselines.Sherlock(groups="node", missing="missing"),
    "007": baselines.Vote007(groups="node", missing="missing"),
    "threshold": baselines.Threshold(groups="node", missing="missing"),
}
SAMPLERS = ("NUTS", "ADVI", "binary Gibbs")
FAST = ("search", "exact", *OTHERS)


def units(graph: Grown, down: Iterable[int]) -> set[tuple[str, int]]:
    """Return what is blamed as units that a window can tell apart: both servers of a pair equal both its targets."""
    first_server = graph.clients + NETWORKS + METADATA
    first_target = first_server + 2 * graph.pairs
    left = {int(i) for i in down}
    found = set()
    for start in (first_server, first_target):
        for i in sorted(j for j in left if start <= j < start + 2 * graph.pairs and (j - start) % 2 == 0):
            if i + 1 in left:
                left -= {i, i + 1}
                found.add(("pair", (i - start) // 2))
    return found | {("component", i) for i in left}


def agreement(graph: Grown, down: Iterable[int], truth: Iterable[int]) -> tuple[float, float]:
    """Return precision and recall of what is blamed, in units; precision is 1 where nothing is."""
    said, true = units(graph, down), units(graph, truth)
    right = len(said & true)
    return right / len(said) if said else 1.0, right / len(true) if true else 1.0


@njit(cache=True)
def _read(code):
    total = 0
    for c in range(len(code)):
        total += code[c]
    return total


def timed(function: Callable, *args, at_least: float = 0.2, most: int = 20):
    """Call once to compile, then again for `at_least` seconds of processor time: result, and the least time."""
    function(*args)
    times, result = [], None
    while len(times) < most and (not times or sum(times) < at_least):
        begin = time.process_time()
        result = function(*args)
        times.append(time.process_time() - begin)
    return result, min(times)


def once(function: Callable, *args):
    """Call and return result and processor time."""
    begin = time.process_time()
    result = function(*args)
    return result, time.process_time() - begin


def wanted(method: str, size: Size) -> bool:
    """Is a method tried at this size?"""
    return size.clients <= LAST.get(method, size.clients) and size.pairs <= MOST_PAIRS.get(method, size.pairs)


def compare(size: Size, seed: int, methods: Iterable[str] = FAST) -> pd.DataFrame:
    """Run methods on one window of a graph.

    Parameters
    ----------
    size : Size
    seed : int
    methods : iterable of str
        Of :data:`FAST` and :data:`SAMPLERS`; those that are not tried at this size are left out.

    Returns
    -------
    pandas.DataFrame
        ``method``, ``clients``, ``pairs``, ``components``, ``cells``, ``faults``, ``seed``, ``seconds``,
        ``once_seconds`` (what is done once for many windows: indexing, planning, sums of healthy cells), ``blamed``,
        ``precision``, ``recall`` (NaN for the two rows that only read: one pass over what the search reads, and the
        pass that makes it from counts).
    """
    rng = seeds.generator(seed, "kaleidoscope scale", size.clients, size.pairs)
    graph = grow(size.clients, size.pairs)
    down = faults(graph, size.faults, rng)
    window = observe(graph, down, rng)
    rows = []
    for method, blamed, seconds, before in _answers(graph, window, seed, [m for m in methods if wanted(m, size)]):
        judged = (np.nan, np.nan) if blamed is None else agreement(graph, blamed, down)
        rows.append((method, seconds, before, 0 if blamed is None else len(blamed), *judged))
    names = ["method", "seconds", "once_seconds", "blamed", "precision", "recall"]
    place = {
        "clients": size.clients,
        "pairs": size.pairs,
        "components": graph.components,
        "cells": graph.paths.cells,
        "faults": size.faults,
        "seed": seed,
    }
    return pd.DataFrame(rows, columns=names).assign(**place)


def _answers(graph: Grown, window, seed: int, methods: list[str]):
    tiny = grow(1, METADATA)  # compiles what is called once only below
    ready(index(tiny.paths), usual=np.full(tiny.paths.cells, 5))
    found, indexing = once(index, graph.paths)
    if "search" in methods:
        prepared, summing = once(functools.partial(ready, found, usual=window.sent))
        code, reading = timed(prepared.read, window)
        _, least = timed(_read, code)
        yield "reading every cell", None, least, 0.0
        yield "reading a window", None, reading, 0.0
        explained, seconds = timed(search_codes, prepared, code)
        yield "search", explained.down, seconds, indexing + summing
    if "exact" in methods:
        order, planning = once(plan, found)
        posterior, seconds = timed(exact_posterior, order, window)
        yield "exact", confident(graph, posterior), seconds, indexing + planning
    del found
    for method in methods:
        if method in OTHERS:
            crossing, before = once(baselines.crossing, graph.paths, "node")
            function = baselines.METHODS[method][0]
            blame, seconds = timed(function, crossing, window, OTHERS[method])
            yield method, blame.down, seconds, before
    for method in methods:
        if method in SAMPLERS:
            sampled = _sampled(method, graph, window, seed)
            threshold = 0.5 if method == "binary Gibbs" else 0.9
            flagged = sampled.components[sampled.below(threshold) > CONFIDENT]
            yield method, flagged, sampled.seconds, sampled.compile_seconds


def _sampled(method: str, graph: Grown, window, seed: int):
    from credence.kaleidoscope.infer import sampling

    if method == "NUTS":
        return sampling.nuts(graph.paths, window, chains=2, draws=500, tune=500, seed=seed)
    if method == "ADVI":
        return sampling.advi(graph.paths, window, steps=5_000, seed=seed)
    return sampling.gibbs(graph.paths, window, seed=seed)


def confident(graph: Grown, posterior) -> list[int]:
    """Return what the exact posterior blames with over 75 %; of a pair, that one or the other explanation holds."""
    p_down = 1 - posterior.p_up
    blamed = set(np.flatnonzero(p_down > CONFIDENT).tolist())
    first_target = graph.components - 2 * graph.pairs
    targets = p_down[first_target:].reshape(-1, 2)
    for pair in np.flatnonzero(posterior.dead[:, 2] + targets.min(axis=1) > CONFIDENT):
        here = {first_target + 2 * int(pair), first_target + 2 * int(pair) + 1}
        if not here & blamed and not set(graph.paths.members[pair].tolist()) & blamed:
            blamed |= here
    return sorted(blamed)


def table(sizes: Iterable[Size], count: int, seed: int, methods: Iterable[str] = FAST) -> pd.DataFrame:
    """Run :func:`compare` on `count` windows of each size."""
    sizes = list(sizes)
    parts = [compare(size, seed + k, methods) for size in track(sizes, "sizes") for k in range(count)]
    return pd.concat(parts, ignore_index=True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, by method and size, the median time and mean accuracy over windows."""
    keys = ["method", "clients", "pairs", "components", "cells"]
    found = rows.groupby(keys, sort=False).agg(
        seconds=("seconds", "median"),
        once_seconds=("once_seconds", "median"),
        precision=("precision", "mean"),
        recall=("recall", "mean"),
        windows=("seed", "nunique"),
    )
    return found.reset_index()


def goals(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the project's goals of speed beside what was recorded: median over windows, in milliseconds.

    Returns
    -------
    pandas.DataFrame
        ``metric``, ``what``, ``value`` [ms], ``goal`` [ms], ``once_s`` (indexing and planning), ``reading_ms``.
    """
    wanted_rows = (
        ("exact_ms_875", "exact", 875, 100.0),
        ("search_ms_875", "search", 875, 1.0),
        ("search_ms_65145", "search", 65_145, 100.0),
    )
    found = []
    for name, method, components, goal in wanted_rows:
        own = rows[(rows["method"] == method) & (rows["components"] == components)]
        reading = rows[(rows["method"] == "reading a window") & (rows["components"] == components)]
        what = f"{method}, {components:,} components, {int(own['cells'].iloc[0]):,} cells"
        times = (1e3 * own["seconds"].median(), goal, own["once_seconds"].median(), 1e3 * reading["seconds"].median())
        found.append((name, what, *times))
    return pd.DataFrame(found, columns=["metric", "what", "value", "goal", "once_s", "reading_ms"])


def main(arguments: list[str] | None = None) -> None:
    """Run all sizes and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for recorded-scale.parquet")
    parser.add_argument("--windows", type=int, default=3, help="windows of each size")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    target = asked.out / "recorded-scale.parquet"
    parts = []
    for size in SIZES:
        parts.append(table([size], asked.windows, 0))
        tables.write_parquet(pd.concat(parts, ignore_index=True), target, compression="zstd")
    for size in SIZES:
        if wanted("NUTS", size):
            parts.append(table([size], 1, 0, SAMPLERS))
            tables.write_parquet(pd.concat(parts, ignore_index=True), target, compression="zstd")


if __name__ == "__main__":
    main()
