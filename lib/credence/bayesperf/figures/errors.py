"""Figures of errors and coverage: over the number of events, and workload by workload."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band, colour

PAPER_SERIES = {"linux_x86": "Linux", "cm_x86": "CounterMiner", "bayesperf_x86": "joint posterior"}


def _line(fig: go.Figure, part: pd.DataFrame, name: str, tint: str, column: int, **style) -> None:
    x, low, high = part["n"].tolist(), part["lo"].round(2).tolist(), part["hi"].round(2).tolist()
    fig.add_scatter(
        x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=band(tint, 0.13), line={"width": 0},
        mode="lines", hoverinfo="skip", showlegend=False, legendgroup=name, row=1, col=column,
    )  # fmt: skip
    fig.add_scatter(
        x=x, y=part["mean"].round(2), mode="lines+markers", name=name, legendgroup=name, showlegend=column == 1,
        line={"color": tint, "width": 2, **style}, row=1, col=column,
    )  # fmt: skip


def over_events(panels: Mapping[str, pd.DataFrame], goals: Mapping[str, Mapping[int, float]]) -> go.Figure:
    """Draw error a slice over the number of events, a panel for each number of counters.

    Parameters
    ----------
    panels : mapping of str to pandas.DataFrame
        Title, and `evaluate.errors.over_size`.
    goals : mapping of str to mapping of int to float
        Title -> list size -> goal [%], drawn as crosses.
    """
    fig = make_subplots(1, len(panels), subplot_titles=list(panels), shared_yaxes=True, horizontal_spacing=0.04)
    for column, (title, lines) in enumerate(panels.items(), start=1):
        for name, part in lines.groupby("system", sort=False):
            style = {"dash": "dot"} if name.startswith("oracle") else {}
            _line(fig, part, name, colour(name), column, **style)
        marks = goals.get(title, {})
        fig.add_scatter(
            x=list(marks), y=list(marks.values()), mode="markers", name="goal", showlegend=column == 1,
            marker={"symbol": "x", "size": 10, "color": COLOURS["bad"]}, row=1, col=column,
        )  # fmt: skip
    fig.update_xaxes(title_text="listed events [events]", tickvals=[10, 15, 20, 25, 30, 35])
    fig.update_yaxes(title_text="counts in the wrong slice, WAPE [%]", rangemode="tozero", col=1)
    return fig.update_layout(height=520, margin={"t": 120}, legend={"y": 1.1})


def beside_paper(lines: pd.DataFrame, paper: pd.DataFrame) -> go.Figure:
    """Draw the paper's Fig 8 (x86, KMeans) beside our error by dynamic time warping, same systems, same colours.

    Parameters
    ----------
    lines : pandas.DataFrame
        `evaluate.errors.over_size` of ``dtw_paper``.
    paper : pandas.DataFrame
        Fig 8: ``series``, ``n_counters``, ``err_pct``, ``lo``, ``hi`` [%].
    """
    fig = make_subplots(
        1, 2, subplot_titles=("paper, Fig 8 (x86, KMeans)", "ours, test programs"), shared_yaxes=True,
        horizontal_spacing=0.04,
    )  # fmt: skip
    for series, name in PAPER_SERIES.items():
        part = paper[paper["series"] == series].rename(columns={"n_counters": "n", "err_pct": "mean"})
        _line(fig, part, name, colour(name), 1)
    for name, part in lines.groupby("system", sort=False):
        _line(fig, part, name, colour(name), 2)
    fig.update_xaxes(title_text="listed events [events]", tickvals=[10, 15, 20, 25, 30, 35])
    fig.update_yaxes(title_text="error by dynamic time warping [%]", rangemode="tozero", col=1)
    return fig.update_layout(height=440, margin={"t": 100}, legend={"y": 1.1})


def coverage(covered: pd.DataFrame, level: float = 0.9) -> go.Figure:
    """Draw, for each program, how much of its unmeasured cells the interval held.

    Parameters
    ----------
    covered : pandas.DataFrame
        `evaluate.errors.coverage_by_program`.
    level : float
        Nominal coverage.
    """
    fig = go.Figure()
    symbols = {"qemu-x86": "circle", "qemu-ppc64": "diamond"}
    order = covered.groupby("program")["coverage"].mean().sort_values().index.tolist()
    for (machine, split), part in covered.groupby(["machine", "split"], sort=False):
        tint = COLOURS["ours"] if split == "test" else COLOURS["neutral"]
        fig.add_scatter(
            x=part["program"], y=(100 * part["coverage"]).round(1), mode="markers", name=f"{machine}, {split} programs",
            marker={"symbol": symbols[machine], "size": 10, "color": tint},
        )  # fmt: skip
    fig.add_hrect(75, 99, fillcolor=band(COLOURS["good"], 0.1), line_width=0)
    fig.add_hline(100 * level, line={"color": COLOURS["paper"], "dash": "dot"})
    fig.update_xaxes(title_text="program [name]", categoryorder="array", categoryarray=order, tickangle=-45)
    fig.update_yaxes(title_text=f"true counts inside the {100 * level:g} % interval [%]")
    return fig.update_layout(height=440)


def by_rarity(frame: pd.DataFrame, levels: tuple[str, ...]) -> go.Figure:
    """Draw coverage of the 90 % interval by how rare an event is, one box over programs for each group.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of the joint posterior, with ``coverage_90_<level>``.
    levels : tuple of str
        Names of the groups, common events first.
    """
    fig = go.Figure()
    for name in levels:
        values = (100 * frame[f"coverage_90_{name}"].dropna()).round(1)
        fig.add_box(y=values, name=name, marker_color=COLOURS["ours"], boxpoints="outliers", showlegend=False)
    fig.add_hline(90, line={"color": COLOURS["paper"], "dash": "dot"})
    fig.update_xaxes(title_text="how often the event occurs [group]")
    fig.update_yaxes(title_text="true counts inside the 90 % interval [%]")
    return fig.update_layout(height=380)


def workloads(bars: pd.DataFrame, title: str, value: str) -> go.Figure:
    """Draw one bar a workload and system; the paper's own bars, where it has that workload, as diamonds.

    Parameters
    ----------
    bars : pandas.DataFrame
        ``program``, ``system``, ``ours`` [%], ``paper`` [%] (NaN where the paper has none).
    title, value : str
        Of the figure; what the bars show, for the axis.
    """
    fig = go.Figure()
    for name, part in bars.groupby("system", sort=False):
        tint = colour(name)
        fig.add_bar(x=part["program"], y=part["ours"].round(2), name=name, marker_color=tint, offsetgroup=name)
    offsets = np.linspace(-0.27, 0.27, bars["system"].nunique())
    place = {program: k for k, program in enumerate(dict.fromkeys(bars["program"]))}
    for shift, (name, part) in zip(offsets, bars.groupby("system", sort=False), strict=True):
        shown = part[part["paper"].notna()]
        fig.add_scatter(
            x=[place[program] + shift for program in shown["program"]], y=shown["paper"].round(2), mode="markers",
            name=f"paper: {name}", xaxis="x2",
            marker={"symbol": "diamond", "size": 8, "color": colour(name), "line": {"width": 1.5, "color": "#111111"}},
        )  # fmt: skip
    fig.update_layout(
        xaxis2={
            "overlaying": "x",
            "range": [-0.5, len(place) - 0.5],
            "showticklabels": False,
            "showgrid": False,
            "ticks": "",
        },
        barmode="group",
        title=title,
        height=480,
        margin={"t": 130},
        legend={"y": 1.02},
    )
    fig.update_xaxes(title_text="program [name]", tickangle=-45, selector={"anchor": "y"})
    fig.layout.xaxis.title.text = "program [name]"
    fig.update_yaxes(title_text=value, rangemode="tozero")
    return fig
