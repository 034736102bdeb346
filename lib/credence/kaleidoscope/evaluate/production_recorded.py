"""The recorded tables of the two-year replay: what their columns mean, and how they get into the project.

``python -m credence.kaleidoscope.evaluate.production_recorded FOLDER`` takes what
:mod:`~credence.kaleidoscope.evaluate.production` and ``production_breaks`` have written to FOLDER, puts it into
``data/kaleidoscope`` and enters it into the catalogue.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from credence.bench import catalogue_entries, paths
from credence.bench.tables import write_parquet
from credence.kaleidoscope.evaluate import production, production_breaks

GENERATOR = "python -m credence.kaleidoscope.evaluate.production --out FOLDER"
NOTE = (
    "generated, not measured: two years of five-minute windows on 875 components and the routers, calibrated on the "
    "paper's figures. Settings were tuned on three months of another draw (seed 1001). Before this run one month of "
    "seed 1 with other events had been run to test the code; then, by the training months, the aim of the tuning went "
    "from 98.5 to 97 % of the issues, and by a case study the variants with routers went from the tuned to the default "
    "priors; NetBouncer's grid of thresholds was widened upwards, one prior of our own grid replaced (1e-7 by 1e-2), "
    "and alarms on units strained by their usual load no longer counted as raised on nothing."
)
METHOD = "method and setting; # marks points of its front on the training months, by number of the setting [name]"

TABLES = {
    "tuning": (
        "Simulated training months: settings of all localisation methods tried on them",
        {
            "method": "localisation method [name]",
            "setting": "number in evaluate.contest.tried() [1]",
            "recall": "issues localised [share]",
            "false_per_day": "alarms that nothing explains [1/day]",
        },
    ),
    "issues": (
        "843 simulated issues and who localised them",
        {
            "event": "number of the event [1]",
            "named": "of the first six windows, in how many an answer was blamed [windows]",
            "localised": "in two of them, or in one if it lasts one [boolean]",
            "delay_min": "end of the first window that named it; missing if none did [min]",
            "method": METHOD,
            "cause": "reliability or overload [name]",
            "fault": "where it sits [name]",
            "culprit": "component id in bluewaters-lnet [1]",
            "first": "first window [windows]",
            "last": "window after the last [windows]",
            "loss": "probes that are lost [share]",
            "load": "load average of an overload, else 0 [jobs]",
            "month": "month of the first window [1]",
        },
    ),
    "quiet": (
        "Alarms that began in 2,000 simulated windows without an issue",
        {
            "window": "number of the window [windows]",
            "onsets": "components blamed that were not in the window before [components]",
            "event": "of these, explained by an event [components]",
            "false": "of these, neither by an event nor by the load of the unit [components]",
            "method": METHOD,
            "weight": "windows that this one stands for [windows]",
        },
    ),
    "months": (
        "Alarms of our method by month in the simulated two-year replay, by variant",
        {
            "month": "number of the month [1]",
            "alarms": "runs of blames with gaps of at most one window [alarms]",
            "event": "of these, explained by an event [alarms]",
            "false": "of these, neither by an event nor by the load of the unit [alarms]",
            "long": "longer than 30 min [alarms]",
            "long_false": "of these, by nothing [alarms]",
            "method": "variant of our method [name]",
        },
    ),
    "causes": (
        "Causes found for the simulated issues that were localised, by strength of misleading logs",
        {
            "event": "number of the event [1]",
            "cause": "true cause: reliability or overload [name]",
            "said": "cause found; empty if the issue was not localised [name]",
            "right": "cause found is the true one [boolean]",
            "strength": "of the break [share]",
            "break": "stray (keywords without a fault) or unmarked (faults without a keyword) [name]",
        },
    ),
    "breaks": (
        "Localisation by strength of each break of the model, simulated",
        {
            "break": "what is broken [name]",
            "strength": "how much; unit by break [1]",
            "method": METHOD,
            "found": "issues localised [issues]",
            "issues": "issues [issues]",
            "recall": "issues localised [share]",
            "onsets_per_day": "alarms that began [1/day]",
            "false_per_day": "alarms that nothing explains [1/day]",
        },
    ),
}


def put(which: str, frame: pd.DataFrame, day: str | None = None) -> str:
    """Write a table into ``data/kaleidoscope`` and return the catalogue's entry for it."""
    title, columns = TABLES[which]
    path = paths.data_dir() / "kaleidoscope" / f"recorded-production-{which}.parquet"
    write_parquet(frame[list(columns)], path, compression="zstd", compression_level=19)
    fields = {
        "name": f"kaleidoscope-recorded-production-{which}",
        "title": title,
        "paper": "kaleidoscope",
        "kind": "simulated",
        "generator": f"{production_breaks.__name__}:point" if which == "breaks" else f"{production.__name__}:judged",
        "seed": production_breaks.SEED if which == "breaks" else production.SEED,
        "note": f"Recorded {day or datetime.now(UTC).date().isoformat()} with {GENERATOR}. {NOTE}",
    }
    return catalogue_entries.enter(path, fields, columns)


def main(arguments: list[str] | None = None) -> None:
    """Enter every table that the folder has."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args(arguments)
    for which in TABLES:
        source = asked.folder / f"recorded-production-{which}.parquet"
        if source.exists():
            frame = pd.read_parquet(source)
            print(put(which, frame))


if __name__ == "__main__":
    main()
