"""Small pictures of figures for the index page: a summary kept in the run's record, drawn as inline SVG.

The summary is a few hundred numbers, so a record stays small and the index can be built without the notebook.
"""

import html
import itertools
import math
import re

import numpy as np

MOST_TRACES, MOST_POINTS, MOST_CELLS = 6, 48, 20
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Viridis at five places; a thumbnail needs no finer scale.
_SCALE = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_COLOUR = re.compile(r"#[0-9A-Fa-f]{3,8}|rgba?\([\d.,\s%]+\)|[a-z]{3,20}")


def _numbers(values, order: dict | None = None) -> list[float] | None:
    """Return positions of `values`: numbers as they are, dates as days, categories as 0, 1, 2 …; None where absent.

    Categories met before keep their place in `order`, which the traces of a panel share.
    """
    if values is None:
        return None
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        return None
    if array.dtype.kind in "OUS":
        try:
            return [math.nan if value is None else float(value) for value in array.tolist()]
        except (TypeError, ValueError):
            try:
                array = np.asarray([str(value) for value in array.tolist()], dtype="datetime64[ns]")
            except ValueError:
                order = {} if order is None else order
                return [float(order.setdefault(str(value), len(order))) for value in array.tolist()]
    if array.dtype.kind == "M":
        known = array[~np.isnat(array)]
        if not known.size:
            return None
        array = array - known.min()  # days since the first, so that a few digits tell them apart
    if array.dtype.kind == "m":
        array = array / np.timedelta64(1, "D")
    return array.astype(float).tolist()


def _thin(length: int, most: int) -> list[int]:
    """Return at most `most` indices spread evenly over `length`, ends included."""
    if length <= most:
        return list(range(length))
    return np.unique(np.linspace(0, length - 1, most).round().astype(int)).tolist()


def _rounded(values: list[float]) -> list[float]:
    """Return `values` rounded to a thousandth of their spread, which is less than a pixel."""
    spread = max(values) - min(values)
    decimals = 3 - math.floor(math.log10(spread)) if spread > 0 else 6
    return [round(value, decimals) for value in values]


def _first_colour(trace, place: int) -> str:
    for part in ("line", "marker"):
        colour = getattr(getattr(trace, part, None), "color", None)
        if isinstance(colour, str) and _COLOUR.fullmatch(colour):
            return colour
    return _COLOURS[place % len(_COLOURS)]


def _point_colours(trace, chosen: list[int]) -> list[str]:
    """Return the colours of single points, where a trace gives them as words."""
    colours = getattr(getattr(trace, "marker", None), "color", None)
    if colours is None or isinstance(colours, str):
        return []
    colours = [colours[i] for i in chosen if i < len(colours)]
    whole = len(colours) == len(chosen)
    return colours if whole and all(isinstance(c, str) and _COLOUR.fullmatch(c) for c in colours) else []


def _own_scale(source) -> list[list[int]]:
    """Return the colours of a heat map or colour axis at five places, as red, green, blue; empty where it has none."""
    from plotly.colors import sample_colorscale, unlabel_rgb

    if not source.colorscale:
        return []
    found = sample_colorscale([list(step) for step in source.colorscale], [0, 0.25, 0.5, 0.75, 1])
    return [[round(channel) for channel in unlabel_rgb(colour)] for colour in found]


def _heatmap(trace, layout) -> dict | None:
    z = np.asarray(trace.z, dtype=float)
    if z.ndim != 2 or not z.size:
        return None
    z = z[np.ix_(_thin(z.shape[0], MOST_CELLS), _thin(z.shape[1], MOST_CELLS))]
    flat = z[np.isfinite(z)]
    if not flat.size:
        return None
    decimals = 2 - math.floor(math.log10(np.ptp(flat))) if np.ptp(flat) > 0 else 6
    cells = [[round(value, decimals) if math.isfinite(value) else None for value in row] for row in z.tolist()]
    shared = layout[trace.coloraxis] if getattr(trace, "coloraxis", None) else None
    row = {"kind": "heatmap", "z": cells, "scale": _own_scale(shared or trace)}
    limits = (shared.cmin, shared.cmax) if shared else (trace.zmin, trace.zmax)
    return row | ({"limits": [float(v) for v in limits]} if None not in limits else {})


def _axes_are_logarithmic(layout, trace) -> tuple[bool, bool]:
    def logarithmic(letter: str) -> bool:
        name = (getattr(trace, f"{letter}axis", None) or letter).replace(letter, f"{letter}axis", 1)
        try:
            return layout[name].type == "log"
        except (KeyError, ValueError, AttributeError):
            return False

    return logarithmic("x"), logarithmic("y")


def _series(trace, place: int, layout, orders: tuple[dict, dict]) -> dict | None:
    """Return a trace with points as a summary row, or None if nothing of it can be drawn."""
    x, y = _numbers(getattr(trace, "x", None), orders[0]), _numbers(getattr(trace, "y", None), orders[1])
    base = None
    if trace.type in {"histogram", "box", "violin"}:
        values = [value for value in (x or y or []) if math.isfinite(value)]
        if not values:
            return None
        counts, edges = np.histogram(values, bins=min(20, max(4, len(values) // 5)))
        x, y = (edges[:-1] + np.diff(edges) / 2).tolist(), counts.astype(float).tolist()
        kind = "bar"
    else:
        kind = "bar" if trace.type in {"bar", "waterfall", "funnel"} else "line"
        mode = getattr(trace, "mode", None) or ("lines" if len(y or ()) > 20 else "lines+markers")
        if kind == "line" and "lines" not in mode:
            kind = "scatter"
        if kind == "bar":
            base = _numbers(getattr(trace, "base", None))
            if getattr(trace, "orientation", None) == "h":
                x, y = y, x
    if x is None and y is None:
        return None
    x = x if x is not None else [float(i) for i in range(len(y))]
    y = y if y is not None else [float(i) for i in range(len(x))]
    logarithmic = _axes_are_logarithmic(layout, trace)
    points, chosen = [], []
    for i in _thin(min(len(x), len(y)), MOST_POINTS):
        pair = [
            math.log10(v) if log and v > 0 else math.nan if log else v
            for v, log in zip((x[i], y[i]), logarithmic, strict=True)
        ]
        if all(map(math.isfinite, pair)):
            points.append(pair)
            chosen.append(i)
    if not points:
        return None
    row = {"kind": kind, "colour": _first_colour(trace, place)}
    row["x"], row["y"] = (_rounded(column) for column in zip(*points, strict=True))
    if base is not None and not any(logarithmic) and len(base) > max(chosen):
        row["base"] = [round(base[i], 6) if math.isfinite(base[i]) else 0.0 for i in chosen]
    if colours := _point_colours(trace, chosen):
        row["colours"] = colours
    dash = getattr(getattr(trace, "line", None), "dash", None)
    if kind == "line" and dash and dash != "solid":
        row["dashed"] = True
    if kind == "line" and getattr(getattr(trace, "line", None), "width", None) == 0:
        row["bare"] = True  # the edge of a band, which is filled but not drawn
    if kind == "line" and getattr(trace, "fill", None) in {"tonexty", "toself", "tozeroy"}:
        row["filled"] = trace.fill
        fill = getattr(trace, "fillcolor", None)
        if isinstance(fill, str) and _COLOUR.fullmatch(fill):
            row["fill"] = fill
    return row


def summarise(fig) -> dict:
    """Return what a thumbnail of `fig` needs.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        Any figure; what a thumbnail cannot draw is left out.

    Returns
    -------
    dict
        ``{"traces": [{"kind": "line" | "scatter" | "bar" | "heatmap", "colour", "x", "y", "z"}, …]}`` with at most 6
        traces of at most 48 points (20 × 20 cells), numbers with few digits, logarithms where the axis is logarithmic.
    """
    rows = []
    # one panel is enough at this size; the first is the one that an author puts first
    main = [
        t for t in fig.data if getattr(t, "xaxis", None) in (None, "x") and getattr(t, "yaxis", None) in (None, "y")
    ]
    # categories in the order that an axis gives them, else as they come
    listed = (fig.layout.xaxis.categoryarray or (), fig.layout.yaxis.categoryarray or ())
    orders = tuple({str(name): place for place, name in enumerate(names)} for names in listed)
    for place, trace in enumerate(main or fig.data):
        if getattr(trace, "visible", None) in (False, "legendonly"):
            continue
        try:
            row = (
                _heatmap(trace, fig.layout)
                if trace.type in {"heatmap", "contour"}
                else _series(trace, place, fig.layout, orders)
            )
        except (TypeError, ValueError, AttributeError):  # an unusual trace must not stop a run
            row = None
        if row:
            rows.append(row)
        if len(rows) == MOST_TRACES:
            break
    # bars over each other share one place, else they stand side by side
    overlaid = fig.layout.barmode in {"overlay", "stack", "relative"}
    return {"traces": rows} | ({"overlaid": True} if overlaid else {})


def _range(values: list[float], zero: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    pad = 0.05 * (high - low)
    return low - (0 if zero and low == 0 else pad), high + pad


def _scale_colour(share: float, scale) -> str:
    # 24 steps, so that cells of one colour share a path
    place = round(min(max(share, 0.0), 1.0) * 24) / 24 * (len(scale) - 1)
    left = min(int(place), len(scale) - 2)
    mixed = (a + (b - a) * (place - left) for a, b in zip(scale[left], scale[left + 1], strict=True))
    return "#" + "".join(f"{min(max(round(channel), 0), 255):02x}" for channel in mixed)


def _draw_heatmap(summary: dict, box: tuple[float, float, float, float]) -> list[str]:
    z, scale = summary["z"], summary.get("scale") or _SCALE
    finite = [value for row in z for value in row if value is not None]
    low, high = summary.get("limits") or ((min(finite), max(finite)) if finite else (0.0, 1.0))
    left, top, wide, tall = box
    cell_w, cell_h = wide / len(z[0]), tall / len(z)
    cells: dict[str, list[str]] = {}
    for r, row in enumerate(z):
        for c, value in enumerate(row):
            if value is not None:
                y = top + tall - (r + 1) * cell_h  # plotly's first row lies at the bottom
                shape = f"M{left + c * cell_w:.1f} {y:.1f}h{cell_w + 0.3:.1f}v{cell_h + 0.3:.1f}h-{cell_w + 0.3:.1f}z"
                colour = _scale_colour((value - low) / ((high - low) or 1), scale)
                cells.setdefault(colour, []).append(shape)
    return [f'<path fill="{fill}" d="{"".join(shapes)}"/>' for fill, shapes in cells.items()]


def _points(row: dict) -> list[tuple[float, float]]:
    pairs = zip(row.get("x", ()), row.get("y", ()), strict=False)
    return [(float(x), float(y)) for x, y in pairs if x is not None and y is not None]


def _floats(row: dict) -> list[float]:
    """Return where each bar of a row begins."""
    return row.get("base") or [0.0] * len(_points(row))


def _each_colour(row: dict, colour: str) -> list[str]:
    """Return a colour a point: its own where it has one that may stand in a page."""
    count = len(_points(row))
    own = [c if _COLOUR.fullmatch(str(c)) else colour for c in row.get("colours", ())]
    return own if len(own) == count else [colour] * count


def _draw_series(rows: list[dict], box: tuple[float, float, float, float], overlaid: bool = False) -> list[str]:
    left, top, wide, tall = box
    # a bar reaches from its base to its base plus its value
    for row in rows:
        if row.get("base"):
            row["y"] = [y + start for y, start in zip(row["y"], row["base"], strict=True)]
    everything = [point for row in rows for point in _points(row)]
    based = [row for row in rows if row.get("base")]
    everything += [(p[0], start) for row in based for p, start in zip(_points(row), row["base"], strict=True)]
    bars = any(row["kind"] == "bar" for row in rows)
    x_low, x_high = _range([x for x, _ in everything], False)
    if bars:  # room for half a bar at both ends
        places = sorted({x for x, _ in everything})
        half = 0.5 * min((b - a for a, b in itertools.pairwise(places)), default=1.0)
        x_low, x_high = min(places) - half, max(places) + half
    y_low, y_high = _range([y for _, y in everything], bars)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (x - x_low) / (x_high - x_low) * wide, top + tall - (y - y_low) / (y_high - y_low) * tall

    parts, previous = [], ""
    bar_rows = [row for row in rows if row["kind"] == "bar"]
    slots = max((len({x for x, _ in _points(row)}) for row in bar_rows), default=1)
    abreast = 1 if overlaid else max(len(bar_rows), 1)
    if overlaid:
        slots = len({x for row in bar_rows for x, _ in _points(row)}) or 1
    width = 0.8 * wide / (slots + 0.5) / abreast
    for row in rows:
        colour = row.get("colour", "")
        colour = colour if _COLOUR.fullmatch(str(colour)) else _COLOURS[0]
        placed = [at(x, y) for x, y in _points(row)]
        if row["kind"] == "bar":
            shift = 0 if overlaid else (bar_rows.index(row) - (len(bar_rows) - 1) / 2) * width
            parts += [
                f'<rect x="{x + shift - width / 2:.1f}" y="{min(y, at(x_low, start)[1]):.1f}" width="{width:.1f}" '
                f'height="{abs(y - at(x_low, start)[1]):.1f}" fill="{own}"/>'
                for (x, y), start, own in zip(placed, _floats(row), _each_colour(row, colour), strict=True)
            ]
        elif row["kind"] == "scatter":
            radius = 2.4 if len(placed) > 12 else 4
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{own}"/>'
                for (x, y), own in zip(placed, _each_colour(row, colour), strict=True)
            ]
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            fill = str(row.get("fill", ""))
            ground = f'fill="{fill}"' if _COLOUR.fullmatch(fill) else f'fill="{colour}" opacity=".18"'
            if row.get("filled") == "tonexty" and previous:
                back = " ".join(reversed(previous.split()))
                parts.append(f'<polygon points="{path} {back}" {ground}/>')
            elif row.get("filled") == "toself":
                parts.append(f'<polygon points="{path}" {ground}/>')
            if not row.get("bare"):
                dash = ' stroke-dasharray="4 3"' if row.get("dashed") else ""
                parts.append(
                    f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash} '
                    'stroke-linejoin="round" stroke-linecap="round"/>'
                )
            previous = path
    return parts


def svg(summary: dict, width: int = 320, height: int = 180, label: str = "thumbnail of the main figure") -> str:
    """Return a summary as inline SVG without scripts, styles or addresses.

    Parameters
    ----------
    summary : dict
        From `summarise`; unknown kinds and colours are ignored, text is escaped.
    width, height : int
        Size [px]; the picture scales with the page.
    label : str
        Words for readers who do not see it.
    """
    box = (14.0, 10.0, width - 26.0, height - 24.0)
    rows = [dict(row) for row in summary.get("traces", []) if isinstance(row, dict)][:MOST_TRACES]
    heat = next((row for row in rows if row.get("kind") == "heatmap" and row.get("z") and row["z"][0]), None)
    series = [row for row in rows if row.get("kind") in {"line", "scatter", "bar"} and _points(row)]
    left, top, wide, tall = box
    frame = (
        f'<path d="M{left - 4:.0f} {top:.0f}V{top + tall + 4:.0f}H{left + wide:.0f}" fill="none" '
        'stroke="#9aa5b1" stroke-width="1"/>'
    )
    if heat:
        parts = _draw_heatmap(heat, box)
    elif series:
        parts = _draw_series(series, box, bool(summary.get("overlaid")))
    else:
        parts = [
            f'<text x="{width / 2:.0f}" y="{height / 2:.0f}" text-anchor="middle" font-size="13" fill="#7b8794">'
            "no figure</text>"
        ]
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}" '
        f'preserveAspectRatio="xMidYMid meet">{frame}{"".join(parts)}</svg>'
    )
