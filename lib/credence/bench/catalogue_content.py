"""The content hash of a data set: over column names and values, not over the bytes of any file.

Canonical form, fed to SHA-256 in this order (all integers little-endian, all text UTF-8):

1. the ASCII line ``credence-content-1``, then the number of rows and of columns (int64 each);
2. for each column from left to right: length of its name in bytes (int64), the name, one letter for its kind, and
   its values:

   ====  ===============================  ========================================================================
   kind  columns                          values
   ====  ===============================  ========================================================================
   i     integers of any width, no gaps   int64
   f     floats of any width              IEEE binary64; every missing value is the bits 0x7ff8000000000000; -0.0
                                          stays apart from 0.0
   b     booleans, no gaps                one byte each, 0 or 1
   s     text                             first every length in bytes (int64; -1 for a missing value), then the
                                          texts on end
   ====  ===============================  ========================================================================

So the hash doesn't depend on the row index, on parquet or gzip, nor on how a pandas version spells "string". It
changes with any value, any name, the order of rows or of columns, and it holds 1 and 1.0 apart. Columns of other
types have no canonical form and are refused.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from credence.bench.errors import InputError

HEADER = b"credence-content-1\n"


def content_hash(frame: pd.DataFrame) -> str:
    """Hash the column names and values of a frame.

    Parameters
    ----------
    frame [rows, columns]
        Columns of integers, floats, booleans or text; the index is ignored.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputError
        If a column name repeats or is no text, or a column is of another type; names the column.
    """
    digest = hashlib.sha256(HEADER)
    digest.update(np.array(frame.shape, dtype="<i8").tobytes())
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"column {repeated!r} appears more than once; allowed: each name once")
    for name in frame.columns:
        if not isinstance(name, str):
            raise InputError(f"column name {name!r} is not text; allowed: text")
        kind, payload = _canonical(frame[name])
        encoded = name.encode()
        digest.update(np.int64(len(encoded)).astype("<i8").tobytes() + encoded + kind)
        digest.update(payload)
    return digest.hexdigest()


def _canonical(column: pd.Series) -> tuple[bytes, bytes]:
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype) and not column.isna().any():
        return b"b", column.to_numpy(dtype=np.uint8).tobytes()
    if pd.api.types.is_integer_dtype(dtype) and not column.isna().any():
        if pd.api.types.is_unsigned_integer_dtype(dtype) and len(column) and column.max() > np.iinfo(np.int64).max:
            raise InputError(f"column {column.name!r} holds integers beyond int64; allowed: up to 2**63 - 1")
        return b"i", column.to_numpy(dtype="<i8").tobytes()
    if pd.api.types.is_float_dtype(dtype):
        values = column.to_numpy(dtype="<f8", na_value=np.nan).copy()
        values[np.isnan(values)] = np.nan  # one bit pattern for every kind of "missing"
        return b"f", values.tobytes()
    if pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype):
        return b"s", _canonical_text(column)
    raise InputError(
        f"column {column.name!r} of type {dtype} has no canonical form; "
        "allowed: integers and booleans without gaps, floats, text"
    )


def _canonical_text(column: pd.Series) -> bytes:
    missing = column.isna().to_numpy()
    texts = []
    for cell, gap in zip(column.tolist(), missing, strict=True):
        if not gap and not isinstance(cell, str):
            raise InputError(
                f"column {column.name!r} mixes text with {type(cell).__name__}; "
                "allowed: integers and booleans without gaps, floats, text"
            )
        texts.append(b"" if gap else cell.encode())
    lengths = np.array([len(text) for text in texts], dtype="<i8")
    lengths[missing] = -1
    return lengths.tobytes() + b"".join(texts)
