"""Figures of the length predictors: tidy frame in, plotly figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS, band

AUTHORS_TAU = 0.635  # Kendall's tau-b of the authors' five classes on their own data
KINDS = {
    "ceiling": COLOURS["good"],
    "proxy": COLOURS["ours"],
    "stack": "#6A3D9A",
    "baseline": COLOURS["bad"],
    "authors": COLOURS["paper"],
}
KIND_NAMES = {
    "ceiling": "noise ceiling: mean of the prompt's other answers",
    "proxy": "fine-tuned proxy",
    "stack": "several predictors combined",
    "baseline": "baseline",
    "authors": "the authors' predictions",
}
SCHEDULES = {"paper": COLOURS["paper"], "fast": COLOURS["ours"]}
GREY = "#52606D"


def _bars(rows: pd.DataFrame, value: str, colour: str = GREY) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": (rows["hi"] - rows[value]).round(4).tolist(),
        "arrayminus": (rows[value] - rows["lo"]).round(4).tolist(),
        "thickness": 2,
        "width": 0,
        "color": colour,
    }


def legend_once(fig: go.Figure) -> go.Figure:
    """Return the figure with every name in its legend once, however many panels it has."""
    seen = set()
    for trace in fig.data:
        trace.update(showlegend=bool(trace.name) and trace.name not in seen, legendgroup=trace.name or "")
        seen.add(trace.name)
    return fig


def tau_ladder(frame: pd.DataFrame, sets: Mapping[str, str], authors: float = AUTHORS_TAU) -> go.Figure:
    """Draw Kendall's tau of every predictor between nothing and the noise ceiling, one panel a data set.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``set``, ``predictor``, ``kind`` (one of `KINDS`), ``tau``, ``lo``, ``hi`` (90 % over prompts), ``recorded``
        (bool: read from the file in git, not computed in this run).
    sets : mapping of str to str
        What is shown, and its title.
    authors : float
        The authors' tau, on their own data.
    """
    shown = [name for name in sets if name in set(frame["set"])]
    counts = [int((frame["set"] == name).sum()) for name in shown]
    fig = make_subplots(
        len(shown), 1, subplot_titles=[sets[n] for n in shown], vertical_spacing=0.2 / max(len(shown), 1),
        row_heights=counts, shared_xaxes=True,
    )  # fmt: skip
    for row, name in enumerate(shown, start=1):
        part = frame[frame["set"] == name].sort_values("tau")
        for kind in KINDS:
            for recorded, symbol in ((False, "circle"), (True, "circle-open")):
                rows = part[(part["kind"] == kind) & (part["recorded"] == recorded)]
                if rows.empty:
                    continue
                where = ", recorded" if recorded else ""
                fig.add_scatter(
                    x=rows["tau"].round(4),
                    y=rows["predictor"],
                    error_x=_bars(rows, "tau", KINDS[kind]),
                    mode="markers",
                    marker={
                        "size": 10,
                        "color": KINDS[kind],
                        "symbol": symbol,
                        "line": {"width": 2, "color": KINDS[kind]},
                    },
                    name=f"{KIND_NAMES[kind]}{where}",
                    hovertemplate="%{y}: %{x:.3f}<extra></extra>",
                    row=row,
                    col=1,
                )
        fig.update_yaxes(categoryorder="array", categoryarray=part["predictor"].tolist(), row=row, col=1)
        ceiling = part.loc[part["kind"] == "ceiling", "tau"]
        if len(ceiling):
            fig.add_vline(ceiling.iloc[0], line={"color": KINDS["ceiling"], "width": 1}, row=row, col=1)
        fig.add_vline(0, line={"color": GREY, "width": 1}, row=row, col=1)
        fig.add_vline(authors, line={"color": COLOURS["paper"], "dash": "dot", "width": 1.5}, row=row, col=1)
    # the line as a trace too, so that it has a name in the legend
    line = {"color": COLOURS["paper"], "dash": "dot", "width": 1.5}
    fig.add_scatter(
        x=[None], y=[None], mode="lines", line=line, name=f"authors' five classes on their own data: {authors:g}"
    )
    low = min(frame["lo"].min(), 0.0)
    fig.update_xaxes(range=[low - 0.03, 1.0], showticklabels=True)
    fig.update_xaxes(title_text="Kendall's tau-b with the answer's length [1]", row=len(shown), col=1)
    fig.update_yaxes(title_text="predictor [name]")
    height = 190 + 110 * len(shown) + 23 * sum(counts)
    # three rows of legend above the first panel's title
    return legend_once(fig).update_layout(
        height=height, margin={"t": 160, "l": 220}, legend={"y": 1 + 34 / (height - 220)}
    )


def lengths_overview(lengths: pd.DataFrame, spread: pd.DataFrame) -> go.Figure:
    """Draw how long the answers are, and how much answers to one prompt differ.

    Parameters
    ----------
    lengths : pandas.DataFrame
        ``set``, ``tokens``: one row an answer.
    spread : pandas.DataFrame
        ``set``, ``cv``: coefficient of variation within a prompt, one row a prompt.
    """
    fig = make_subplots(1, 2, horizontal_spacing=0.1)
    names = list(dict.fromkeys(lengths["set"]))
    tints = dict(zip(names, (COLOURS["ours"], COLOURS["bad"], COLOURS["good"], "#CC79A7"), strict=False))
    for name in names:
        tokens = lengths.loc[lengths["set"] == name, "tokens"].to_numpy(dtype=float)
        share = np.linspace(1, 1 / len(tokens), 160)
        style = {"mode": "lines", "line": {"color": tints[name], "width": 2.5}, "name": name}
        fig.add_scatter(x=np.quantile(tokens, 1 - share).round(2), y=share.round(4), **style, row=1, col=1)
        cv = spread.loc[spread["set"] == name, "cv"].to_numpy(dtype=float)
        if cv.size:
            places = np.linspace(0, 1, 120)
            fig.add_scatter(x=np.quantile(cv, places).round(4), y=places.round(4), **style, row=1, col=2)
    fig.update_xaxes(title_text="answer length t [tokens]", type="log", row=1, col=1)
    fig.update_yaxes(title_text="answers of at least t [share]", row=1, col=1)
    fig.update_xaxes(title_text="spread within a prompt: sd over mean [1]", row=1, col=2)
    fig.update_yaxes(title_text="prompts below [share]", row=1, col=2)
    return legend_once(fig).update_layout(height=380, margin={"t": 90})


def predicted_against_true(frame: pd.DataFrame, most: int = 500) -> go.Figure:
    """Draw predicted over true length, a panel each data set; answers cut off at a limit point up.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``set``, ``tokens`` (true), ``predicted`` [tokens], ``censored`` (bool), optional ``lo90``, ``hi90`` [tokens].
    most : int
        Points drawn in a panel, evenly spaced over the rows.
    """
    names = list(dict.fromkeys(frame["set"]))
    fig = make_subplots(1, len(names), subplot_titles=names, horizontal_spacing=0.08)
    for column, name in enumerate(names, start=1):
        part = frame[frame["set"] == name]
        part = part.iloc[np.unique(np.linspace(0, len(part) - 1, min(most, len(part))).astype(int))]
        ends = [float(np.floor(part["tokens"].clip(lower=1).min())), float(np.ceil(part["tokens"].max()))]
        line = {"color": GREY, "width": 1}
        fig.add_scatter(
            x=ends, y=ends, mode="lines", line=line, name="prediction = length", hoverinfo="skip", row=1, col=column
        )
        if "lo90" in part:
            ordered = part.sort_values("predicted")
            fig.add_scatter(
                y=np.concatenate([ordered["predicted"], ordered["predicted"][::-1]]).round(1),
                x=np.concatenate([ordered["lo90"], ordered["hi90"][::-1]]).round(1),
                fill="toself", fillcolor=band(COLOURS["ours"], 0.12), line={"width": 0}, mode="lines",
                name="90 % band", hoverinfo="skip", row=1, col=column,
            )  # fmt: skip
        for censored, symbol, wording in ((False, "circle", "answers"), (True, "triangle-right", "cut off: longer")):
            rows = part[part["censored"] == censored]
            if rows.empty:
                continue
            tint = COLOURS["bad"] if censored else COLOURS["ours"]
            fig.add_scatter(
                x=rows["tokens"],
                y=rows["predicted"].round(1),
                mode="markers",
                marker={"size": 5, "opacity": 0.55, "color": tint, "symbol": symbol},
                name=wording,
                hovertemplate="%{x} tokens, predicted %{y}<extra></extra>",
                row=1,
                col=column,
            )
        fig.update_xaxes(title_text="true length [tokens]", type="log", row=1, col=column)
        fig.update_yaxes(type="log", row=1, col=column)
    fig.update_yaxes(title_text="predicted [tokens]", row=1, col=1)
    return legend_once(fig).update_layout(height=430, margin={"t": 100}, legend_y=1.1)


def heads(frame: pd.DataFrame, sets: Mapping[str, str]) -> go.Figure:
    """Draw tau of every head under both schedules, one panel a data set.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``set``, ``head``, ``schedule`` (``paper`` or ``fast``), ``tau``, ``lo``, ``hi``.
    sets : mapping of str to str
        What is shown, and its title.
    """
    shown = [name for name in sets if name in set(frame["set"])]
    titles = [sets[name].replace(": ", ":<br>") for name in shown]  # side by side, a title has half the width
    fig = make_subplots(1, len(shown), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.05)
    order = frame.groupby("head")["tau"].mean().sort_values().index.tolist()
    for column, name in enumerate(shown, start=1):
        for schedule, part in frame[frame["set"] == name].groupby("schedule"):
            shift = 0.12 if schedule == "fast" else -0.12
            fig.add_scatter(
                x=part["tau"].round(4),
                y=[order.index(head) + shift for head in part["head"]],
                error_x=_bars(part, "tau", SCHEDULES[schedule]),
                mode="markers",
                marker={"size": 10, "color": SCHEDULES[schedule]},
                name=f"{schedule} schedule",
                text=part["head"],
                hovertemplate="%{text}: %{x:.3f}<extra></extra>",
                row=1,
                col=column,
            )
        fig.update_xaxes(title_text="Kendall's tau-b [1]", row=1, col=column)
    fig.update_yaxes(tickvals=list(range(len(order))), ticktext=order)
    fig.update_yaxes(title_text="head [name]", row=1, col=1)
    return legend_once(fig).update_layout(height=260 + 38 * len(order), margin={"t": 130}, legend_y=1.16)


def training(frame: pd.DataFrame) -> go.Figure:
    """Draw a training as it went: tau on the validation part over epochs, one line a run.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``run``, ``epoch``, ``validation_tau`` [1], ``seconds`` since the start [s].
    """
    fig = go.Figure()
    for run, part in frame.groupby("run", sort=False):
        fig.add_scatter(
            x=part["epoch"],
            y=part["validation_tau"].round(4),
            customdata=part["seconds"].round(1),
            hovertemplate="epoch %{x}, after %{customdata} s: %{y:.3f}",
            mode="lines+markers",
            name=str(run),
        )
    fig.update_xaxes(title_text="epoch [passes over the training part]", dtick=1)
    fig.update_yaxes(title_text="Kendall's tau-b, validation part [1]")
    return fig.update_layout(height=330)


def latencies(frame: pd.DataFrame, marks: Mapping[str, float]) -> go.Figure:
    """Draw p50 and p99 of the time a prediction takes, per request.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``name``, ``p50_ms``, ``p99_ms`` [ms per request].
    marks : mapping of str to float
        Times to point out [ms].
    """
    rows = frame.iloc[::-1]
    fig = go.Figure()
    for low, high, name in zip(rows["p50_ms"], rows["p99_ms"], rows["name"], strict=True):
        style = {"mode": "lines", "line": {"color": COLOURS["neutral"], "width": 2}, "hoverinfo": "skip"}
        fig.add_scatter(x=[low, high], y=[name, name], showlegend=False, **style)
    for value, symbol, wording in (("p50_ms", "circle", "p50"), ("p99_ms", "line-ns-open", "p99")):
        line = {"width": 3, "color": COLOURS["ours"]}
        marker = {"size": 11, "color": COLOURS["ours"], "symbol": symbol, "line": line}
        fig.add_scatter(x=rows[value].round(4), y=rows["name"], mode="markers", marker=marker, name=wording)
    for place, (name, value) in enumerate(marks.items()):
        fig.add_vline(x=value, line={"color": COLOURS["paper"], "dash": "dot", "width": 1})
        # annotations on a log axis are placed by the exponent
        note = {"yref": "paper", "y": 0.02 + 0.09 * place, "xanchor": "left", "showarrow": False, "xshift": 4}
        fig.add_annotation(text=name, x=np.log10(value), **note)
    fig.update_xaxes(title_text="time of a prediction, per request [ms]", type="log", dtick=1)
    fig.update_yaxes(title_text="predictor [name]")
    return fig.update_layout(height=200 + 30 * len(rows))


def shift_matrix(frame: pd.DataFrame, order: Sequence[str] | None = None) -> go.Figure:
    """Draw what is left of tau when a predictor trained on one model's lengths orders another model's requests.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``predictor``, ``train``, ``serve`` (language models), ``tau``.
    order : sequence of str
        Models, in the order to show; as they come without it.
    """
    names = list(dict.fromkeys(frame["predictor"]))
    models = list(order or dict.fromkeys(frame["train"]))
    fig = make_subplots(1, len(names), subplot_titles=names, shared_yaxes=True, horizontal_spacing=0.04)
    for column, name in enumerate(names, start=1):
        table = frame[frame["predictor"] == name].pivot(index="train", columns="serve", values="tau")
        table = table.reindex(index=models, columns=models)
        words = [["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in table.to_numpy()]
        fig.add_heatmap(
            z=table.to_numpy().round(4),
            x=models,
            y=models,
            text=words,
            texttemplate="%{text}",
            coloraxis="coloraxis",
            hovertemplate="trained on %{y}, serving %{x}: %{z:.3f}<extra></extra>",
            name=name,
            row=1,
            col=column,
        )
        fig.update_xaxes(title_text="serving [language model]", tickangle=-40, row=1, col=column)
    fig.update_yaxes(autorange="reversed")
    fig.update_yaxes(title_text="trained on [language model]", row=1, col=1)
    scale = {"colorscale": "Viridis", "cmin": 0, "cmax": 0.8, "colorbar": {"title": {"text": "tau [1]"}}}
    return fig.update_layout(coloraxis=scale, height=300 + 26 * len(models), margin={"t": 60})


def coverage(frame: pd.DataFrame, nominal: float = 0.9) -> go.Figure:
    """Draw how often the true length falls into its band, over the predicted length.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``set``, ``predicted`` (middle of a group of prompts, [tokens]), ``covered``, ``lo``, ``hi`` [share].
    nominal : float
        What the band promises.
    """
    fig = go.Figure()
    for name, part in frame.groupby("set", sort=False):
        fig.add_scatter(
            x=part["predicted"].round(1),
            y=part["covered"].round(4),
            error_y=_bars(part, "covered"),
            mode="lines+markers",
            name=str(name),
        )
    fig.add_hline(nominal, line={"color": GREY, "dash": "dot"})
    fig.update_xaxes(title_text="predicted length, groups of prompts [tokens]", type="log")
    fig.update_yaxes(title_text="true lengths inside the band [share]", range=[0.5, 1.02])
    return fig.update_layout(height=340)
