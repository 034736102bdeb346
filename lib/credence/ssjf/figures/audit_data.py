"""Figures of the audit's inputs and side effects: predictions, their cost, cut labels, sorted gaps, p99."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band


def prediction(
    table: np.ndarray, f1: np.ndarray, ends: tuple[int, ...], paper_f1: np.ndarray | None = None
) -> go.Figure:
    """Return F1 by class beside the confusion table.

    Parameters
    ----------
    table [classes, classes]
        Counts [true, predicted].
    f1 [draws, classes]
        Draws of F1.
    ends [classes]
        Upper ends of the classes [tokens].
    paper_f1 [classes], optional
        F1 from the authors' own file, drawn in where other data are used.
    """
    names = [f"{low}–{high}" for low, high in zip((1, *(e + 1 for e in ends[:-1])), ends, strict=True)]
    titles = ("F1 by class", "how each true class is called")
    fig = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.14)
    middle, low, high = f1.mean(axis=0), *np.quantile(f1, [0.05, 0.95], axis=0)
    errors = {
        "type": "data",
        "symmetric": False,
        "array": high - middle,
        "arrayminus": middle - low,
        "color": "#5A6672",
    }
    fig.add_bar(x=names, y=middle.round(4), error_y=errors, marker_color=COLOURS["ours"], name="F1", row=1, col=1)
    if paper_f1 is not None:
        style = {"symbol": "line-ew", "size": 26, "line": {"width": 3, "color": COLOURS["paper"]}}
        fig.add_scatter(x=names, y=paper_f1, mode="markers", marker=style, name="paper: authors' file", row=1, col=1)
    share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    fig.add_heatmap(
        z=share.round(2),
        x=names,
        y=names,
        colorscale="Blues",
        zmin=0,
        zmax=100,
        texttemplate="%{z:.0f}",
        colorbar={"title": {"text": "share of the<br>true class [%]"}},
        row=1,
        col=2,
    )
    fig.update_xaxes(title_text="true length [tokens]", row=1, col=1)
    fig.update_yaxes(title_text="F1 [1]", range=[0, 1], row=1, col=1)
    fig.update_xaxes(title_text="predicted class [tokens]", row=1, col=2)
    fig.update_yaxes(title_text="true class [tokens]", autorange="reversed", row=1, col=2)
    return fig.update_layout(height=440, showlegend=paper_f1 is not None, margin={"t": 100}, legend_y=1.12)


def overhead(latency_ms: np.ndarray, rng: np.random.Generator, bins: int = 120) -> go.Figure:
    """Return D11: the measured predictor latency, and what the released plot shows after adding N(30, 4) ms.

    Parameters
    ----------
    latency_ms [requests]
        Measured latency [ms].
    rng : numpy.random.Generator
        For the synthetic part.
    bins : int
        Bins of the histogram from 0 to 60 ms.
    """
    edges = np.linspace(0, 60, bins + 1)
    shown = latency_ms + rng.normal(30, 4, len(latency_ms))
    series = {
        "measured by the authors": (latency_ms, COLOURS["ours"]),
        "paper: as plotted, with N(30, 4) ms added": (shown, COLOURS["paper"]),
    }
    fig = go.Figure()
    for name, (values, tint) in series.items():
        share = 100 * np.histogram(values, edges)[0] / len(values)
        mean = f"{values.mean():.1f} ms"
        fig.add_scatter(
            x=((edges[1:] + edges[:-1]) / 2).round(3),
            y=share.round(4),
            line={"color": tint, "shape": "hvh", "width": 1.5},
            fill="tozeroy",
            fillcolor=band(tint),
            name=f"{name}: mean {mean}",
        )
    fig.add_vline(0, line={"color": COLOURS["bad"], "width": 2}, annotation_text="charged to the scheduler: 0 ms")
    fig.update_xaxes(title_text="predictor latency of a request [ms]", range=[-1, 60])
    return fig.update_yaxes(title_text=f"share of requests in a bin of {60 / bins:g} ms [%]")


def cut_labels(lengths: Mapping[str, np.ndarray], cut: int = 512, points: int = 200) -> go.Figure:
    """Return D10: what share of requests is longer than a length, for several sets of lengths [tokens]."""
    grid = np.unique(np.geomspace(1, max(v.max() for v in lengths.values()), points).round())
    fig = go.Figure()
    for tint, (name, values) in zip(("ours", "bad", "good"), lengths.items(), strict=False):
        longer = 100 * (1 - np.searchsorted(np.sort(values), grid, side="right") / len(values))
        known = longer > 0
        style = {"color": COLOURS[tint], "shape": "hv"}
        fig.add_scatter(x=grid[known], y=longer[known].round(5), mode="lines", line=style, name=name)
    fig.add_vline(cut, line={"color": COLOURS["paper"], "dash": "dot"})
    # on a logarithmic axis an annotation's place is the logarithm
    where = {"x": np.log10(cut), "y": 1, "yref": "paper", "xanchor": "right", "yanchor": "top", "showarrow": False}
    fig.add_annotation(text=f"paper: labels end at {cut} ", **where)
    fig.update_xaxes(title_text="output length [tokens]", type="log")
    return fig.update_yaxes(title_text="requests that are longer [%]", type="log")


def sorted_gaps(released: np.ndarray, exact: np.ndarray, cv: float) -> go.Figure:
    """Return D4 for one run: arrivals over time with the gaps sorted and as drawn (both [jobs], s)."""
    titles = ("arrivals so far", "gap before each arrival")
    fig = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.12)
    series = (
        ("paper: gaps sorted", released, COLOURS["paper"]),
        ("gaps as drawn", exact, COLOURS["ours"]),
    )
    for name, times, tint in series:
        number = np.arange(1, len(times) + 1)
        style = {"color": tint, "shape": "hv"}
        fig.add_scatter(x=times.round(3), y=number, line=style, mode="lines", name=name, row=1, col=1)
        gaps = np.maximum(np.diff(times, prepend=0), 1e-4).round(5)
        marker = {"color": tint, "size": 6}
        fig.add_scatter(x=number, y=gaps, mode="markers", marker=marker, name=name, showlegend=False, row=1, col=2)
    fig.update_xaxes(title_text="time [s]", row=1, col=1)
    fig.update_yaxes(title_text="arrivals [jobs]", row=1, col=1)
    fig.update_xaxes(title_text=f"arrival [number], CV {cv:g}", row=1, col=2)
    fig.update_yaxes(title_text="gap, at least 0.1 ms [s]", type="log", row=1, col=2)
    return fig.update_layout(margin={"t": 100}, legend_y=1.12)


def tail(frame: pd.DataFrame) -> go.Figure:
    """Return the change of p99 JCT: bars by cell for each position of the switches.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``cell``, ``switches``, ``change``, ``lo``, ``hi`` [%]; positive is worse than FCFS.
    """
    tints = (COLOURS["paper"], COLOURS["neutral"], COLOURS["ours"])
    fig = go.Figure()
    for tint, (name, part) in zip(tints, frame.groupby("switches", sort=False), strict=False):
        errors = {
            "type": "data",
            "symmetric": False,
            "array": (part.hi - part.change).round(3),
            "arrayminus": (part.change - part.lo).round(3),
            "thickness": 1,
            "color": "#5A6672",
        }
        fig.add_bar(x=part.cell, y=part.change.round(3), error_y=errors, marker_color=tint, name=name)
    fig.add_hline(0, line={"color": "#5A6672", "width": 1})
    fig.update_xaxes(title_text="batching and arrivals [name]", tickangle=-30)
    fig.update_yaxes(title_text="change of p99 JCT, worse above 0 [%]")
    return fig.update_layout(height=500, margin={"l": 110})
