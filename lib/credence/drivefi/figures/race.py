"""Figures of the selectors: recall over simulations, recall by seed, heat maps of scene × fault, ablations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench import theme
from credence.bench.errors import choose

LABELS = {
    "gp": "GP, P(fail), patient",
    "gp-impatient": "GP, P(fail), no patience",
    "gp-lcb": "GP, LCB",
    "gp-diverse": "GP, many and diverse",
    "gp-ei": "GP, EI",
    "gp-straddle": "GP, straddle",
    "gp-refit": "GP, kernel refitted",
    "gp-mean": "GP on the 3-TBN's mean",
    "gp-plain": "GP, no 3-TBN, no sizes",
    "size": "expected size, no learning",
    "srmf": "SRMF-like completion",
    "tbn": "3-TBN (paper)",
    "tbn-rolling": "3-TBN, 15 slices",
    "tbn-regimes": "3-TBN, 15 slices, regimes",
    "tpe": "Optuna TPE",
    "taliro": "psy-taliro annealing",
    "verifai": "VerifAI cross-entropy",
    "tpe-size": "Optuna TPE, by size",
    "taliro-size": "psy-taliro, by size",
    "verifai-size": "VerifAI, by size",
    "random": "random",
}
COLOURS = {
    "gp": theme.COLOURS["ours"],
    "gp-impatient": "#7570B3",
    "gp-lcb": "#56B4E9",
    "gp-diverse": "#4D4D9A",
    "gp-ei": "#E69F00",
    "gp-straddle": "#CC79A7",
    "gp-refit": "#A6761D",
    "gp-mean": "#1B9E77",
    "gp-plain": "#66A61E",
    "size": "#9AA5B1",
    "srmf": "#D55E00",
    "tbn": "#111111",
    "tbn-rolling": "#6A3D9A",
    "tbn-regimes": "#B15928",
    "tpe": "#009E73",
    "taliro": "#E7298A",
    "verifai": "#8C6BB1",
    "tpe-size": "#00755A",
    "taliro-size": "#B01E68",
    "verifai-size": "#5E3C99",
    "random": theme.COLOURS["random"],
}


MEASURES = {
    "recall": "recall of all critical faults [%]",
    "precision": "critical among those simulated so far [%]",
}


def curves_of(
    curves: pd.DataFrame, selectors: Sequence[str], measure: str = "recall", bands: Sequence[str] = ("gp",)
) -> go.Figure:
    """Return recall or precision over simulations: mean over seeds, band from the 5th to the 95th percentile of seeds.

    Parameters
    ----------
    curves : DataFrame
        ``selector``, ``seed``, ``simulations``, and ``recall`` or ``hazards`` [1].
    selectors : sequence of str
        Those to draw, in the legend's order.
    measure : str
        One of `MEASURES`.
    bands : sequence of str
        Those that get a band: ten of them hide one another.

    Raises
    ------
    InputError
        For another measure.
    """
    choose(measure, tuple(MEASURES), "measure")
    share = curves["recall"] if measure == "recall" else curves["hazards"] / curves["simulations"]
    curves = curves.assign(share=100 * share)
    figure = go.Figure()
    at = np.linspace(1, curves["simulations"].max(), 60)
    for name in selectors:
        one = curves[curves["selector"] == name]
        found = np.array([np.interp(at, g["simulations"], g["share"]) for _, g in one.groupby("seed")])
        if name in bands:
            low, high = np.quantile(found, [0.05, 0.95], axis=0)
            both = np.concatenate([at, at[::-1]])
            figure.add_scatter(
                x=both,
                y=np.concatenate([high, low[::-1]]),
                fill="toself",
                fillcolor=theme.band(COLOURS[name], 0.12),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        line = {"color": COLOURS[name], "width": 3 if name == "gp" else 1.8}
        figure.add_scatter(x=at, y=found.mean(axis=0), name=LABELS[name], line=line, mode="lines")
    figure.update_xaxes(title="simulations, training runs included [runs]")
    figure.update_yaxes(title=MEASURES[measure], rangemode="tozero")
    return figure.update_layout(height=480, margin={"t": 110})


def recall_by_seed(rows: pd.DataFrame) -> go.Figure:
    """Return one row of points a selector: recall of each seed, and the mean; goals as lines."""
    order = rows.groupby("selector")["recall"].mean().sort_values().index
    figure = go.Figure()
    for name in order:
        one = rows[rows["selector"] == name]
        marker = {"color": COLOURS[name], "size": 7, "opacity": 0.55}
        label = LABELS[name]
        figure.add_scatter(
            x=100 * one["recall"],
            y=[label] * len(one),
            mode="markers",
            marker=marker,
            showlegend=False,
            text=[f"seed {seed}" for seed in one["seed"]],
        )
        mean = {"color": COLOURS[name], "size": 15, "symbol": "line-ns-open", "line": {"width": 3}}
        figure.add_scatter(x=[100 * one["recall"].mean()], y=[label], mode="markers", marker=mean, showlegend=False)
    for value, text in ((50, "worst"), (65, "mean")):
        figure.add_vline(value, line={"dash": "dot", "color": "#9AA5B1"}, annotation_text=f"goal, {text}")
    figure.update_xaxes(title="recall at a budget of 0.8 % of the pool [%]; bar: mean over seeds", range=[-2, 102])
    figure.update_yaxes(title="selector [name]")
    return figure.update_layout(height=80 + 30 * len(order), margin={"l": 190})


def heat_maps(panels: dict[str, np.ndarray], types: Sequence[str], queried: tuple, limit: float = 3.0) -> go.Figure:
    """Return scene × fault type as heat maps, one below another, all with one colour scale.

    Parameters
    ----------
    panels : dict of str to array [types, scenes]
        Margins [m]; a panel with ``sd`` in its name gets a scale of its own.
    types : sequence of str
        Names of the rows.
    queried : tuple of array
        Scene, row and whether critical, of the faults simulated.
    limit : float
        Margins are drawn up to this [m].
    """
    figure = make_subplots(
        rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.05, subplot_titles=list(panels)
    )
    for row, (name, values) in enumerate(panels.items(), 1):
        spread = " sd" in name
        scale = (
            {"colorscale": "Cividis", "zmin": 0} if spread else {"colorscale": "RdBu", "zmin": -limit, "zmax": limit}
        )
        bar = {
            "len": 0.9 / len(panels),
            "y": 1 - (row - 0.5) / len(panels),
            "title": {"text": "sd [m]" if spread else "margin [m]"},
        }
        figure.add_heatmap(z=np.round(values, 2), y=list(types), colorbar=bar, row=row, col=1, **scale)
    scene, kind, critical = queried
    for hit, colour in ((False, "#111111"), (True, "#E69F00")):
        rows = critical == hit
        figure.add_scatter(
            x=scene[rows],
            y=[types[i] for i in kind[rows]],
            mode="markers",
            marker={"size": 4, "color": colour, "symbol": "circle-open" if not hit else "circle"},
            name="simulated, critical" if hit else "simulated, safe",
            row=len(panels),
            col=1,
        )
    figure.update_yaxes(tickfont={"size": 9}, title="fault type [name]")
    figure.update_xaxes(title="scene [number]", row=len(panels), col=1)
    figure.update_layout(height=60 + len(panels) * (90 + 15 * len(types)), margin={"l": 190, "t": 100})
    return figure.update_layout(legend={"y": 1.05})
