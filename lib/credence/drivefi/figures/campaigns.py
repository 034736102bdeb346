"""Figures of the campaigns: Fig. 11 and 12 with the paper's values drawn in, vulnerability, and what is critical."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from credence.bench import theme

LIMITS = {"min_cipo_m": 1.0, "max_lane_offset_m": 0.8}
TITLES = {"min_cipo_m": "min-CIPO [m]", "max_lane_offset_m": "max-LK [m]"}


def boxes(goldens: pd.DataFrame, runs: pd.DataFrame, paper: pd.DataFrame, stack: str, platform: str) -> go.Figure:
    """Return box plots of closest approach and lane keeping by campaign (Fig. 11), the paper's values beside them.

    Parameters
    ----------
    goldens, runs : DataFrame
        Of ``evaluate.campaigns``.
    paper : DataFrame
        ``fig11_campaigns``.
    stack, platform : str
        Ours and the paper's.
    """
    own = runs[runs["stack"] == stack]
    plain = goldens[(goldens["stack"] == stack) & (goldens["margin_m"] > 0)]
    groups = [("golden", plain), *own.groupby("campaign", sort=False)]
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    names = [name for name, _ in groups][::-1]
    for column, quantity in enumerate(TITLES, 1):
        for name, one in groups:
            # a car that has left the road is drawn at 2 m: how far it drove on says nothing
            values = one[quantity].clip(upper=20.0 if quantity == "min_cipo_m" else 2.0)
            marker = {"color": theme.COLOURS["ours"], "size": 3}
            quartiles = values.quantile([0.25, 0.5, 0.75])
            iqr = quartiles[0.75] - quartiles[0.25]
            low = values[values >= quartiles[0.25] - 1.5 * iqr].min()
            high = values[values <= quartiles[0.75] + 1.5 * iqr].max()
            figure.add_box(
                y=[name],
                q1=[quartiles[0.25]],
                median=[quartiles[0.5]],
                q3=[quartiles[0.75]],
                lowerfence=[low],
                upperfence=[high],
                orientation="h",
                marker=marker,
                line={"width": 1.2},
                showlegend=False,
                name=name,
                row=1,
                col=column,
            )
            outside = values[(values < low) | (values > high)].round(2).drop_duplicates()
            figure.add_scatter(
                x=outside,
                y=[name] * len(outside),
                mode="markers",
                marker=marker | {"opacity": 0.5},
                showlegend=False,
                name=name,
                row=1,
                col=column,
            )
        told = paper[(paper["platform"] == platform) & (paper["quantity"] == quantity) & paper["campaign"].isin(names)]
        for number, (kind, symbol) in enumerate(
            (("low", "line-ns-open"), ("median", "diamond"), ("high", "line-ns-open"))
        ):
            shown = told.dropna(subset=[kind])
            figure.add_scatter(
                x=shown[kind].clip(upper=20.0 if quantity == "min_cipo_m" else 2.0),
                y=shown["campaign"],
                mode="markers",
                name=("paper, median" if kind == "median" else "paper, ends"),
                legendgroup=kind if kind == "median" else "ends",
                showlegend=column == 1 and number < 2,
                marker={
                    "color": theme.COLOURS["paper"],
                    "symbol": symbol,
                    "size": 9 if kind == "median" else 14,
                    "line": {"width": 2, "color": theme.COLOURS["paper"]},
                },
                row=1,
                col=column,
            )
        figure.update_xaxes(title=TITLES[quantity], row=1, col=column)
        figure.add_vline(x=LIMITS[quantity], line={"dash": "dot", "color": theme.COLOURS["bad"]}, row=1, col=column)
    figure.update_yaxes(categoryorder="array", categoryarray=names)
    figure.update_layout(height=620, legend={"y": 1.07})
    return figure


def flip_outcomes(found: pd.DataFrame) -> go.Figure:
    """Return what flipped bits came to: one bar a campaign, its hazards in words at the end.

    Parameters
    ----------
    found : DataFrame
        Of ``further_campaigns.summary``, rows with outcomes: masked, sdc, due, hazard [%], low, high.
    """
    rows = found.dropna(subset=["masked"]).iloc[::-1]
    names = [f"{campaign} ({stack})" for campaign, stack in rows.index]
    figure = go.Figure()
    for outcome, name, colour in (
        ("masked", "masked", "neutral"),
        ("due", "detected (DUE)", "ours"),
        ("sdc", "wrong actuation (SDC)", "bad"),
    ):
        figure.add_bar(x=rows[outcome], y=names, name=name, orientation="h", marker={"color": theme.COLOURS[colour]})
    small = {"size": 12}
    for name, row in zip(names, rows.itertuples(index=False), strict=True):
        told = f"{row[rows.columns.get_loc('hazard [%]')]:.2g} % [{row.low:.2g}, {row.high:.2g}]"
        figure.add_annotation(x=101, y=name, text=told, showarrow=False, xanchor="left", font=small, bgcolor="white")
    figure.add_annotation(
        x=101, y=1.0, yref="paper", yanchor="bottom", text="hazards", showarrow=False, xanchor="left", font=small
    )
    figure.update_xaxes(title="share of flips [%]", range=[0, 125], tickvals=[0, 20, 40, 60, 80, 100])
    figure.update_layout(height=170 + 30 * len(rows), barmode="stack", legend={"traceorder": "normal"})
    return figure


def vulnerability(found: pd.DataFrame, paper: pd.DataFrame) -> go.Figure:
    """Return module vulnerability factors, ours with intervals, beside the paper's.

    Parameters
    ----------
    found : DataFrame
        platform, target, mean, lo, hi [%].
    paper : DataFrame
        ``vulnerability``.
    """
    platforms = list(dict.fromkeys(found["platform"]))
    figure = make_subplots(
        rows=1, cols=len(platforms), shared_yaxes=True, subplot_titles=platforms, horizontal_spacing=0.05
    )
    for column, platform in enumerate(platforms, 1):
        one = found[found["platform"] == platform]
        figure.add_bar(
            x=one["target"],
            y=one["mean"],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": one["hi"] - one["mean"],
                "arrayminus": one["mean"] - one["lo"],
            },
            name="ours",
            legendgroup="ours",
            showlegend=column == 1,
            marker={"color": theme.COLOURS["ours"]},
            row=1,
            col=column,
        )
        told = paper[paper["platform"] == platform.split(",")[0]]
        figure.add_scatter(
            x=told["target"],
            y=told["percent"],
            mode="markers",
            name="paper",
            legendgroup="paper",
            showlegend=column == 1,
            marker={"color": theme.COLOURS["paper"], "symbol": "diamond", "size": 11},
            row=1,
            col=column,
        )
    figure.update_yaxes(title="worse than the worst golden run [%]", row=1, col=1)
    figure.update_layout(height=440)
    return figure


def compensation(found: pd.DataFrame, rate_hz: float) -> go.Figure:
    """Return how much more the stack brakes after a throttle fault (Fig. 12), one line a first scene."""
    figure = go.Figure()
    for number, (scene, one) in enumerate(found.groupby("first")):
        figure.add_scatter(
            x=one["scene"],
            y=one["compensation"],
            name=f"fault from scene {scene}",
            line={"color": theme.template().layout.colorway[number], "width": 2},
        )
    figure.add_hline(
        y=6.0,
        line={"dash": "dot", "color": theme.COLOURS["paper"]},
        annotation={"text": "paper, after recovery (its scale may be another)", "font": {"size": 12}},
        annotation_position="top left",
    )
    figure.update_xaxes(title=f"scene K [{rate_hz:g} a second]")
    figure.update_yaxes(title="compensation c<sub>K</sub> [scenes of full brake]")
    return figure


def shortest(found: pd.DataFrame) -> go.Figure:
    """Return the shortest hazardous run of scenes by fault type; types that never are hazardous stay out."""
    shown = found.dropna(subset=["scenes"]).sort_values("scenes", ascending=False)
    figure = go.Figure(
        go.Scatter(
            x=shown["scenes"],
            y=shown["variable"] + " = " + shown["value"].str.removeprefix("class:"),
            mode="markers",
            marker={"color": theme.COLOURS["ours"], "size": 10},
        )
    )
    figure.update_xaxes(title="shortest fault with a hazard [scenes]", type="log", tickvals=[1, 2, 5, 10, 20, 50, 100])
    figure.update_layout(height=160 + 22 * max(len(shown), 4), showlegend=False)
    return figure


def critical_shares(found: pd.DataFrame, paper: pd.DataFrame) -> go.Figure:
    """Return shares of the critical single faults by variable [%], the enumerated truth beside the paper's 561."""
    ours = (100.0 * found["variable"].value_counts(normalize=True)).sort_values()
    figure = go.Figure()
    figure.add_bar(
        x=ours.to_numpy(),
        y=ours.index,
        orientation="h",
        name="ours, all there are",
        marker={"color": theme.COLOURS["ours"]},
    )
    told = paper[paper["variable"].isin(ours.index)]
    figure.add_scatter(
        x=told["percent"],
        y=told["variable"],
        mode="markers",
        name="paper, found by its engine",
        marker={"color": theme.COLOURS["paper"], "symbol": "diamond", "size": 11},
        text=told["as_the_paper_says"],
    )
    figure.update_xaxes(title="share of critical faults [%]")
    figure.update_layout(height=180 + 24 * len(ours))
    return figure
