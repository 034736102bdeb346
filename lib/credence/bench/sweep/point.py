"""One point of a sweep: what a worker runs, and what its result depends on."""

import hashlib
import json
import time
import traceback
from functools import cache

import numpy as np

from credence.bench import catalogue, claims, paths, runner
from credence.bench.errors import InputError
from credence.bench.sweep import grid as grids

LAST_LINES = 15


def fingerprint(kind: str, target: str) -> dict:
    """Return what a point's result depends on besides its parameters: notebook, library and data, by part."""
    if kind == "notebook":
        print_now = runner.fingerprint(runner.select(target)[0], {})
        return {part: print_now[part] for part in ("notebook", "library", "data")}
    paper = target.split(".")[1]
    settings = sorted((paths.data_dir() / paper).glob("*.toml"))
    data = {f"data/{paper}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in settings}
    # a function does not say which sets it reads, so it stands on all of its paper's
    data |= {name: catalogue.entry(name).sha256_content for name in catalogue.names(paper)}
    return {"notebook": None, "library": runner.library_hashes(paper), "data": data}


def differences(old: dict, new: dict) -> str:
    """Return in words what changed between two fingerprints."""
    return "; ".join(runner.differences(old | {"parameters": {}}, new | {"parameters": {}}))


def digest(content) -> str:
    """Return 12 hex digits of SHA-256 over something that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


@cache
def loaded_fingerprint(kind: str, target: str) -> str:
    """Return `fingerprint` as JSON text, as it was when this process was first asked.

    A worker keeps the modules it has imported, so what it read then is what it goes on running.
    """
    return json.dumps(fingerprint(kind, target))


def _scalar(value, name: str):
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    raise TypeError(f"column {name!r} is {type(value).__name__} {value!r:.60}; allowed: None, bool, int64, float, str")


def _function_rows(target: str, parameters: dict) -> list[dict]:
    result = grids.resolve(target)(**parameters)
    rows = [result] if isinstance(result, dict) else result
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and row for row in rows):
        raise TypeError(f"{target} returned {result!r:.80}; allowed: a dict, or a list of dicts, neither empty")
    tidy = []
    for row in rows:
        for name in row:
            if not isinstance(name, str) or name in grids.COMMON_COLUMNS:
                raise TypeError(
                    f"{target} returned column {name!r}; allowed: any text but {', '.join(grids.COMMON_COLUMNS)}"
                )
        row = {name: _scalar(value, name) for name, value in row.items()}
        for name in set(row) & set(parameters):
            if row[name] != parameters[name]:
                raise ValueError(f"{target} returned {name} = {row[name]!r}, but was called with {parameters[name]!r}")
        tidy.append({name: value for name, value in row.items() if name not in parameters})
    return tidy


def _notebook_rows(target: str, parameters: dict) -> list[dict]:
    from credence.bench import execute

    done = execute.execute_point(target, parameters)
    gates = [bool(gate["passed"]) for gate in done.get("diagnostics", [])]
    tail = (1 - claims.LEVEL) / 2
    rows = []
    for name, metric in done["metrics"].items():
        draws = metric["draws"]
        lo, hi = (None, None) if draws is None else map(float, np.quantile(draws, [tail, 1 - tail]))
        rows.append(
            {
                "metric": name,
                "value": float(metric["value"]),
                "lo": lo,
                "hi": hi,
                "n_draws": 0 if draws is None else len(draws),
                "kind": metric["kind"],
                "diagnostics_passed": all(gates) if gates else None,
                "missing_data": ",".join(done.get("missing_data", [])),
            }
        )
    return rows


def compute_point(task: str) -> str:
    """Compute one point and return its rows: what a worker runs.

    Text goes in and comes out, so that what a worker sends is never more than data.

    Parameters
    ----------
    task : str
        JSON with ``kind``, ``target``, ``parameters``, and ``source``, the digest of the caller's fingerprint.

    Returns
    -------
    str
        JSON with ``rows`` and ``seconds`` [s], or with ``failure``, the last lines of what went wrong.
    """
    task = json.loads(task)
    begun = time.perf_counter()
    try:
        # a worker may have joined, or its checkout changed, after the caller looked
        if task["source"] != digest(json.loads(loaded_fingerprint(task["kind"], task["target"]))):
            raise InputError("this worker's library, notebook or data differ from the caller's; update and restart it")
        rows_of = {"notebook": _notebook_rows, "function": _function_rows}[task["kind"]]
        rows = rows_of(task["target"], task["parameters"])
        return json.dumps({"rows": rows, "seconds": round(time.perf_counter() - begun, 6)})
    except (Exception, SystemExit) as error:  # SystemExit would end the worker
        # a notebook's failure brings its own last lines; ours around them tell nothing
        short = task["kind"] == "notebook" or isinstance(error, InputError)
        text = f"{type(error).__name__}: {error}" if short else "".join(traceback.format_exception(error, limit=-3))
        return json.dumps({"failure": text.rstrip().splitlines()[-LAST_LINES - 1 :]})
