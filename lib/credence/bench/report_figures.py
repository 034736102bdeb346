"""Plotly figures of an executed notebook as parts of a page: data in the page, drawn by one shared plotly.min.js."""

import base64
import hashlib
import json
import math
from dataclasses import dataclass

import numpy as np

from credence.bench.report_html import plain, scrub_tree, slug

MIMETYPE = "application/vnd.plotly.v1+json"
DEFAULT_HEIGHT, LEAST_HEIGHT, MOST_HEIGHT = 420, 220, 1600  # [px]
# These fetch tiles or outlines from a map service, which a page that opens offline cannot.
_MAPS = {"scattergeo", "choropleth"}
_TOP_WITHOUT_TITLE, _TOP_WITH_BOTH = 40, 78  # [px]


@dataclass
class Figure:
    """A figure as the page's template wants it.

    Attributes
    ----------
    id : str
        Address in the page; stable, from the figure's name or title.
    number : int
        1 for the first figure of the page.
    title, headline : str
        Caption, and what the figure says in one line (its own title, where that is another), plain text.
    height : int
        Height [px].
    payload : str
        JSON of data and layout, safe inside a script element.
    templates : dict
        Hash to plotly template; pages keep each only once.
    """

    id: str
    number: int
    title: str
    height: int
    payload: str
    templates: dict
    headline: str = ""


def safe_json(value) -> str:
    """Return JSON that may stand inside a script element; NaN and infinities become null, as in plotly."""
    text = json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False)
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(value):
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def decode(value) -> np.ndarray:
    """Return a plotly array, which is a list or ``{"dtype", "bdata", "shape"}`` with base64 bytes, as numpy."""
    if isinstance(value, dict) and "bdata" in value:
        array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]).newbyteorder("<"))
        shape = value.get("shape")
        return array.reshape([int(n) for n in str(shape).split(",")]) if shape else array
    return np.asarray(value if value is not None else [], dtype=object)


def shrink(value):
    """Return a figure's tree with numbers at 7 digits: half the bytes, for pages that would pass their limit."""
    if isinstance(value, dict) and "bdata" in value:
        if value.get("dtype") == "f8":
            array = decode(value).astype("<f4")
            return {**value, "dtype": "f4", "bdata": base64.b64encode(array.tobytes()).decode("ascii")}
        return value
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [shrink(item) for item in value]
    if isinstance(value, dict):
        return {key: shrink(item) for key, item in value.items()}
    return value


def _take_title(layout: dict) -> str:
    """Take the title out of `layout` (a caption wraps on a phone, plotly's title does not) and return its words."""
    title = layout.pop("title", None)
    words = title if isinstance(title, str) else (title or {}).get("text") or ""
    subtitle = title.get("subtitle") if isinstance(title, dict) else None
    if isinstance(subtitle, dict) and subtitle.get("text"):
        words = f"{words}: {subtitle['text']}"
    # the theme keeps room for a title; plotly itself makes room for a legend above
    margin = layout.setdefault("margin", {})
    margin["t"] = min(margin.get("t") or _TOP_WITHOUT_TITLE, _TOP_WITHOUT_TITLE)
    return plain(words)


def _registration(layout: dict) -> dict:
    """Return what `credence.bench.record.figure` left in the figure: name, title, main."""
    meta = layout.get("meta")
    entry = meta.get("credence") if isinstance(meta, dict) else None
    return entry if isinstance(entry, dict) else {}


def needs_network(bundle: dict) -> bool:
    """Tell whether a figure would ask a map service for its ground."""
    kinds = {str(trace.get("type", "scatter")) for trace in bundle.get("data", []) if isinstance(trace, dict)}
    return any(kind in _MAPS or "map" in kind.removeprefix("heatmap").removeprefix("treemap") for kind in kinds)


def _part_legend_from_titles(layout: dict, template: dict) -> None:
    """Lift a legend above the plot clear of the panels' titles, which stand at the same height."""
    notes = [note for note in layout.get("annotations", []) if isinstance(note, dict)]
    titled = any(note.get("yref") == "paper" and (note.get("y") or 0) >= 0.99 and note.get("text") for note in notes)
    legend = {**template.get("layout", {}).get("legend", {}), **layout.get("legend", {})}
    above = legend.get("orientation") == "h" and (legend.get("y") or 0) >= 1
    if titled and above and layout.get("showlegend") is not False:
        layout["legend"] = {**layout.get("legend", {}), "yref": "container", "y": 0.99, "yanchor": "top"}
        layout["margin"]["t"] = _TOP_WITH_BOTH


def build(bundle: dict, number: int, taken: set[str], small: bool = False) -> Figure:
    """Return one displayed figure, ready for the page.

    Parameters
    ----------
    bundle : dict
        The output's plotly JSON: data, layout, config, frames.
    number : int
        Its place on the page, from 1.
    taken : set of str
        Addresses in use on the page; the figure's joins them.
    small : bool
        Store numbers with 7 digits.
    """
    tree = scrub_tree({key: bundle.get(key) for key in ("data", "layout", "frames") if bundle.get(key)})
    data, layout = tree.get("data", []), tree.get("layout", {})
    entry, own_title = _registration(layout), _take_title(layout)
    title = plain(str(entry.get("title") or own_title or ""))
    templates = {}
    template = layout.pop("template", None)
    if template:
        key = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        templates[key] = template
        tree["template"] = key
    asked = layout.get("height") or (template or {}).get("layout", {}).get("height") or DEFAULT_HEIGHT
    height = int(min(max(asked, LEAST_HEIGHT), MOST_HEIGHT))
    layout.pop("width", None)
    layout.pop("height", None)
    layout["autosize"] = True
    _part_legend_from_titles(layout, template or {})
    # a remote picture would be a request
    layout["images"] = [row for row in layout.get("images", []) if str(row.get("source", "")).startswith("data:")]
    if not layout["images"]:
        del layout["images"]
    tree["data"], tree["layout"] = (shrink(data) if small else data), layout
    address = slug(f"figure-{entry.get('name') or title or number}", taken)
    headline = own_title if own_title != title else ""
    return Figure(address, number, title, height, safe_json(tree), templates, headline)
