"""Faults in two worlds, and outcomes of bit flips."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench import theme
from credence.drivefi.figures.race import COLOURS, LABELS
from credence.drivefi.world.bitflips import LAYERS

PAPER_LEVELS = {"detected": "detected", "misclassified": "wrong class", "actuation": "wrong actuation"}
KIND_COLOURS = ("ours", "good", "bad")
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


def levels(found: pd.DataFrame, told: pd.DataFrame, hazards: tuple[float, float, float]) -> go.Figure:
    """Return how far flips get, from the class to the hazard, one panel a stack; a triangle: none, at most so many.

    Parameters
    ----------
    found : DataFrame
        Of ``hardware.levels`` by stack and kind.
    told : DataFrame
        ``gpu_flips``: the paper's, drawn beside stack D.
    hazards : tuple of float
        The paper's hazards [%] with their interval.
    """
    stacks = list(dict.fromkeys(found["stack"]))
    names = list(dict.fromkeys(found["level"]))
    kinds = list(dict.fromkeys(found["kind"]))
    titles = [f"stack {stack}" for stack in stacks]
    figure = make_subplots(
        rows=1, cols=len(stacks), shared_xaxes=True, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04
    )
    row_of = {name: len(names) - 1 - number for number, name in enumerate(names)}
    printed = told.set_index("quantity")["percent"]
    paper = [(name, printed[quantity], printed[quantity], printed[quantity]) for quantity, name in PAPER_LEVELS.items()]
    paper.append(("hazard", *hazards))
    for column, stack in enumerate(stacks, 1):
        one = found[found["stack"] == stack]
        series = [
            (kind, theme.COLOURS[colour], [*part[["level", "percent", "low", "high"]].itertuples(index=False)])
            for (kind, part), colour in zip(one.groupby("kind", sort=False), KIND_COLOURS, strict=False)
        ]
        if stack == "D":
            series.append(("paper, GPU registers", theme.COLOURS["paper"], paper))
        for number, (kind, colour, points) in enumerate(series):
            offset = 0.24 - 0.16 * number
            figure.add_scatter(
                # a share of none cannot stand on this axis: its upper limit does, as a triangle that points down to it
                x=[share if share > 0 else high for _, share, _, high in points],
                y=[row_of[name] + offset for name, *_ in points],
                mode="markers",
                name=kind,
                legendgroup=kind,
                showlegend=kind not in kinds or column == 1,
                marker={
                    "color": colour,
                    "size": 9,
                    "symbol": [_symbol(share, colour) for _, share, *_ in points],
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [high - share if share > 0 else 0.0 for _, share, _, high in points],
                    "arrayminus": [share - low for _, share, low, _ in points],
                    "thickness": 1.4,
                    "width": 0,
                },
                row=1,
                col=column,
            )
    figure.update_xaxes(title="share of flips [%]", type="log", tickvals=[0.01, 0.1, 1, 10], range=[-2.3, 1.3])
    figure.update_yaxes(tickvals=list(row_of.values()), ticktext=list(row_of), range=[-0.5, len(names) - 0.5])
    figure.update_yaxes(title="how far a flip gets [level]", row=1, col=1)
    return figure.update_layout(height=460, margin={"t": 90}, legend={"y": 1.1})


def _symbol(share: float, colour: str) -> str:
    if share <= 0:
        return "triangle-left"
    return "diamond" if colour == theme.COLOURS["paper"] else "circle"
