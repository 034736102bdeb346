"""Figures of the real engine: micro-benchmarks, real runs beside the simulator's forecast, and what the proxy takes."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, SPARE, band, colour
from credence.ssjf.evaluate.engine_trials import GOAL, NAMES
from credence.ssjf.figures.schedule import service_bars
from credence.ssjf.model import EngineProfile
from credence.ssjf.model.profiles import decode_s, prefill_s

INK = "#52606D"
# for a title, a legend and column titles, one above the other
ROOM = {"height": 480, "margin": {"t": 130}, "legend": {"y": 1.12, "yanchor": "bottom"}}
PAPER_PEAK_MS = 38.0  # peak of the released overhead plot


def benchmarks(rows: pd.DataFrame, profile: EngineProfile) -> go.Figure:
    """Draw the timed passes and the profile fitted to them.

    Parameters
    ----------
    rows : pandas.DataFrame
        Cases of ``calibrate.fit_profile``: ``quantity``, ``batch``, ``tokens``, ``part``,
        ``measured_s``, ``lo``, ``hi`` [s].
    profile : EngineProfile
        The fit.
    """
    fig = make_subplots(rows=1, cols=2, horizontal_spacing=0.1, column_titles=["one decode pass", "one prefill"])
    decode = rows[rows["quantity"] == "decode"]
    sizes = sorted(decode["batch"].unique())
    contexts = {"short contexts": 68.5, "long contexts": 388.5}
    for (name, context), dash in zip(contexts.items(), ("solid", "dot"), strict=True):
        fig.add_scatter(
            x=sizes,
            y=[1000 * decode_s(profile, batch, batch * context) for batch in sizes],
            mode="lines",
            line={"color": COLOURS["ours"], "dash": dash, "width": 2},
            name=f"profile, {name}",
            row=1,
            col=1,
        )
    prefill = rows[rows["quantity"] == "prefill"]
    tokens = np.linspace(prefill["tokens"].min(), prefill["tokens"].max(), 120)
    fig.add_scatter(
        x=tokens,
        y=[1000 * prefill_s(profile, value) for value in tokens],
        mode="lines",
        line={"color": COLOURS["ours"], "width": 2},
        name="profile",
        showlegend=False,
        row=1,
        col=2,
    )
    for part, symbol, fill in (("fit", "circle", COLOURS["ours"]), ("held out", "diamond-open", COLOURS["bad"])):
        for column, (frame, axis) in enumerate(((decode, "batch"), (prefill, "tokens")), start=1):
            some = frame[frame["part"] == part]
            fig.add_scatter(
                x=some[axis],
                y=1000 * some["measured_s"],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": 1000 * (some["hi"] - some["measured_s"]),
                    "arrayminus": 1000 * (some["measured_s"] - some["lo"]),
                    "thickness": 1,
                    "width": 0,
                },
                mode="markers",
                marker={"symbol": symbol, "color": fill, "size": 8},
                name="measured, fitted" if part == "fit" else "measured, held out",
                legendgroup=part,
                showlegend=column == 1,
                customdata=some["tokens"],
                hovertemplate="%{x}: %{y:.1f} ms, %{customdata:.0f} tokens<extra></extra>",
                row=1,
                col=column,
            )
    fig.update_xaxes(title_text="batch [requests]", dtick=1, row=1, col=1)
    fig.update_xaxes(title_text="prompt tokens in all [tokens]", row=1, col=2)
    fig.update_yaxes(title_text="time [ms]", rangemode="tozero")
    return fig.update_layout(title="What one pass costs, measured and fitted", **ROOM)


def real_and_simulated(runs: pd.DataFrame) -> go.Figure:
    """Draw the mean completion time of every real run, and the simulator's forecast with the goal's band.

    Parameters
    ----------
    runs : pandas.DataFrame
        ``trace``, ``policy``, ``repeat``, ``mean_jct_s``, ``simulated_mean_jct_s`` [s]: ``engine_trials.by_run``.
    """
    fig = go.Figure()
    places = {key: place for place, key in enumerate(dict.fromkeys(zip(runs["trace"], runs["policy"], strict=True)))}
    grouped = runs.groupby(["trace", "policy"], sort=False)
    for number, (key, part) in enumerate(grouped):
        forecast, place = part["simulated_mean_jct_s"].mean(), places[key]
        real = part["mean_jct_s"].mean()
        box = {"x": [place - 0.3, place + 0.3, place + 0.3, place - 0.3]}
        fig.add_scatter(
            **box,
            y=[real * (1 - GOAL)] * 2 + [real * (1 + GOAL)] * 2,
            fill="toself",
            mode="lines",
            line={"width": 0},
            fillcolor=band(COLOURS["neutral"], 0.3),
            name="goal: 10 % around the real mean",
            showlegend=number == 0,
            hoverinfo="skip",
        )
        fig.add_scatter(
            x=[place - 0.3, place + 0.3],
            y=[forecast] * 2,
            mode="lines",
            line={"color": COLOURS["paper"], "width": 3},
            name="simulated",
            showlegend=number == 0,
            hovertemplate=f"simulated: %{{y:.2f}} s ({100 * (forecast / real - 1):+.1f} %)<extra></extra>",
        )
        fig.add_scatter(
            x=place + 0.08 * (np.arange(len(part)) - (len(part) - 1) / 2),
            y=part["mean_jct_s"],
            mode="markers",
            marker={"color": colour(NAMES[key[1]]), "size": 11, "line": {"color": "white", "width": 1}},
            name=f"real, {NAMES[key[1]]}",
            legendgroup=key[1],
            showlegend=key[0] == runs["trace"].iloc[0],
            hovertemplate="real: %{y:.2f} s<extra></extra>",
        )
    labels = [f"{NAMES[policy]}<br>{trace}" for trace, policy in places]
    fig.update_xaxes(tickvals=list(places.values()), ticktext=labels, title_text="policy and trace [name]")
    fig.update_yaxes(title_text="mean job completion time [s]", rangemode="tozero")
    return fig.update_layout(title="A real engine and the simulator's forecast of it")


def completion_times(frame: pd.DataFrame) -> go.Figure:
    """Draw the share of requests that took longer than t on the real engine, one panel a trace."""
    traces = list(dict.fromkeys(frame["trace"]))
    titles = []
    for trace in traces:
        means = frame[frame["trace"] == trace].groupby("policy")["jct_s"].mean()
        titles.append(f"{trace}: mean {means['fcfs']:.1f} → {means['ssjf']:.1f} s")
    fig = make_subplots(rows=1, cols=len(traces), shared_yaxes=True, horizontal_spacing=0.04, column_titles=titles)
    for column, trace in enumerate(traces, start=1):
        part = frame[frame["trace"] == trace]
        for (policy, repeat), run in part.groupby(["policy", "repeat"], sort=False):
            values = np.sort(run["jct_s"])
            fig.add_scatter(
                x=values,
                y=1 - np.arange(len(values)) / len(values),
                mode="lines",
                line={"color": colour(NAMES[policy]), "shape": "hv", "width": 2, "dash": ("solid", "dot")[repeat % 2]},
                name=f"{NAMES[policy]}, run {repeat + 1}",
                legendgroup=f"{policy} {repeat}",
                showlegend=column == 1,
                hovertemplate="%{y:.0%} take longer than %{x:.1f} s<extra></extra>",
                row=1,
                col=column,
            )
        fig.update_xaxes(title_text="job completion time t [s]", rangemode="tozero", row=1, col=column)
    fig.update_yaxes(title_text="requests that take longer than t [share]", tickformat=".0%", col=1)
    return fig.update_layout(title="Completion times on the real engine", **ROOM)


def timeline(frame: pd.DataFrame) -> go.Figure:
    """Draw who waited and who was served in a busy stretch of the real engine, one panel a policy.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``system``, ``request``, ``arrival_s``, ``start_s``, ``end_s`` [s], ``output_tokens``:
        ``engine_trials.busy_stretch``.
    """
    systems = list(dict.fromkeys(frame["system"]))
    means = {name: (part["end_s"] - part["arrival_s"]).mean() for name, part in frame.groupby("system")}
    titles = [f"{name}: mean completion {means[name]:.1f} s" for name in systems]
    fig = make_subplots(rows=1, cols=len(systems), shared_yaxes=True, horizontal_spacing=0.04, column_titles=titles)
    begin, end = frame["arrival_s"].min(), frame["end_s"].max()
    for column, system in enumerate(systems, start=1):
        part = frame[frame["system"] == system]
        service_bars(fig, part, column, frame["output_tokens"].max())
        fig.update_xaxes(title_text="time [s]", range=[begin - 1, end + 1], row=1, col=column)
        fig.update_yaxes(autorange="reversed", row=1, col=column)
    fig.update_yaxes(title_text="request [number in order of arrival]", dtick=2, col=1)
    title = "A busy stretch of the real engine, in two orders"
    return fig.update_layout(title=title, bargap=0.25, **ROOM)


def request_errors(frame: pd.DataFrame) -> go.Figure:
    """Draw the forecast completion time of every request against the real one, first repeats."""
    part = frame[frame["repeat"] == 0]
    fig = go.Figure()
    most = float(max(part["jct_s"].max(), part["simulated_jct_s"].max()))
    fig.add_scatter(
        x=[0, most], y=[0, most], mode="lines", line={"color": INK, "dash": "dot", "width": 1}, name="equal"
    )
    symbols = dict(zip(dict.fromkeys(part["trace"]), ("circle", "diamond-open", "square"), strict=False))
    for (trace, policy), rows in part.groupby(["trace", "policy"], sort=False):
        fig.add_scatter(
            x=rows["jct_s"],
            y=rows["simulated_jct_s"],
            mode="markers",
            marker={"color": colour(NAMES[policy]), "symbol": symbols[trace], "size": 8},
            name=f"{NAMES[policy]}, {trace}",
            customdata=rows["request"],
            hovertemplate="request %{customdata}: real %{x:.1f} s, simulated %{y:.1f} s<extra></extra>",
        )
    fig.update_xaxes(title_text="real completion time [s]", rangemode="tozero")
    fig.update_yaxes(title_text="simulated completion time [s]", rangemode="tozero")
    return fig.update_layout(title="Request by request: who finished when", height=480)


def predictor_latency(frame: pd.DataFrame) -> go.Figure:
    """Draw how long the proxy took for each request inside the serving loop, one line a trace."""
    served = frame[frame["policy"] == "ssjf"]
    fig = go.Figure()
    for place, (trace, part) in enumerate(served.groupby("trace", sort=False)):
        values = np.sort(1000 * part["predict_s"])
        fig.add_scatter(
            x=values,
            y=(np.arange(len(values)) + 1) / len(values),
            mode="lines+markers",
            marker={"size": 5},
            line={"color": (colour("SSJF"), SPARE[0], SPARE[1])[place % 3], "shape": "hv"},
            name=f"{trace}: median {np.median(values):.1f} ms",
        )
    fig.add_vline(x=PAPER_PEAK_MS, line={"color": COLOURS["paper"], "dash": "dot"})
    note = {"yref": "paper", "showarrow": False, "xanchor": "right", "xshift": -4}
    fig.add_annotation(text="peak of the released figure, 38 ms", x=PAPER_PEAK_MS, y=0.1, **note)
    fig.update_xaxes(title_text="time of one prediction [ms]", rangemode="tozero")
    fig.update_yaxes(title_text="predictions that take no longer [share]", tickformat=".0%")
    return fig.update_layout(title="What a prediction takes while the engine is busy")
