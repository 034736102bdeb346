"""One plotly theme and one colour for each system, in every report."""

import plotly.graph_objects as go
import plotly.io as pio

# Okabe–Ito colours first: told apart by colour-blind readers, on screen and on paper.
COLOURS = {
    "paper": "#111111",
    "ours": "#0072B2",
    "FCFS": "#7A7A7A",
    "SSJF": "#0072B2",
    "SJF (oracle)": "#009E73",
    "SRPT": "#56B4E9",
    "pSRPT": "#CC79A7",
    "MLFQ": "#E69F00",
    "random": "#A6761D",
    "Linux": "#7A7A7A",
    "CounterMiner": "#E69F00",
    "interpolation": "#CC79A7",
    "trapezoid": "#A6761D",
    "plain Kalman": "#56B4E9",
    "joint posterior": "#0072B2",
    "oracle covariance": "#009E73",
    "good": "#009E73",
    "bad": "#D55E00",
    "neutral": "#9AA5B1",
    "accent": "#0072B2",
}
SPARE = ("#6A3D9A", "#B15928", "#1B9E77", "#E7298A", "#66A61E", "#7570B3", "#D95F02", "#386CB0")
KINDS = {"measured": "#00664A", "third party": "#7A4B00", "simulated": "#5B3A8C"}
_ALIASES = {
    "fcfs": "FCFS",
    "sjf": "SJF (oracle)",
    "ssjf": "SSJF",
    "srpt": "SRPT",
    "psrpt": "pSRPT",
    "mlfq": "MLFQ",
}


def colour(system: str) -> str:
    """Return the colour of `system`, the same in every figure; unknown names get a stable spare one."""
    name = _ALIASES.get(system, system)
    if name in COLOURS:
        return COLOURS[name]
    # a sum over characters is stable from run to run, unlike hash()
    return SPARE[sum(map(ord, name)) % len(SPARE)]


def template() -> go.layout.Template:
    """Return the theme: white ground, thin grid, legend above, room for axis titles with units."""
    axis = {
        "showgrid": True,
        "gridcolor": "#E8ECF0",
        "zeroline": False,
        "linecolor": "#9AA5B1",
        "showline": True,
        "ticks": "outside",
        "tickcolor": "#9AA5B1",
        "ticklen": 4,
        "automargin": True,
        "title": {"standoff": 8},
    }
    return go.layout.Template(
        layout={
            "font": {
                "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
                "size": 13,
                "color": "#1F2933",
            },
            "title": {"font": {"size": 16}, "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 12}},
            "paper_bgcolor": "#FFFFFF",
            "plot_bgcolor": "#FFFFFF",
            "colorway": ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", *SPARE],
            "colorscale": {"sequential": "Viridis", "diverging": "RdBu"},
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 64, "r": 24, "t": 72, "b": 56},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": {"text": ""}},
            "hoverlabel": {"font": {"family": "system-ui, sans-serif"}},
            "height": 420,
        },
        # the layout's colour scale does not reach heat maps
        data={"heatmap": [{"colorscale": "Viridis"}]},
    )


def band(colour_hex: str, opacity: float = 0.18) -> str:
    """Return `colour_hex` (``#RRGGBB``) as a translucent fill for an interval."""
    red, green, blue = (int(colour_hex[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def install() -> None:
    """Make the theme plotly's default and have figures stored as data, not as megabytes of script."""
    pio.templates["credence"] = template()
    pio.templates.default = "credence"
    pio.renderers["plotly_mimetype"].config = {"showSendToCloud": False, "displaylogo": False}
    pio.renderers.default = "plotly_mimetype"


install()
