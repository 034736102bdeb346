"""A probe log that grows while it is read, window by window."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from credence.bench.errors import InputError
from credence.kaleidoscope.data.probes import Probes, Window, check_header, check_rows, check_values, split
from credence.kaleidoscope.data.topology import Topology


class Follower:
    """Reads what has been added to a log and gives out windows that are complete.

    A window is complete once a row of a later one has been seen, or when :meth:`rest` is asked for. Rows that come in
    after their window was given out are counted in ``late`` and left out. Only whole lines are read.

    Parameters
    ----------
    path, topology, window_s
        As for :func:`~credence.kaleidoscope.data.probes.read_probes`; the log needs ``time_s``.
    """

    def __init__(self, path: str | Path, topology: Topology, window_s: float):
        if not (np.isfinite(window_s) and window_s > 0):
            raise InputError(f"--window {window_s:g}; allowed: a number of seconds above 0")
        self.path, self.topology, self.window_s = Path(path), topology, float(window_s)
        self.header: list[str] | None = None
        self.late = 0
        self._offset = 0
        self._line = 0
        self._open: Probes | None = None
        self._given_to = -np.inf  # number of the last window given out

    def poll(self) -> list[Window]:
        """Read what is new and return the windows that it completes, in order of time.

        Raises
        ------
        InputError
            As ``read_probes``; and when the file has become shorter.
        """
        fresh = self._read()
        if fresh is None:
            return []
        self._open = fresh if self._open is None else _joined(self._open, fresh)
        check_values(self._open, self.topology, str(self.path))
        newest = np.floor(self._open.time_s / self.window_s).max()
        return self._give(np.floor(self._open.time_s / self.window_s) < newest)

    def rest(self) -> list[Window]:
        """Return the windows that nothing has completed yet: the log is at its end."""
        return [] if self._open is None else self._give(np.ones(self._open.rows, dtype=bool))

    def _give(self, complete: np.ndarray) -> list[Window]:
        rows, self._open = self._open, None
        if not complete.all():
            self._open = _chosen(rows, ~complete)
        if not complete.any():
            return []
        done = split(_chosen(rows, complete), self.window_s, str(self.path))
        self._given_to = round(done[-1].start_s / self.window_s)
        return done

    def _read(self) -> Probes | None:
        """Return the rows of the whole lines that were added; None if there are none."""
        lines = list(self._lines())
        if lines and self.header is None:
            while lines and not lines[0][1].strip():
                lines.pop(0)
            if lines:
                self.header = check_header(_fields(*lines.pop(0), self.path), str(self.path))
                if "time_s" not in self.header:
                    raise InputError(f"{self.path}: line 1: no column 'time_s'; allowed: a log with times")
        cells = [(number, _fields(number, line, self.path)) for number, line in lines if line.strip()]
        if not cells:
            return None
        rows = check_rows(self.header, cells, self.topology, str(self.path))
        on_time = np.floor(rows.time_s / self.window_s) > self._given_to
        self.late += int((~on_time).sum())
        return _chosen(rows, on_time) if on_time.any() else None

    def _lines(self) -> Iterator[tuple[int, str]]:
        try:
            with self.path.open("rb") as stream:
                size = stream.seek(0, 2)
                if size < self._offset:
                    raise InputError(f"{self.path}: shorter than it was; allowed: a file that only grows")
                stream.seek(self._offset)
                content = stream.read(size - self._offset)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}; allowed: a CSV file of probes") from error
        content = content[: content.rfind(b"\n") + 1]  # the rest of the last line may still come
        self._offset += len(content)
        for line in content.splitlines():
            self._line += 1
            try:
                yield self._line, line.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{self.path}: line {self._line}: not UTF-8; allowed: text in UTF-8") from error


def _fields(number: int, line: str, path: Path) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: line {number}: {error}; allowed: comma-separated text") from error


def _chosen(rows: Probes, which: np.ndarray) -> Probes:
    return replace(rows, **{name: values[which] for name, values in vars(rows).items()})


def _joined(one: Probes, other: Probes) -> Probes:
    return Probes(**{name: np.concatenate([values, getattr(other, name)]) for name, values in vars(one).items()})
