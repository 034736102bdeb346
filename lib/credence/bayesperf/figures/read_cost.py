"""Figure of what a read costs: this run's ratios beside those of the paper's Fig 3."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench.theme import COLOURS

LINUX = "Linux"


def over_read(timed: pd.DataFrame, paper: pd.DataFrame) -> go.Figure:
    """Draw times over the median kernel read: this run on the left, the paper's on the right.

    Parameters
    ----------
    timed : pandas.DataFrame
        ``what``, ``seconds``: `evaluate.read_cost.measure`; its first rows are the kernel's read.
    paper : pandas.DataFrame
        Fig 3: ``method``, ``q1``, ``median``, ``q3``, ``whisk_lo``, ``whisk_hi`` [cycles].
    """
    fig = make_subplots(
        1, 2, subplot_titles=("this run", "paper, Fig 3"), shared_yaxes=True, horizontal_spacing=0.04,
        column_widths=[0.52, 0.48],
    )  # fmt: skip
    names = list(dict.fromkeys(timed["what"]))
    read = timed.loc[timed["what"] == names[0], "seconds"].median()
    for name in names:
        tint = COLOURS["neutral"] if name == names[0] else COLOURS["ours"]
        values = (timed.loc[timed["what"] == name, "seconds"] / read).round(5)
        label = name.replace(" of ", "<br>of ").replace(", ", ",<br>")
        fig.add_box(y=values, name=label, marker_color=tint, showlegend=False, row=1, col=1)
    base = float(paper.loc[paper["method"] == LINUX, "median"].iloc[0])
    for _, row in paper.iterrows():
        ends = {k: [round(row[v] / base, 4)] for k, v in _ENDS.items()}
        tint = COLOURS["neutral"] if row["method"] == LINUX else COLOURS["paper"]
        label = row["method"].replace("(", "<br>(").replace("+", "<br>+")
        fig.add_box(x=[label], name=label, marker_color=tint, showlegend=False, row=1, col=2, **ends)
    fig.add_hline(1.0, line={"color": COLOURS["paper"], "dash": "dot"})
    fig.update_yaxes(type="log", dtick=1)
    fig.update_yaxes(title_text="time over a kernel read [1]", col=1)
    fig.update_xaxes(title_text="operation [name]")
    return fig.update_layout(height=480)


_ENDS = {"q1": "q1", "median": "median", "q3": "q3", "lowerfence": "whisk_lo", "upperfence": "whisk_hi"}
