"""Recorded tables of the studies: what they say, how they are read, and how they get into the project.

``python -m credence.bayesperf.evaluate.recorded errors FILE`` (or audit, sbc, windows) takes what the study of that
name has written to FILE, puts it into ``data/bayesperf`` and enters it into the catalogue.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from credence.bench import catalogue, catalogue_entries, paths
from credence.bench.errors import InputError, choose
from credence.bench.tables import write_parquet

MODULE = "python -m credence.bayesperf.evaluate"


@dataclass(frozen=True)
class Recorded:
    """A recorded table.

    Attributes
    ----------
    title, generator, note : str
        Of the catalogue's entry; the day of recording is put before the note.
    columns : mapping of str to str
        Meaning and unit of every column.
    kind : str
        As in the catalogue.
    """

    title: str
    generator: str
    note: str
    columns: Mapping[str, str]
    kind: str = "measured-here"


def _error_columns() -> dict[str, str]:
    columns = {
        "machine": "simulated PMU [name]",
        "program": "traced program [name]",
        "n": "listed programmable events [events]",
        "counters": "programmable counters [counters]",
        "schedule": "linux (round robin), overlap (the paper's) or optimal (ours, planned) [name]",
        "kind": "event list [name]",
        "seed": "of the replay [1]",
        "read_noise": "relative error of a reading [1]",
        "skid": "largest share of a reading seen late [1]",
        "dropped": "identities not told [relations]",
        "split": "test or train [name]",
        "method": "estimator [name]",
        "wape": "counts in the wrong slice, mean over events [1]",
        "dtw": "error by dynamic time warping [1]",
        "dtw_paper": "the same over that of two polled runs [1]",
        "crps": "continuous ranked probability score over the event's mean [1]",
        "violated": "share of slices and known orders broken [1]",
        "judged": "cells neither measured nor determined [cells]",
    }
    for level in (50, 90, 95):
        columns[f"coverage_{level}"] = "share of judged cells inside the interval [1]"
        columns[f"width_{level}"] = "mean width of the interval over the event's mean [1]"
    for rarity in ("below 100", "100 to 10 k", "10 k to 1 M", "above 1 M"):
        columns[f"coverage_90_{rarity}"] = "share of judged cells inside the interval [1]"
        columns[f"cells_{rarity}"] = "cells of that group [cells]"
    return columns


def _window_columns() -> dict[str, str]:
    columns = {
        "case": "name of the case [name]",
        "machine": "simulated PMU [name]",
        "program": "traced program [name]",
        "slices": "length of the window [slices]",
        "events": "listed programmable events [events]",
        "counters": "programmable counters [counters]",
        "rank": "events of the basis that the window is sampled in [events]",
        "cells": "counts measured in the window [cells]",
        "noise": "normal or student: the error of a measured count [name]",
        "orders": "inequalities between events [relations]",
        "free_scales": "whether the noise's and the chain's scales are sampled too; the fast path has them given [1]",
        "draws": "draws of all chains [draws]",
        "r_hat": "largest R-hat [1]",
        "ess_bulk": "smallest effective sample size, bulk [draws]",
        "ess_tail": "smallest effective sample size, tails [draws]",
        "divergences": "divergent transitions [draws]",
        "nuts_s": "time of sampling by NUTS, without compiling [s]",
        "compile_s": "time of compiling [s]",
        "fast_s": "time of the fast path for the same window, best of five [s]",
        "date": "day of the run [date]",
    }
    which = {
        "open": "cells not measured",
        "measured": "cells measured",
        "light": "cells with light tails",
        "all": "all cells that are not determined",
    }
    for short, words in which.items():
        columns |= {
            f"{short}_cells": f"{words} [cells]",
            f"{short}_mean_in_sd": f"largest difference of means between the two, {words} [posterior sd]",
            f"{short}_mean_in_mcse": f"the same in Monte Carlo errors, {words} [MCSE]",
            f"{short}_sd_percent": f"largest difference of standard deviations, {words} [%]",
            f"{short}_sd_in_mcse": f"the same in Monte Carlo errors, {words} [MCSE]",
        }
    return columns


TABLES = {
    "errors": Recorded(
        "Errors and coverage of multiplexed counters, by program, event list, schedule and method, measured here",
        f"{MODULE}.errors --out FOLDER",
        "Real programs, simulated PMU, replayed through too few counters with 0.5 % read noise and 2 % skid. Settings, "
        "prior, schedules and tuned baselines were chosen on the training programs. The searched schedules and the two "
        "tuned baselines were put in after a first run on the test programs had been seen; so was the end of intervals "
        "of rare events (`infer.posterior.REACH`), which changes no estimate.",
        _error_columns(),
    ),
    "audit": Recorded(
        "What the audit says of true identities and of altered ones, measured here",
        f"{MODULE}.audit_study --out FILE",
        "Real programs, simulated PMU; settings of the audit were chosen on the training programs. One coefficient of "
        "one identity at a time was altered, drawn at random.",
        {
            "case": "list of events and what is done to them [name]",
            "machine": "simulated PMU [name]",
            "program": "traced program [name]",
            "split": "test or train [name]",
            "counters": "programmable counters [counters]",
            "read_noise": "relative error of a reading [1]",
            "skid": "largest share of a reading seen late [1]",
            "seed": "of the replay [1]",
            "relation": "identity that is tested [name]",
            "error": "by how much one of its coefficients was made wrong; 0: as it is [1]",
            "event": "whose coefficient that was; empty for none [name]",
            "probability": "that the identity as given holds; missing: not testable [1]",
            "suspect": "event that the audit points to [name]",
            "slices": "slices that the test rests on [slices]",
            "term_share": "share of the altered term in the identity [1]",
        },
    ),
    "sbc": Recorded(
        "Simulated data sets for calibrating the window model: ranks of the truth among posterior draws",
        "credence.bayesperf.evaluate.sbc:calibrate",
        f"generated, not measured. Made with: {MODULE}.sbc --sets 200 --out FILE, once more with --fixed-scales. Data "
        "sets are drawn from the model itself: 6 slices of 8 made-up events.",
        {
            "scales": "free or fixed: whether noise and chain scales are sampled too [name]",
            "set": "number of the data set [index]",
            "quantity": "what is ranked [name]",
            "method": "nuts, or fast: the fast path, with fixed scales only [name]",
            "rank": "draws below the truth [draws]",
            "levels": "thinned draws that it is ranked among [draws]",
            "truth": "value that the data were made from [count of a slice; scales: 1]",
            "mean": "posterior mean [as the truth]",
            "sd": "posterior standard deviation [as the truth]",
            "r_hat": "largest R-hat of the data set [1]",
            "ess_bulk": "smallest effective sample size of the data set [draws]",
            "divergences": "divergent transitions of the data set [draws]",
        },
        kind="simulated",
    ),
    "windows": Recorded(
        "Windows of a replayed program by NUTS and by the fast path: agreement, diagnostics and time, measured here",
        f"{MODULE}.windows --out FILE",
        "Real program, simulated PMU, replayed on 4 counters with 0.5 % read noise and 2 % skid. Times are of one core "
        "of a two-core virtual machine. With free scales the two answer different questions: the fast path has the "
        "scales given.",
        _window_columns(),
    ),
}


def name_of(which: str) -> str:
    """Return the catalogue's name of a table of `TABLES`."""
    return f"bayesperf-recorded-{choose(which, TABLES, 'recorded table')}"


def read(which: str) -> pd.DataFrame:
    """Return a recorded table: ``errors``, ``audit``, ``sbc`` or ``windows``."""
    return catalogue.frame(name_of(which))


def write(frame: pd.DataFrame, which: str, day: str = "") -> str:
    """Put a table into ``data/bayesperf`` and into the catalogue; return the entry.

    Parameters
    ----------
    frame : pandas.DataFrame
        As the study made it; times that say nothing about the result (``seconds``) are left out.
    which : str
        Of `TABLES`.
    day : str
        Of the recording; today if not given.

    Raises
    ------
    InputError
        For an unknown table, or a column without a meaning.
    """
    table, name = TABLES[choose(which, TABLES, "recorded table")], name_of(which)
    frame = frame.drop(columns="seconds", errors="ignore")
    if which == "errors":  # digits beyond the sixth only differ between machines
        numbers = list(frame.select_dtypes("float64"))
        frame = frame.assign(**{column: frame[column].round(6) for column in numbers})
    path = paths.data_dir() / "bayesperf" / f"recorded-{which}.parquet"
    write_parquet(frame, path, compression="zstd")
    fields = {
        "name": name,
        "title": table.title,
        "paper": "bayesperf",
        "kind": table.kind,
        "generator": table.generator,
        "seed": 0,
        "note": f"Recorded {day or datetime.now(UTC).date().isoformat()}. {table.note}",
    }
    return catalogue_entries.enter(path, fields, table.columns)


def main(arguments: list[str] | None = None) -> None:
    """Put a study's table into the project."""
    parser = argparse.ArgumentParser(prog=f"{MODULE}.recorded", description=main.__doc__)
    parser.add_argument("which", choices=list(TABLES))
    parser.add_argument("file", type=Path, help="parquet file that the study has written")
    given = parser.parse_args(arguments)
    try:
        print(write(pd.read_parquet(given.file), given.which))
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
