"""One fault seen from above, scene by scene: the golden run beside the faulty one, with what the stack believes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench import theme
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.data.variables import INDEX
from credence.drivefi.world.safety import stop_displacement
from credence.drivefi.world.simulate import HAZARD_GAP_M, Traces
from credence.drivefi.world.stage import SIZES
from credence.drivefi.world.token import Replay

MOST_FRAMES = 50
BEHIND_M, AHEAD_M, SIDE_M = 8.0, 55.0, 5.0
AFTER = 8  # scenes shown after the closest approach, and before the fault
CAR_M = SIZES["vehicle"]
AWAY_M = -1000.0  # what is not there: an empty trace would keep the frame before


def shown_scenes(run: Replay, faulty: Traces, most: int = MOST_FRAMES) -> tuple[np.ndarray, int]:
    """Return the scenes to show [frames], from shortly before the fault to shortly after the smallest margin, and the
    frame of that margin.

    Scene of fault and scene of smallest margin are always among them.
    """
    worst = faulty.worst_scene
    first, last = max(0, min(run.scene, worst) - AFTER), min(len(faulty.time_s) - 1, max(run.scene, worst) + AFTER)
    spread = np.linspace(first, last, min(most - 2, last - first + 1)).round().astype(int)
    scenes = np.unique(np.r_[spread, run.scene, worst])
    return scenes, int(np.searchsorted(scenes, worst))


def box(rear: float, middle: float, length: float, width: float) -> tuple[list, list]:
    """Return the outline of something on the road, a gap at its end, as ways ahead and to the left [m]."""
    half = width / 2
    return (
        [rear, rear + length, rear + length, rear, rear, None],
        [middle - half, middle - half, middle + half, middle + half, middle - half, None],
    )


def _drawn(one: Traces, scene: int, kinds: Sequence[str], a_max: float) -> list[dict]:
    """Return what the traces of one run show in one scene, in their order; the car's front is at 0."""
    ego = box(-CAR_M[0], float(one.offset_m[scene]), *CAR_M)
    others: tuple[list, list] = ([], [])
    for kind, (gap, side, *_) in zip(kinds, one.actors[scene], strict=True):
        if -BEHIND_M <= gap <= AHEAD_M and abs(side) <= SIDE_M:
            for whole, part in zip(others, box(float(gap), float(side), *SIZES[kind]), strict=True):
                whole.extend(part)
    stop = float(stop_displacement(one.speed_mps[scene], 0.0, 0.0, a_max)[0])
    free = stop + float(one.delta_along_m[scene])
    seen = one.values[scene, INDEX["fused_obstacle_class"]] > 0
    believed = float(one.values[scene, INDEX["fused_obstacle_distance"]]) if seen else AWAY_M
    lines = [
        ego,
        others if others[0] else ([AWAY_M], [0.0]),
        ([0.0, stop], [-3.4, -3.4]),
        ([0.0, min(free, AHEAD_M)], [-4.2, -4.2]),
        ([believed], [0.0]),
    ]
    return [{"x": _rounded(x), "y": _rounded(y)} for x, y in lines]


def _rounded(values: list) -> list:
    return [None if value is None else round(float(value), 2) for value in values]


def _told(run: Replay, golden: Traces, faulty: Traces, scene: int, period: float) -> str:
    when = "the fault is set" if run.scene <= scene < run.scene + run.duration else ""
    when = when or f"{(scene - run.scene) * period:+.1f} s from the fault"
    now = [min(float(one.cipo_m[scene]), 120.0) for one in (golden, faulty)]
    return f"scene {scene}, {when}: gap {now[0]:.1f} m golden, {now[1]:.1f} m faulty"


def scene_animation(run: Replay, golden: Traces, faulty: Traces, place: Scenario, a_max: float = 8.0) -> go.Figure:
    """Return the animation, opened at the faulty run's smallest margin.

    Parameters
    ----------
    run : Replay
        The fault.
    golden, faulty : Traces
        Both runs.
    place : Scenario
        Where both went.
    a_max : float
        Deceleration of the emergency stop [m/s²].
    """
    scenes, worst = shown_scenes(run, faulty)
    kinds = [actor.kind for actor in place.actors]
    period = float(golden.time_s[1] - golden.time_s[0])
    rows = (("golden", golden, "neutral"), (f"{run.variable} = {run.value}", faulty, "bad"))
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12, subplot_titles=[name for name, *_ in rows]
    )
    for row, (_, one, colour) in enumerate(rows, 1):
        looks = (
            ("the car", {"mode": "lines", "fill": "toself", "line": {"color": theme.COLOURS[colour], "width": 2}}),
            ("others", {"mode": "lines", "fill": "toself", "line": {"color": theme.COLOURS["accent"], "width": 2}}),
            ("d_stop", {"mode": "lines", "line": {"color": theme.COLOURS["paper"], "width": 5}}),
            ("d_safe", {"mode": "lines", "line": {"color": "#009E73", "width": 5}}),
            ("what the stack believes", {"mode": "markers", "marker": {"symbol": "x", "size": 10, "color": "#6A3D9A"}}),
        )
        for (name, look), drawn in zip(looks, _drawn(one, scenes[worst], kinds, a_max), strict=True):
            shown = row == 2 and name != "the car"
            figure.add_scatter(**drawn, **look, name=name, legendgroup=name, showlegend=shown, row=row, col=1)
        for side in (-0.5, 0.5):
            figure.add_hline(
                y=side * place.lane_width_m, line={"color": "#9AA5B1", "dash": "dash", "width": 1}, row=row, col=1
            )
        figure.add_vline(
            x=HAZARD_GAP_M, line={"color": theme.COLOURS["bad"], "dash": "dot", "width": 1}, row=row, col=1
        )
        figure.update_yaxes(title="to the left [m]", range=[-SIDE_M, SIDE_M], row=row, col=1)
    figure.update_xaxes(range=[-BEHIND_M, AHEAD_M])
    figure.update_xaxes(title="ahead of the car, along the lane [m]", row=2, col=1)
    steps = []
    for scene in scenes.tolist():
        text = _told(run, golden, faulty, scene, period)
        drawn = [part for _, one, _ in rows for part in _drawn(one, scene, kinds, a_max)]
        figure.frames += (go.Frame(data=drawn, traces=list(range(len(drawn))), name=str(scene)),)
        arguments = [[str(scene)], {"mode": "immediate", "frame": {"duration": 0}, "transition": {"duration": 0}}]
        steps.append({"label": text, "method": "animate", "args": arguments})
    play = [None, {"frame": {"duration": 1000 * period}, "transition": {"duration": 0}, "fromcurrent": True}]
    halt = [[None], {"mode": "immediate", "frame": {"duration": 0}, "transition": {"duration": 0}}]
    buttons = [{"label": name, "method": "animate", "args": a} for name, a in (("play", play), ("pause", halt))]
    place = {"type": "buttons", "direction": "left", "x": 0, "y": -0.2, "xanchor": "left", "yanchor": "top"}
    figure.update_layout(
        height=580,
        margin={"t": 90, "b": 130},
        legend={"y": 1.14},
        updatemenus=[place | {"buttons": buttons, "showactive": False}],
        sliders=[
            {
                "active": worst,
                "steps": steps,
                "x": 0.2,
                "len": 0.8,
                "y": -0.16,
                "currentvalue": {"xanchor": "left", "font": {"size": 13, "color": theme.COLOURS["paper"]}},
                "ticklen": 0,
                "minorticklen": 0,
                "font": {"color": "rgba(0,0,0,0)", "size": 1},
            }
        ],
    )
    return figure
