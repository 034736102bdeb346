"""Read a user's log of counters: ``perf stat -I -x``, EMON, a wide table, or tidy CSV."""

from __future__ import annotations

import math
from pathlib import Path

from credence.bayesperf.data.log_cells import LARGEST_COUNT, Cells, Log, decimal, rows_of
from credence.bayesperf.data.logs_emon import TIME_COLUMNS, looks_like_emon, read_emon, read_wide
from credence.bayesperf.data.logs_perf import looks_like_perf, read_perf, refuse_without_times
from credence.bench.errors import InputError, choose

__all__ = ["FORMATS", "Log", "read_log"]

FORMATS = ("perf", "emon", "wide", "tidy")
TIDY_COLUMNS = ("time_s", "event", "count", "running_fraction")
_FORMS = (
    "perf stat -I MS -x, output; EMON text; a table with a column time_s (or t_s) and one for each event; "
    f"or CSV with the columns {', '.join(TIDY_COLUMNS)}"
)


def read_log(path: str | Path, raw: bool = False, format: str | None = None, cpu: int | None = None) -> Log:
    """Read a log of counters and check every line.

    Parameters
    ----------
    path : str or Path
        Text in UTF-8. Fields are separated by comma, semicolon or (perf) tabulator; where it is not the comma, a
        decimal comma is read as a point.
    raw : bool
        Counts of ``perf`` and ``tidy`` logs are as the counter showed them: they are divided by the running fraction.
        perf itself prints them scaled.
    format : str or None
        One of :data:`FORMATS`; found out when None.
    cpu : int or None
        EMON text: the CPU whose core events to take; all are summed when None.

    Returns
    -------
    Log
        One slice for each interval of the log.

    Raises
    ------
    InputError
        For a file that can't be read, is none of these formats, or has a corrupt line: the message names the line, the
        value and what is allowed.
    """
    source = str(path)
    if format is not None:
        choose(format, FORMATS, "log format")
    text = _text(Path(path), source)
    lines = text.splitlines()
    found = format or _format(lines, source)
    if found == "perf":
        return read_perf(lines, source, raw)
    if found == "emon":
        return read_emon(lines, source, cpu)
    separator = ";" if lines and lines[_first(lines)].count(";") > lines[_first(lines)].count(",") else ","
    if found == "wide":
        return read_wide(text, separator, source)
    return _read_tidy(text, separator, source, raw)


def _text(path: Path, source: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}; allowed: a file that can be read") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{source}, line {line}: not text in UTF-8; allowed: {_FORMS}") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{source}, line {line}: a zero byte; allowed: {_FORMS}")
    if not text.strip():
        raise InputError(f"{source}: empty; allowed: {_FORMS}")
    return text


def _first(lines: list[str]) -> int:
    """Index of the first line that is neither blank nor a comment."""
    return next((k for k, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)


def _format(lines: list[str], source: str) -> str:
    if looks_like_emon(lines):
        return "emon"
    first = _first(lines)
    names = [name.strip().strip('"') for name in lines[first].replace(";", ",").split(",")]
    if "time_s" in names and "event" in names:
        return "tidy"
    if len(names) > 1 and any(name in names for name in TIME_COLUMNS):
        return "wide"
    if looks_like_perf(lines[first]):
        return "perf"
    if looks_like_perf(lines[first], timed=False):
        raise refuse_without_times(lines[first], source, first + 1)
    raise InputError(f"{source}, line {first + 1}: {lines[first].strip()[:60]!r}; allowed: {_FORMS}")


def _read_tidy(text: str, separator: str, source: str, raw: bool) -> Log:
    cells = Cells(source, "tidy", raw)
    (at, header), *rows = rows_of(text, separator, source)
    header = [name.strip() for name in header]
    for name in TIDY_COLUMNS:
        if header.count(name) != 1:
            raise cells.fault(at, f"column {name!r} stands {header.count(name)} times in the header", "once")
    for number, row in rows:
        if len(row) != len(header):
            raise cells.fault(number, f"{len(row)} fields", f"{len(header)}, as in the header")
        named = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        time = cells.time(number, named["time_s"], decimal(named["time_s"], separator))
        event, cell, share = named["event"], decimal(named["count"], separator), named["running_fraction"]
        if not cell and not share:
            share = "0"
        fraction = cells.number(number, decimal(share, separator), f"running_fraction of {event}", 0.0, 1.0)
        count = cells.number(number, cell, f"count of {event}", 0.0, LARGEST_COUNT) if cell else math.nan
        cells.add(number, time, event, count, fraction)
    return cells.log()
