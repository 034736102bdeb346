"""Figures of the two-year replay: recall against alarms, ablations, what is missed, and the strengths of the breaks."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, colour

# one colour a method, in every report of this paper
TINTS = {
    "ours": COLOURS["ours"],
    "NetBouncer": "#E69F00",
    "Flock": "#009E73",
    "Sherlock": "#CC79A7",
    "007": "#A6761D",
    "threshold": "#7A7A7A",
}
LEAST = 0.05  # alarms a day: what a sample of 2,000 windows (7 days) can tell from none, for the logarithmic axis


def tint(method: str) -> str:
    """Return the colour of a method."""
    return TINTS.get(method) or colour(method)


def recall_alarms(points: pd.DataFrame, full: pd.DataFrame | None = None) -> go.Figure:
    """Draw recall over alarms that nothing explains, a line a method, its tuned and published settings marked.

    Parameters
    ----------
    points : pandas.DataFrame
        `evaluate.production_tables.points`.
    full : pandas.DataFrame, optional
        `evaluate.production_tables.ablations`: the full replay with the temporal prior is marked as well.
    """
    fig = make_subplots(1, 2, subplot_titles=("all", "the upper end"), horizontal_spacing=0.08)
    for column in (1, 2):
        _methods(fig, points, column)
        if full is not None:
            fig.add_scatter(
                x=[max(full.loc["ours", "on nothing"], LEAST)], y=[full.loc["ours", "percent"]], mode="markers",
                name="ours, full replay", showlegend=column == 1, row=1, col=column,
                marker={"symbol": "star", "size": 14, "color": COLOURS["ours"]},
            )  # fmt: skip
        for value in (98.9, 59.1):
            fig.add_hline(y=value, line={"color": COLOURS["paper"], "dash": "dot", "width": 1}, row=1, col=column)
    fig.add_annotation(text="NetBouncer, paper: 59.1 %", x=np.log10(0.06), y=56, xanchor="left", showarrow=False)
    fig.add_annotation(text="Kaleidoscope, paper: 98.9 %", x=4.6, y=99.4, xanchor="right", showarrow=False,
                       xref="x2", yref="y2")  # fmt: skip
    fig.update_xaxes(title_text="alarms on nothing [1/day]", type="log", dtick=1)
    fig.update_yaxes(range=[0, 105])
    fig.update_yaxes(range=[85, 100.5], col=2)
    fig.update_yaxes(title_text="issues localised [%]", col=1)
    return fig.update_layout(height=520, margin={"t": 110}, legend={"y": 1.08})


def _methods(fig: go.Figure, points: pd.DataFrame, column: int) -> None:
    for method, rows in points.groupby("method", sort=False):
        line = rows[rows["label"].str.contains("#")].sort_values("false")
        fig.add_scatter(
            x=np.maximum(line["false"], LEAST), y=line["recall"], mode="lines+markers", name=method,
            legendgroup=method, line={"color": tint(method)}, marker={"size": 5}, showlegend=column == 1,
            hovertemplate=f"{method}<br>%{{y:.1f}} % found<br>%{{x:.1f}} alarms a day<extra></extra>",
            row=1, col=column,
        )  # fmt: skip
        for suffix, symbol, size in (("tuned", "circle", 13), ("as published", "x", 11)):
            mark = rows[rows["label"] == f"{method}, {suffix}"]
            fig.add_scatter(
                x=np.maximum(mark["false"], LEAST), y=mark["recall"], mode="markers", name=f"{method}, {suffix}",
                legendgroup=method, showlegend=False, row=1, col=column,
                marker={"symbol": symbol, "size": size, "color": tint(method)},
                hovertemplate=f"{method}, {suffix}<br>%{{y:.1f}} % found<br>%{{x:.1f}} alarms a day<extra></extra>",
            )  # fmt: skip


def missed(issues: pd.DataFrame) -> go.Figure:
    """Draw every issue by its loss and duration, those that were missed on top.

    Parameters
    ----------
    issues : pandas.DataFrame
        Of one method: ``loss``, ``first``, ``last``, ``localised``, ``fault``, ``cause``.
    """
    fig = go.Figure()
    for name, flag, style in (
        ("localised", True, {"color": COLOURS["neutral"], "size": 6, "opacity": 0.6}),
        ("missed", False, {"color": COLOURS["bad"], "size": 10, "symbol": "x"}),
    ):
        rows = issues[issues["localised"] == flag]
        fig.add_scatter(
            x=100 * rows["loss"], y=5 * (rows["last"] - rows["first"]), mode="markers", name=name, marker=style,
            text=rows["cause"] + ": " + rows["fault"],
            hovertemplate="%{text}<br>%{x:.2g} % lost, %{y} min<extra></extra>",
        )  # fmt: skip
    fig.update_xaxes(title_text="probes lost [%]", type="log")
    fig.update_yaxes(title_text="duration [min]", type="log")
    return fig.update_layout(height=440)


def breaks(rows: pd.DataFrame, names: dict[str, str]) -> go.Figure:
    """Draw recall (above) and alarms on nothing (below) over the strength of each break.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``break``, ``strength``, ``method``, ``recall`` [1], ``false_per_day``.
    names : dict of str to str
        Break -> axis title.
    """
    fig = make_subplots(2, len(names), shared_yaxes=True, shared_xaxes=True, vertical_spacing=0.06,
                        horizontal_spacing=0.025)  # fmt: skip
    for column, name in enumerate(names, start=1):
        for method, part in rows[rows["break"] == name].groupby("method", sort=False):
            part = part.sort_values("strength")
            short = str(method).split(",")[0]
            for row, values in ((1, 100 * part["recall"]), (2, np.maximum(part["false_per_day"], LEAST))):
                fig.add_scatter(
                    x=part["strength"], y=values, mode="lines+markers", name=short, legendgroup=short,
                    showlegend=column == 1 and row == 1, line={"color": tint(short)}, row=row, col=column,
                )  # fmt: skip
        fig.update_xaxes(title_text=names[name], title_font_size=11, row=2, col=column)
    fig.update_yaxes(title_text="localised [%]", row=1, col=1)
    fig.update_yaxes(type="log", row=2)
    fig.update_yaxes(title_text="on nothing [1/day]", row=2, col=1)
    return fig.update_layout(height=560)


def causes(shares: pd.DataFrame) -> go.Figure:
    """Draw right causes over the strength of misleading logs, by true cause, with the paper's Table I.

    Parameters
    ----------
    shares : pandas.DataFrame
        `evaluate.production_causes.shares`.
    """
    titles = {"stray": "healthy logs with a keyword [share]", "unmarked": "faults without a keyword [share]"}
    fig = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.05)
    for column, (name, title) in enumerate(titles.items(), start=1):
        rows = shares.loc[name]
        for cause, tone, paper in (
            ("all", COLOURS["ours"], 95.8),
            ("reliability", COLOURS["bad"], 98.3),
            ("overload", COLOURS["good"], 94.2),
        ):
            fig.add_scatter(
                x=rows.index, y=rows[cause], mode="lines+markers", name=cause, legendgroup=cause,
                showlegend=column == 1, line={"color": tone}, row=1, col=column,
            )  # fmt: skip
            fig.add_scatter(
                x=[rows.index.min(), rows.index.max()], y=[paper, paper], mode="lines", name=f"paper, {cause}",
                legendgroup=cause, showlegend=column == 1, line={"color": tone, "dash": "dot", "width": 1},
                row=1, col=column,
            )  # fmt: skip
        fig.update_xaxes(title_text=title, row=1, col=column)
    fig.update_yaxes(title_text="localised and right cause [%]", row=1, col=1)
    return fig.update_layout(height=440)


def load_curve(
    frame: pd.DataFrame, queue: dict[str, np.ndarray], load: np.ndarray, simulated: pd.DataFrame
) -> go.Figure:
    """Draw Fig. 9's mean and 99th percentile, with the batch queue's formula and its simulation.

    Parameters
    ----------
    frame : pandas.DataFrame
        Fig. 9: ``stat``, ``loadavg_1min``, ``completion_time_s``.
    queue : dict
        ``mean``, ``p99`` over `load`.
    simulated : pandas.DataFrame
        ``load``, ``mean``, ``p99``.
    """
    fig = go.Figure()
    for stat, key, dash in (("avg", "mean", "solid"), ("p99", "p99", "dot")):
        part = frame[frame["stat"] == stat]
        fig.add_scatter(
            x=part["loadavg_1min"], y=part["completion_time_s"], mode="markers", name=f"paper, {key}",
            marker={"color": COLOURS["paper"], "symbol": "circle-open" if key == "p99" else "circle"},
        )  # fmt: skip
        fig.add_scatter(x=load, y=queue[key], mode="lines", name=f"queue of batches, {key}",
                        line={"color": COLOURS["ours"], "dash": dash})  # fmt: skip
        fig.add_scatter(x=simulated["load"], y=simulated[key], mode="markers", name=f"simulated, {key}",
                        marker={"color": COLOURS["bad"], "symbol": "x", "size": 9})  # fmt: skip
    fig.update_xaxes(title_text="load average [jobs]")
    fig.update_yaxes(title_text="completion time [s]", type="log")
    return fig.update_layout(height=440)
