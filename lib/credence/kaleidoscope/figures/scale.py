"""Figures of the notebook scale: time and accuracy by size, what a confidence is worth, which priors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band, colour

ORDER = (
    "search",
    "exact",
    "NetBouncer",
    "Flock",
    "Sherlock",
    "007",
    "threshold",
    "NUTS",
    "ADVI",
    "binary Gibbs",
)
TINTS = {
    "search": COLOURS["ours"],
    "exact": "#56B4E9",
    "NetBouncer": "#D55E00",
    "Flock": "#E69F00",
    "Sherlock": "#A6761D",
    "007": "#CC79A7",
    "threshold": "#7A7A7A",
    "NUTS": "#009E73",
    "ADVI": "#66A61E",
    "binary Gibbs": COLOURS["paper"],
}
LABELS = {"binary Gibbs": "released notebook's sampler"}
GOALS = ((875, 0.1, "goal, exact"), (875, 1e-3, "goal, search"), (65_145, 0.1, "goal, search"))


def _tint(method: str) -> str:
    return TINTS.get(method, colour(method))


def _apart(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows without those of 12 clients, and of these the exact posterior's: as many components, twice the cells."""
    many = rows["clients"] == 12
    return rows[~many], rows[many & (rows["method"] == "exact")]


def _line(fig: go.Figure, x: pd.Series, y: pd.Series, method: str, column: int) -> None:
    """Draw a method's line into one of two panels; the legend names it once."""
    style = {"mode": "lines+markers", "line_color": _tint(method), "legendgroup": method}
    name = LABELS.get(method, method)
    fig.add_scatter(x=x, y=y, name=name, showlegend=column == 1, row=1, col=column, **style)


def time_by_size(rows: pd.DataFrame) -> go.Figure:
    """Return processor seconds of a window over components and over cells, with the limit of reading every cell.

    Parameters
    ----------
    rows : pandas.DataFrame
        From ``evaluate.scale.summary``.
    """
    fig = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.03)
    rows, dense = _apart(rows)
    for column, x in enumerate(("components", "cells"), start=1):
        fig.add_scatter(
            x=dense[x],
            y=dense["seconds"],
            mode="markers",
            marker={"symbol": "star", "size": 11, "color": _tint("exact")},
            name="exact, 12 clients",
            legendgroup="dense",
            showlegend=column == 1,
            row=1,
            col=column,
        )
        for method in ORDER:
            own = rows[rows["method"] == method].sort_values(x)
            if len(own):
                _line(fig, own[x], own["seconds"], method, column)
        limit = rows[rows["method"] == "reading every cell"].sort_values(x)
        style = {"line": {"color": COLOURS["neutral"], "dash": "dot"}, "legendgroup": "limit"}
        fig.add_scatter(
            x=limit[x],
            y=limit["seconds"],
            mode="lines",
            fill="tozeroy",
            fillcolor=band(COLOURS["neutral"], 0.25),
            name="less than reading every cell once",
            showlegend=column == 1,
            **style,
            row=1,
            col=column,
        )
        fig.update_xaxes(type="log", title_text=f"{x} [1]", row=1, col=column)
    for place, goal, text in GOALS:
        fig.add_scatter(
            x=[place],
            y=[goal],
            mode="markers",
            marker={"symbol": "line-ew-open", "size": 16, "color": COLOURS["paper"], "line": {"width": 2}},
            hovertext=text,
            name="goals",
            legendgroup="goals",
            showlegend=text == "goal, exact",
            row=1,
            col=1,
        )
    fig.update_yaxes(type="log", range=[-6.5, 3], dtick=1)
    fig.update_yaxes(title_text="processor time of a window [s]", row=1, col=1)
    return fig.update_layout(height=560, margin={"t": 130})


def accuracy_by_size(rows: pd.DataFrame) -> go.Figure:
    """Return recall and precision over components, a line a method; from ``evaluate.scale.summary``."""
    fig = make_subplots(1, 2, shared_yaxes=True, subplot_titles=["recall", "precision"], horizontal_spacing=0.03)
    rows, _ = _apart(rows)
    for method in ORDER:
        own = rows[rows["method"] == method].sort_values("components")
        for column, what in enumerate(("recall", "precision"), start=1):
            if len(own):
                _line(fig, own["components"], own[what], method, column)
    fig.update_xaxes(type="log", title_text="components [1]")
    fig.update_yaxes(range=[-0.05, 1.05])
    fig.update_yaxes(title_text="share [1]", row=1, col=1)
    return fig.update_layout(height=440, margin={"t": 120})


def calibration(tables: dict[str, pd.DataFrame]) -> go.Figure:
    """Return frequency over confidence, a line a world.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        From ``evaluate.confidence.by_confidence``, by name of the world.
    """
    fig = go.Figure()
    fig.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": COLOURS["neutral"], "dash": "dot"}, name="calibrated"
    )
    tints = (COLOURS["good"], COLOURS["ours"], COLOURS["bad"], "#CC79A7")
    for (name, own), tint in zip(tables.items(), tints, strict=False):
        fig.add_scatter(
            x=own["confidence"],
            y=own["frequency"],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (own["hi"] - own["frequency"]).clip(lower=0),
                "arrayminus": (own["frequency"] - own["lo"]).clip(lower=0),
            },
            mode="lines+markers",
            marker={"size": 6 + 3 * np.log10(own["count"])},
            line_color=tint,
            customdata=own["count"],
            hovertemplate="confidence %{x:.3f}, down %{y:.3f} of %{customdata}",
            name=name,
        )
    fig.add_vline(
        0.75,
        line={"color": COLOURS["paper"], "dash": "dash"},
        annotation_text="75 % rule",
        annotation_position="bottom right",
    )
    fig.update_xaxes(title_text="P(down | counts) [1]", range=[-0.03, 1.03])
    fig.update_yaxes(title_text="share that is down [1]", range=[-0.03, 1.03])
    return fig.update_layout(height=460, margin={"t": 90})


def rule_by_break(rows: pd.DataFrame) -> go.Figure:
    """Return the share of those flagged that is down, and of those down that is flagged, by strength of break."""
    kinds = list(dict.fromkeys(rows["what"]))
    fig = make_subplots(1, len(kinds), shared_yaxes=True, subplot_titles=kinds, horizontal_spacing=0.03)
    shown = (("right", "of those flagged: down", COLOURS["ours"]), ("found", "of those down: flagged", COLOURS["bad"]))
    for column, what in enumerate(kinds, start=1):
        own = rows[rows["what"] == what]
        for value, name, tint in shown:
            fig.add_scatter(
                x=own["strength"].astype(str),
                y=own[value],
                mode="lines+markers",
                line_color=tint,
                name=name,
                legendgroup=value,
                showlegend=column == 1,
                row=1,
                col=column,
            )
        fig.add_hline(0.75, line={"color": COLOURS["paper"], "dash": "dash", "width": 1}, row=1, col=column)
        fig.update_xaxes(title_text="strength", type="category", row=1, col=column)
    fig.update_yaxes(range=[-0.03, 1.05])
    fig.update_yaxes(title_text="share [1]", row=1, col=1)
    fig.update_annotations(font_size=12)
    return fig.update_layout(height=400, margin={"t": 110}, legend_y=1.12)


def first_priors(rows: pd.DataFrame) -> go.Figure:
    """Return, by method, how many components behind a dead metadata server are blamed; a dot a window."""
    fig = go.Figure()
    for method in dict.fromkeys(rows["method"]):
        own = rows[rows["method"] == method]
        tint = COLOURS["bad"] if "0.5, 0.5" in method else (COLOURS["ours"] if "exact" in method else COLOURS["good"])
        fig.add_bar(
            x=[own["blamed"].mean()], y=[method], orientation="h", marker_color=band(tint, 0.5), showlegend=False
        )
        fig.add_scatter(x=own["blamed"], y=own["method"], mode="markers", marker_color=tint, showlegend=False)
    hidden = int(rows["hidden"].iloc[0])
    fig.update_xaxes(
        title_text=f"blamed of the {hidden} behind it, none of which is down [components]", rangemode="tozero"
    )
    return fig.update_layout(height=300, margin={"l": 170})


def evidence(rows: pd.DataFrame) -> go.Figure:
    """Return mean log evidence a window against the best prior, a panel a sort of windows.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``priors``, ``windows`` (sort), ``log_evidence``.
    """
    kinds = list(dict.fromkeys(rows["windows"]))
    fig = make_subplots(1, len(kinds), shared_yaxes=True, subplot_titles=kinds, horizontal_spacing=0.03)
    for column, kind in enumerate(kinds, start=1):
        own = rows[rows["windows"] == kind].groupby("priors", sort=False)["log_evidence"].mean()
        behind = own.max() - own
        tints = [COLOURS["ours"] if name == DEFAULT else COLOURS["neutral"] for name in behind.index]
        fig.add_bar(x=behind, y=behind.index, orientation="h", marker_color=tints, showlegend=False, row=1, col=column)
        fig.update_xaxes(title_text="behind the best [nats]", row=1, col=column)
    fig.update_yaxes(autorange="reversed")
    return fig.update_layout(height=420, margin={"l": 280, "t": 60})


DEFAULT = "failed Beta(0.5, 0.5), working cells uneven"
