"""The other half of Table I: is a localised issue a failure or an overload? Judged on simulated telemetry.

The rule of the paper (§V-B), in the order that its misses imply: a marked log line that no healthy peer has decides for
a failure; else an outlying metric for an overload. How often a line misleads is nowhere published, so the share of
right causes is drawn over that strength.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.bench.tables import write_parquet
from credence.kaleidoscope.diagnose import diagnose
from credence.kaleidoscope.evaluate.scoring import bootstrap_share
from credence.kaleidoscope.world import telemetry
from credence.kaleidoscope.world.telemetry import LogBreaks, Telemetry


def decide(seen: Telemetry) -> str:
    """Return ``reliability``, ``overload`` or ``unknown`` for the component in place 0; the paper's rule."""
    own, *peers = seen.logs
    return diagnose(own, peers, seen.metrics).cause


def causes(
    issues: pd.DataFrame, breaks: LogBreaks | None = None, seed: int = 0, rule: Callable[[Telemetry], str] = decide
) -> pd.DataFrame:
    """Diagnose every issue that was localised.

    Parameters
    ----------
    issues : pandas.DataFrame
        Of one method: ``event``, ``cause``, ``fault``, ``load``, ``localised``.
    breaks : LogBreaks, optional
        How often telemetry misleads.
    seed : int
    rule : callable
        Telemetry -> cause.

    Returns
    -------
    pandas.DataFrame
        ``event``, ``cause``, ``said`` (empty if not localised), ``right``.
    """
    rows = []
    for row in issues.itertuples():
        said = ""
        if row.localised:
            rng = seeds.generator(seed, "kaleidoscope telemetry", int(row.event))
            said = rule(telemetry.around(row.fault, row.cause, row.load, rng, breaks))
        rows.append((row.event, row.cause, said, said == row.cause))
    return pd.DataFrame(rows, columns=["event", "cause", "said", "right"])


STRENGTHS = {"stray": (0.0, 0.02, 0.05, 0.1, 0.2, 0.4), "unmarked": (0.0, 0.01, 0.05, 0.1, 0.2)}
USUAL = LogBreaks()


def over_strengths(issues: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Diagnose the issues at every strength of two breaks, the others at their usual strength.

    Parameters
    ----------
    issues : pandas.DataFrame
        As for :func:`causes`.

    Returns
    -------
    pandas.DataFrame
        `causes` with ``break`` and ``strength``.
    """
    parts = []
    for name, strengths in STRENGTHS.items():
        for strength in strengths:
            found = causes(issues, replace(USUAL, **{name: strength}), seed)
            parts.append(found.assign(strength=strength, **{"break": name}))
    return pd.concat(parts, ignore_index=True)


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return right causes by break and strength: ``all``, ``reliability``, ``overload`` [%]."""
    groups = table.groupby(["break", "strength"])["right"].mean().rename("all")
    by = table.pivot_table(index=["break", "strength"], columns="cause", values="right")
    return 100 * by.join(groups).astype(float)


def usual(table: pd.DataFrame) -> pd.DataFrame:
    """Return the diagnoses at the usual strengths, in order of events."""
    rows = table[(table["break"] == "stray") & (table["strength"] == USUAL.stray)]
    return rows.sort_values("event")


def metrics(table: pd.DataFrame, draws: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return draws of ``root_cause``, ``root_cause_reliability`` and ``root_cause_overload`` [%], resampling issues."""
    rows = usual(table)
    parts = {"root_cause": rows} | {f"root_cause_{cause}": part for cause, part in rows.groupby("cause")}
    return {
        str(name): bootstrap_share(part["right"], seeds.generator(seed, "kaleidoscope causes", str(name)), draws)
        for name, part in parts.items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Diagnose what the recorded replay localised, and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--issues", type=Path, required=True, help="recorded-production-issues.parquet")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args(arguments)
    issues = pd.read_parquet(asked.issues)
    write_parquet(over_strengths(issues[issues["method"] == "ours"]), asked.out)


if __name__ == "__main__":
    main()
