"""``perf stat -I MS -x SEP``: one line for each event and interval.

A line is ``time,count,unit,event,run time [ns],percent running[,metric value,metric unit]``. perf scales counts by
enabled/running time itself. Event names may hold the separator between slashes (``cpu/event=0x3c,umask=0x1/``).
"""

from __future__ import annotations

import math
import re

from credence.bayesperf.data.log_cells import LARGEST_COUNT, Cells, Log, decimal, listed
from credence.bench.errors import InputError

SEPARATORS = (";", "\t", ",")
NOT_COUNTED, NOT_SUPPORTED = "<not counted>", "<not supported>"

# perf's words for one CPU, core, die, cache, socket or node of many.
_NUMBER = re.compile(r"\d+([.,]\d+)?$")
_PART = re.compile(r"(S\d+(-D\d+)?(-C\d+)?|S\d+-D\d+-L\d+.*|CPU\d+|N\d+|C\d+|D\d+)$")
_MAKE = "the output of perf stat -I MS -x, (aggregated: no -A, no --per-...)"


def read_perf(lines: list[str], source: str, raw: bool = False) -> Log:
    """Read the lines of a log that ``perf stat -I -x`` wrote.

    Parameters
    ----------
    lines : list of str
        The whole file.
    source : str
        Its name for messages.
    raw : bool
        Counts are not scaled (by hand or by a script): they are divided by the running fraction.

    Returns
    -------
    Log

    Raises
    ------
    InputError
        By line: too few fields, a number that is none, an event that is missing from or twice in an interval, time
        that goes back, a line cut off.
    """
    cells = Cells(source, "perf", raw, weigh_repeats=True)
    separator = ""
    pattern: list[str] = []  # the events of the first interval, in order
    seen: list[str] = []  # those of the present one
    now, latest = "", -1.0
    previous_line = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#") or line.lstrip().startswith("summary"):
            continue
        separator = separator or _separator(line, number, cells)
        fields = line.split(separator)
        head = _head(fields, separator, number, cells)
        if head is None:  # a further metric of the line before
            continue
        time, count, event, running, percent = head
        key = cells.time(number, time, decimal(time, separator))
        if key != now:
            if cells.time_of[key] <= latest:
                raise cells.fault(number, f"time {time} comes after {now}", "times that increase")
            if now:
                pattern = pattern or seen
                _check_complete(seen, pattern, now, previous_line, cells)
            now, latest, seen = key, cells.time_of[key], []
        seen.append(event)
        if pattern and (len(seen) > len(pattern) or event != pattern[len(seen) - 1]):
            raise cells.fault(
                number,
                f"event {event!r} is number {len(seen)} of the interval at {time}",
                f"the events of the first interval in their order ({listed(pattern)})",
            )
        _add(number, key, count, event, running, percent, separator, cells)
        previous_line = number
    if now and pattern:
        _check_complete(seen, pattern, now, previous_line, cells)
    return cells.log()


def looks_like_perf(line: str, timed: bool = True) -> bool:
    """Whether a line has the form of perf's: a time if `timed`, then a count or ``<not ...>``, unit and event."""
    for separator in SEPARATORS:
        fields = [field.strip() for field in line.split(separator)]
        counts = fields[1:] if timed else fields
        if len(counts) >= 3 and (not timed or _NUMBER.match(fields[0])):
            part = bool(_PART.match(counts[0]))
            if _NUMBER.match(counts[0]) or counts[0] in (NOT_COUNTED, NOT_SUPPORTED) or part:
                return True
    return False


def _separator(line: str, number: int, cells: Cells) -> str:
    for separator in SEPARATORS:
        if line.count(separator) >= 3:
            return separator
    raise cells.fault(number, f"{line.strip()[:40]!r} has no fields", _MAKE)


def _head(fields: list[str], separator: str, number: int, cells: Cells) -> tuple[str, str, str, str, str] | None:
    """Time, count, event, run time and percent of a line; None for a line that only adds a metric."""
    if len(fields) > 1 and _PART.match(fields[1].strip()):
        raise cells.fault(number, f"second field is {fields[1].strip()!r}: counts of a part of the machine", _MAKE)
    if len(fields) >= 4 and not fields[1].strip() and not fields[3].strip():
        return None
    if len(fields) < 6:
        raise cells.fault(
            number, f"{len(fields)} fields", "at least 6 (time, count, unit, event, run time, percent): " + _MAKE
        )
    time, count = fields[0].strip(), fields[1].strip()
    event, rest = fields[3], fields[4:]
    while event.count("/") % 2 and rest:  # the separator stood inside the event's own slashes
        event, rest = event + separator + rest[0], rest[1:]
    if len(rest) < 2:
        raise cells.fault(number, f"nothing after event {event.strip()!r}", "run time and percent running")
    return time, count, event.strip(), rest[0].strip(), rest[1].strip()


def _add(number, time, count, event, running, percent, separator, cells: Cells) -> None:
    if not event:
        raise cells.fault(number, "no event name", "a name in the fourth field")
    if count == NOT_SUPPORTED:
        cells.unsupported(number, time, event)
        return
    if count == NOT_COUNTED:
        cells.add(number, time, event, math.nan, 0.0)
        return
    value = cells.number(number, decimal(count, separator), f"count of {event}", 0.0, LARGEST_COUNT)
    cells.number(number, decimal(running, separator), f"run time of {event}", 0.0, math.inf, " ns")
    # perf rounds to two digits; above 100 by more than rounding something is wrong
    share = cells.number(number, decimal(percent, separator), f"percent running of {event}", 0.0, 100.5, " %")
    if share == 0 and value > 0:
        raise cells.fault(number, f"{event} ran 0 % of the interval and counted {count}", "a count only if it ran")
    cells.add(number, time, event, value, min(share / 100, 1.0))


def _check_complete(seen: list[str], pattern: list[str], time: str, line: int, cells: Cells) -> None:
    if len(seen) < len(pattern):
        raise cells.fault(
            line,
            f"the interval at {time} ends after {len(seen)} of {len(pattern)} events",
            f"all of them (next: {pattern[len(seen)]!r}); a log cut short can be read without its last interval",
        )


def refuse_without_times(line: str, source: str, number: int) -> InputError:
    """Return the error for perf output that has no times."""
    return InputError(f"{source}, line {number}: {line.strip()[:60]!r} has no time in front; allowed: {_MAKE}")
