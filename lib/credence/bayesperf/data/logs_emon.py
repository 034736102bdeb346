"""Intel EMON's own text, and wide tables made from it.

EMON counts one group of events after the other and prints, for each, a line with the clock and a line for each event:
``NAME<tab>TSC ticks<tab>count of CPU 0<tab>count of CPU 1...``; ``----------`` ends a group, ``==========`` a round.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from credence.bayesperf.data.log_cells import LARGEST_COUNT, Cells, Log, decimal, rows_of
from credence.bench.errors import InputError

# A wide table's columns that are clocks, not events.
CLOCKS = ("tsc_delta",)
TIME_COLUMNS = ("time_s", "t_s")
_STAMP = re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d\.\d{3}\s*$")


def looks_like_emon(lines: list[str]) -> bool:
    """Whether a file is EMON's text: its banner in front, or a time stamp before the first count."""
    first = next((line for line in lines if line.strip()), "")
    return first.startswith(("EMON Version", "Version Info")) or bool(_STAMP.match(first))


def read_emon(lines: list[str], source: str, cpu: int | None = None) -> Log:
    """Read EMON's text.

    Parameters
    ----------
    lines : list of str
        The whole file; what stands before the first time stamp (the machine's description) is skipped.
    source : str
        Its name for messages.
    cpu : int or None
        Which column of the core events to take, from 0; None sums all CPUs. Uncore events (``UNC_...``) count for
        the whole machine and are always summed over their units.

    Returns
    -------
    Log
        A slice for each group; its time is in seconds since the first group, with EMON's three decimals. A group has
        the counters for the whole of its interval, so whatever was counted ran for all of it.

    Raises
    ------
    InputError
        By line, for whatever is neither time stamp, count nor separator.
    """
    cells = Cells(source, "emon")
    start, now, latest = None, "", -1.0
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if _STAMP.match(text):
            stamp = _clock(text, number, cells)
            start = start or stamp
            now = cells.time(number, f"{(stamp - start).total_seconds():.3f}")
            if cells.time_of[now] <= latest:
                raise cells.fault(number, f"time {text} comes after a later one", "times that increase")
            latest = cells.time_of[now]
        elif start is None or not text or set(text) <= {"-"} or set(text) <= {"="}:
            continue
        else:
            _add_counts(text.split("\t"), number, now, cpu, cells)
    return cells.log()


def read_wide(text: str, separator: str, source: str) -> Log:
    """Read a table with a time column (``time_s`` or ``t_s``) and a column for each event.

    Parameters
    ----------
    text : str
        The whole file; an empty cell means that the event was not counted in that interval, as its group had to wait.
    separator : str
        Between the fields.
    source : str
        Its name for messages.

    Returns
    -------
    Log
        Counts as they stand there, each for the whole of its interval. A column ``tsc_delta`` is a clock, not an event.

    Raises
    ------
    InputError
        By line: another number of fields than the header's, a cell that is no count, a time that repeats.
    """
    cells = Cells(source, "wide")
    (at, header), *rows = rows_of(text, separator, source)
    header = [name.strip() for name in header]
    repeated = next((name for k, name in enumerate(header) if name in header[:k] or not name), None)
    if repeated is not None:
        raise cells.fault(at, f"column {repeated!r}", "a name for each column, and each name once")
    clock = next((name for name in TIME_COLUMNS if name in header), None)
    if clock is None:
        raise cells.fault(at, "no time column", f"one named {' or '.join(TIME_COLUMNS)}")
    latest = -1.0
    for number, row in rows:
        if len(row) != len(header):
            raise cells.fault(number, f"{len(row)} fields", f"{len(header)}, as in the header")
        named = dict(zip(header, (cell.strip() for cell in row), strict=True))
        time = named[clock]
        if time in cells.time_of:
            raise cells.fault(number, f"time {time!r} appears twice", "one row for each interval")
        key = cells.time(number, time, decimal(time, separator))
        if cells.time_of[key] <= latest:
            raise cells.fault(number, f"time {time} comes after a later one", "times that increase")
        latest = cells.time_of[key]
        for event, cell in named.items():
            if event not in (clock, *CLOCKS):
                count = (
                    cells.number(number, decimal(cell, separator), f"count of {event}", 0.0, LARGEST_COUNT)
                    if cell
                    else math.nan
                )
                cells.add(number, key, event, count, 1.0)
    return cells.log()


def _clock(text: str, number: int, cells: Cells) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%m/%d/%Y %H:%M:%S.%f")
    except ValueError as error:
        raise cells.fault(number, f"time {text!r}", "month/day/year hour:minute:second.milliseconds") from error


def _add_counts(fields: list[str], number: int, time: str, cpu: int | None, cells: Cells) -> None:
    if len(fields) < 3:
        raise cells.fault(number, f"{fields[0][:40]!r} with {len(fields)} fields", "event, TSC ticks, counts")
    event = fields[0].strip()
    counts = [
        cells.number(number, field.strip().replace(",", ""), f"count of {event}", 0.0, LARGEST_COUNT)
        for field in fields[2:]
        if field.strip()
    ]
    cells.number(number, fields[1].strip().replace(",", ""), f"TSC ticks of {event}", 0.0, LARGEST_COUNT)
    if cpu is None or event.startswith("UNC_"):
        cells.add(number, time, event, sum(counts), 1.0)
    elif 0 <= cpu < len(counts):
        cells.add(number, time, event, counts[cpu], 1.0)
    else:
        raise InputError(f"cpu is {cpu}; allowed: 0 to {len(counts) - 1}, the CPUs of {cells.source}")
