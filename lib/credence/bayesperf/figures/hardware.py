"""Figures of real hardware: physical orders broken before and after, and held-out counts."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, colour


def orders(broken: pd.DataFrame) -> go.Figure:
    """Draw how often physical orders are broken, by program and by order.

    Parameters
    ----------
    broken : pandas.DataFrame
        `evaluate.hardware.orders`: ``program``, ``order``, ``log``, ``posterior`` [share of slices].
    """
    fig = make_subplots(1, 2, subplot_titles=("by program", "by order"), horizontal_spacing=0.3)
    for column, by in enumerate(("program", "order"), start=1):
        shown = 100 * broken.groupby(by)[["log", "posterior"]].mean().sort_values("log")
        labels = [_short(str(name)) for name in shown.index]
        for name, text, tint in (
            ("log", "log, perf round robin", COLOURS["neutral"]),
            ("posterior", "posterior", COLOURS["ours"]),
        ):
            fig.add_bar(
                y=labels, x=shown[name].round(3), name=text, legendgroup=name, showlegend=column == 1,
                marker_color=tint, orientation="h", row=1, col=column,
            )  # fmt: skip
    fig.update_xaxes(title_text="slices that break an order [%]")
    fig.update_yaxes(title_text="program [name]", col=1)
    fig.update_yaxes(title_text="order [events]", col=2)
    return fig.update_layout(height=420, barmode="group", margin={"t": 100})


def _short(name: str) -> str:
    for word in ("CYCLE_ACTIVITY.", "MEM_INST_RETIRED.", "UOPS_RETIRED.", "UOPS_ISSUED."):
        name = name.replace(word, "")
    return name.replace(" ≤ ", "<br>≤ ")


def held_out(predicted: pd.DataFrame) -> go.Figure:
    """Draw coverage and error of held-out counts, a point a program and group of events.

    Parameters
    ----------
    predicted : pandas.DataFrame
        `evaluate.hardware.held_out`.
    """
    fig = make_subplots(
        1, 2, subplot_titles=("does the 90 % interval hold?", "error against interpolation"), horizontal_spacing=0.12
    )
    groups = sorted(predicted["group"].unique())
    symbols = ("circle", "diamond", "square", "triangle-up", "star")
    for group in groups:
        part = predicted[predicted["group"] == group]
        style = {
            "mode": "markers",
            "name": f"group {group + 1}",
            "legendgroup": str(group),
            "marker": {"symbol": symbols[group % len(symbols)], "size": 9, "color": COLOURS["ours"]},
        }
        fig.add_scatter(x=part["program"], y=(100 * part["coverage_90"]).round(1), row=1, col=1, **style)
        style |= {"showlegend": False, "text": part["program"]}
        x, y = (100 * part["interpolation"]).round(1), (100 * part["wape"]).round(1)
        fig.add_scatter(x=x, y=y, row=1, col=2, **style)
    top = 100 * float(predicted[["interpolation", "wape"]].max().max())
    line = {"color": colour("interpolation"), "dash": "dot"}
    fig.add_scatter(x=[0, top], y=[0, top], mode="lines", line=line, name="as good as interpolation", row=1, col=2)
    fig.add_hline(90, line={"color": COLOURS["paper"], "dash": "dot"}, row=1, col=1)
    fig.update_xaxes(title_text="program [name]", tickangle=-40, row=1, col=1)
    fig.update_yaxes(title_text="held-out counts inside [%]", range=[0, 102], row=1, col=1)
    fig.update_xaxes(title_text="interpolation, WAPE [%]", row=1, col=2)
    fig.update_yaxes(title_text="posterior, WAPE [%]", row=1, col=2)
    return fig.update_layout(height=440, margin={"t": 100})
