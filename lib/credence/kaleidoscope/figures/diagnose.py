"""Figures of diagnosis: what is out of line among its peers, and what the settings of the rule are worth."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS

DASHES = ("solid", "dash", "dot", "dashdot")


def disks(table: pd.DataFrame, ratio: float, peer_ratio: float) -> go.Figure:
    """Draw every disk by how far out of line it is, in local outlier factors and against its peers' median.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `evaluate.diagnosing.among_peers`, with ``slow``.
    ratio, peer_ratio : float
        The rule's two bounds.
    """
    fig = go.Figure()
    for slow, name, tint, symbol in (
        (False, "not labelled", COLOURS["neutral"], "circle"),
        (True, "labelled slow", COLOURS["bad"], "diamond"),
    ):
        part = table[table["slow"] == slow]
        fig.add_scatter(
            x=part["peer_ratio"], y=part["factor_ratio"].clip(lower=0.1), mode="markers", name=name,
            marker={"color": tint, "size": 8 if slow else 5, "symbol": symbol, "opacity": 0.9 if slow else 0.45},
        )  # fmt: skip
    fig.add_hline(y=ratio, line={"color": COLOURS["paper"], "dash": "dot"})
    fig.add_annotation(
        x=0.01, xref="paper", y=np.log10(ratio), text=f"LOF ratio {ratio:g}", showarrow=False, xanchor="left", yshift=9
    )
    fig.add_vline(x=peer_ratio, line={"color": COLOURS["ours"], "dash": "dash"})
    fig.add_annotation(
        x=np.log10(peer_ratio), y=0.02, yref="paper", text=f"chosen: {peer_ratio:g}", showarrow=False, xanchor="left",
        xshift=4, font={"color": COLOURS["ours"]},
    )  # fmt: skip
    fig.update_xaxes(title_text="latency over the median of the host's other disks [1]", type="log")
    fig.update_yaxes(title_text="local outlier factor over the largest of a peer [1]", type="log")
    return fig.update_layout(height=460)


def settings(found: pd.DataFrame, columns: dict[str, str], ratio: float) -> go.Figure:
    """Draw shares over LOF_r, a panel a share and a line a number of neighbours.

    Parameters
    ----------
    found : pandas.DataFrame
        ``neighbours``, ``ratio`` and the shares [%].
    columns : dict of str
        Titles of the shares.
    ratio : float
        The paper's LOF_r.
    """
    fig = make_subplots(1, len(columns), subplot_titles=list(columns.values()), shared_yaxes=True)
    for place, column in enumerate(columns, start=1):
        for k, (neighbours, rows) in enumerate(found.groupby("neighbours", sort=True)):
            fig.add_scatter(
                x=rows["ratio"], y=rows[column], mode="lines+markers", name=f"{neighbours} neighbours",
                line={"color": COLOURS["ours"], "dash": DASHES[k % len(DASHES)]}, showlegend=place == 1,
                row=1, col=place,
            )  # fmt: skip
        fig.add_vline(x=ratio, line={"color": COLOURS["paper"], "dash": "dot"}, row=1, col=place)
        fig.update_xaxes(title_text="LOF ratio asked for [1]", type="log", row=1, col=place)
    fig.update_yaxes(title_text="share [%]", range=[0, 103], row=1, col=1)
    return fig.update_layout(height=380)


def targets(table: pd.DataFrame) -> go.Figure:
    """Draw the time that a target takes for a MiB, the called ones marked.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `evaluate.diagnosing.bad_target`.
    """
    tint = [COLOURS["bad"] if called else COLOURS["neutral"] for called in table["called"]]
    text = [f"LOF × {row.factor_ratio:.0f}" if row.called else "" for row in table.itertuples()]
    fig = go.Figure(go.Bar(x=table["target"], y=table["ms_per_MiB"], marker_color=tint, text=text))
    fig.update_xaxes(title_text="storage target [number]", dtick=2)
    fig.update_yaxes(title_text="time for a MiB, median of its files [ms]", type="log")
    return fig.update_layout(height=360, showlegend=False)


def probes(found: pd.DataFrame) -> go.Figure:
    """Draw how often a metric is out of line around slow probes and around usual ones.

    Parameters
    ----------
    found : pandas.DataFrame
        As of `evaluate.diagnosing.slow_probes`.
    """
    fig = go.Figure()
    for column, name, tint in (
        ("usual", "usual probes", COLOURS["neutral"]),
        ("slow", "slow probes", COLOURS["bad"]),
    ):
        fig.add_bar(y=found["metric"], x=found[column], name=name, orientation="h", marker_color=tint)
    fig.update_yaxes(autorange="reversed", title_text="metric [name]")
    fig.update_xaxes(title_text="probes in which it is out of line [%]")
    return fig.update_layout(height=420, barmode="group")
