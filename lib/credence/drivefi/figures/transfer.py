"""Faults in two worlds, and outcomes of bit flips."""

import pandas as pd
import plotly.graph_objects as go

from credence.bench import theme
from credence.drivefi.world.bitflips import LAYERS


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


def outcomes(flips: pd.DataFrame) -> go.Figure:
    """Return the shares [%] of silent corruptions and detected errors by layer."""
    figure = go.Figure()
    for outcome, colour in (("sdc", "bad"), ("due", "neutral")):
        share = 100.0 * (flips["outcome"] == outcome).groupby(flips["layer"]).mean().reindex(list(LAYERS))
        figure.add_bar(x=list(LAYERS), y=share, name=outcome.upper(), marker_color=theme.COLOURS[colour])
    figure.update_yaxes(title="share of flips [%]").update_xaxes(title="where the bit flips")
    return figure
