"""Faults in two worlds, and outcomes of bit flips."""

import pandas as pd
import plotly.graph_objects as go

from credence.bench import theme
from credence.drivefi.figures.race import COLOURS, LABELS
from credence.drivefi.world.bitflips import LAYERS

OWN_FIRST = "own world first"


def two_worlds(runs: pd.DataFrame) -> go.Figure:
    """Return margins of the same faults in the own world (across) and among highway-env's traffic (up)."""
    figure = go.Figure()
    for group, colour in (("random", "neutral"), ("critical", "bad")):
        part = runs[runs["group"] == group]
        figure.add_scatter(
            x=part["margin_m"],
            y=part["there_m"],
            mode="markers",
            name=f"{group} faults",
            text=part["scenario"]
            + ", scene "
            + part["scene"].astype(str)
            + ", "
            + part["variable"]
            + "="
            + part["value"],
            marker={"color": theme.COLOURS[colour], "opacity": 0.7},
        )
    figure.add_hline(y=0.0, line_dash="dot")
    figure.add_vline(x=0.0, line_dash="dot")
    figure.update_xaxes(title="margin in the own world [m]").update_yaxes(title="margin in highway-env [m]")
    return figure


def dear(runs: pd.DataFrame) -> go.Figure:
    """Return hazards found in highway-env over simulations, all seeds together, by selector.

    Parameters
    ----------
    runs : DataFrame
        ``selector``, ``seed``, ``simulation`` (from 1), ``there_m`` [m]. Seeds have about as many simulations each.
    """
    figure = go.Figure()
    for name, part in runs.groupby("selector", sort=False):
        hits = (part["there_m"] <= 0).groupby(part["simulation"]).sum().cumsum()
        figure.add_scatter(
            x=hits.index,
            y=hits,
            name="own world's margin first" if name == OWN_FIRST else LABELS[name],
            line={"color": theme.COLOURS["good"] if name == OWN_FIRST else COLOURS[name], "shape": "hv"},
        )
    figure.update_yaxes(title="hazards found, all seeds [1]", rangemode="tozero")
    return figure.update_xaxes(title="simulations a seed [1]")


def rates(table: pd.DataFrame) -> go.Figure:
    """Return the share of critical faults [%] by variable (rows), one bar for each pool (columns)."""
    figure = go.Figure()
    for name, colour in zip(table.columns, (theme.COLOURS["ours"], theme.COLOURS["bad"]), strict=True):
        figure.add_bar(x=table.index, y=table[name], name=name, marker_color=colour)
    return figure.update_yaxes(title="critical faults [%]").update_xaxes(tickangle=-40)


def outcomes(flips: pd.DataFrame) -> go.Figure:
    """Return the shares [%] of silent corruptions and detected errors by layer."""
    figure = go.Figure()
    for outcome, colour in (("sdc", "bad"), ("due", "neutral")):
        share = 100.0 * (flips["outcome"] == outcome).groupby(flips["layer"]).mean().reindex(list(LAYERS))
        figure.add_bar(x=list(LAYERS), y=share, name=outcome.upper(), marker_color=theme.COLOURS[colour])
    figure.update_yaxes(title="share of flips [%]").update_xaxes(title="where the bit flips")
    return figure
