"""Figures of the safety potential: how it is made, the worked examples, and what unpublished constants do to it."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench import theme
from credence.drivefi.world.safety import d_stop


def stop_paths(speed: float, steers, a_max: float, wheelbase: float, lane_width: float, width: float) -> go.Figure:
    """Return the emergency stop's path for several steering angles, with the lane's borders as objects."""
    figure = go.Figure()
    for number, steer in enumerate(steers):
        # the path up to each speed is the stop's displacement less that of what is left
        speeds = np.linspace(0.0, speed, 60)
        way = (speed**2 - speeds**2) / (2 * a_max)
        bend = np.tan(steer) / wheelbase
        turned = bend * way
        x = np.where(np.abs(turned) < 1e-9, way, np.sin(turned) / (bend or 1.0))
        y = np.where(np.abs(turned) < 1e-9, 0.0, (1 - np.cos(turned)) / (bend or 1.0))
        end = d_stop(speed, 0.0, steer, a_max, wheelbase)
        shade = theme.template().layout.colorway[number]
        figure.add_scatter(x=x, y=y, name=f"φ = {steer:g} rad", line={"color": shade, "width": 2.5})
        figure.add_scatter(
            x=[end[0]], y=[end[1]], mode="markers", marker={"color": shade, "size": 10}, showlegend=False, name="stop"
        )
    for side in (-1, 1):
        figure.add_hline(
            y=side * (lane_width - width) / 2, line={"dash": "dot", "color": theme.COLOURS["paper"], "width": 1}
        )
    figure.update_xaxes(title="along the lane [m]")
    figure.update_yaxes(title="across the lane [m]")
    return figure


def example_one(found: pd.DataFrame) -> go.Figure:
    """Return the smallest delta of example 1 by how long the throttle is at 0.6; one line a scenario seed."""
    figure = go.Figure()
    for number, (seed, one) in enumerate(found.groupby("seed")):
        points = pd.concat([one.iloc[:1].assign(duration=0, faulty_m=one["golden_m"].iloc[0]), one])
        figure.add_scatter(
            x=points["duration"] / 30.0,
            y=points["faulty_m"],
            mode="lines+markers",
            name="ours, one line a scenario seed",
            legendgroup="ours",
            showlegend=number == 0,
            line={"color": theme.COLOURS["ours"], "width": 1.5},
            hovertemplate=f"seed {seed}: %{{y:.2f}} m after %{{x:.2f}} s<extra></extra>",
        )
    for value, words in ((2.0, "paper, scene 1B"), (-1.0, "paper, scene 1C")):
        figure.add_hline(
            y=value,
            line={"dash": "dot", "color": theme.COLOURS["paper"]},
            annotation={"text": words, "font": {"size": 12}},
            annotation_position="bottom right",
        )
    figure.update_xaxes(title="throttle at 0.6 for [s]")
    figure.update_yaxes(title="smallest δ along the lane [m]")
    return figure


def example_two(found: pd.DataFrame) -> go.Figure:
    """Return the share of hazardous runs of example 2 by where the hidden vehicle is, and by the delay."""
    table = found.assign(hazard=100.0 * found["hazard"]).pivot_table(index="delay", columns="gap_m", values="hazard")
    figure = go.Figure(
        go.Heatmap(
            x=[f"{gap:g}" for gap in table.columns],
            y=[f"{delay}" for delay in table.index],
            z=table.to_numpy(),
            zmin=0,
            zmax=100,
            colorbar={"title": {"text": "hazards [%]"}},
            hovertemplate="gap %{x} m, %{y} scenes: %{z:.0f} %<extra></extra>",
        )
    )
    figure.update_xaxes(title="hidden vehicle at the start [m ahead]", type="category")
    figure.update_yaxes(title="detection struck off [scenes]", type="category")
    return figure


def by_a_max(found: pd.DataFrame) -> go.Figure:
    """Return the share of golden scenes that count as unsafe, by a_max."""
    figure = go.Figure()
    for number, (scenario, one) in enumerate(found.groupby("scenario")):
        figure.add_scatter(
            x=one["a_max_mps2"],
            y=one["unsafe_scenes_pct"],
            mode="lines+markers",
            name=str(scenario),
            line={"color": theme.template().layout.colorway[number], "width": 2},
        )
    figure.update_xaxes(title="a_max [m/s²]")
    figure.update_yaxes(title="golden scenes with δ ≤ 0 [%]", rangemode="tozero")
    return figure


def sensitivity(found: pd.DataFrame, shown: int = 24) -> go.Figure:
    """Return by how much each constant moves the base rate of critical faults and the golden run's margin."""
    base = found[found["constant"] == "none"].iloc[0]
    rest = found[found["constant"] != "none"]
    # a hazardous golden run has no base rate: its constant stands at the very top
    moved = (rest["critical_pct"].fillna(100.0) - base["critical_pct"]).abs().groupby(rest["constant"]).max()
    names = list(moved.sort_values(kind="stable").index[-shown:])
    figure = make_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.04,
    )
    for factor, one in rest[rest["constant"].isin(names)].groupby("factor"):
        colour = theme.COLOURS["ours" if factor < 1 else "bad"]
        for column, name in ((1, "critical_pct"), (2, "golden_margin_m")):
            figure.add_scatter(
                x=one[name],
                y=one["constant"],
                mode="markers",
                name=f"× {factor:g}",
                legendgroup=str(factor),
                showlegend=column == 1,
                marker={"color": colour, "size": 9, "symbol": "circle" if factor < 1 else "diamond"},
                row=1,
                col=column,
            )
    for column, name in ((1, "critical_pct"), (2, "golden_margin_m")):
        figure.add_vline(
            x=float(base[name]), line={"dash": "dot", "color": theme.COLOURS["paper"], "width": 1}, row=1, col=column
        )
    figure.update_yaxes(categoryorder="array", categoryarray=names, tickfont={"size": 11})
    figure.update_xaxes(title="critical single faults [%]", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title="golden margin [m]", row=1, col=2)
    figure.update_layout(height=180 + 20 * len(names), legend={"y": 1.06})
    return figure
