"""Charts of drift, as Plotly figures."""

from __future__ import annotations

import itertools

import plotly.graph_objects as go

from detector.evaluation.drift import MEASURES, Shift
from detector.palette import BAND_COLOURS

REFERENCE, RECENT = "#8a8f98", "#3b82c4"
LEVELS = {
    "unknown": BAND_COLOURS["inconclusive"],
    "stable": BAND_COLOURS["little"],
    "moderate": BAND_COLOURS["some"],
    "large": BAND_COLOURS["strong"],
}


def shares_chart(shift: Shift) -> go.Figure:
    """Draw how the recent faces fall into the reference's bins, beside what the reference has."""
    labels = _labels(shift.edges)
    figure = go.Figure()
    for name, values, colour in (
        ("Reference", shift.expected, REFERENCE),
        ("Recent", shift.shares, RECENT),
    ):
        figure.add_trace(
            go.Bar(
                x=labels,
                y=values,
                name=name,
                marker_color=colour,
                hovertemplate="%{x}: %{y:.1%}<extra>" + name + "</extra>",
            )
        )
    title, unit = MEASURES[shift.name]
    figure.update_layout(
        height=240,
        barmode="group",
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": f"{title} ({unit})", "type": "category"},
        yaxis={"title": "Share of the faces", "tickformat": ".0%"},
    )
    return figure


def psi_chart(shifts: tuple[Shift, ...]) -> go.Figure:
    """Draw the population stability index of each measure, and what chance alone may give."""
    titles = [MEASURES[one.name][0] for one in shifts]
    figure = go.Figure(
        go.Bar(
            x=[one.psi for one in shifts],
            y=titles,
            orientation="h",
            marker_color=[LEVELS[one.level] for one in shifts],
            name="PSI",
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[one.chance for one in shifts],
            y=titles,
            mode="markers",
            name="Chance, 5 in 100",
            marker={"symbol": "line-ns-open", "size": 18, "color": REFERENCE},
        )
    )
    figure.update_layout(
        height=90 + 36 * max(len(shifts), 1),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": "PSI", "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "automargin": True},
    )
    return figure


def _labels(edges: tuple[float, ...]) -> list[str]:
    if not edges:
        return ["all"]
    inner = [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]
    return [f"below {edges[0]:.3g}", *inner, f"from {edges[-1]:.3g}"]
