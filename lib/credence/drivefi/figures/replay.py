"""One fault told: golden against faulty traces of every module, and where the fault was masked."""

import html

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench import theme
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.data.variables import INDEX, VARIABLES
from credence.drivefi.figures.animation import scene_animation
from credence.drivefi.world.simulate import HAZARD_GAP_M, HAZARD_LANE_M, Traces
from credence.drivefi.world.token import Replay


def told(run: Replay, golden: Traces, faulty: Traces) -> list[str]:
    """Return the variables in which the faulty run ever differs from the golden one, in the order of the data flow."""
    return [
        item.name
        for item in VARIABLES
        if np.any(golden.values[:, INDEX[item.name]] != faulty.values[:, INDEX[item.name]])
    ]


def trace_figure(run: Replay, golden: Traces, faulty: Traces, names: list[str] | None = None) -> go.Figure:
    """Return traces of module outputs, golden and faulty, one row a variable, in the order of the data flow.

    Parameters
    ----------
    run : Replay
        The fault.
    golden, faulty : Traces
        Both runs.
    names : list of str, optional
        Variables to show; default: those in which the runs differ.
    """
    names = names or told(run, golden, faulty) or [run.variable]
    declared = {item.name: item for item in VARIABLES}
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.3 / max(len(names), 2) ** 1.2)
    begin = run.scene * (golden.time_s[1] - golden.time_s[0])
    end = (run.scene + run.duration) * (golden.time_s[1] - golden.time_s[0])
    for row, name in enumerate(names, 1):
        item = declared[name]
        for label, one, colour in (("golden", golden, "neutral"), ("faulty", faulty, "bad")):
            figure.add_scatter(
                x=one.time_s,
                y=one.values[:, INDEX[name]],
                name=label,
                legendgroup=label,
                showlegend=row == 1,
                line={"color": theme.COLOURS[colour], "width": 3.5 if one is golden else 1.5, "shape": "hv"},
                row=row,
                col=1,
            )
        figure.add_vrect(
            x0=begin, x1=end, fillcolor=theme.COLOURS["accent"], opacity=0.25, line_width=0, row=row, col=1
        )
        figure.update_yaxes(title=None if item.categories else f"[{item.unit or '1'}]", row=row, col=1)
        if item.categories:
            figure.update_yaxes(
                tickvals=list(range(len(item.categories))), ticktext=list(item.categories), row=row, col=1
            )
        figure.add_annotation(
            text=name.replace("_", " "),
            xref="x domain" if row == 1 else f"x{row} domain",
            yref="y domain" if row == 1 else f"y{row} domain",
            x=0,
            y=1,
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            font={"size": 12},
        )
    figure.update_xaxes(range=[max(0.0, begin - 3.0), min(float(golden.time_s[-1]), end + 10.0)])
    figure.update_xaxes(title="time [s]", row=len(names), col=1)
    figure.update_layout(height=140 + 105 * len(names), margin={"t": 60}, legend={"y": 1 + 0.35 / len(names)})
    return figure


def safety_figure(run: Replay, golden: Traces, faulty: Traces) -> go.Figure:
    """Return gap, distance from the lane's centre and the two safety potentials over time, golden and faulty."""
    rows = (
        ("gap to closest in path [m]", "cipo_m", HAZARD_GAP_M),
        ("off the lane's centre [m]", "lane_offset_m", HAZARD_LANE_M),
        ("δ along the lane [m]", "delta_along_m", 0.0),
        ("δ across the lane [m]", "delta_across_m", 0.0),
    )
    figure = make_subplots(rows=2, cols=2, vertical_spacing=0.1, horizontal_spacing=0.12)
    for number, (title, name, limit) in enumerate(rows):
        place = {"row": number // 2 + 1, "col": number % 2 + 1}
        for label, one, colour in (("golden", golden, "neutral"), ("faulty", faulty, "bad")):
            values = getattr(one, name)
            figure.add_scatter(
                x=one.time_s,
                y=np.where(values >= 119.9, np.nan, values) if name == "cipo_m" else values,
                name=label,
                legendgroup=label,
                showlegend=number == 0,
                line={"color": theme.COLOURS[colour], "width": 4 if one is golden else 1.8},
                **place,
            )
        figure.add_hline(y=limit, line={"dash": "dot", "color": theme.COLOURS["paper"], "width": 1}, **place)
        begin = float(golden.time_s[run.scene])
        figure.add_vline(x=begin, line={"color": theme.COLOURS["accent"], "width": 1}, **place)
        figure.update_yaxes(title=title, **place)
    figure.update_xaxes(title="time [s]", row=2)
    figure.update_layout(height=560, legend={"y": 1.08})
    return figure


def page(run: Replay, golden: Traces, faulty: Traces, place: Scenario) -> str:
    """Return a page of its own, without a reference to any other host.

    Parameters
    ----------
    run, golden, faulty, place
        As for `scene_animation`.
    """
    verdict = "critical" if faulty.margin_m <= 0 else "not critical"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>DriveFI replay</title>",
        "<style>body{font-family:system-ui,sans-serif;max-width:1100px;margin:24px auto;color:#1F2933}</style>",
        "</head><body>",
        f"<h1>One fault, replayed: {verdict}</h1><p><code>{html.escape(run.line())}</code></p>",
        f"<p>Margin {golden.margin_m:.3f} m without the fault, {faulty.margin_m:.3f} m with it; at most 0 is a hazard: "
        f"closer than {HAZARD_GAP_M:g} m to the closest in-path obstacle, or more than {HAZARD_LANE_M:g} m off the "
        "lane's centre. Simulated.</p>",
        scene_animation(run, golden, faulty, place).to_html(full_html=False, include_plotlyjs=True, auto_play=False),
        safety_figure(run, golden, faulty).to_html(full_html=False, include_plotlyjs=False),
        "<h2>Module outputs that differ, in the order of the data flow</h2>",
        trace_figure(run, golden, faulty).to_html(full_html=False, include_plotlyjs=False),
        "</body></html>",
    ]
    return "\n".join(parts)
