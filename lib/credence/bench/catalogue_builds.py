"""Named functions that turn the files of a data set into its frame.

A function takes the local files (one, or several for a set that joins them) and returns the frame whose content
the catalogue hashes. The same set may have two of them: one for the mirror's file, one for the origin's files.
Only text and parquet are read; nothing is ever unpickled.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

Builder = Callable[[Sequence[Path]], pd.DataFrame]


def read_csv(files: Sequence[Path]) -> pd.DataFrame:
    """Read one CSV file (gzip by its ending): integer columns, float columns (an empty cell is NaN), text columns.

    Numbers are converted here, correctly rounded, since the last digit of pandas' own parser depends on its version.
    """
    (path,) = files
    cells = pd.read_csv(path, dtype="str", keep_default_na=False)
    return pd.DataFrame({name: _typed(cells[name]) for name in cells.columns})


def _typed(column: pd.Series) -> pd.Series | np.ndarray:
    values = column.to_numpy(dtype=object)
    try:
        return values.astype(np.int64)
    except ValueError:
        pass
    try:
        return np.where(values == "", "nan", values).astype(np.float64)
    except ValueError:
        return column


def read_csv_files(files: Sequence[Path]) -> pd.DataFrame:
    """Read CSV files with the same columns, one below the other; in front a column ``file``, their number from 0."""
    tables = [pd.read_csv(path, dtype="str", keep_default_na=False) for path in files]
    if any(list(table.columns) != list(tables[0].columns) for table in tables):
        raise ValueError("the files don't have the same columns")
    number = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    cells = pd.concat(tables, ignore_index=True)
    return pd.DataFrame({"file": number} | {name: _typed(cells[name]) for name in cells.columns})


def read_text(files: Sequence[Path]) -> pd.DataFrame:
    """Read text files as columns ``file`` (their number, from 0) and ``line``: joined by a line feed they come back.

    A file that ends in ``.gz`` is unpacked first.
    """
    content = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files]
    lines = [text.decode("utf-8").split("\n") for text in content]
    number = np.repeat(np.arange(len(lines)), [len(text) for text in lines])
    return pd.DataFrame({"file": number, "line": [line for text in lines for line in text]})


def read_parquet(files: Sequence[Path]) -> pd.DataFrame:
    """Read one parquet file."""
    (path,) = files
    return pd.read_parquet(path)


def read_npz(files: Sequence[Path]) -> pd.DataFrame:
    """Read one NumPy archive of columns of one length, numbers or ASCII text."""
    (path,) = files
    with np.load(path, allow_pickle=False) as archive:
        columns = {name: archive[name] for name in archive.files}
    return pd.DataFrame({name: c.astype(str) if c.dtype.kind == "S" else c for name, c in columns.items()})


def read_jsonl(files: Sequence[Path]) -> pd.DataFrame:
    """Read one file of JSON objects, one a line, as columns of text and numbers."""
    (path,) = files
    return pd.DataFrame(list(_json_lines(path)))


def build_azure(files: Sequence[Path]) -> pd.DataFrame:
    """Build a request frame from an Azure LLM inference trace.

    TIMESTAMP has seven decimals (ticks of 100 ns); arrival_s counts true seconds since the first request.
    """
    raw = read_csv(files)
    ticks = pd.to_datetime(raw["TIMESTAMP"], format="%Y-%m-%d %H:%M:%S.%f").to_numpy("datetime64[ns]")
    since_first = (ticks - ticks[0]).astype(np.int64) // 100
    return pd.DataFrame(
        {
            "arrival_s": since_first / 1e7,
            "prompt_tokens": raw["ContextTokens"],
            "output_tokens": raw["GeneratedTokens"],
        }
    )


def build_mooncake(files: Sequence[Path]) -> pd.DataFrame:
    """Build a request frame from the origin's JSON lines (timestamp [ms], lengths, hash_ids)."""
    rows = pd.DataFrame(
        (line["timestamp"], line["input_length"], line["output_length"], len(line["hash_ids"]))
        for line in _json_lines(files[0])
    )
    return _mooncake_frame(*(rows[column] for column in rows))


def build_mooncake_csv(files: Sequence[Path]) -> pd.DataFrame:
    """Build the same frame from the mirror's CSV, where hash_ids are replaced by their count."""
    raw = read_csv(files)
    return _mooncake_frame(raw["timestamp_ms"], raw["input_length"], raw["output_length"], raw["n_hash_blocks"])


def join_two_predictions(files: Sequence[Path]) -> pd.DataFrame:
    """Join the authors' binary and five-class prediction files row by row; latency [s] -> [ms], 3 decimals."""
    binary, multi = (read_csv([path]) for path in files)
    if not binary["output_token_length"].equals(multi["output_token_length"]):
        raise ValueError("the two prediction files don't list the same requests in the same order")
    return pd.DataFrame(
        {
            "output_token_length": binary["output_token_length"],
            "pred_binary_cls": binary["predicted_length"],
            "pred_multi_cls": multi["predicted_length"],
            "latency_ms_binary": (binary["latency"] * 1000).round(3),
            "latency_ms_multi": (multi["latency"] * 1000).round(3),
        }
    )


def build_castillo_lengths(files: Sequence[Path]) -> pd.DataFrame:
    """Build the table of CASTILLO lengths: the ten samples of a row become ten integer columns."""
    raw = read_csv(files)
    samples = np.array([row.split() for row in raw.pop("output_tokens_10_samples")], dtype=np.int64)
    for k in range(samples.shape[1]):
        raw[f"output_tokens_{k}"] = samples[:, k]
    return raw


def _mooncake_frame(milliseconds: pd.Series, prompt: pd.Series, output: pd.Series, blocks: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arrival_s": (milliseconds - milliseconds.iloc[0]) / 1000,
            "prompt_tokens": prompt,
            "output_tokens": output,
            "hash_blocks": blocks,
        }
    )


def _json_lines(path: Path) -> Iterator[dict]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            if line.strip():
                yield json.loads(line)


READERS: dict[str, Builder] = {
    "csv": read_csv,
    "parquet": read_parquet,
    "jsonl": read_jsonl,
    "npz": read_npz,
    "csv-files": read_csv_files,
    "text": read_text,
    "azure": build_azure,
    "mooncake-jsonl": build_mooncake,
    "mooncake-csv": build_mooncake_csv,
    "join-two-predictions": join_two_predictions,
    "castillo-lengths": build_castillo_lengths,
}
