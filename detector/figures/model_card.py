"""Charts of the model card, as Plotly figures; all rates are drawn in parts of 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from detector.evaluation.estimates import interval
from detector.evaluation.result import Bin, CoveragePoint, Curve, Variant
from detector.models.networks.registry import ENSEMBLE, network_colour, network_title
from detector.palette import BAND_COLOURS
from detector.wording import BAND_SHORT

GREY = "#8a8f98"
BEFORE, AFTER = "#d98a00", "#3b82c4"
CURVES = {
    "confidence": ("Nearest to the limit left out first", "#3b82c4"),
    "quality": ("Lowest quality left out first", "#12948a"),
    "both": ("Both together", "#7a5cd6"),
    "random": ("Without any order", GREY),
}


def roc_chart(curves: Mapping[str, Curve]) -> go.Figure:
    """Draw true-positive rate against false-positive rate, with the diagonal of guessing."""
    figure = _curves(curves)
    figure.add_trace(_dashed([0, 1], [0, 1], "Guessing"))
    figure.update_layout(
        xaxis={"title": "Unaltered clips above the limit", "range": [0, 1]},
        yaxis={"title": "Manipulated clips above the limit", "range": [0, 1.01]},
    )
    return figure


def precision_recall_chart(curves: Mapping[str, Curve], share: float) -> go.Figure:
    """Draw precision against recall.

    Args:
        curves: by "ensemble" and each network's name.
        share: of the evaluated clips that are manipulated: the precision of guessing.
    """
    figure = _curves(curves)
    figure.add_trace(_dashed([0, 1], [share, share], "Guessing"))
    figure.update_layout(
        xaxis={"title": "Manipulated clips that are found", "range": [0, 1]},
        yaxis={"title": "Of those found, truly manipulated", "range": [0, 1.01]},
    )
    return figure


def reliability_chart(bins: Mapping[str, Sequence[Bin]]) -> go.Figure:
    """Draw the share manipulated against the mean score, a line for each name, and the ideal.

    Args:
        bins: by what to call them, for example "Before" and "After".
    """
    figure = go.Figure()
    colours = (AFTER,) if len(bins) == 1 else (BEFORE, AFTER)
    for (name, points), colour in zip(bins.items(), colours, strict=False):
        figure.add_trace(
            go.Scatter(
                x=[point.score for point in points],
                y=[point.manipulated for point in points],
                customdata=[[point.count] for point in points],
                mode="lines+markers",
                name=name,
                line={"color": colour},
                hovertemplate="score %{x:.2f}, %{y:.0%} of %{customdata[0]} clips<extra></extra>",
            )
        )
    figure.add_trace(_dashed([0, 1], [0, 1], "Ideal"))
    _lay_out(figure)
    figure.update_layout(
        xaxis={"title": "Mean score", "range": [0, 1]},
        yaxis={"title": "Share that is manipulated", "range": [-0.02, 1.02]},
    )
    return figure


def robustness_chart(variants: Sequence[Variant]) -> go.Figure:
    """Draw the shares of both classes at or above "some evidence", for each alteration."""
    figure = go.Figure()
    titles = [variant.title for variant in variants]
    for field, count, name, colour in (
        ("false_positives", "real", "Unaltered clips", BAND_COLOURS["some"]),
        ("detections", "manipulated", "Manipulated clips", network_colour(ENSEMBLE)),
    ):
        rates = [
            interval(getattr(one.metrics, field)["some"], getattr(one.metrics, count))
            for one in variants
        ]
        values = [rate.value for rate in rates]
        figure.add_trace(
            go.Scatter(
                x=values,
                y=titles,
                mode="markers",
                name=name,
                marker={"color": colour, "size": 10},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [_gap(rate.high, rate.value) for rate in rates],
                    "arrayminus": [_gap(rate.value, rate.low) for rate in rates],
                    "thickness": 1.5,
                    "width": 3,
                },
                hovertemplate="%{y}: %{x:.1%}<extra>" + name + "</extra>",
            )
        )
    _lay_out(figure, height=90 + 30 * len(variants))
    figure.update_layout(
        xaxis={
            "title": f"Share with {BAND_SHORT['some']} or more",
            "range": [-0.02, 1.02],
            "tickformat": ".0%",
        },
        yaxis={"autorange": "reversed", "automargin": True},
    )
    return figure


def risk_chart(curves: Mapping[str, Sequence[CoveragePoint]]) -> go.Figure:
    """Draw the share of errors among the judged clips against the share that is judged."""
    figure = go.Figure()
    for name, points in curves.items():
        title, colour = CURVES.get(name, (name, GREY))
        x = [point.coverage for point in points]
        if name != "random":
            figure.add_trace(
                go.Scatter(
                    x=[*x, *x[::-1]],
                    y=[*(p.low for p in points), *(p.high for p in reversed(points))],
                    fill="toself",
                    fillcolor=colour,
                    opacity=0.15,
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
        figure.add_trace(
            go.Scatter(
                x=x,
                y=[point.risk for point in points],
                mode="lines",
                name=title,
                line={"color": colour, "dash": "dash" if name == "random" else "solid"},
                hovertemplate="%{x:.0%} judged: %{y:.1%} wrong<extra></extra>",
            )
        )
    _lay_out(figure)
    figure.update_layout(
        xaxis={
            "title": "Share of the clips that is judged",
            "range": [0, 1.02],
            "tickformat": ".0%",
        },
        yaxis={"title": "Wrong among the judged", "rangemode": "tozero", "tickformat": ".0%"},
    )
    return figure


def _curves(curves: Mapping[str, Curve]) -> go.Figure:
    figure = go.Figure()
    for name, curve in curves.items():
        figure.add_trace(
            go.Scatter(
                x=curve.x,
                y=curve.y,
                customdata=[["–" if logit is None else f"{logit:+.2f}"] for logit in curve.logits],
                mode="lines",
                name=network_title(name),
                line={
                    "color": network_colour(name) or GREY,
                    "width": 3 if name == ENSEMBLE else 1.5,
                },
                hovertemplate="%{x:.3f}, %{y:.3f} at logit %{customdata[0]}",
            )
        )
    return _lay_out(figure)


def _dashed(x: list[float], y: list[float], name: str) -> go.Scatter:
    return go.Scatter(
        x=x, y=y, mode="lines", name=name, line={"color": GREY, "dash": "dash"}, hoverinfo="skip"
    )


def _lay_out(figure: go.Figure, height: int = 380) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def _gap(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(high - low, 0.0)
