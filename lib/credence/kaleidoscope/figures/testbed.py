"""Figures of the test cluster: one run told, delays, causes, the time limit, overhead."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS
from credence.kaleidoscope.evaluate.testbed import Calibration

TARGETS = {"ost_A": "#0072B2", "ost_B": "#D55E00", "ost_C": "#009E73", "ost_D": "#CC79A7"}
CAUSES = {"reliability": "#0072B2", "overload": "#E69F00", "unknown": "#BBBBBB"}
OUTCOME_TIMEOUT_S = 1.0


def story(run: pd.Series, pings: pd.DataFrame, seen: pd.DataFrame, known: Calibration) -> go.Figure:
    """Draw one run: every write to an existing file by its latency, and beneath who is blamed window by window."""
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.06)
    writes = pings[(pings["operation"] == "wrex") & (pings["outcome"] != "missing")]
    for target, rows in writes.groupby("target"):
        fig.add_scatter(
            x=rows["time_s"], y=1e3 * rows["latency_s"], mode="markers", name=target, row=1, col=1,
            marker={"color": TARGETS[target], "size": 5, "opacity": 0.75},
            hovertemplate=f"{target}<br>%{{x:.2f}} s: %{{y:.1f}} ms<extra></extra>",
        )  # fmt: skip
    fig.add_scatter(
        x=[0, float(pings["time_s"].max())], y=[1e3 * known.slo_s["wrex"]] * 2, mode="lines", name="time limit", row=1,
        col=1, line={"color": "#555555", "dash": "dash", "width": 1}, hoverinfo="skip",
    )  # fmt: skip
    rows = [(end, each) for end, blamed in zip(seen["end_s"], seen["blamed"], strict=True) for each in blamed]
    fig.add_scatter(
        x=[end for end, _ in rows], y=["<br>or ".join(each.components) for _, each in rows], mode="markers", row=2,
        col=1, showlegend=False, marker={"symbol": "square", "size": 11, "color": COLOURS["ours"]},
        text=[str(each) for _, each in rows], hovertemplate="window to %{x:.0f} s: %{text}<extra></extra>",
    )  # fmt: skip
    fig.add_vrect(x0=run["began_s"], x1=run["ended_s"], fillcolor="#000000", opacity=0.07, line_width=0)
    fig.update_yaxes(type="log", title_text="write [ms]", range=[-0.5, 3.2], row=1, col=1)
    fig.update_yaxes(title_text="blamed", row=2, col=1)
    fig.update_xaxes(title_text="time in the run [s]; shaded: the fault", row=2, col=1)
    return fig.update_layout(height=520)


def delays(scores: pd.DataFrame, window_s: float) -> go.Figure:
    """Draw the time from each fault to the first window that blames the right place; crosses: not localised."""
    fig = go.Figure()
    faulty = scores[scores["fault"] != "none"].reset_index(drop=True)
    order = list(dict.fromkeys(faulty["fault"]))
    across = faulty["fault"].map(order.index) + 0.12 * (faulty["repeat"] - 1)
    for good, name, symbol, colour in (
        (True, "localised", "circle", COLOURS["ours"]),
        (False, "not for long", "x", "#999999"),
    ):
        rows = faulty["localised"].astype(bool) == good
        fig.add_scatter(
            x=across[rows], y=faulty.loc[rows, "delay_s"], mode="markers", name=name,
            text=faulty.loc[rows, "component"], marker={"symbol": symbol, "size": 11, "color": colour},
            hovertemplate="%{text}: %{y:.1f} s<extra></extra>",
        )  # fmt: skip
    fig.add_hline(
        y=window_s, line={"color": COLOURS["paper"], "dash": "dot", "width": 1},
        annotation_text="paper: within a window", annotation_position="top left",
    )  # fmt: skip
    fig.update_xaxes(tickvals=list(range(len(order))), ticktext=order, title_text="kind of fault [name]")
    fig.update_yaxes(title_text="until the right place is blamed [s]", rangemode="tozero")
    return fig.update_layout(height=400)


def causes(counted: pd.DataFrame, truth: dict[str, str]) -> go.Figure:
    """Draw the causes found, a bar a kind of fault; counted as in `evaluate.testbed_tables.causes`."""
    rules = list(dict.fromkeys(counted["rule"]))
    fig = make_subplots(rows=1, cols=len(rules), shared_yaxes=True, subplot_titles=rules, horizontal_spacing=0.04)
    kinds = list(dict.fromkeys(counted["fault"]))
    for column, rule in enumerate(rules, start=1):
        rows = counted[counted["rule"] == rule]
        for cause, colour in CAUSES.items():
            runs = [int(rows.loc[(rows["fault"] == kind) & (rows["cause"] == cause), "runs"].sum()) for kind in kinds]
            fig.add_bar(
                y=[f"{kind}<br>({truth[kind]})" for kind in kinds], x=runs, name=cause, orientation="h", row=1,
                col=column, marker_color=colour, showlegend=column == 1, legendgroup=cause,
                hovertemplate=f"{cause}: %{{x}} runs<extra></extra>",
            )  # fmt: skip
        fig.update_xaxes(title_text="runs [count]", dtick=1, row=1, col=column)
    return fig.update_layout(height=420, barmode="stack")


def limits(points: pd.DataFrame) -> go.Figure:
    """Draw what the time limit decides, over the quantile of the base runs that it is set to."""
    fig = go.Figure()
    text = [f"{value:.0f} ms" for value in points["wrex_ms"]]
    for name, title, colour in (
        ("localised", "runs localised", COLOURS["ours"]),
        ("false_windows", "windows without a fault that blame", "#D55E00"),
    ):
        fig.add_scatter(
            x=[f"{100 * q:g} %<br>{ms}" for q, ms in zip(points["quantile"], text, strict=True)], y=100 * points[name],
            mode="lines+markers", name=title, line={"color": colour}, hovertemplate="%{y:.1f} %<extra></extra>",
        )  # fmt: skip
    fig.update_xaxes(
        title_text="quantile of the latencies without a fault [%], and the limit of a write [ms]", type="category"
    )
    fig.update_yaxes(title_text="share [%]", range=[-3, 103])
    return fig.update_layout(height=400)


def overhead(rows: pd.DataFrame) -> go.Figure:
    """Draw the load's throughput by how often is probed, round by round, beside the paper's Table III."""
    fig = go.Figure()
    without = rows.loc[rows["interval_s"].isna(), "written_bytes_per_s"]
    noise = 100 * (without - without.mean()) / without.mean()
    fig.add_scatter(
        x=["no probes"] * len(noise), y=100 + noise, mode="markers", name="rounds without probes, around their mean",
        marker={"color": "#999999", "size": 9}, hovertemplate="%{y:.1f} %<extra></extra>",
    )  # fmt: skip
    probed = rows[rows["interval_s"].notna()].sort_values("interval_s", ascending=False)
    labels = [f"every {value:g} s" for value in probed["interval_s"]]
    fig.add_scatter(
        x=labels, y=probed["percent"], mode="markers", name="a round with probes over the same round without",
        marker={"color": COLOURS["ours"], "size": 9}, hovertemplate="%{y:.1f} %<extra></extra>",
    )  # fmt: skip
    means = probed.groupby("interval_s", sort=False)["percent"].mean()
    fig.add_scatter(
        x=[f"every {value:g} s" for value in means.index], y=means, mode="markers", name="mean",
        marker={"symbol": "line-ew", "size": 34, "line": {"width": 3, "color": COLOURS["ours"]}},
        hovertemplate="mean %{y:.1f} %<extra></extra>",
    )  # fmt: skip
    for value, text in (
        (99.99, "paper: 6 monitors a minute 99.99 %"),
        (97.58, "paper: 100 monitors every 30 s 97.58 %"),
    ):
        fig.add_hline(y=value, line={"color": COLOURS["paper"], "dash": "dot", "width": 1})
        place = {"yshift": 9 if value > 99 else -9}
        fig.add_annotation(
            x=0.42, xref="paper", xanchor="left", y=value, text=text, showarrow=False, font_size=11, **place
        )
    low = float(np.floor(min(probed["percent"].min(), 100 + noise.min()) / 10) * 10)
    fig.update_yaxes(title_text="throughput of the load [%]", range=[low, max(118.0, probed["percent"].max() + 4)])
    return fig.update_layout(height=430)
