"""Figures of the 3-TBN: its graph with the edges that do() cuts, forecasts, and precision against recall."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from credence.bench import theme
from credence.drivefi.model.structure import SLICES, Structure, descendants, node, unrolled

NONE = 0.005  # where a precision of zero stands on a logarithmic axis [%]


def graph(structure: Structure, modules: dict[str, str], target: str) -> go.Figure:
    """Return slices k and k+1 of the network under do(target in slice k): what is cut, and what the fault can reach.

    Parameters
    ----------
    structure : Structure
    modules : dict of str to str
        Module of each variable; rows of the figure are variables, in data-flow order.
    target : str
        Variable set by the fault.
    """
    parents, fault = unrolled(structure), node(target, 1)
    reached = descendants(parents, fault)
    size = len(structure.variables)
    place = {node(name, step): (step, size - row) for row, name in enumerate(structure.variables) for step in range(3)}
    kinds = {"cut by do()": [], "carries the fault": [], "other": []}
    for child, found in parents.items():
        for parent in found:
            if child == fault:
                kinds["cut by do()"].append((parent, child))
            elif parent in reached | {fault} and child in reached:
                kinds["carries the fault"].append((parent, child))
            else:
                kinds["other"].append((parent, child))
    styles = {
        "other": {"color": "#D5DBE1", "width": 0.8},
        "carries the fault": {"color": theme.COLOURS["bad"], "width": 1.6},
        "cut by do()": {"color": "#111111", "width": 1.8, "dash": "dot"},
    }
    figure = go.Figure()
    for kind in styles:
        x, y = [], []
        for parent, child in kinds[kind]:
            (x0, y0), (x1, y1) = place[parent], place[child]
            # arrows within a slice bend to the right, so that they do not lie on one another
            bend = 0.06 + 0.25 * abs(y1 - y0) / size if x0 == x1 else 0.0
            t = np.linspace(0, 1, 9)
            x += [*(x0 + (x1 - x0) * t + 4 * bend * t * (1 - t)), None]
            y += [*(y0 + (y1 - y0) * t), None]
        figure.add_scatter(x=x, y=y, mode="lines", line=styles[kind], name=kind, hoverinfo="skip")
    groups = {"observed (golden value)": [], "answer of the network": [], "set by the fault": [fault]}
    for name in parents:
        if name != fault:
            late = name in reached or place[name][0] == 2
            groups["answer of the network" if late else "observed (golden value)"].append(name)
    colours = {
        "observed (golden value)": "#9AA5B1",
        "answer of the network": theme.COLOURS["ours"],
        "set by the fault": "#111111",
    }
    for name, nodes in groups.items():
        figure.add_scatter(
            x=[place[n][0] for n in nodes],
            y=[place[n][1] for n in nodes],
            mode="markers",
            marker={"size": 9, "color": colours[name]},
            name=name,
            text=[f"{n} ({modules[n.split('[')[0]]})" for n in nodes],
            hoverinfo="text",
        )
    figure.update_xaxes(
        title="slice [number]",
        tickvals=[0, 1, 2],
        ticktext=[f"slice {s}" for s in SLICES],
        showgrid=False,
        range=[-0.15, 2.5],
    )
    figure.update_yaxes(
        title="variable [name]",
        tickvals=list(range(1, size + 1)),
        ticktext=list(structure.variables)[::-1],
        showgrid=False,
    )
    return figure.update_layout(height=640, margin={"l": 190, "t": 110})


def _precision_axis(figure: go.Figure) -> go.Figure:
    """Give a figure its logarithmic axis of precision, in percent, with the paper's value and a place for zero."""
    line = {"dash": "dot", "color": theme.COLOURS["paper"]}
    figure.add_hline(82, line=line)
    # on a logarithmic axis lines stand at values, annotations at their logarithms
    text = "paper's precision: 82 %; its recall is unknown"
    figure.add_annotation(x=1, xref="paper", xanchor="right", y=np.log10(82), yanchor="top", showarrow=False, text=text)
    ticks = [0.01, 0.1, 1, 10, 100]
    figure.update_yaxes(
        title="precision of F_crit [%]",
        type="log",
        range=np.log10([0.6 * NONE, 170]).tolist(),
        tickvals=[NONE, *ticks],
        ticktext=["none", *(f"{tick:g}" for tick in ticks)],
    )
    return figure.update_xaxes(title="recall of all critical faults [%]", range=[-2, 102])


def precision_recall(rows: pd.DataFrame) -> go.Figure:
    """Return precision over recall of F_crit, one point a seed and variant; the paper's precision as a line.

    Precisions spread over two decades, so the axis is logarithmic; sets without a single hazard stand at its foot, as
    open triangles.

    Parameters
    ----------
    rows : DataFrame
        ``variant``, ``precision``, ``recall`` [1], ``size``, ``seed``.
    """
    figure = go.Figure()
    colours = ("#111111", "#6A3D9A", "#B15928")
    for (name, one), colour in zip(rows.groupby("variant", sort=False), colours, strict=False):
        figure.add_scatter(
            x=100 * one["recall"],
            y=np.maximum(100 * one["precision"], NONE),
            mode="markers",
            marker={
                "color": colour,
                "size": 9,
                "opacity": 0.75,
                "symbol": np.where(one["precision"] > 0, "circle", "triangle-down-open"),
            },
            name=name,
            text=[f"seed {s}: {n} selected" for s, n in zip(one["seed"], one["size"], strict=True)],
        )
    return _precision_axis(figure)


def engine_study(rows: pd.DataFrame) -> go.Figure:
    """Return precision over recall of eq. 1 by who forecasts, how far and in which directions: ten seeds together.

    Parameters
    ----------
    rows : DataFrame
        ``engine_study.summary``.
    """
    figure = go.Figure()
    colours = {"3-TBN": "#111111", "perfect": theme.COLOURS["ours"]}
    # slices in which the golden run is unsafe too say nothing about the fault
    kept = rows[(rows["counted"] == "golden safe") & (rows["training"] < 1000)]
    for (forecast, directions), one in kept.groupby(["forecast", "directions"], sort=False):
        both = directions == "both"
        side = "bottom right" if both else "top right"
        amounts = [f"{size:,.0f}" if size >= 10 else f"{size:.1f}" for size in one["size"]]
        figure.add_scatter(
            x=one["recall"],
            y=np.maximum(one["precision"], NONE),
            mode="lines+markers+text",
            line={"color": colours[forecast], "width": 1.5, "dash": "dot" if both else "solid"},
            marker={
                "size": 10,
                "symbol": np.where(one["precision"] > 0, "circle-open" if both else "circle", "triangle-down-open"),
            },
            text=[f"{reach}, {size} a seed" for reach, size in zip(one["reach"], amounts, strict=True)],
            # two of the perfect forecast's sets lie side by side
            textposition=[
                "top left" if both and forecast == "perfect" and 20 < recall < 30 else side for recall in one["recall"]
            ],
            name=f"{forecast}, {'along and across' if both else 'along the lane'}",
        )
    return _precision_axis(figure).update_xaxes(range=[-2, 70])


def horizons(frame: pd.DataFrame) -> go.Figure:
    """Return how many slices pass between a critical fault and what it first does, by fault variable.

    Parameters
    ----------
    frame : DataFrame
        One row a critical fault: ``variable``, ``slices`` until delta first falls to 0 or below.
    """
    figure = go.Figure()
    for name, one in frame.groupby("variable"):
        figure.add_box(x=one["slices"], name=name, marker={"color": theme.COLOURS["ours"], "size": 3}, showlegend=False)
    figure.add_vline(1, line={"dash": "dot", "color": "#111111"})
    text = "the paper's forecast: one slice"
    figure.add_annotation(
        x=np.log10(1), xanchor="left", y=1, yref="paper", yanchor="bottom", showarrow=False, text=text
    )
    figure.update_xaxes(title="from the fault to the smallest margin [slices]", type="log")
    figure.update_yaxes(title="variable struck [name]")
    return figure.update_layout(height=120 + 32 * frame["variable"].nunique(), margin={"l": 190})
