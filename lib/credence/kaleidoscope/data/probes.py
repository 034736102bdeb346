"""Probe logs: how many store pings a client sent to a target, and what became of them.

A log is CSV text in UTF-8 with a header. Other columns are ignored, blank lines are skipped (and counted as lines).

==============  ==================================================================================
``client``      name of a client of the topology
``target``      name of a storage target (``crwr``, ``wrex``) or of a metadata server (``rmex``)
``operation``   ``crwr`` create and write | ``wrex`` write existing | ``rmex`` remove (paper §IV-A)
``sent``        pings planned [pings], an integer >= 0
``succeeded``   pings answered within the time limit [pings]
``missing``     pings never launched, or whose outcome was lost [pings]: they say nothing, neither way
``time_s``      optional: when [s], any finite number
==============  ==================================================================================

The failed ones are the rest: sent - succeeded - missing, never below 0.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from credence.bench.errors import InputError
from credence.kaleidoscope.data.topology import KINDS, OPERATIONS, Topology

REQUIRED = ("client", "target", "operation", "sent", "succeeded", "missing")
COUNTS = ("sent", "succeeded", "missing")

# Beyond this a count is a mistake: a time stamp, an identifier.
LARGEST_COUNT = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Window:
    """The pings of one span of time, one row for each cell (client, target, operation).

    Attributes
    ----------
    client, target : numpy.ndarray [cells]
        Component ids of the topology, int32.
    operation : numpy.ndarray [cells]
        Positions in :data:`~credence.kaleidoscope.data.topology.OPERATIONS`, int8.
    sent, succeeded, missing : numpy.ndarray [cells]
        Pings, int64.
    start_s, length_s : float
        Where the window lies [s]; NaN when the log has no times, or is one window.
    """

    client: np.ndarray
    target: np.ndarray
    operation: np.ndarray
    sent: np.ndarray
    succeeded: np.ndarray
    missing: np.ndarray
    start_s: float = np.nan
    length_s: float = np.nan

    @property
    def failed(self) -> np.ndarray:
        """Pings that failed [cells], int64."""
        return self.sent - self.succeeded - self.missing

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.client)


@dataclass(frozen=True, eq=False)
class Probes:
    """The rows of a log as they stand in it: columns [rows], ids and codes as in :class:`Window`.

    ``time_s`` is None if the log has no times; ``line`` is the line of the file that each row ends on.
    """

    client: np.ndarray
    target: np.ndarray
    operation: np.ndarray
    sent: np.ndarray
    succeeded: np.ndarray
    missing: np.ndarray
    line: np.ndarray
    time_s: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.client)


def read_probes(path: str | Path, topology: Topology, window_s: float | None = None) -> list[Window]:
    """Read a probe log and split it into windows.

    Parameters
    ----------
    path
        CSV file, as at the top of this module.
    topology
        Where the names stand.
    window_s
        Length of a window [s]: window k holds the times in [k·window_s, (k+1)·window_s). None: the whole file is one
        window. Rows of one cell at several times of a window are added up.

    Returns
    -------
    list of Window
        In order of time; spans without any row are left out.

    Raises
    ------
    InputError
        Naming line, column, value and what is allowed: unknown components, an operation that its target can't have,
        counts that are no integers or below 0, more succeeded and missing than sent, one cell twice at the same time.
    """
    return split(read_rows(path, topology), window_s, str(path))


def read_rows(path: str | Path, topology: Topology) -> Probes:
    """Read and check the rows of a probe log; arguments and errors as for :func:`read_probes`."""
    path = Path(path)
    found = _read_quickly(path, topology)
    if found is not None:
        return found
    if not path.is_file():
        raise InputError(f"{path}: no such file; allowed: a CSV file of probes")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = check_header(next(reader, []), str(path))
            cells = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file ({error}); allowed: comma-separated text in UTF-8") from error
    if not cells:
        raise InputError(f"{path}: no probes; allowed: a header line and at least one row below it")
    return check_rows(header, cells, topology, str(path))


def check_header(row: list[str], source: str) -> list[str]:
    """Return the column names of a header row; missing or repeated ones are an InputError."""
    header = [name.strip().removeprefix("\ufeff") for name in row]
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        found = ", ".join(repr(name[:40]) for name in header[:12]) or "none"
        raise InputError(
            f"{source}: line 1: missing column {', '.join(map(repr, missing))} (found: {found}); "
            f"allowed: {', '.join(REQUIRED)} and optionally time_s"
        )
    for name in (*REQUIRED, "time_s"):
        if header.count(name) > 1:
            raise InputError(f"{source}: line 1: column {name!r} appears {header.count(name)} times; allowed: once")
    return header


def check_rows(header: list[str], cells: list[tuple[int, list[str]]], topology: Topology, source: str) -> Probes:
    """Turn the text of rows into numbers, refusing the first that is wrong.

    Parameters
    ----------
    header
        Column names.
    cells [rows]
        Line number and texts of each row.
    """
    at = {name: header.index(name) for name in (*REQUIRED, "time_s") if name in header}
    columns: dict[str, list] = {name: [] for name in at}
    for line, row in cells:
        if len(row) != len(header):
            raise InputError(f"{source}: line {line}: {len(row)} values; allowed: {len(header)}, as in the header")
        texts = {name: row[k].strip() for name, k in at.items()}
        for name, text in texts.items():
            columns[name].append(_value(name, text, line, topology, source))
    kinds = {"sent": np.int64, "succeeded": np.int64, "missing": np.int64, "operation": np.int8, "time_s": np.float64}
    arrays = {name: np.array(values, dtype=kinds.get(name, np.int32)) for name, values in columns.items()}
    probes = Probes(**arrays, line=np.array([line for line, _ in cells], dtype=np.int64))
    check_values(probes, topology, source)
    return probes


def _value(name: str, text: str, line: int, topology: Topology, source: str):
    def refuse(allowed: str) -> InputError:
        return InputError(f"{source}: line {line}, column {name!r}: {text[:60]!r} is not allowed; allowed: {allowed}")

    if name in ("client", "target"):
        if text not in topology.ids:
            raise refuse(f"a component of topology {topology.name}: {topology.examples()}")
        return topology.ids[text]
    if name == "operation":
        if text not in OPERATIONS:
            raise refuse(", ".join(OPERATIONS))
        return OPERATIONS.index(text)
    try:
        value = (float if name == "time_s" else int)(text if "_" not in text else "")  # int() would take 1_000
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise refuse("a finite number of seconds" if name == "time_s" else f"an integer from 0 to {LARGEST_COUNT}")
    if name != "time_s" and not 0 <= value <= LARGEST_COUNT:
        raise refuse(f"an integer from 0 to {LARGEST_COUNT}")
    return value


def check_values(probes: Probes, topology: Topology, source: str) -> None:
    """Refuse rows that contradict themselves or each other; the earliest line is named.

    Raises
    ------
    InputError
        As :func:`read_probes`.
    """
    kinds = topology.kind_codes
    client_kind, target_kind = kinds[probes.client], kinds[probes.target]
    remove = probes.operation == OPERATIONS.index("rmex")
    wanted = np.where(remove, KINDS.index("metadata"), KINDS.index("target"))
    faults = [
        (client_kind != KINDS.index("client"), "client"),
        (target_kind != wanted, "target"),
        (probes.succeeded > probes.sent, "succeeded"),
        (probes.succeeded + probes.missing > probes.sent, "missing"),
        (_repeated(probes), "operation"),
    ]
    found = [(int(np.argmax(bad)), order, name) for order, (bad, name) in enumerate(faults) if bad.any()]
    if not found:
        return
    row, order, name = min(found)
    where = f"{source}: line {probes.line[row]}, column {name!r}"
    client, target = (topology.components[ids[row]] for ids in (probes.client, probes.target))
    operation = OPERATIONS[probes.operation[row]]
    sent, succeeded, missing = (int(getattr(probes, count)[row]) for count in COUNTS)
    raise InputError(
        (
            f"{where}: {client!r} is a {KINDS[client_kind[row]]}; allowed: a client",
            f"{where}: {target!r} is a {KINDS[target_kind[row]]}; allowed with {operation}: a {KINDS[wanted[row]]}",
            f"{where}: {succeeded} of {sent} sent; allowed: no more than were sent",
            f"{where}: {missing} missing and {succeeded} succeeded of {sent} sent; allowed: together no more than sent",
            f"{where}: {operation} from {client} to {target} a second time"
            + (f" at {probes.time_s[row]:g} s" if probes.time_s is not None else "")
            + "; allowed: one row each",
        )[order]
    )


def _repeated(probes: Probes) -> np.ndarray:
    """Return which rows repeat an earlier cell at the same time: bool [rows]."""
    cell = (probes.client.astype(np.int64) << 34) + (probes.target.astype(np.int64) << 2) + probes.operation
    columns = (cell,) if probes.time_s is None else (cell, probes.time_s)
    order = np.lexsort(columns)  # stable: of two equal rows the later one in the file comes second
    same = np.ones(max(0, len(cell) - 1), dtype=bool)
    for column in columns:
        same &= column[order[1:]] == column[order[:-1]]
    repeated = np.zeros(len(cell), dtype=bool)
    repeated[order[1:][same]] = True
    return repeated


def split(probes: Probes, window_s: float | None, source: str = "probes") -> list[Window]:
    """Split rows into windows, in order of time, adding up the rows of a cell; see :func:`read_probes`.

    Raises
    ------
    InputError
        If `window_s` isn't a positive number, or the log has no times.
    """
    if window_s is None:
        return [_window(probes, np.arange(probes.rows), np.nan, np.nan)] if probes.rows else []
    if not (np.isfinite(window_s) and window_s > 0):
        raise InputError(f"--window {window_s:g}; allowed: a number of seconds above 0")
    if probes.time_s is None:
        raise InputError(f"{source}: line 1: no column 'time_s', so there is nothing to split by; allowed: one window")
    number = np.floor(probes.time_s / window_s)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=np.nan) != 0)
    parts = np.split(order, starts[1:]) if probes.rows else []
    return [_window(probes, part, number[part[0]] * window_s, float(window_s)) for part in parts]


def _window(probes: Probes, rows: np.ndarray, start_s: float, length_s: float) -> Window:
    names = [each.name for each in fields(Window)][:6]
    columns = {name: getattr(probes, name)[rows] for name in names}
    cell = (columns["client"].astype(np.int64) << 34) + (columns["target"].astype(np.int64) << 2) + columns["operation"]
    _, first, of = np.unique(cell, return_index=True, return_inverse=True)
    if len(first) < len(cell):
        for name in COUNTS:  # integers throughout: no rounding
            totals = np.zeros(len(first), dtype=np.int64)
            np.add.at(totals, of, columns[name])
            columns[name] = totals
        for name in names[:3]:
            columns[name] = columns[name][first]
    return Window(**columns, start_s=float(start_s), length_s=length_s)


def _read_quickly(path: Path, topology: Topology) -> Probes | None:
    """Read a well-formed file at a tenth of the time; None for whatever isn't plain: it is read again to say where."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    types = {name: pyarrow.int64() if name in COUNTS else text for name in REQUIRED} | {"time_s": pyarrow.float64()}
    try:
        content = path.read_bytes()
        odd = (b'"', b"\r", b"\n\n")  # with these the lines would be counted wrongly
        if content[:1] == b"\n" or any(mark in content for mark in odd):
            return None
        options = arrow_csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False)
        table = arrow_csv.read_csv(pyarrow.BufferReader(content), convert_options=options)
    except (OSError, ValueError):  # ArrowInvalid is a ValueError
        return None
    names = table.column_names
    if len(set(names)) < len(names) or not set(REQUIRED) <= set(names) or not table.num_rows:
        return None
    columns: dict[str, np.ndarray] = {}
    for name, known in (("client", topology.ids), ("target", topology.ids), ("operation", None)):
        column = table[name].combine_chunks() if table[name].num_chunks != 1 else table[name].chunk(0)
        lookup = known if known is not None else {each: k for k, each in enumerate(OPERATIONS)}
        code = np.array([lookup.get(each, -1) for each in column.dictionary.to_pylist()], dtype=np.int32)
        columns[name] = code[column.indices.to_numpy(zero_copy_only=False)]
        if columns[name].min() < 0:
            return None
    columns["operation"] = columns["operation"].astype(np.int8)
    for name in COUNTS:
        columns[name] = table[name].to_numpy()
        if columns[name].min() < 0 or columns[name].max() > LARGEST_COUNT:
            return None
    if "time_s" in names:
        columns["time_s"] = table["time_s"].to_numpy()
        if not np.isfinite(columns["time_s"]).all():
            return None
    probes = Probes(**columns, line=np.arange(2, table.num_rows + 2))
    check_values(probes, topology, str(path))
    return probes
