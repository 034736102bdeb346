"""Figures of what a predictor is worth: cut and tail over Kendall's tau, and over the predictor's own time."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band
from credence.ssjf.figures.lengths import GREY, KINDS, legend_once
from credence.ssjf.figures.schedule import PAPER_CUT

QUANTITIES = {"cut": "cut of the mean JCT [%]", "p99_change": "change of p99 JCT [%]"}
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "cross", "x", "triangle-down", "pentagon", "hexagon")
BELOW = 0.5  # share of a panel's height below zero; a predictor that can't keep up loses thousands of per cent


def _summary(rows: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    groups = rows.groupby(by)[value]
    found = pd.DataFrame({"mean": groups.mean(), "lo": groups.quantile(0.05), "hi": groups.quantile(0.95)})
    return found.reset_index()


def over_tau(curves: Mapping[str, pd.DataFrame], marks: pd.DataFrame) -> go.Figure:
    """Draw cut (top) and p99 (bottom) over tau; real predictors, served by their own predictions, stand on it.

    Parameters
    ----------
    curves : mapping of str to pandas.DataFrame
        Title of a data set, and ``worth.curve_draws`` of it; only latency 0 is drawn.
    marks : pandas.DataFrame
        ``worth.against_curve`` with the columns ``set`` (a title) and ``kind`` (a colour, as in `lengths.KINDS`).
    """
    titles = list(curves)
    fig = make_subplots(
        2, len(titles), subplot_titles=titles, shared_xaxes=True, horizontal_spacing=0.06, vertical_spacing=0.07
    )
    names = list(dict.fromkeys(marks["predictor"]))
    for column, title in enumerate(titles, start=1):
        curve = curves[title][curves[title]["latency_s"] == 0]
        for row, value in enumerate(QUANTITIES, start=1):
            line = _summary(curve, "tau", value)
            fig.add_scatter(
                x=pd.concat([line["tau"], line["tau"][::-1]]),
                y=pd.concat([line["hi"], line["lo"][::-1]]).round(2),
                fill="toself", fillcolor=band(GREY, 0.15), line={"width": 0}, mode="lines", hoverinfo="skip",
                name="90 % of workloads", row=row, col=column,
            )  # fmt: skip
            fig.add_scatter(
                x=line["tau"], y=line["mean"].round(2), mode="lines", line={"color": GREY, "width": 2},
                name="made-up predictor of that tau", row=row, col=column,
            )  # fmt: skip
            for _, item in marks[marks["set"] == title].iterrows():
                fig.add_scatter(
                    x=[round(item["tau"], 4)],
                    y=[round(item[value], 2)],
                    mode="markers",
                    marker={
                        "size": 11,
                        "color": KINDS[item["kind"]],
                        "symbol": SYMBOLS[names.index(item["predictor"]) % len(SYMBOLS)],
                        "line": {"width": 1, "color": "#FFFFFF"},
                    },
                    name=item["predictor"],
                    hovertemplate=f"{item['predictor']}: tau %{{x:.2f}}, %{{y:.1f}} %<extra></extra>",
                    row=row,
                    col=column,
                )
        fig.add_hrect(*PAPER_CUT, fillcolor=COLOURS["paper"], opacity=0.1, line_width=0, row=1, col=column)
        fig.update_xaxes(title_text="Kendall's tau-b [1]", row=2, col=column)
    fig.update_xaxes(range=[min(-0.05, marks["tau"].min() - 0.08), 1.06])
    square = {"symbol": "square", "size": 12, "color": band(COLOURS["paper"], 0.25)}
    wording = f"paper: {PAPER_CUT[0]:g}–{PAPER_CUT[1]:g} %"
    fig.add_scatter(x=[None], y=[None], mode="markers", marker=square, name=wording)
    for row, text in enumerate(QUANTITIES.values(), start=1):
        fig.update_yaxes(title_text=text, row=row, col=1)
    return legend_once(fig).update_layout(height=680, margin={"t": 150}, legend_y=1.07)


def over_latency(curves: Mapping[str, pd.DataFrame], marks: Mapping[str, float]) -> go.Figure:
    """Draw the cut over the time that one prediction takes, a panel an engine, a line for each tau.

    Parameters
    ----------
    curves : mapping of str to pandas.DataFrame
        Title of an engine, and ``worth.curve_draws`` on it.
    marks : mapping of str to float
        Measured times of predictors [s], by name.
    """
    titles = list(curves)
    fig = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.08)
    taus = sorted({tau for frame in curves.values() for tau in frame["tau"].unique()})
    tints = dict(zip(taus, ("#E69F00", COLOURS["ours"], COLOURS["good"], "#CC79A7", GREY), strict=False))
    for column, frame in enumerate(curves.values(), start=1):
        top, least = 2.0, frame.loc[frame["latency_s"] > 0, "latency_s"].min()
        for tau, part in frame.groupby("tau"):
            line = _summary(part, "latency_s", "cut")
            # no time at all has no place on a logarithmic axis: it stands at the left edge
            line["ms"] = 1000 * line["latency_s"].where(line["latency_s"] > 0, least / 2)
            top = max(top, line["hi"].max())
            inside = line[line["lo"] > -10 * top]
            fig.add_scatter(
                x=pd.concat([inside["ms"], inside["ms"][::-1]]).round(3),
                y=pd.concat([inside["hi"], inside["lo"][::-1]]).round(2),
                fill="toself", fillcolor=band(tints[tau], 0.15), line={"width": 0}, mode="lines", hoverinfo="skip",
                row=1, col=column,
            )  # fmt: skip
            fig.add_scatter(
                x=line["ms"].round(3),
                # below the picture the line only has to leave it
                y=line["mean"].clip(lower=-20 * top).round(2),
                mode="lines+markers",
                marker_size=5,
                line_color=tints[tau],
                name=f"tau {tau:g}",
                hovertemplate="%{x:.3g} ms: %{y:.1f} %",
                row=1,
                col=column,
            )
        for place, (name, seconds) in enumerate(marks.items()):
            style = {"color": COLOURS["paper"], "dash": "dot", "width": 1}
            fig.add_vline(x=1000 * seconds, line=style, row=1, col=column)
            if column == 1:
                note = {
                    "y": 0.02 + 0.08 * place,
                    "yref": "y domain",
                    "showarrow": False,
                    "xanchor": "left",
                    "xshift": 3,
                }
                fig.add_annotation(text=name, x=np.log10(1000 * seconds), font_size=11, **note, row=1, col=column)
        fig.add_hline(0, line={"color": GREY, "width": 1}, row=1, col=column)
        fig.update_xaxes(title_text="time of one prediction [ms]", type="log", dtick=1, row=1, col=column)
        fig.update_yaxes(range=[-BELOW * top, 1.08 * top], row=1, col=column)
    fig.update_yaxes(title_text="cut of the mean JCT [%]", row=1, col=1)
    return legend_once(fig).update_layout(height=430, margin={"t": 100}, legend_y=1.1)
