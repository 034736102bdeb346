"""Figures of the audit: frames of ``credence.ssjf.evaluate`` in, plotly figures out, the paper's values drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band, colour
from credence.ssjf.world.released_arrivals import AXIS_TITLES
from credence.ssjf.world.released_quirks import KINDS

PAPER_CUT = (30.5, 39.6)
PAPER_RATIO = (2.2, 3.6)
CUT_TITLE = "JCT cut against FCFS [%]"
RATIO_TITLE = "throughput ratio to FCFS [1]"
KIND_NAMES = {"poisson": "Poisson", "gamma": "Gamma", "azure": "Azure"}
MODE_NAMES = {"none": "no batching", "dynamic": "dynamic batching", "continuous": "continuous batching"}
METHOD_COLOURS = {
    "Shapley": COLOURS["accent"],
    "all others on": COLOURS["bad"],
    "all others off": COLOURS["neutral"],
}


def cell_name(mode: str, slots: int) -> str:
    """Return how a cell of the study is written on an axis: ``continuous batching, 8``."""
    return MODE_NAMES[mode] if mode == "none" else f"{MODE_NAMES[mode]}, {slots}"


def _paper_band(fig: go.Figure, low_high: tuple[float, float], axis: str, rows_columns: Sequence, unit: str) -> None:
    """Shade the range that the paper prints, in each of the panels, with one entry in the legend."""
    low, high = low_high
    for row, column in rows_columns:
        draw = fig.add_hrect if axis == "y" else fig.add_vrect
        ends = {f"{axis}0": low, f"{axis}1": high}
        draw(**ends, fillcolor=COLOURS["paper"], opacity=0.1, line_width=0, layer="below", row=row, col=column)
    name = f"paper: {low:g}–{high:g}{unit}"
    marker = {"symbol": "square", "size": 12, "color": band(COLOURS["paper"], 0.25)}
    fig.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name)


def _errors(frame: pd.DataFrame, value: str, low: str, high: str) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": (frame[high] - frame[value]).round(4).tolist(),
        "arrayminus": (frame[value] - frame[low]).round(4).tolist(),
        "thickness": 1,
        "width": 3,
        "color": "#5A6672",
    }


def waterfall(steps: Mapping[str, pd.DataFrame], quantity: str = CUT_TITLE, paper=PAPER_CUT) -> go.Figure:
    """Return the way from the released number to the one with every switch off, a panel each.

    Parameters
    ----------
    steps : mapping of panel title to frame
        Frames of ``audit.waterfall``.
    quantity : str
        Title of the common vertical axis, with its unit.
    paper : tuple of float
        The range the paper prints.
    """
    fig = make_subplots(1, len(steps), shared_yaxes=True, subplot_titles=list(steps), horizontal_spacing=0.03)
    for column, frame in enumerate(steps.values(), start=1):
        ends = frame[frame.switch == ""]
        parts = {
            "all on, all off": (ends, COLOURS["ours"]),
            "switched off, it falls": (frame[(frame.switch != "") & (frame.end < frame.start)], COLOURS["bad"]),
            "switched off, it rises": (frame[(frame.switch != "") & (frame.end >= frame.start)], COLOURS["good"]),
        }
        for name, (part, tint) in parts.items():
            fig.add_bar(
                x=part.label,
                y=(part.end - part.start).round(4),
                base=part.start.round(4),
                marker_color=tint,
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                text=[
                    f"{e:.3g}" if s == "" else f"{e - b:+.2g}"
                    for s, b, e in zip(part.switch, part.start, part.end, strict=True)
                ],
                # inside the ends, whose tops carry error bars
                textposition="inside" if part is ends else "outside",
                insidetextanchor="middle",
                textangle=0,
                error_y=_errors(ends, "end", "lo", "hi") if part is ends else None,
                cliponaxis=False,
                row=1,
                col=column,
            )
        order = {"categoryorder": "array", "categoryarray": frame.label.tolist(), "tickangle": -40}
        fig.update_xaxes(**order, row=1, col=column)
    _paper_band(fig, paper, "y", [(1, c + 1) for c in range(len(steps))], " %" if "%" in quantity else " ×")
    fig.update_yaxes(title_text=quantity, row=1, col=1)
    return fig.update_layout(barmode="overlay", height=520, legend_y=1.1, margin={"t": 110})


def effects(tables: Mapping[str, pd.DataFrame], quantity: str = CUT_TITLE) -> go.Figure:
    """Return each switch's effect by three methods as bars, a panel for each of `tables` (of ``audit.effects``)."""
    fig = make_subplots(1, len(tables), shared_yaxes=True, subplot_titles=list(tables), horizontal_spacing=0.03)
    for column, frame in enumerate(tables.values(), start=1):
        for method, part in frame.groupby("method", sort=False):
            fig.add_bar(
                y=part.switch.str.upper() + " " + part.title,
                x=part.effect.round(4),
                orientation="h",
                error_x=_errors(part, "effect", "lo", "hi"),
                name=method,
                legendgroup=method,
                showlegend=column == 1,
                marker_color=METHOD_COLOURS[method],
                row=1,
                col=column,
            )
    unit = quantity[quantity.index("[") :].replace("%", "points")
    fig.update_xaxes(title_text=f"effect {unit}", zeroline=True, zerolinecolor="#5A6672")
    fig.update_yaxes(autorange="reversed")
    return fig.update_layout(barmode="group", height=560, legend_traceorder="normal", margin={"t": 100}, legend_y=1.07)


def shares_map(shares: pd.DataFrame, unit: str = "percentage points") -> go.Figure:
    """Return Shapley values of all switches in all cells: a heat map.

    Parameters
    ----------
    shares [switches, cells]
        Index: names of the switches; columns: names of the cells.
    unit : str
        Unit of the values.
    """
    values = shares.to_numpy()
    most = float(np.abs(values).max()) or 1.0
    fig = go.Figure(
        go.Heatmap(
            z=values.round(3),
            x=shares.columns.tolist(),
            y=shares.index.tolist(),
            colorscale="RdBu",
            zmin=-most,
            zmax=most,
            text=np.where(np.abs(values) < 0.05, "", np.vectorize("{:+.2g}".format)(values)),
            texttemplate="%{text}",
            colorbar={"title": {"text": f"share<br>[{unit}]"}},
            hovertemplate="%{y}<br>%{x}: %{z}<extra></extra>",
        )
    )
    fig.update_yaxes(autorange="reversed", title_text="switch [name]")
    fig.update_xaxes(title_text="batching and arrivals [name]", tickangle=-30)
    return fig.update_layout(height=480)


def against_rerun(
    ours: pd.DataFrame, rerun: pd.DataFrame, value: str, title: str, paper: tuple[float, float]
) -> go.Figure:
    """Return our numbers beside those of a re-run of the authors' own program, cell by cell.

    Parameters
    ----------
    ours : pandas.DataFrame
        From ``audit.table``.
    rerun : pandas.DataFrame
        ``mode``, ``slots``, ``arrivals``, ``policy`` and the same value column.
    value : str
        ``jct_cut`` or ``ratio_25``.
    title : str
        Axis title with its unit.
    paper : tuple of float
        The abstract's range.
    """
    kinds = [kind for kind in KINDS if kind in set(ours.arrivals)]
    names = [KIND_NAMES[kind] for kind in kinds]
    fig = make_subplots(1, len(kinds), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.03)
    cross = {"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": COLOURS["paper"]}}
    for column, kind in enumerate(kinds, start=1):
        for policy in ("SSJF", "SJF (oracle)"):
            dot = {"symbol": "circle", "size": 9, "color": colour(policy)}
            for name, frame, marker in ((policy, ours, dot), ("paper's program, re-run", rerun, cross)):
                part = frame[(frame.arrivals == kind) & (frame.policy == policy)]
                fig.add_scatter(
                    x=part[value].round(3),
                    y=[cell_name(m, s) for m, s in zip(part["mode"], part.slots, strict=True)],
                    mode="markers",
                    marker=marker,
                    error_x=_errors(part, value, f"{value}_lo", f"{value}_hi") if f"{value}_lo" in part else None,
                    name=name,
                    legendgroup=name,
                    showlegend=column == 1 and not (marker is cross and policy == "SSJF"),
                    row=1,
                    col=column,
                )
    _paper_band(fig, paper, "x", [(1, c + 1) for c in range(len(kinds))], " %" if "%" in title else " ×")
    fig.update_xaxes(title_text=title, matches="x")
    fig.update_yaxes(autorange="reversed")
    return fig.update_layout(height=480, margin={"t": 110}, legend_y=1.1)


def curves(frame: pd.DataFrame, value: str = "jct", title: str = "mean JCT [s]") -> go.Figure:
    """Return the released line plots over the three axes (frame of ``audit.curves``)."""
    kinds = [kind for kind in KINDS if kind in set(frame.arrivals)]
    fig = make_subplots(1, len(kinds), subplot_titles=[KIND_NAMES[kind] for kind in kinds], horizontal_spacing=0.07)
    for column, kind in enumerate(kinds, start=1):
        for policy, part in frame[frame.arrivals == kind].groupby("policy", sort=False):
            style = {"color": colour(policy), "dash": "dash" if "oracle" in policy else "solid"}
            fig.add_scatter(
                x=part.x.map("{:g}".format),
                y=part[value].round(4),
                mode="lines+markers",
                line=style,
                error_y=_errors(part, value, f"{value}_lo", f"{value}_hi") if f"{value}_lo" in part else None,
                name=policy,
                legendgroup=policy,
                showlegend=column == 1,
                row=1,
                col=column,
            )
        # the released plots space the points evenly, whatever their values
        fig.update_xaxes(title_text=AXIS_TITLES[kind], type="category", row=1, col=column)
    fig.update_yaxes(rangemode="tozero")
    fig.update_yaxes(title_text=title, row=1, col=1)
    return fig.update_layout(height=400, margin={"t": 100}, legend_y=1.12)


def by_share(frames: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Return the throughput ratio against the share of completions at which it is taken (``audit.by_share``)."""
    fig = go.Figure()
    tints = (COLOURS["ours"], COLOURS["bad"], COLOURS["good"])
    for tint, (name, frame) in zip(tints, frames.items(), strict=False):
        outline = pd.concat([frame.share, frame.share[::-1]]), pd.concat([frame.hi, frame.lo[::-1]]).round(4)
        fig.add_scatter(
            x=outline[0],
            y=outline[1],
            mode="lines",
            fill="toself",
            fillcolor=band(tint),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            name=f"{name}, 90 % interval",
        )
        fig.add_scatter(x=frame.share, y=frame.ratio.round(4), mode="lines+markers", line_color=tint, name=name)
    fig.add_hline(1, line={"color": "#5A6672", "width": 1})
    fig.add_vline(25, line={"color": COLOURS["paper"], "width": 1, "dash": "dot"}, annotation_text="released: 25 %")
    fig.add_hrect(*PAPER_RATIO, fillcolor=COLOURS["paper"], opacity=0.1, line_width=0, layer="below")
    marker = {"symbol": "square", "size": 12, "color": band(COLOURS["paper"], 0.25)}
    fig.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name="paper: 2.2–3.6 ×")
    fig.update_xaxes(title_text="share of completions at which throughput is taken [%]", range=[0, 102])
    return fig.update_yaxes(title_text=RATIO_TITLE)
