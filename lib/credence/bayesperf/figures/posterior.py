"""Figures of one posterior: counts with bands, NUTS against the fast path, ranks, and what an audit finds."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band


def series(table: pd.DataFrame) -> go.Figure:
    """Draw a window, one panel an event: truth, what the counters saw, and both posteriors.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `evaluate.window_story.bands`.
    """
    events = list(table["event"].unique())
    fig = make_subplots(len(events), 1, shared_xaxes=True, subplot_titles=events, vertical_spacing=0.08)
    for row, event in enumerate(events, start=1):
        part = table[table["event"] == event]
        shown = {"showlegend": row == 1, "row": row, "col": 1}
        x = part["slice"].tolist()
        fig.add_scatter(
            x=[*x, *x[::-1]], y=[*part["nuts_hi"], *part["nuts_lo"][::-1]], fill="toself", mode="lines",
            fillcolor=band(COLOURS["ours"]), line={"width": 0}, name="NUTS, 90 %", hoverinfo="skip", **shown,
        )  # fmt: skip
        for end, name in (("fast_lo", "fast path, 90 %"), ("fast_hi", None)):
            fig.add_scatter(
                x=x, y=part[end], mode="lines", line={"color": COLOURS["bad"], "dash": "dot", "width": 1.5},
                name=name, legendgroup="fast", **(shown | {"showlegend": row == 1 and name is not None}),
            )  # fmt: skip
        fig.add_scatter(
            x=x, y=part["truth"], mode="lines", line={"color": COLOURS["paper"], "width": 1.5}, name="truth",
            **shown,
        )  # fmt: skip
        seen = part[part["measured"].notna()]
        fig.add_scatter(
            x=seen["slice"], y=seen["measured"], mode="markers", name="on a counter",
            marker={"color": COLOURS["good"], "size": 8}, **shown,
        )  # fmt: skip
        fig.update_yaxes(title_text="counts a slice [events]", row=row, col=1)
    fig.update_xaxes(title_text="slice of the window [slices]", row=len(events), col=1)
    return fig.update_layout(height=210 + 190 * len(events), margin={"t": 100}, legend={"y": 1.06})


def differences(table: pd.DataFrame) -> go.Figure:
    """Draw for every cell how far the fast path is from NUTS, in Monte Carlo errors and in standard deviations.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `evaluate.agreement.agreement`.
    """
    fig = make_subplots(1, 2, subplot_titles=("means", "standard deviations"), horizontal_spacing=0.12)
    known = table[~table["determined"]]
    for measured, name, tint in ((False, "not measured", COLOURS["ours"]), (True, "measured", COLOURS["good"])):
        part = known[known["measured"] == measured]
        fig.add_histogram(
            x=(part["mean_difference"] / part["mean_mcse"]).round(3), name=name, marker_color=tint,
            xbins={"start": -5, "end": 5, "size": 0.5}, row=1, col=1,
        )  # fmt: skip
        fig.add_histogram(
            x=(100 * (part["sd_ratio"] - 1)).round(2), name=name, marker_color=tint, showlegend=False,
            xbins={"start": -30, "end": 30, "size": 2}, row=1, col=2,
        )  # fmt: skip
    for edge in (-4, 4):
        fig.add_vline(x=edge, line={"dash": "dash", "color": COLOURS["neutral"]}, row=1, col=1)
    for edge in (-10, 10):
        fig.add_vline(x=edge, line={"dash": "dash", "color": COLOURS["neutral"]}, row=1, col=2)
    fig.update_xaxes(title_text="difference of means [Monte Carlo errors]", row=1, col=1)
    fig.update_xaxes(title_text="fast path's sd against NUTS [%]", row=1, col=2)
    fig.update_yaxes(title_text="cells [cells]", col=1)
    return fig.update_layout(barmode="stack", height=400, margin={"t": 100}, legend={"y": 1.12})


def ranks(table: pd.DataFrame, bins: int = 10) -> go.Figure:
    """Draw the ranks of the truth among draws, one line a quantity; the grey band holds 95 % of uniform ones.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `evaluate.sbc.calibrate`, one method and one kind of scales.
    bins : int
    """
    from scipy.stats import binom

    fig = go.Figure()
    sets = int(table.groupby("quantity")["set"].nunique().min())
    low, high = binom.ppf([0.025, 0.975], sets, 1 / bins)
    fig.add_hrect(y0=low, y1=high, fillcolor=band(COLOURS["neutral"], 0.3), line_width=0)
    for name, part in table.groupby("quantity", sort=True):
        place = (part["rank"] + 0.5) / (part["levels"] + 1)
        counts = np.bincount(np.minimum((place * bins).astype(int), bins - 1), minlength=bins)
        fig.add_scatter(x=(np.arange(bins) + 0.5) / bins, y=counts, mode="lines+markers", name=name)
    fig.update_xaxes(title_text="rank of the truth among draws [share]", range=[0, 1])
    fig.update_yaxes(title_text="data sets [sets]", rangemode="tozero")
    return fig.update_layout(height=420, margin={"t": 110}, legend={"y": 1.08})


def detection(curve: pd.DataFrame) -> go.Figure:
    """Draw the share of identities believed and found broken over the error of one coefficient.

    Parameters
    ----------
    curve : pandas.DataFrame
        As of `evaluate.audit_study.curve` by case and error.
    """
    cases = list(curve["case"].unique())
    fig = make_subplots(1, 2, subplot_titles=("said to hold", "said to be broken"), shared_yaxes=True)
    for number, case in enumerate(cases):
        part = curve[curve["case"] == case]
        tint = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")[number % 4]
        for column, name in ((1, "holds"), (2, "broken")):
            fig.add_scatter(
                x=100 * part["error"], y=(100 * part[name]).round(2), mode="lines+markers", name=case,
                legendgroup=case, showlegend=column == 1, line={"color": tint}, row=1, col=column,
            )  # fmt: skip
    fig.update_xaxes(title_text="error of one coefficient [%]")
    fig.update_yaxes(title_text="testable program × identity pairs [%]", range=[0, 103], col=1)
    return fig.update_layout(height=420, margin={"t": 110}, legend={"y": 1.1})
