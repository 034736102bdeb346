"""The maps: heat maps over load and number of slots, one cell a study of its own."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band, colour

PAPER_CUT = (30.5, 39.6)
CLAIMED_CUT = 30.0
# Loads at which one server meets the paper's range; its own experiments are bursts far above 1.
PAPER_LOADS = (0.86, 0.95)
CUT_RANGE = (0.0, 60.0)
# Pale to blue below 30 %, green above: where it holds is seen before it is read.
CUT_SCALE = [[0.0, "#F4F6F8"], [0.4999, "#9DBFDB"], [0.5, "#7CC6A4"], [1.0, "#005A40"]]
HARM_SCALE = [[0.0, "#FFFFFF"], [0.25, "#FDDCC0"], [0.6, "#F08A4B"], [1.0, "#8C2D04"]]


def _grid(frame: pd.DataFrame, value: str) -> tuple[np.ndarray, list, list]:
    """Return values [slots, loads] and both axes' labels in order."""
    table = frame.pivot(index="slots", columns="load", values=value).sort_index().sort_index(axis=1)
    return table.to_numpy(), list(table.columns), list(table.index)


def _axes(fig: go.Figure, loads: Sequence, slots: Sequence, row: int, column: int, titles: bool = True) -> None:
    ticks = {"tickvals": list(range(len(loads))), "ticktext": [f"{load:g}" for load in loads]}
    fig.update_xaxes(**ticks, range=[-0.5, len(loads) - 0.5], showgrid=False, row=row, col=column)
    ticks = {"tickvals": list(range(len(slots))), "ticktext": [f"{count:g}" for count in slots]}
    fig.update_yaxes(**ticks, range=[-0.5, len(slots) - 0.5], showgrid=False, row=row, col=column)
    if titles:
        fig.update_xaxes(title_text="offered load [1]", row=row, col=column)
        fig.update_yaxes(title_text="slots [requests served at a time]", row=row, col=column)


def _percent(cut: float) -> str:
    """Return a cut [%] as text; one decimal where rounding would hide on which side of 30 % it lies."""
    return f"{cut:.1f}" if round(cut) == CLAIMED_CUT else f"{cut + 0.0:.0f}".replace("-0", "0")


def _border(holds: np.ndarray) -> tuple[list, list]:
    """Return x and y of the edges [rows, columns] between cells that hold and cells that do not, None between them."""
    x, y = [], []
    for row, column in np.argwhere(holds[:, 1:] != holds[:, :-1]):
        x += [column + 0.5, column + 0.5, None]
        y += [row - 0.5, row + 0.5, None]
    for row, column in np.argwhere(holds[1:] != holds[:-1]):
        x += [column - 0.5, column + 0.5, None]
        y += [row + 0.5, row + 0.5, None]
    return x, y


def _squares(cells: Sequence[tuple[int, int]]) -> tuple[list, list]:
    """Return x and y of outlines around cells (row, column), separated by None."""
    x, y = [], []
    for row, column in cells:
        x += [column - 0.45, column + 0.45, column + 0.45, column - 0.45, column - 0.45, None]
        y += [row - 0.44, row - 0.44, row + 0.44, row + 0.44, row - 0.44, None]
    return x, y


def _cut_panel(fig, frame: pd.DataFrame, row: int, column: int, large: bool, legend: bool, words="both") -> None:
    cut, loads, slots = _grid(frame, "cut")
    p_claim, low, high = (_grid(frame, name)[0] for name in ("p_cut_30", "cut_lo", "cut_hi"))
    wording = {
        "both": lambda c, p: f"<b>{_percent(c)} %</b><br>P = {round(p, 2):g}",
        "cut": lambda c, p: f"<b>{_percent(c)}</b>",
        "P": lambda c, p: f"{round(p, 2):g}",
    }
    text = np.vectorize(wording[words])(cut, p_claim)
    fig.add_heatmap(
        z=cut.round(2),
        text=text,
        texttemplate="%{text}",
        textfont={"size": 12 if large else 9},
        customdata=np.stack([low, high, p_claim], axis=-1).round(3),
        hovertemplate="cut %{z:.1f} % [%{customdata[0]:.1f}, %{customdata[1]:.1f}]<br>"
        "P(cut ≥ 30 %) = %{customdata[2]:.2f}<extra></extra>",
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        row=row,
        col=column,
    )
    inside = np.argwhere((cut >= PAPER_CUT[0]) & (cut <= PAPER_CUT[1]))
    squares, border = _squares([tuple(place) for place in inside]), _border(cut >= CLAIMED_CUT)
    for (x, y), hue, width, name, group in (
        (squares, COLOURS["paper"], 2.5 if large else 1.5, "paper: mean cut 30.5–39.6 %", "paper"),
        (border, COLOURS["bad"], 4 if large else 2.5, "the 30 % border", "line"),
    ):
        fig.add_scatter(
            x=x or [None],
            y=y or [None],
            mode="lines",
            line={"color": hue, "width": width},
            name=name,
            legendgroup=group,
            showlegend=legend,
            hoverinfo="skip",
            row=row,
            col=column,
        )
    _axes(fig, loads, slots, row, column, titles=large)


def _star(fig: go.Figure, frame: pd.DataFrame) -> None:
    """Mark where the paper's experiments would lie on the first panel: one slot, load 0.86 to 0.95."""
    loads, slots = sorted(frame["load"].unique()), sorted(frame["slots"].unique())
    if slots[0] != 1:
        return
    ends = np.interp(PAPER_LOADS, loads, np.arange(len(loads)))
    fig.add_scatter(
        x=[float(ends.mean())],
        y=[-0.36],
        error_x={"type": "data", "array": [float(np.ptp(ends)) / 2], "thickness": 2.5, "color": COLOURS["paper"]},
        mode="markers",
        marker={"symbol": "star", "size": 15, "color": "#FFD23F", "line": {"color": COLOURS["paper"], "width": 1.5}},
        name="paper's load: 0.86–0.95, one slot",
        hoverinfo="name",
        row=1,
        col=1,
    )


def where_it_holds(frame: pd.DataFrame, main: str, others: Sequence[str]) -> go.Figure:
    """Return the map of the cut: one large panel, and small ones for other predictors beside it.

    Parameters
    ----------
    frame : pandas.DataFrame
        From ``maps.map_frame``.
    main : str
        Predictor of the large panel; its cells show the mean cut and P(cut ≥ 30 %).
    others : sequence of str
        Predictors of the small panels; their cells show P only.
    """
    count = max(len(others), 1)
    fig = make_subplots(
        count,
        2,
        specs=[[{"rowspan": count}, {}]] + [[None, {}] for _ in range(count - 1)],
        column_widths=[0.66, 0.34],
        horizontal_spacing=0.07,
        vertical_spacing=0.06,
        subplot_titles=[f"<b>{main}</b>", *others],
    )
    shown = frame[frame["predictor"] == main]
    _cut_panel(fig, shown, 1, 1, large=True, legend=True)
    _star(fig, shown)
    for row, name in enumerate(others, start=1):
        _cut_panel(fig, frame[frame["predictor"] == name], row, 2, large=False, legend=False, words="P")
        fig.update_yaxes(title_text="slots [requests]", title_font_size=10, tickfont_size=10, row=row, col=2)
        fig.update_xaxes(tickfont_size=10, showticklabels=row == count, row=row, col=2)
    if others:
        fig.update_xaxes(title_text="offered load [1]", title_font_size=11, row=count, col=2)
    return _cut_layout(fig, height=720)


def _cut_layout(fig: go.Figure, height: int) -> go.Figure:
    bar = {"title": {"text": "mean cut<br>[%]"}, "tickvals": [0, 15, 30, 45, 60], "thickness": 14, "outlinewidth": 0}
    scale = {"colorscale": CUT_SCALE, "cmin": CUT_RANGE[0], "cmax": CUT_RANGE[1], "colorbar": bar}
    fig.update_layout(coloraxis=scale, height=height, margin={"t": 110})
    return fig.update_layout(legend={"y": 1.09, "font": {"size": 12}})


def cut_panels(panels: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Return maps of the cut side by side, one a title; frames of ``maps.map_frame`` with one predictor each.

    Where cells get too narrow for both, they show the mean cut [%] without P.
    """
    titles = list(panels)
    words = "both" if sum(frame["load"].nunique() for frame in panels.values()) <= 12 else "cut"
    fig = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.08)
    for column, frame in enumerate(panels.values(), start=1):
        _cut_panel(fig, frame, 1, column, large=True, legend=column == 1, words=words)
        if column > 1:
            fig.update_yaxes(title_text="", row=1, col=column)
    return _cut_layout(fig, height=480)


def _harm_panel(fig, frame, value, wording: Callable, top: float, column: int) -> None:
    values, loads, slots = _grid(frame, value)
    low, high = _grid(frame, f"{value}_lo")[0], _grid(frame, f"{value}_hi")[0]
    fig.add_heatmap(
        z=values.round(2),
        zmin=0 if value == "p99_change" else 1,
        zmax=top,
        colorscale=HARM_SCALE,
        showscale=False,
        text=np.vectorize(wording)(values),
        texttemplate="%{text}",
        textfont={"size": 12},
        customdata=np.stack([low, high], axis=-1).round(2),
        hovertemplate="%{text} [%{customdata[0]:.3g}, %{customdata[1]:.3g}]<extra></extra>",
        xgap=1,
        ygap=1,
        row=1,
        col=column,
    )
    _axes(fig, loads, slots, 1, column)


def tail_maps(frame: pd.DataFrame, predictor: str) -> go.Figure:
    """Return what the tail pays: change of p99 JCT [%] and ratio of the longest waits [1], cell by cell."""
    shown = frame[frame["predictor"] == predictor]
    titles = ("p99 completion time against FCFS [%]", "longest wait, times FCFS's [1]")
    fig = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.12)
    _harm_panel(fig, shown, "p99_change", "{:+.0f} %".format, 200.0, 1)
    _harm_panel(fig, shown, "longest_ratio", "× {:.1f}".format, 12.0, 2)
    fig.update_yaxes(title_text="", row=1, col=2)
    return fig.update_layout(height=430, margin={"t": 60})


def _bars(rows: pd.DataFrame, value: str) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": (rows[f"{value}_hi"] - rows[value]).round(4).tolist(),
        "arrayminus": (rows[value] - rows[f"{value}_lo"]).round(4).tolist(),
        "thickness": 1.5,
        "width": 4,
    }


def against_theory(frame: pd.DataFrame, exact: pd.DataFrame, notes: pd.DataFrame) -> go.Figure:
    """Return the cut of one server over load: queueing theory, simulation, and the notes' earlier check.

    Parameters
    ----------
    frame : pandas.DataFrame
        From ``maps.map_frame``.
    exact : pandas.DataFrame
        From ``maps.exact_cuts``.
    notes : pandas.DataFrame
        ``load``, ``slots``, ``predictor``, ``cut`` [%].
    """
    fig = go.Figure()
    fig.add_hrect(*PAPER_CUT, fillcolor=COLOURS["paper"], opacity=0.1, line_width=0, layer="below")
    marker = {"symbol": "square", "size": 12, "color": band(COLOURS["paper"], 0.25)}
    fig.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name="paper: 30.5–39.6 %")
    for name in exact["predictor"].unique():
        tint = colour("SJF (oracle)") if name == "tau 1" else colour("SSJF")
        wording = "oracle" if name == "tau 1" else "five classes"
        line, dots = exact[exact["predictor"] == name], frame[(frame["predictor"] == name) & (frame["slots"] == 1)]
        old = notes[(notes["predictor"] == name) & (notes["slots"] == 1)]
        fig.add_scatter(
            x=line["load"], y=line["cut"].round(3), mode="lines", line_color=tint, name=f"{wording}: theory"
        )
        fig.add_scatter(
            x=dots["load"],
            y=dots["cut"].round(3),
            error_y=_bars(dots, "cut"),
            mode="markers",
            marker={"color": tint, "size": 9},
            name=f"{wording}: simulated, 90 % of workloads",
        )
        cross = {"symbol": "x-thin", "size": 10, "line": {"width": 2, "color": tint}}
        fig.add_scatter(x=old["load"], y=old["cut"], mode="markers", marker=cross, name=f"{wording}: notes' check")
    fig.update_xaxes(title_text="offered load of one server [1]", range=[0.25, 1.0])
    fig.update_yaxes(title_text="cut of the mean JCT [%]", rangemode="tozero")
    return fig.update_layout(height=440, margin={"t": 110})
