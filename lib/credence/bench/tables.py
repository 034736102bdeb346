"""Tables that commands write: targets are checked before any work, files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from credence.bench.errors import InputError
from credence.bench.record import write_atomic

if TYPE_CHECKING:
    import pandas as pd


def check_target(out: Path, source: Path | None = None) -> None:
    """Refuse a target that cannot be written, before any work is done.

    Parameters
    ----------
    out : Path
        File to be written.
    source : Path or None
        File of the user's that must not be overwritten.

    Raises
    ------
    InputError
        When there is no such folder, or `out` is `source`.
    """
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"--out {out}: not a file in an existing folder; allowed: a path whose folder exists")
    if source is not None and out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"--out {out}: is the file that is read; allowed: another path")


def write_csv(frame: pd.DataFrame, out: Path) -> None:
    """Write a table as CSV, whole or not at all; floats as their shortest text that reads back the same."""
    text = frame.to_csv(index=False, lineterminator="\n")
    try:
        write_atomic(out, text)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror or error}; allowed: a folder that can be written to") from error


def write_parquet(frame: pd.DataFrame, out: Path, **how) -> None:
    """Write a table as parquet, whole or not at all, without its index; `how` goes to ``DataFrame.to_parquet``."""
    write_atomic(out, frame.to_parquet(None, index=False, **how))
