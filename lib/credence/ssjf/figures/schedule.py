"""Figures of the scheduling study: tidy frame in, plotly figure out."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band, colour

PAPER_CUT = (30.5, 39.6)
MODES = {"none": "no batching, 1 server", "dynamic": "dynamic batching", "continuous": "continuous batching"}


def _bars(rows: pd.DataFrame) -> dict:
    """Return plotly's error bars of rows with ``mean``, ``lo``, ``hi``."""
    return {
        "type": "data",
        "symmetric": False,
        "array": rows["hi"] - rows["mean"],
        "arrayminus": rows["mean"] - rows["lo"],
    }


def cuts_by_mode(frame: pd.DataFrame, load: float) -> go.Figure:
    """Draw the mean-JCT cut (top) and the change of p99 (bottom) of each system, one column a batching mode.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``mode``, ``system``, ``quantity`` (``mean_cut``, ``p99_change``), ``mean``, ``lo``, ``hi`` [%].
    load : float
        Offered load, for the title.
    """
    modes = list(dict.fromkeys(frame["mode"]))
    fig = make_subplots(
        rows=2,
        cols=len(modes),
        shared_yaxes=True,
        column_titles=[MODES.get(mode, mode) for mode in modes],
        vertical_spacing=0.16,
        horizontal_spacing=0.03,
    )
    for column, mode in enumerate(modes, start=1):
        for row, quantity in enumerate(("mean_cut", "p99_change"), start=1):
            part = frame[(frame["mode"] == mode) & (frame["quantity"] == quantity) & (frame["system"] != "FCFS")]
            part = part.iloc[::-1]
            fig.add_scatter(
                x=part["mean"],
                y=part["system"],
                error_x=_bars(part) | {"thickness": 2, "width": 0, "color": "#52606D"},
                mode="markers",
                marker={"size": 11, "color": [colour(name) for name in part["system"]]},
                name="ours, 90 % interval over prompts",
                showlegend=column == row == 1,
                hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
                row=row,
                col=column,
            )
            fig.add_vline(x=0, line={"color": "#52606D", "width": 1}, row=row, col=column)
        # the paper's range as a trace of its own, so that it has a name in the legend
        names = frame.loc[frame["system"] != "FCFS", "system"].unique()
        fig.add_scatter(
            x=[PAPER_CUT[0], PAPER_CUT[1], PAPER_CUT[1], PAPER_CUT[0]],
            y=[names[-1], names[-1], names[0], names[0]],
            fill="toself",
            mode="lines",
            line={"width": 0},
            fillcolor=band(COLOURS["paper"], 0.13),
            name="paper: SSJF 30.5–39.6 %",
            showlegend=column == 1,
            hoverinfo="skip",
            row=1,
            col=column,
        )
        fig.update_xaxes(title_text="mean JCT cut [%]", row=1, col=column)
        fig.update_xaxes(title_text="p99 JCT change [%]", row=2, col=column)
    # the same scale in every mode, so that a small effect looks small
    for row, quantity in enumerate(("mean_cut", "p99_change"), start=1):
        part = frame[frame["quantity"] == quantity]
        low, high = part["lo"].min(), max(part["hi"].max(), PAPER_CUT[1] if row == 1 else 0)
        fig.update_xaxes(range=[low - 0.06 * (high - low), high + 0.06 * (high - low)], row=row)
    fig.update_yaxes(title_text="policy [name]", col=1)
    title = f"What each policy does to the mean, and what the tail pays (load {load:g}, against FCFS)"
    return fig.update_layout(title=title, height=640, margin={"t": 120}, legend={"y": 1.09})


def theory_check(frame: pd.DataFrame) -> go.Figure:
    """Draw simulated mean JCT against queueing theory, one line a policy (``steady.check_theory``)."""
    fig = go.Figure()
    for system, part in frame.groupby("system", sort=False):
        fig.add_scatter(
            x=part["load"],
            y=part["theory"],
            mode="lines",
            line={"color": colour(system), "dash": "dot"},
            name=f"{system}: theory",
        )
        fig.add_scatter(
            x=part["load"],
            y=part["mean_jct_s"],
            error_y=_bars(part.assign(mean=part["mean_jct_s"])),
            mode="markers",
            marker={"color": colour(system), "size": 9},
            name=f"{system}: simulated",
        )
    fig.update_xaxes(title_text="offered load [share of capacity]")
    fig.update_yaxes(title_text="mean job completion time [s]", type="log")
    return fig.update_layout(title="The simulator against theory that is exact")


def service_bars(fig: go.Figure, part: pd.DataFrame, column: int, longest: float) -> None:
    """Add one schedule to a panel: waiting as a thin line, service as a bar in the colour of the answer's length.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        With subplots in one row.
    part : pandas.DataFrame
        ``request``, ``arrival_s``, ``start_s``, ``end_s`` [s], ``output_tokens`` [tokens].
    column : int
        Panel, from 1; the first one gets legend and colour bar.
    longest : float
        Upper end of the colour scale [tokens].
    """
    gaps = np.full(len(part), np.nan)
    fig.add_scatter(
        x=np.column_stack([part["arrival_s"], part["start_s"], gaps]).ravel(),
        y=np.column_stack([part["request"], part["request"], gaps]).ravel(),
        mode="lines",
        line={"color": COLOURS["neutral"], "width": 2},
        name="waiting",
        showlegend=column == 1,
        row=1,
        col=column,
    )
    fig.add_bar(
        x=part["end_s"] - part["start_s"],
        base=part["start_s"],
        y=part["request"],
        orientation="h",
        marker={
            "color": part["output_tokens"],
            "colorscale": "Viridis",
            "cmin": 0,
            "cmax": longest,
            "showscale": column == 1,
            "colorbar": {"title": {"text": "answer<br>[tokens]"}, "len": 0.9},
        },
        name="being served",
        showlegend=column == 1,
        customdata=part["output_tokens"],
        hovertemplate="request %{y}: %{customdata} tokens<extra></extra>",
        row=1,
        col=column,
    )


def gantt(frame: pd.DataFrame) -> go.Figure:
    """Draw who waited for whom: waiting as a thin line, service as a bar (``steady.explain``), one panel a system."""
    systems = list(dict.fromkeys(frame["system"]))
    means = {s: (p["end_s"] - p["arrival_s"]).mean() for s, p in frame.groupby("system")}
    fig = make_subplots(
        rows=1,
        cols=len(systems),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        column_titles=[f"{s}: mean completion {means[s]:.1f} s" for s in systems],
    )
    top = frame["output_tokens"].max()
    for column, system in enumerate(systems, start=1):
        part = frame[frame["system"] == system]
        service_bars(fig, part, column, top)
        fig.update_xaxes(title_text="time [s]", row=1, col=column)
    fig.update_yaxes(title_text="request [number in order of arrival]", autorange="reversed", dtick=2, col=1)
    fig.update_yaxes(autorange="reversed", col=2)
    return fig.update_layout(
        title="One workload, two orders: who waits for whom", bargap=0.25, height=460, margin={"t": 110}
    )


def tail(frame: pd.DataFrame) -> go.Figure:
    """Draw the share of requests that take longer than t, one line a system.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``system``, ``jct_s`` [s], one row a request.
    """
    fig = go.Figure()
    for system, part in frame.groupby("system", sort=False):
        # a few hundred quantiles draw the same line as every request, in a fraction of the bytes
        share = np.geomspace(1, 1 / len(part), 250)
        fig.add_scatter(
            x=np.quantile(part["jct_s"], 1 - share),
            y=share,
            mode="lines",
            line={"color": colour(system), "width": 2.5},
            name=system,
        )
    fig.add_hline(y=0.01, line={"color": "#52606D", "width": 1, "dash": "dot"})
    fig.add_annotation(text="p99", x=0, xref="paper", y=-2, yref="y", yshift=9, xanchor="left", showarrow=False)
    decades = {"type": "log", "dtick": 1, "exponentformat": "power"}
    fig.update_xaxes(title_text="job completion time t [s]", **decades)
    fig.update_yaxes(title_text="requests that take longer than t [share]", **decades)
    return fig.update_layout(title="The price of a shorter mean is a longer tail")


def aging_trade_off(frame: pd.DataFrame) -> go.Figure:
    """Draw mean cut against longest wait along the guard's threshold.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``aging`` [s] (0: no guard), ``quantity`` (``mean_cut`` [%], ``longest_wait_ratio``), ``mean``, ``lo``, ``hi``.
    """
    cut, wait = (frame[frame["quantity"] == name] for name in ("mean_cut", "longest_wait_ratio"))
    labels = ["no guard" if value == 0 else f"{value:g} s" for value in cut["aging"]]
    fig = go.Figure()
    fig.add_scatter(
        x=wait["mean"],
        y=cut["mean"],
        error_x=_bars(wait),
        error_y=_bars(cut),
        mode="lines+markers+text",
        text=labels,
        textposition="top left",
        line={"color": colour("SSJF")},
        marker={"size": 9},
        name="SSJF with an aging guard",
    )
    fig.add_hrect(y0=PAPER_CUT[0], y1=PAPER_CUT[1], fillcolor=band(COLOURS["paper"], 0.13), line_width=0)
    fig.add_vline(x=1, line={"color": colour("FCFS"), "dash": "dot"})
    # annotations on a log axis are placed by the exponent
    note = {"xref": "x", "showarrow": False, "xanchor": "left"}
    fig.add_annotation(text="paper: 30.5–39.6 %", x=0.01, y=np.mean(PAPER_CUT), **note)
    fig.add_annotation(text="the longest wait under FCFS", x=0.01, y=0, yshift=10, **note)
    fig.update_xaxes(title_text="longest wait, SSJF over FCFS [ratio]", type="log")
    fig.update_yaxes(title_text="mean JCT cut against FCFS [%]", rangemode="tozero")
    return fig.update_layout(title="An aging guard buys the tail back", showlegend=False)


def predictor_latency(frame: pd.DataFrame, marks: dict[str, float]) -> go.Figure:
    """Draw the cut that is left when the predictor takes time.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``predictor_latency`` [s], ``mean``, ``lo``, ``hi`` of the mean cut [%].
    marks : dict of str to float
        Latencies to point out, by name [s].
    """
    fig = go.Figure()
    x = frame["predictor_latency"] * 1000
    fill = {"fill": "tonexty", "fillcolor": band(colour("SSJF"))}
    fig.add_scatter(x=x, y=frame["lo"], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
    fig.add_scatter(
        x=x, y=frame["hi"], mode="lines", line={"width": 0}, name="90 % over prompts", hoverinfo="skip", **fill
    )
    fig.add_scatter(x=x, y=frame["mean"], mode="lines+markers", line={"color": colour("SSJF")}, name="SSJF")
    for place, (name, value) in enumerate(marks.items()):
        fig.add_vline(x=value * 1000, line={"color": COLOURS["paper"], "dash": "dot", "width": 1})
        note = {"yref": "paper", "y": 0.3 - 0.12 * place, "xanchor": "left", "showarrow": False, "xshift": 4}
        fig.add_annotation(text=name, x=np.log10(value * 1000), **note)
    fig.update_xaxes(title_text="time the predictor takes for a request [ms]", type="log")
    fig.update_yaxes(title_text="mean JCT cut against FCFS [%]")
    return fig.update_layout(title="A slow predictor is a queue of its own")


def engines(frame: pd.DataFrame) -> go.Figure:
    """Draw the mean cut and the change of p99 on each fitted engine.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``profile``, ``load``, ``system``, ``quantity`` (``mean_cut``, ``p99_change``), ``mean``, ``lo``, ``hi`` [%].
    """
    fig = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    symbols = dict(zip(sorted(frame["load"].unique()), ("circle-open", "circle", "diamond"), strict=False))
    part = frame[frame["system"] != "FCFS"]
    for column, quantity in enumerate(("mean_cut", "p99_change"), start=1):
        for (system, load), rows in part[part["quantity"] == quantity].groupby(["system", "load"], sort=False):
            fig.add_scatter(
                x=rows["mean"],
                y=rows["profile"],
                error_x=_bars(rows) | {"thickness": 1.5, "width": 0},
                mode="markers",
                marker={"color": colour(system), "symbol": symbols[load], "size": 10},
                name=f"{system}, load {load:g}",
                legendgroup=f"{system} {load}",
                showlegend=column == 1,
                row=1,
                col=column,
            )
        fig.add_vline(x=0, line={"color": "#52606D", "width": 1}, row=1, col=column)
    fig.add_vrect(
        x0=PAPER_CUT[0],
        x1=PAPER_CUT[1],
        fillcolor=band(COLOURS["paper"], 0.13),
        line_width=0,
        annotation_text="paper",
        annotation_position="top right",
        row=1,
        col=1,
    )
    fig.update_xaxes(title_text="mean JCT cut [%]", col=1)
    fig.update_xaxes(title_text="p99 JCT change [%]", col=2)
    fig.update_yaxes(title_text="engine [profile]", col=1)
    title = "Continuous batching on engines with measured costs"
    return fig.update_layout(title=title, margin={"t": 110}, height=480)
