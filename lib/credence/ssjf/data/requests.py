"""Request frames: what a scheduler is asked to serve, and the check every such frame passes first.

A *request frame* has one row per request, in order of arrival, with the columns

=================  =========================================================================
``arrival_s``      arrival time [s], finite, >= 0, never decreasing
``prompt_tokens``  length of the prompt [tokens], an integer >= 0
``output_tokens``  length of the answer [tokens], an integer >= 0 (the truth, known afterwards)
``predicted``      optional: any finite number; smaller means "served earlier"
=================  =========================================================================
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench.errors import InputError

REQUIRED_COLUMNS = ("arrival_s", "prompt_tokens", "output_tokens")
OPTIONAL_COLUMNS = ("predicted",)

# Beyond this a token count is a mistake: a time stamp, an identifier.
LARGEST_TOKEN_COUNT = 1_000_000_000

ALLOWED = {
    "arrival_s": "a finite number of seconds >= 0",
    "prompt_tokens": f"an integer from 0 to {LARGEST_TOKEN_COUNT}",
    "output_tokens": f"an integer from 0 to {LARGEST_TOKEN_COUNT}",
    "predicted": "a finite number",
}


def read_requests(path: str | Path) -> pd.DataFrame:
    """Read a CSV file of requests and check every cell.

    Parameters
    ----------
    path
        CSV text in UTF-8, comma separated, first line the column names. Columns other than those of a
        request frame are ignored; blank lines are skipped (and still counted as lines).

    Returns
    -------
    pandas.DataFrame [requests, 3 or 4]
        ``arrival_s`` [s] float64, ``prompt_tokens`` and ``output_tokens`` [tokens] int64, and ``predicted``
        float64 when the file has it; the index is the zero-based data row.

    Raises
    ------
    InputError
        Naming the zero-based data row, the line number, the column, the value and what is allowed.
    """
    path = Path(path)
    frame = _read_quickly(path)
    if frame is not None:
        try:
            return validate_requests(frame, str(path))
        except InputError:
            pass  # read again, slowly, to say on which line
    header, cells, lines = _read_cells(path)
    _check_header(header, str(path))
    columns = [name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in header]
    if not cells:
        raise InputError(f"{path}: no requests; allowed: a header line and at least one row below it")
    positions = [header.index(name) for name in columns]
    frame = pd.DataFrame({name: [row[k] for row in cells] for name, k in zip(columns, positions, strict=True)})
    return validate_requests(frame, str(path), lines=lines)


def validate_requests(
    frame: pd.DataFrame, source: str = "requests", lines: Sequence[int] | None = None
) -> pd.DataFrame:
    """Check a frame of requests and return it with plain column types.

    Parameters
    ----------
    frame [requests, >= 3]
        Columns as described at the top of this module; cells may be numbers or their text.
    source
        Name of the file or data set, put into every message.
    lines [requests]
        Line number of each row in the file, when there is a file.

    Returns
    -------
    pandas.DataFrame [requests, 3 or 4]
        A new frame with only the columns of a request frame and a zero-based index.

    Raises
    ------
    InputError
        For the first offending row, whichever of its columns is wrong.
    """
    _check_header(list(frame.columns), source)
    if len(frame) == 0:
        raise InputError(f"{source}: no requests; allowed: at least one row")
    columns = [name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in frame.columns]
    numbers = {name: _as_numbers(frame[name]) for name in columns}
    faults = []
    for order, name in enumerate(columns):
        bad = ~np.isfinite(numbers[name])
        if name.endswith("_tokens"):
            with np.errstate(invalid="ignore"):
                bad |= (numbers[name] < 0) | (numbers[name] > LARGEST_TOKEN_COUNT) | (numbers[name] % 1 != 0)
        elif name == "arrival_s":
            bad |= numbers[name] < 0
        if bad.any():
            faults.append((int(np.argmax(bad)), order, name))
    unsorted = np.flatnonzero(np.diff(numbers["arrival_s"]) < 0)  # NaN compares False: it is a fault already
    if unsorted.size:
        faults.append((int(unsorted[0]) + 1, len(columns), "unsorted"))
    if faults:
        row, _, name = min(faults)
        _refuse(frame, source, row, name, lines)
    result = {name: values.astype(np.int64) if name.endswith("_tokens") else values for name, values in numbers.items()}
    return pd.DataFrame(result)


def _read_quickly(path: Path) -> pd.DataFrame | None:
    """Read a well-formed file at a tenth of the time of :func:`_read_cells`; None for whatever isn't plain."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    known = dict.fromkeys((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS), pyarrow.float64())
    try:
        content = path.read_bytes()
        if b'"' in content:  # an unclosed quotation mark would swallow rows without a word
            return None
        options = arrow_csv.ConvertOptions(column_types=known)
        table = arrow_csv.read_csv(pyarrow.BufferReader(content), convert_options=options)
    except (OSError, ValueError):  # ArrowInvalid is a ValueError
        return None
    if len(set(table.column_names)) < table.num_columns:
        return None
    return table.select([name for name in table.column_names if name in known]).to_pandas()


def _read_cells(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Split a CSV file into its header, its rows and the line number each row ends on."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; allowed: a CSV file of requests")
    cells: list[list[str]] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            for row in reader:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{path}: row {len(cells)} (line {reader.line_num}) has {len(row)} values; "
                        f"allowed: {len(header)}, one for each column of the header"
                    )
                cells.append(row)
                lines.append(reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file ({error}); allowed: comma-separated text in UTF-8") from error
    if not any(header):
        raise InputError(f"{path}: empty; allowed: a header line with {', '.join(REQUIRED_COLUMNS)}, then rows")
    return header, cells, lines


def _check_header(header: Sequence[str], source: str) -> None:
    names = [str(name) for name in header]
    known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    for name in known:
        if names.count(name) > 1:
            raise InputError(f"{source}: column {name!r} appears {names.count(name)} times; allowed: once")
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        found = ", ".join(repr(name[:40]) for name in names[:12]) or "none"
        raise InputError(
            f"{source}: missing column {', '.join(repr(name) for name in missing)} (found: {found}); "
            f"allowed: {', '.join(REQUIRED_COLUMNS)} and optionally {', '.join(OPTIONAL_COLUMNS)}"
        )


def _as_numbers(column: pd.Series) -> np.ndarray:
    """Numbers of a column [rows] as float64; what is not a number becomes NaN, which the caller refuses."""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan).copy()
    cells = column.tolist()
    try:  # correctly rounded, which pandas' own parser isn't always
        if not any(isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell) for cell in cells):
            return np.array(cells, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    return np.array([_as_number(cell) for cell in cells])


def _as_number(cell: object) -> float:
    if isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):  # float() would take True and 1_000
        return np.nan
    try:
        return float(cell)
    except (TypeError, ValueError):
        return np.nan


def _refuse(frame: pd.DataFrame, source: str, row: int, name: str, lines: Sequence[int] | None) -> None:
    place = f"row {row} (line {lines[row]})" if lines is not None else f"row {row}"
    if name == "unsorted":
        now, before = frame["arrival_s"].iloc[row], frame["arrival_s"].iloc[row - 1]
        raise InputError(
            f"{source}: {place}, column 'arrival_s': {now} is earlier than {before} in the row before; "
            "allowed: rows in order of arrival"
        )
    value = frame[name].iloc[row]
    shown = repr(value[:60]) if isinstance(value, str) else str(value)
    raise InputError(f"{source}: {place}, column {name!r}: {shown} is not allowed; allowed: {ALLOWED[name]}")
