"""What a notebook leaves behind: metrics with their draws, figures, data read, diagnostics.

In a run the environment variable ``CREDENCE_RUN_DIR`` names the folder; opened by hand, a notebook shows the same
tables and writes nothing.
"""

import json
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from credence.bench import claims, diagnostics
from credence.bench.errors import InputError, choose

SCHEMA = 1
MAX_DRAWS = 4000
VERSIONS_OF = ("credence", "numpy", "pandas", "scipy", "numba", "plotly", "papermill", "scikit-learn")

_metrics: dict[str, dict] = {}
_figures: list[dict] = []


def write_atomic(path: Path, text: str | bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one, also after a crash."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as stream:
            stream.write(text.encode() if isinstance(text, str) else text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def reset() -> None:
    """Forget what was recorded (a kernel that runs a notebook twice; tests)."""
    _metrics.clear()
    _figures.clear()
    diagnostics.gates.clear()


def figure(fig, name: str, title: str = "", main: bool = False):
    """Register a figure for the report and return it, so that it can be a cell's last line.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        The figure.
    name : str
        Short identifier, unique in the notebook: letters, digits and ``-``.
    title : str
        Caption in the report.
    main : bool
        True for the one figure that tells the notebook's story; its thumbnail stands on the index page.
    """
    from credence.bench import thumbnail

    if not name.replace("-", "").isalnum():
        raise InputError(f"figure name {name!r}; allowed: letters, digits and '-'")
    if main and any(item["main"] and item["name"] != name for item in _figures):
        raise InputError(f"figure {name!r}: a notebook has one main figure")
    entry = {"name": name, "title": title, "main": main, "thumbnail": thumbnail.summarise(fig)}
    _figures[:] = [item for item in _figures if item["name"] != name] + [entry]
    # the report finds the figure's caption and identifier in its own layout
    fig.update_layout(meta={"credence": {"name": name, "title": title, "main": main}})
    _write()
    return fig


class Table:
    """Claims beside what was found, as a notebook shows it."""

    def __init__(self, rows: list[dict]):
        self.rows = rows

    def _cells(self):
        for item in self.rows:
            text = claims.words(item)
            yield item["statement"], text["paper"], text["ours"], text["p"], text["verdict"]

    def __repr__(self) -> str:
        return "\n".join(" | ".join(cells) for cells in self._cells())

    def _repr_html_(self) -> str:
        from html import escape

        head = "".join(f"<th>{name}</th>" for name in ("claim", "paper", "ours [90 %]", "P(claim)", "verdict"))
        body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in cells)}</tr>" for cells in self._cells())
        return f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def record(kind: str = "simulated", **metrics) -> Table:
    """Record metrics and return the claims they back, paper's value beside ours.

    Parameters
    ----------
    kind : str
        Where the evidence comes from: ``measured``, ``third party`` or ``simulated`` (a world we generated).
    **metrics : float or array of float [draws]
        One number, or draws over the claim's resampling unit. A metric may back no claim.

    Raises
    ------
    InputError
        If `kind` is unknown, or a metric is empty, not finite, or has more than one dimension.
    """
    choose(kind, claims.KINDS, "kind of evidence")
    for name, value in metrics.items():
        values = np.asarray(value, dtype=float)
        if values.ndim > 1 or values.size == 0 or not np.isfinite(values).all():
            raise InputError(
                f"metric {name!r}: shape {values.shape}, {int(np.isfinite(values).sum())} finite values; "
                "allowed: one finite number, or a 1-D array of finite draws"
            )
        if values.size > MAX_DRAWS:
            raise InputError(f"metric {name!r}: {values.size} draws; allowed: at most {MAX_DRAWS}")
        draws = None if values.ndim == 0 else [float(f"{v:.7g}") for v in values]
        _metrics[name] = {"value": float(np.mean(values)), "draws": draws, "kind": kind}
    _write()
    used = _used()
    record_now = {"metrics": _metrics, "data": used, "preset": "", "run_id": ""}
    rows = [
        claims.row(claim, record_now, [])
        for claim in claims.registry()
        if claim.metric in metrics and _this_notebook(claim)
    ]
    return Table([item for item in rows if item["ours"] is not None])


def _this_notebook(claim: claims.Claim) -> bool:
    name = os.environ.get("CREDENCE_NOTEBOOK")
    return name is None or claim.notebook == name


def _used() -> list[dict]:
    from credence.bench import catalogue

    return list(catalogue.used.values())


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on, this package's own among them."""
    found = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write() -> None:
    folder = os.environ.get("CREDENCE_RUN_DIR")
    if not folder:
        return
    content = {
        "schema": SCHEMA,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": _metrics,
        "figures": _figures,
        "data": _used(),
        "diagnostics": diagnostics.gates,
        "versions": versions(),
    }
    write_atomic(Path(folder) / "record.json", json.dumps(content, ensure_ascii=False, allow_nan=False))
