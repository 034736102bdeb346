"""Curves beside the maps: longest waits, replays of traces, the model broken on purpose, keys made of samples."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band, colour
from credence.ssjf.figures.maps import CLAIMED_CUT, PAPER_CUT

PREDICTOR_COLOURS = {"oracle": colour("SJF (oracle)"), "tau 0.63": COLOURS["bad"], "five classes": colour("SSJF")}
LOAD_COLOURS = (COLOURS["accent"], "#E69F00", "#CC79A7")
CUT_TITLE = "cut of the mean JCT [%]"


def _ribbon(fig: go.Figure, rows: pd.DataFrame, x: str, value: str, tint: str, row: int, column: int) -> None:
    outline = pd.concat([rows[x], rows[x][::-1]])
    edge = pd.concat([rows[f"{value}_hi"], rows[f"{value}_lo"][::-1]]).round(3)
    style = {"fill": "toself", "fillcolor": band(tint, 0.16), "line": {"width": 0}, "hoverinfo": "skip"}
    fig.add_scatter(x=outline, y=edge, mode="lines", showlegend=False, row=row, col=column, **style)


def _paper_band(fig: go.Figure, places) -> None:
    low, high = PAPER_CUT
    for row, column in places:
        fig.add_hrect(
            low, high, fillcolor=COLOURS["paper"], opacity=0.1, line_width=0, layer="below", row=row, col=column
        )
    marker = {"symbol": "square", "size": 12, "color": band(COLOURS["paper"], 0.25)}
    fig.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=f"paper: {low:g}–{high:g} %")


def longest_waits(frame: pd.DataFrame, predictor: str, slots=(1, 4, 16)) -> go.Figure:
    """Return the longest wait [s] of a workload over load, FCFS and SSJF, a panel for each number of slots."""
    shown = [count for count in slots if count in set(frame["slots"])]
    titles = [f"{count} slot{'s' if count > 1 else ''}" for count in shown]
    fig = make_subplots(1, len(shown), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03)
    for column, count in enumerate(shown, start=1):
        rows = frame[(frame["slots"] == count) & (frame["predictor"] == predictor)].sort_values("load")
        for name, value in (("FCFS", "fcfs_longest_s"), ("SSJF", "longest_s")):
            positive = rows[rows[f"{value}_lo"] > 0]  # the axis is logarithmic
            _ribbon(fig, positive, "load", value, colour(name), 1, column)
            style = {"mode": "lines+markers", "line_color": colour(name), "name": name, "legendgroup": name}
            points = {"x": positive["load"], "y": positive[value].round(3), "showlegend": column == 1}
            fig.add_scatter(**points, **style, row=1, col=column)
        fig.update_xaxes(title_text="offered load [1]", dtick=0.1, row=1, col=column)
    fig.update_yaxes(type="log", dtick=1)
    fig.update_yaxes(title_text="longest wait of a workload [s]", row=1, col=1)
    return fig.update_layout(height=400, margin={"t": 90}, legend_y=1.1)


def replays(frame: pd.DataFrame, engines: Mapping[str, str], traces: Mapping[str, str], most: float = 1.4) -> go.Figure:
    """Return the cut over the load that a trace offers an engine: a row an engine, a column a trace.

    Parameters
    ----------
    frame : pandas.DataFrame
        From ``replays.replay_frame`` with columns ``trace`` and ``engine``.
    engines, traces : mapping of str to str
        What is shown, and how it is called.
    most : float
        Largest load shown.
    """
    names = [name for name in traces if name in set(frame["trace"])]
    fig = make_subplots(
        len(engines),
        len(names),
        shared_yaxes=True,
        shared_xaxes=True,
        column_titles=[traces[name] for name in names],
        row_titles=list(engines.values()),
        horizontal_spacing=0.03,
        vertical_spacing=0.09,
    )
    for row, engine in enumerate(engines, start=1):
        for column, name in enumerate(names, start=1):
            part = frame[(frame["trace"] == name) & (frame["engine"] == engine)].sort_values("load")
            for predictor, rows in part[part["load"] <= most].groupby("predictor", sort=False):
                tint = PREDICTOR_COLOURS[predictor]
                if predictor == "five classes":
                    _ribbon(fig, rows, "load", "cut", tint, row, column)
                fig.add_scatter(
                    x=rows["load"].round(4),
                    y=rows["cut"].round(3),
                    customdata=rows["factor"].round(4),
                    hovertemplate="load %{x:.2f}, arrivals × %{customdata:.3g}: %{y:.1f} %",
                    mode="lines+markers",
                    line_color=tint,
                    marker_size=5,
                    name=predictor,
                    legendgroup=predictor,
                    showlegend=row == column == 1,
                    row=row,
                    col=column,
                )
            _true_rate(fig, part, row, column, most)
    _paper_band(fig, [(r + 1, c + 1) for r in range(len(engines)) for c in range(len(names))])
    fig.update_xaxes(range=[0, most + 0.02])
    fig.update_xaxes(title_text="load of the whole trace [1]", row=len(engines))
    fig.update_yaxes(title_text=CUT_TITLE, col=1)
    fig.update_yaxes(range=[-12, 100])
    return fig.update_layout(height=260 + 210 * len(engines), margin={"t": 110, "r": 40}, legend_y=1.08)


def _true_rate(fig: go.Figure, part: pd.DataFrame, row: int, column: int, most: float) -> None:
    """Mark the trace's true rate, by a line where it is in the picture and in words where it is not."""
    load = float(part.loc[part["factor"] == 1.0, "load"].iloc[0])
    place = {"row": row, "col": column, "font": {"size": 11}, "showarrow": False}
    if load <= most:
        fig.add_vline(load, line={"color": "#5A6672", "dash": "dot", "width": 1.5}, row=row, col=column)
        right = load < 0.75 * most
        side = {"xanchor": "left" if right else "right", "xshift": 4 if right else -4}
        fig.add_annotation(x=load, y=92, text=f"true rate: {load:.2g}", **side, **place)
    else:
        fig.add_annotation(x=most, y=92, text=f"true rate: {load:.3g} →", xanchor="right", **place)


def breaks(frame: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Return the cut and P(cut ≥ 30 %) against the strength of each break, a panel each (``breaks.break_frame``)."""
    names = [name for name in titles if name in set(frame["break"])]
    rows_of, columns_of = -(-len(names) // 3), min(3, len(names))
    fig = make_subplots(rows_of, columns_of, shared_yaxes=True, horizontal_spacing=0.03, vertical_spacing=0.2)
    for place, name in enumerate(names):
        row, column = place // 3 + 1, place % 3 + 1
        for tint, load in zip(LOAD_COLOURS, sorted(frame["load"].unique(), reverse=True), strict=False):
            part = frame[(frame["break"] == name) & (frame["load"] == load)].sort_values("strength")
            _ribbon(fig, part, "strength", "cut", tint, row, column)
            for value, dash, wording in (("cut", "solid", "mean cut"), ("p_cut_30", "dot", "P(cut ≥ 30 %)")):
                fig.add_scatter(
                    x=part["strength"],
                    y=(part[value] * (100 if value == "p_cut_30" else 1)).round(3),
                    mode="lines+markers",
                    line={"color": tint, "dash": dash},
                    marker_size=6 if value == "cut" else 4,
                    name=f"{wording}, load {load:g}",
                    legendgroup=f"{value}{load}",
                    showlegend=place == 0,
                    row=row,
                    col=column,
                )
        fig.update_xaxes(title_text=titles[name], title_font_size=12, row=row, col=column)
        fig.add_hline(CLAIMED_CUT, line={"color": "#5A6672", "width": 1}, row=row, col=column)
    _paper_band(fig, [(p // 3 + 1, p % 3 + 1) for p in range(len(names))])
    fig.update_yaxes(title_text="mean cut; P(cut ≥ 30 %) [%]", range=[-4, 104], col=1)
    fig.update_yaxes(range=[-4, 104])
    return fig.update_layout(height=620, margin={"t": 110}, legend_y=1.06)


def sample_keys(against: pd.DataFrame) -> go.Figure:
    """Return mean and p99 JCT of each key against ordering by the mean (``sample_keys.against_mean``)."""
    titles = ("mean completion time", "p99 completion time")
    fig = make_subplots(1, 2, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.05)
    order = [name for name in against["key"] if name != "mean"][::-1]
    rows = against.set_index("key").loc[order].reset_index()
    for column, value in enumerate(("mean_change", "p99_change"), start=1):
        fig.add_scatter(
            x=rows[value].round(3),
            y=rows["key"],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (rows[f"{value}_hi"] - rows[value]).round(3).tolist(),
                "arrayminus": (rows[value] - rows[f"{value}_lo"]).round(3).tolist(),
                "thickness": 2,
                "width": 0,
            },
            mode="markers",
            marker={
                "size": 11,
                "color": [COLOURS["good"] if k == "oracle" else COLOURS["accent"] for k in rows["key"]],
            },
            name=titles[column - 1],
            showlegend=False,
            row=1,
            col=column,
        )
        fig.add_vline(0, line={"color": "#5A6672", "width": 1}, row=1, col=column)
    fig.update_xaxes(title_text="change against the mean key [%]")
    fig.update_yaxes(title_text="key [name]", row=1, col=1)
    return fig.update_layout(height=340, margin={"t": 60})
