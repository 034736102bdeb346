"""Figures of the PCIe case study: frame in, plotly figure out."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band

TINTS = {
    "Linux": "#7A7A7A",
    "CounterMiner": "#E69F00",
    "BayesPerf CPU": "#56B4E9",
    "BayesPerf": COLOURS["ours"],
    "exact": COLOURS["good"],
}
QUANTITIES = {
    "iterations": ("iterations to learn", COLOURS["ours"]),
    "learning_ms": ("shuffle, learned scheduler", COLOURS["bad"]),
    "filtering_ms": ("shuffle, filtering", "#E69F00"),
}
SERIES = {"paper": ("diamond", COLOURS["paper"]), "measured": ("circle", COLOURS["ours"])}
SERIES |= {"paper's errors": ("square", COLOURS["bad"])}


def _ribbon(fig: go.Figure, x, low, high, tint: str, column: int, row: int = 1) -> None:
    x, low, high = list(x), list(low), list(high)
    edge = [round(float(value), 4) for value in (*high, *low[::-1])]
    style = {"fill": "toself", "fillcolor": band(tint, 0.14), "line": {"width": 0}, "hoverinfo": "skip"}
    fig.add_scatter(x=[*x, *x[::-1]], y=edge, mode="lines", showlegend=False, row=row, col=column, **style)


def bandwidth(law: pd.DataFrame) -> go.Figure:
    """Return the paper's Fig 9 (``world.pcie.bandwidth_law``): bandwidth [GB/s] over message size, and their ratio."""
    fig = make_subplots(1, 2, subplot_titles=("bandwidth", "isolated over contended"), horizontal_spacing=0.11)
    series = {"isolated_GBps": ("isolated", COLOURS["good"])}
    series |= {"contention_GBps": ("beside halo exchange", COLOURS["bad"])}
    for column, (name, tint) in series.items():
        style = {"name": name, "mode": "lines+markers", "line_color": tint}
        fig.add_scatter(x=law["log2_bytes"], y=law[column], row=1, col=1, **style)
    ratio = (law["isolated_GBps"] / law["contention_GBps"]).round(3)
    style = {"mode": "lines+markers", "line_color": COLOURS["paper"], "showlegend": False}
    fig.add_scatter(x=law["log2_bytes"], y=ratio, row=1, col=2, **style)
    fig.update_xaxes(title_text="message size [log2 bytes]")
    fig.update_yaxes(title_text="bandwidth [GB/s]", row=1, col=1)
    fig.update_yaxes(title_text="ratio [1]", row=1, col=2)
    return fig.update_layout(height=380, margin={"t": 100}, legend_y=1.12)


def learning(panels: Mapping[str, pd.DataFrame], paper: pd.DataFrame) -> go.Figure:
    """Return loss over training iteration, a panel for each set of counter errors and one for the paper's Fig 10.

    Parameters
    ----------
    panels : mapping of str to pandas.DataFrame
        Title, and curves with ``system``, ``seed``, ``iteration``, ``loss``; bands are 90 % of the scenario seeds.
    paper : pandas.DataFrame
        Of ``evaluate.pcie.paper_figure_10``; its loss is over an isolated shuffle, not over an untrained scheduler's.
    """
    titles = [*panels, "paper, Fig 10"]
    fig = make_subplots(1, len(titles), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03)
    for column, curves in enumerate(panels.values(), start=1):
        for system, tint in TINTS.items():
            groups = curves[(curves["system"] == system) & (curves["iteration"] > 0)].groupby("iteration")["loss"]
            mean = groups.mean()
            if mean.empty:
                continue
            _ribbon(fig, mean.index, groups.quantile(0.05), groups.quantile(0.95), tint, column)
            style = {"line_color": tint, "name": system, "legendgroup": system, "showlegend": column == 1}
            fig.add_scatter(x=mean.index, y=mean.round(4), mode="lines", row=1, col=column, **style)
        fig.update_xaxes(type="log", dtick=1, title_text="training iteration, log scale [1]", row=1, col=column)
    for system, rows in paper.groupby("system", sort=False):
        style = {"mode": "lines", "line_color": TINTS[system], "legendgroup": system, "showlegend": False}
        fig.add_scatter(x=rows["iteration"], y=rows["loss"], row=1, col=len(titles), **style)
    fig.update_xaxes(title_text="training iteration [1]", row=1, col=len(titles))
    fig.update_yaxes(title_text="loss [1]", row=1, col=1)
    return fig.update_layout(height=420, margin={"t": 100}, legend_y=1.12)


def cuts(frame: pd.DataFrame) -> go.Figure:
    """Return what was claimed beside what came out, a row a comparison.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``comparison``, ``series`` (a key of `SERIES`), ``cut``, ``lo``, ``hi`` [%].
    """
    fig = go.Figure()
    for series, rows in frame.groupby("series", sort=False):
        symbol, tint = SERIES[series]
        around = {"array": (rows["hi"] - rows["cut"]).round(2).tolist()}
        around |= {"arrayminus": (rows["cut"] - rows["lo"]).round(2).tolist()}
        fig.add_scatter(
            x=rows["cut"].round(2),
            y=rows["comparison"],
            error_x={"type": "data", "symmetric": False, "thickness": 2, "width": 0} | around,
            mode="markers",
            marker={"size": 10, "color": tint, "symbol": symbol},
            name=series,
        )
    fig.add_vline(0, line={"color": "#5A6672", "width": 1})
    fig.update_xaxes(title_text="fewer iterations, or shorter shuffle [%]")
    fig.update_yaxes(title_text="comparison [name]", autorange="reversed")
    return fig.update_layout(height=440)


def by_error(runs: pd.DataFrame, systems: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """Return iterations to learn and the trained scheduler's loss over the mean error of counts, no system in mind.

    Parameters
    ----------
    runs : pandas.DataFrame
        Recorded rows of the break ``error``: ``strength`` is the mean error [1].
    systems : mapping of str to mapping of str to float
        For each set of errors, where the systems lie [1].
    """
    titles = ("iterations to the worst reader's level", "loss when trained")
    fig = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.1)
    for column, value in enumerate(("iterations", "final_loss"), start=1):
        groups = runs.groupby("strength")[value]
        mean = groups.mean()
        _ribbon(fig, mean.index, groups.quantile(0.05), groups.quantile(0.95), COLOURS["accent"], column)
        style = {"mode": "lines+markers", "line_color": COLOURS["accent"], "showlegend": False}
        fig.add_scatter(x=mean.index, y=mean.round(3), row=1, col=column, **style)
        for dash, (name, places) in zip(("dash", "dot"), systems.items(), strict=False):
            for system, place in places.items():
                line = {"color": TINTS[system], "dash": dash, "width": 1.5}
                fig.add_vline(place, line=line, row=1, col=column)
                if column == 1:
                    label = {"mode": "lines", "line": line, "name": f"{system}, {name}"}
                    fig.add_scatter(x=[None], y=[None], row=1, col=1, **label)
    fig.update_xaxes(title_text="mean error of a count [1]")
    fig.update_yaxes(title_text="iterations [1]", row=1, col=1)
    fig.update_yaxes(title_text="loss [1]", row=1, col=2)
    return fig.update_layout(height=420, margin={"t": 120}, legend_y=1.12)


def breaks(frame: pd.DataFrame, titles: Mapping[str, str], claimed: Sequence[float] = (37.0, 19.0, 8.7)) -> go.Figure:
    """Return what BayesPerf's counters cut against Linux's over the strength of each break, a panel each.

    Parameters
    ----------
    frame : pandas.DataFrame
        Of ``evaluate.pcie.break_curves``; bands are 90 % intervals over scenario seeds.
    titles : mapping of str to str
        Breaks to show and their axis titles.
    claimed : sequence of float
        The paper's cuts, in the order of `QUANTITIES` [%]; dotted.
    """
    names = [name for name in titles if name in set(frame["break"])]
    wide = min(4, len(names))
    tall = -(-len(names) // wide)
    fig = make_subplots(tall, wide, shared_yaxes=True, horizontal_spacing=0.025, vertical_spacing=0.5 / (tall + 1))
    for place, name in enumerate(names):
        row, column = place // wide + 1, place % wide + 1
        for (quantity, (wording, tint)), claim in zip(QUANTITIES.items(), claimed, strict=True):
            part = frame[(frame["break"] == name) & (frame["quantity"] == quantity)].sort_values("strength")
            _ribbon(fig, part["strength"], part["lo"], part["hi"], tint, column, row)
            style = {"name": wording, "legendgroup": quantity, "showlegend": place == 0, "marker_size": 5}
            points = {"x": part["strength"], "y": part["cut"].round(2), "line_color": tint}
            fig.add_scatter(mode="lines+markers", row=row, col=column, **points, **style)
            fig.add_hline(claim, line={"color": tint, "width": 1, "dash": "dot"}, row=row, col=column)
        fig.add_hline(0, line={"color": "#5A6672", "width": 1}, row=row, col=column)
        fig.update_xaxes(title_text=titles[name], title_font_size=12, row=row, col=column)
        if name == "rate":
            fig.update_xaxes(type="log", dtick=1, row=row, col=column)
    fig.update_yaxes(range=[-42, 102])  # a late posterior falls far below, where nothing more is to be seen
    fig.update_yaxes(title_text="cut against Linux [%]", col=1)
    return fig.update_layout(height=270 * tall + 60, margin={"t": 90}, legend_y=1.04)
