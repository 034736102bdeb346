"""Figures of the four published windows, and of a run of the test cluster."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS
from credence.kaleidoscope.figures.production import tint

MOST_ROWS = 7  # components shown of a window; a method that blames more says how many

KIND_ORDER = ("client", "net", "mds", "oss", "ost")
KIND_COLOURS = {"client": "#56B4E9", "net": "#CC79A7", "mds": "#E69F00", "oss": "#009E73", "ost": "#0072B2"}


def kind_of(component: str) -> str:
    """Return the kind that a component's name in ``bluewaters`` speaks of."""
    return next(kind for kind in KIND_ORDER if kind in component)


def answers(table: pd.DataFrame, methods: list[str], reading: str = "failed") -> go.Figure:
    """Draw who blames what: a panel a window, a column a method, a filled mark where the method blames a component.

    Parameters
    ----------
    table [rows, 6]
        :func:`credence.kaleidoscope.evaluate.incident_answers.read`.
    methods
        Columns, in order; ``"authors"`` is drawn in black.
    reading
        How rows that fail alike are taken.
    """
    down = table[(table["state"] == "down") & ((table["reading"] == reading) | (table["method"] == "authors"))]
    windows = sorted(table["window"].unique(), reverse=True)
    shown = {window: _leading(down[down["window"] == window], methods) for window in windows}
    figure = make_subplots(
        rows=len(windows), cols=1, shared_xaxes=True, vertical_spacing=0.07,
        row_heights=[max(2, len(shown[window])) + 0.5 for window in windows], subplot_titles=windows,
    )  # fmt: skip
    for k, window in enumerate(windows, 1):
        here = down[down["window"] == window]
        rows = shown[window]
        for method in methods:
            blamed = here[here["method"] == method]["component"]
            inside = [name for name in rows if name in set(blamed)]
            more = len(blamed) - len(inside)
            colour = COLOURS["paper"] if method == "authors" else tint(_family(method))
            figure.add_trace(
                go.Scatter(
                    x=[method] * len(inside), y=inside, mode="markers", showlegend=False, name=method,
                    marker={"symbol": "square", "size": 14, "color": colour},
                    hovertemplate=f"{method}: %{{y}}<extra>{window}</extra>",
                ), row=k, col=1,
            )  # fmt: skip
            if more:
                figure.add_annotation(
                    x=method, y=rows[0], yshift=-17, text=f"+{more} more", showarrow=False,
                    font={"size": 10, "color": "#52606D"}, row=k, col=1,
                )  # fmt: skip
        figure.update_yaxes(categoryorder="array", categoryarray=rows, range=[-1.1, len(rows) - 0.4], row=k, col=1)
    figure.update_xaxes(categoryorder="array", categoryarray=methods, range=[-0.6, len(methods) - 0.4])
    figure.update_layout(height=170 + 30 * sum(len(rows) + 2 for rows in shown.values()), margin={"l": 130})
    return figure


def _family(method: str) -> str:
    name = method.split(",")[0]
    return "ours" if name in ("exact", "MAP", "NUTS") else name


def _leading(here: pd.DataFrame, methods: list[str]) -> list[str]:
    """The components that most methods blame, those of the authors and ours first; bottom to top."""
    chosen = here[here["method"].isin(methods)]
    first = chosen["method"].isin(["authors", "exact", "NUTS"])
    votes = chosen.assign(weight=1 + 100 * first).groupby("component")["weight"].sum()
    order = sorted(votes.index, key=lambda name: (-votes[name], name))[:MOST_ROWS]
    return order[::-1]


def agreement(table: pd.DataFrame) -> go.Figure:
    """Draw P(failed) by NUTS (Beta model) over P(down) by the exact posterior (binary model), all components."""
    chosen = table[(table["reading"] == "failed") & table["method"].isin(["exact", "NUTS"])]
    both = chosen.pivot_table(index=["window", "component"], columns="method", values="score").dropna().reset_index()
    figure = go.Figure()
    for kind in KIND_ORDER:
        rows = both[both["component"].map(kind_of) == kind]
        figure.add_trace(
            go.Scatter(
                x=_logit(rows["exact"]), y=rows["NUTS"], mode="markers", name=kind,
                marker={"size": 7, "color": KIND_COLOURS[kind], "opacity": 0.7},
                text=rows["window"] + " " + rows["component"],
                customdata=rows["exact"],
                hovertemplate="%{text}<br>exact %{customdata:.3g}, NUTS %{y:.2f}<extra></extra>",
            )
        )  # fmt: skip
    ticks = np.array([1e-6, 1e-4, 1e-2, 0.5, 0.99, 0.9999, 0.999999])
    figure.add_hline(y=0.75, line={"dash": "dot", "color": COLOURS["paper"]}, annotation_text="the paper's 75 %")
    figure.update_layout(
        xaxis={
            "title": "P(down), exact, binary model [1]",
            "tickvals": _logit(ticks),
            "ticktext": [f"{t:g}" for t in ticks],
        },
        yaxis={"title": "P(health < 0.9), NUTS, Beta model [1]", "range": [-0.05, 1.05]},
    )
    return figure


def _logit(p) -> np.ndarray:
    p = np.clip(np.asarray(p, dtype=float), 1e-9, 1 - 1e-9)
    return np.log10(p / (1 - p))


def heat(failed_fraction: dict[str, np.ndarray]) -> go.Figure:
    """Draw a window of Blue Waters as the paper's Fig. 10 does: clients by targets, one panel a file system."""
    figure = make_subplots(rows=len(failed_fraction), cols=1, vertical_spacing=0.16, subplot_titles=[*failed_fraction])
    for k, share in enumerate(failed_fraction.values(), 1):
        clients = [f"client{c}" for c in range(len(share))]
        figure.add_trace(
            go.Heatmap(
                z=share, y=clients, zmin=0, zmax=1, colorscale="Reds", showscale=k == 1,
                colorbar={"title": "failed or<br>missing [1]"},
                hovertemplate="%{y}, target %{x}: %{z:.2f}<extra></extra>",
            ), row=k, col=1,
        )  # fmt: skip
    figure.update_xaxes(title="number of the target [index]", row=len(failed_fraction), col=1)
    figure.update_layout(height=560)
    return figure


def run_story(shares: pd.DataFrame, p_up: dict[str, pd.Series], truth: str) -> go.Figure:
    """Draw one run: the share of slow pings by path, and P(up) of every component by form of the model.

    Parameters
    ----------
    shares
        :func:`credence.kaleidoscope.evaluate.fault_runs.shares`.
    p_up
        P(up) by component name, one series a form of the model.
    truth
        The component that the fault was put into.
    """
    grid = shares.pivot_table(index="client", columns="path", values="slow", sort=False)
    figure = make_subplots(
        rows=2, cols=1, vertical_spacing=0.3, row_heights=[0.35, 0.65],
        subplot_titles=["share of slow pings by path", f"P(up) of every component (the fault was put into {truth})"],
    )  # fmt: skip
    figure.add_trace(
        go.Heatmap(
            z=grid.to_numpy(), x=list(grid.columns), y=list(grid.index), zmin=0, zmax=1, colorscale="Reds",
            colorbar={"title": "slow [1]", "len": 0.35, "y": 0.86},
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        ), row=1, col=1,
    )  # fmt: skip
    for (name, values), colour, symbol in zip(p_up.items(), ("#7A7A7A", COLOURS["ours"]), ("x", "circle"), strict=True):
        figure.add_trace(
            go.Scatter(
                x=list(values.index), y=values.to_numpy(), mode="markers", name=name,
                marker={"size": 11, "symbol": symbol, "color": colour},
            ), row=2, col=1,
        )  # fmt: skip
    figure.add_hrect(y0=0.25, y1=0.75, fillcolor="#9AA5B1", opacity=0.15, line_width=0, row=2, col=1)
    figure.update_yaxes(title="P(up) [1]", range=[-0.06, 1.08], row=2, col=1)
    figure.update_layout(height=560, legend={"y": 0.56, "x": 0.62})
    return figure
