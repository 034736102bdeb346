"""How the claims depend on the strength with which the world breaks the model.

``python -m credence.kaleidoscope.evaluate.production_breaks --tuning FILE --out FILE`` judges ours and the two best
known ones on two months for every strength of every break, one break at a time, the others at their usual strength.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from credence.bench.tables import write_parquet
from credence.kaleidoscope.evaluate import contest, production, scoring
from credence.kaleidoscope.world.windows import Breaks

SEED, MONTHS, SAMPLED = 2001, 2, 300
METHODS = ("ours, tuned", "Flock, tuned", "NetBouncer, tuned")
STRENGTHS = {
    "dispersion": (0.0, 1.0, 4.0, 10.0),
    "correlation": (0.0, 0.5, 1.0, 1.5),
    "blocked": (0.0, 0.1, 0.4, 0.7, 0.9),
    "missing": (0.002, 0.1, 0.3, 0.5),
    "absent": (0.002, 0.05, 0.2),
}
TITLES = {
    "dispersion": "variance of a cell's loss [1]",
    "correlation": "shared by a client's cells [log sd]",
    "blocked": "lost probes that are missing [share]",
    "missing": "probes missing anyway [share]",
    "absent": "windows a client is away [share]",
}


def point(here: production.Scene, table: pd.DataFrame, name: str, strength: float, months: int = MONTHS,
          sampled: int = SAMPLED, methods=METHODS) -> pd.DataFrame:  # fmt: skip
    """Judge the methods at one strength of one break.

    Parameters
    ----------
    here : Scene
    table : pandas.DataFrame
        Training results: the settings stay as they were tuned at the usual strengths.
    name, strength
        Of :data:`STRENGTHS`.

    Returns
    -------
    pandas.DataFrame
        ``break``, ``strength``, ``method``, ``found``, ``issues``, ``recall`` [1], ``onsets_per_day``,
        ``false_per_day``.
    """
    events = contest.timetable(here.full, SEED, months)
    data = contest.sample(
        here.full, here.what, events, months, SEED, replace(Breaks(), **{name: strength}), sampled=sampled
    )
    known = production.entrants(table)
    rows = []
    for label in methods:
        method, settings = known[label]
        hit, quiet = contest.judge(contest.blames_of(method, settings, here.small, here.what, data), data)
        rows.append(
            {
                "break": name,
                "strength": strength,
                "method": label,
                "found": int(hit["localised"].sum()),
                "issues": len(hit),
                "recall": hit["localised"].mean(),
                "onsets_per_day": quiet["onsets"].mean() * scoring.PER_DAY,
                "false_per_day": quiet["false"].mean() * scoring.PER_DAY,
            }
        )
    return pd.DataFrame(rows)


def main(arguments: list[str] | None = None) -> None:
    """Judge all points and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tuning", type=Path, required=True, help="recorded-production-tuning.parquet")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args(arguments)
    here, table = production.scene(), pd.read_parquet(asked.tuning)
    rows = [point(here, table, name, strength) for name, values in STRENGTHS.items() for strength in values]
    write_parquet(pd.concat(rows, ignore_index=True), asked.out)


if __name__ == "__main__":
    main()
