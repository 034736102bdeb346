"""Windows of real traces by NUTS and by the fast path: how far they agree, and what each costs.

``python -m credence.bayesperf.evaluate.windows --out FILE`` records all cases that are not in the file yet, one row
each; ``evaluate.recorded`` puts the file into git.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bayesperf.evaluate import study
from credence.bayesperf.evaluate.agreement import agreement, summary
from credence.bayesperf.infer import Settings, nuts, smooth
from credence.bayesperf.infer.learn import plain_prior
from credence.bayesperf.infer.windows import fast, window_of
from credence.bayesperf.model.window import Window
from credence.bench.errors import choose
from credence.bench.tables import write_parquet

# Relative counts: the scale on which the smoother is exact and the two can be compared to Monte Carlo error.
LINEAR = Settings(scale="linear")


@dataclass(frozen=True)
class Case:
    """One window, and how it is modelled.

    Attributes
    ----------
    n, slices : int
        Programmable events listed, slices of the window: two full rotations on 4 counters at least.
    noise : str
        See `window_of`.
    orders : bool
        With the inequalities between events, and counts not below 0.
    free_scales : bool
    sampling : Sampling
    machine, program : str
    first : int
        First slice of the window.
    """

    n: int
    slices: int
    noise: str = "normal"
    orders: bool = False
    free_scales: bool = False
    sampling: nuts.Sampling = field(default_factory=nuts.Sampling)
    machine: str = "qemu-x86"
    program: str = "kmeans"
    first: int = 60


_LONG = nuts.Sampling(draws=1500, tune=500, target_accept=0.9)
CASES = {
    "smoke": Case(6, 4, sampling=nuts.Sampling(chains=2, draws=800, tune=200)),
    "quick": Case(20, 18),
    "quick, Student-t": Case(20, 18, "student"),
    "quick, Student-t and orders": Case(20, 18, "student", orders=True, sampling=_LONG),
    # free scales mix slowly: 2,000 draws gave an R-hat of 1.06 and an effective sample size of 90, without divergences
    "full": Case(35, 36, "student", free_scales=True, sampling=nuts.Sampling(draws=4000, tune=1000)),
}


@dataclass(frozen=True)
class Cut:
    """A window of a replayed run.

    Attributes
    ----------
    window : Window
    truth : array [slices, events]
        Exact counts.
    relations : tuple of Relation
        What the run was smoothed with.
    """

    window: Window
    truth: np.ndarray
    relations: tuple


def cut(case: Case) -> Cut:
    """Replay the program of a case, learn its chain from the whole run, and cut the window out."""
    run = study.prepare(study.Part(case.machine, case.program, case.n, 4, "linux"))
    identities = [relation for relation in run.relations if relation.kind == "eq"]
    prior = plain_prior(run.observations.events, LINEAR)
    learned = smooth(run.observations, identities, LINEAR, prior).learned
    window = window_of(
        learned,
        run.observations,
        case.first,
        case.slices,
        LINEAR,
        case.noise,
        run.relations if case.orders else (),
        case.orders,
    )
    return Cut(window, run.truth[case.first : case.first + case.slices], run.relations)


def seconds_fast(window: Window, repeats: int = 5) -> float:
    """Return the time that the fast path takes for the window [s], the best of some tries."""
    fast(window)
    best = np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        fast(window)
        best = min(best, time.perf_counter() - begin)
    return best


def measure(name: str, use_cache: bool = True) -> dict:
    """Sample one case and compare it with the fast path.

    Parameters
    ----------
    name : str
        One of `CASES`.
    use_cache : bool

    Returns
    -------
    dict
        A row: the case, the gate's numbers, seconds of both methods, and the largest differences as of
        `agreement.summary`, in columns that begin with ``open_``, ``measured_``, ``light_`` and ``all_``.
    """
    case = CASES[choose(name, CASES, "case")]
    found = cut(case)
    sampled = nuts.sample(found.window, case.sampling, case.free_scales, name=name, use_cache=use_cache)
    gate, window = sampled.gate, found.window
    row = {
        "case": name,
        "machine": case.machine,
        "program": case.program,
        "slices": case.slices,
        "events": case.n,
        "counters": 4,
        "rank": window.rank,
        "cells": len(window.slot),
        "noise": case.noise,
        "orders": len(window.below_rows),
        "free_scales": case.free_scales,
        "draws": case.sampling.chains * case.sampling.draws,
        "r_hat": gate.r_hat_max,
        "ess_bulk": gate.ess_bulk_min,
        "ess_tail": gate.ess_tail_min,
        "divergences": gate.divergences,
        "nuts_s": sampled.seconds,
        "compile_s": sampled.compile_seconds,
        "fast_s": seconds_fast(window),
    }
    for part in summary(agreement(sampled)).to_dict("records"):
        prefix = {"open": "open", "measured": "measured", "light tails": "light", "all but determined": "all"}[
            part.pop("which")
        ]
        row |= {f"{prefix}_{key}": value for key, value in part.items()}
    return row | {"date": datetime.now(UTC).date().isoformat()}


def main(arguments: list[str] | None = None) -> None:
    """Record the cases that are not in the file yet."""
    parser = argparse.ArgumentParser(prog="python -m credence.bayesperf.evaluate.windows", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="parquet file to write or to go on with")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one (may be repeated)")
    chosen = parser.parse_args(arguments)
    table = pd.read_parquet(chosen.out) if chosen.out.is_file() else pd.DataFrame({"case": []})
    for name in chosen.case or [key for key in CASES if key != "smoke"]:
        if (table["case"] == name).any():
            continue
        row = pd.DataFrame([measure(name)])
        table = row if table.empty else pd.concat([table, row], ignore_index=True)
        write_parquet(table, chosen.out)
        sys.stdout.write(row.T.to_string() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
