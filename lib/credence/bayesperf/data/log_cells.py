"""One counter log, whatever its format: what was counted of which event in which interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from credence.bench.errors import InputError

# Beyond this a count is a mistake: 64-bit counters that went below zero show up as 1.8e19.
LARGEST_COUNT = 1e18


@dataclass(frozen=True)
class Log:
    """A log of counters.

    Attributes
    ----------
    source : str
        The file, as the user named it.
    format : str
        ``"perf"``, ``"emon"``, ``"wide"`` or ``"tidy"``.
    times : tuple of str [slices]
        Each interval's time as it stands in the log: the key of a slice.
    time_s : numpy.ndarray [slices]
        The same as numbers [s], increasing.
    events : tuple of str [events]
        In the order of first appearance.
    count : numpy.ndarray [slices, events]
        Count of the interval, scaled to the whole of it [events]; NaN where the event was not counted.
    running_fraction : numpy.ndarray [slices, events]
        Share of the interval in which the event was on a counter, 0 to 1; 0 where it was not counted.
    unsupported : tuple of str
        Events that the machine refused to count, never counted therefore.
    """

    source: str
    format: str
    times: tuple[str, ...]
    time_s: np.ndarray
    events: tuple[str, ...]
    count: np.ndarray
    running_fraction: np.ndarray
    unsupported: tuple[str, ...] = ()

    @property
    def counted(self) -> np.ndarray:
        """Where there is a count: bool [slices, events]."""
        return ~np.isnan(self.count)

    def tidy(self) -> pd.DataFrame:
        """Return the log as rows ``time_s`` (text), ``event``, ``count``, ``running_fraction``: slices × events."""
        slices, events = self.count.shape
        return pd.DataFrame(
            {
                "time_s": np.repeat(np.array(self.times, dtype=object), events),
                "event": np.tile(np.array(self.events, dtype=object), slices),
                "count": self.count.ravel(),
                "running_fraction": self.running_fraction.ravel(),
            }
        )


class Cells:
    """What has been read of a log so far; every problem is refused with its line.

    Parameters
    ----------
    source : str
        Name of the file for messages.
    format : str
        As in :class:`Log`.
    raw : bool
        Counts are as the counter showed them: they are divided by the running fraction.
    weigh_repeats : bool
        Several counts of one event in one interval are joined, weighted by their running fractions (perf prints an
        event once for each metric group it is in); else they are refused.
    """

    def __init__(self, source: str, format: str, raw: bool = False, weigh_repeats: bool = False):
        self.source, self.format, self.raw, self.weigh_repeats = source, format, raw, weigh_repeats
        self.lines: list[int] = []
        self.time_of: dict[str, float] = {}
        self.spelling: dict[float, str] = {}
        self.events: dict[str, None] = {}
        self.cells: dict[tuple[str, str], tuple[float, float]] = {}
        self.refused: set[str] = set()

    def fault(self, line: int, problem: str, allowed: str) -> InputError:
        """Return the error for a line of the log."""
        return InputError(f"{self.source}, line {line}: {problem}; allowed: {allowed}")

    def number(self, line: int, text: str, what: str, low: float, high: float, unit: str = "") -> float:
        """Return a number of a log; a text that is none, or one out of bounds, is refused."""
        try:
            # a grouping underscore is Python's, no log has it
            value = float(text) if "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            bounds = f"a number from {low:g} to {high:g}{unit}"
            raise self.fault(line, f"{what} is {text!r}", bounds if high < math.inf else f"a number >= {low:g}{unit}")
        return value

    def time(self, line: int, text: str, number: str | None = None) -> str:
        """Note an interval's time and return its text; `number` is the text to convert if it is not the same."""
        if text not in self.time_of:
            value = self.number(line, text if number is None else number, "time", 0.0, 1e12, " s")
            if value in self.spelling:
                raise self.fault(
                    line,
                    f"time {text!r} is the same as {self.spelling[value]!r} in another spelling",
                    "one spelling for each interval",
                )
            self.spelling[value] = text
            self.time_of[text] = value
        return text

    def add(self, line: int, time: str, event: str, count: float, fraction: float) -> None:
        """Add one cell; a NaN count or a fraction of 0 means not counted."""
        if not event:
            raise self.fault(line, "no event name", "a name")
        self.events.setdefault(event)
        if math.isnan(count) or fraction == 0:
            count, fraction = math.nan, 0.0
        elif self.raw:
            count /= fraction
        key = (time, event)
        if key in self.cells:
            if not self.weigh_repeats:
                raise self.fault(line, f"event {event!r} appears twice at time {time}", "once in each interval")
            count, fraction = _joined(self.cells[key], (count, fraction))
        self.cells[key] = (count, fraction)

    def unsupported(self, line: int, time: str, event: str) -> None:
        """Add a cell of an event that the machine can't count."""
        self.add(line, time, event, math.nan, 0.0)
        self.refused.add(event)

    def log(self) -> Log:
        """Return the log.

        Raises
        ------
        InputError
            If nothing was read, or nothing was counted.
        """
        if not self.cells:
            raise InputError(f"{self.source}: no counts; allowed: at least one interval with one event")
        times = sorted(self.time_of, key=self.time_of.__getitem__)
        row = {time: k for k, time in enumerate(times)}
        column = {event: k for k, event in enumerate(self.events)}
        count = np.full((len(times), len(column)), np.nan)
        fraction = np.zeros_like(count)
        for (time, event), cell in self.cells.items():
            count[row[time], column[event]], fraction[row[time], column[event]] = cell
        if np.isnan(count).all():
            why = f" ({', '.join(sorted(self.refused))}: not supported by this machine)" if self.refused else ""
            raise InputError(f"{self.source}: no event was ever counted{why}; allowed: at least one count")
        return Log(
            self.source,
            self.format,
            tuple(times),
            np.array([self.time_of[time] for time in times]),
            tuple(column),
            count,
            fraction,
            tuple(event for event in column if event in self.refused),
        )


def _joined(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    counted = [cell for cell in (one, other) if cell[1] > 0]
    if not counted:
        return math.nan, 0.0
    weight = sum(fraction for _, fraction in counted)
    return sum(count * fraction for count, fraction in counted) / weight, min(weight, 1.0)


def rows_of(text: str, separator: str, source: str) -> list[tuple[int, list[str]]]:
    """Split CSV text into rows with their line numbers; blank lines, and comments above the header, are left out.

    Raises
    ------
    InputError
        For text without any row, or that is not CSV (an open quote), naming the line.
    """
    import csv

    reader = csv.reader(text.splitlines(), delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row) and (rows or not row[0].startswith("#")):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: {error}; allowed: CSV text") from error
    if not rows:
        raise InputError(f"{source}: no header; allowed: CSV text with one")
    return rows


def decimal(text: str, separator: str) -> str:
    """Return a number's text with a decimal point: some locales write a comma, if it doesn't separate fields."""
    return text.replace(",", ".") if separator != "," else text


def listed(names: Sequence[str], most: int = 4) -> str:
    """Name a few for a message."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
