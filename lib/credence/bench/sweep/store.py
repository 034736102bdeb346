"""What a sweep has finished: one small JSON file a point, written at once, and the table of all."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

from credence.bench import paths, record
from credence.bench.sweep import grid as grids
from credence.bench.sweep import point

SCHEMA = 1


def point_id(grid: grids.Grid, print_now: dict, parameters: dict) -> str:
    """Return 12 hex digits of SHA-256 over target, parameters (the preset among them), source and data."""
    return point.digest([grid.kind, grid.target, print_now, parameters])


class Store:
    """The finished points in a sweep's folder; the state is the files.

    Parameters
    ----------
    folder : Path
        ``reports/sweeps/<grid>``.
    grid : Grid
        Whose points these are.
    print_now : dict
        The fingerprint they stand for; it is kept once, as ``sources/<digest>.json``.
    """

    def __init__(self, folder: Path, grid: grids.Grid, print_now: dict):
        self.points, self.sources = folder / "points", folder / "sources"
        self.grid, self.print_now, self.source = grid, print_now, point.digest(print_now)

    def read(self, name: str) -> dict | None:
        """Return a finished point, or None if there is no whole one of that point_id."""
        try:
            content = json.loads((self.points / f"{name}.json").read_text(encoding="utf-8"))
            whole = content["schema"] == SCHEMA and content["point_id"] == name and len(content["rows"]) > 0
            return content if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, name: str, parameters: dict, answer: dict) -> dict:
        """Keep a finished point and return it."""
        head = {"schema": SCHEMA, "point_id": name, "target": self.grid.target, "parameters": parameters}
        content = head | {"source": self.source} | answer
        source = self.sources / f"{self.source}.json"
        if not source.exists():
            record.write_atomic(source, json.dumps(self.print_now))
        record.write_atomic(self.points / f"{name}.json", json.dumps(content))
        return content

    def why(self, todo: dict[str, dict]) -> str:
        """Say why points are to do that an earlier call had finished; empty if there are none."""
        wanted = {json.dumps(parameters, sort_keys=True) for parameters in todo.values()}
        earlier, unreadable = {}, 0
        for path in sorted(self.points.glob("*.json")) if todo else ():
            content = self.read(path.stem)
            if content is None:
                unreadable += path.stem in todo
                continue
            key = json.dumps(content["parameters"], sort_keys=True)
            if path.stem not in todo and content["target"] == self.grid.target and key in wanted:
                earlier[key] = content["source"]
        reasons = []
        for source in sorted(set(earlier.values())):
            try:
                old = json.loads((self.sources / f"{source}.json").read_text(encoding="utf-8"))
                reasons.append(point.differences(old, self.print_now))
            except (OSError, ValueError):
                reasons.append("library, notebook or data changed")
        text = f"; {len(earlier)} of them again under new ids: {'; '.join(reasons)}" if earlier else ""
        return text + (f"; {unreadable} of them again, their files were not whole" if unreadable else "")


def _column(values: list):
    """Return an Arrow array of one type: numbers mixed become float, anything else mixed becomes text."""
    import pyarrow

    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pyarrow.array([None if value is None else float(value) for value in values], pyarrow.float64())
    if len(kinds) > 1 or list in kinds:
        texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        return pyarrow.array(texts, pyarrow.string())
    types = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    return pyarrow.array(values, types[kinds.pop()] if kinds else pyarrow.null())


def write_table(path: Path, grid: grids.Grid, print_now: dict, points: list[dict], command: str) -> None:
    """Write the tidy table of finished points atomically.

    Parameters
    ----------
    path : Path
        A parquet file.
    grid, print_now
        What the points are of; both go into the schema's metadata, under ``credence``, as JSON.
    points : list of dict
        As `Store.read` returns them, in the order of their rows.
    command : str
        The command line that computes them again.
    """
    import pyarrow
    import pyarrow.parquet

    rows = [
        done["parameters"] | row | {name: done[name] for name in grids.COMMON_COLUMNS}
        for done in points
        for row in done["rows"]
    ]
    names = dict.fromkeys(name for row in rows for name in row if name not in grids.COMMON_COLUMNS)
    table = pyarrow.table({name: _column([row.get(name) for row in rows]) for name in (*names, *grids.COMMON_COLUMNS)})
    note = {
        "schema": SCHEMA,
        "grid": grid.content,
        "grid_file": paths.shown(grid.path),
        "points": len(grid.points),
        "finished": len(points),
        "versions": record.versions(),
        "fingerprint": print_now,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }
    stream = io.BytesIO()
    pyarrow.parquet.write_table(
        table.replace_schema_metadata({"credence": json.dumps(note, ensure_ascii=False)}), stream
    )
    record.write_atomic(path, stream.getvalue())
