"""Charts of a result, as Plotly figures that page and report draw alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from detector.models.ensemble import Weighted, calibrated, probability
from detector.models.networks.registry import network_dash, network_title
from detector.palette import BAND_COLOURS, track_colour
from detector.result import BandThresholds, ScoredFrame
from detector.wording import BAND_ORDER, BAND_SHORT, clock

if TYPE_CHECKING:
    from detector.explanation.faithfulness import Faithfulness
TICKS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)  # scores that an axis names


def band_edges(bands: BandThresholds) -> list[float]:
    """Return scores in [0, 1] at which the bands begin and end, five values for four bands."""
    inner = (bands.inconclusive, bands.some, bands.strong)
    return [0.0, *(probability(threshold) for threshold in inner), 1.0]


def axis_range(bands: BandThresholds) -> tuple[float, float]:
    """Return the lowest and highest logit of a score axis on which every band has room."""
    return min(-5.0, bands.inconclusive - 2.5), max(5.0, bands.strong + 2.5)


def on_axis(logit: float, bands: BandThresholds) -> float:
    """Return where a logit is drawn: at the border where it lies beyond."""
    low, high = axis_range(bands)
    return min(max(logit, low + 0.2), high - 0.2)


def timeline(
    frames: Sequence[ScoredFrame],
    bands: BandThresholds,
    *,
    networks: bool = False,
    span: tuple[float, float] | None = None,
    models: Sequence[Weighted] = (),
) -> go.Figure:
    """Draw the score over time, a line for each track, on the colours of the bands.

    Drawn by the logit and labelled by the score: near 0 and 1, where the bands are decided,
    scores lie too close together to be told apart.

    Args:
        frames: in order of time.
        bands: where they begin.
        networks: also draw each network's own score.
        span: first and last second of the axis; default, what the frames span.
        models: the networks, whose temperatures divide their logits; default 1.

    Returns:
        A figure whose points carry `customdata` = [frame index, track id].
    """
    figure = go.Figure()
    lowest, highest = axis_range(bands)
    edges = [lowest, bands.inconclusive, bands.some, bands.strong, highest]
    for band, low, high in zip(BAND_ORDER, edges, edges[1:], strict=False):
        figure.add_hrect(
            y0=low,
            y1=high,
            fillcolor=BAND_COLOURS[band],
            opacity=0.13,
            line_width=0,
            layer="below",
            annotation_text=BAND_SHORT[band],
            annotation_position="right",
            annotation_font_size=11,
            annotation_xanchor="right",
        )
    ids = sorted({face.track for frame in frames for face in frame.faces})
    for id in ids:
        points = [(frame, face) for frame in frames for face in frame.faces if face.track == id]
        colour = track_colour(id)
        times = [frame.time for frame, _ in points]
        customdata = [[frame.index, id] for frame, _ in points]
        if networks:
            for name in points[0][1].logits:
                figure.add_trace(
                    go.Scatter(
                        x=times,
                        y=[
                            on_axis(calibrated(models, face.logits)[name], bands)
                            for _, face in points
                        ],
                        mode="lines",
                        name=f"{network_title(name)}, face {id}",
                        line={"color": colour, "width": 1, "dash": network_dash(name)},
                        opacity=0.8,
                        hoverinfo="skip",
                    )
                )
        figure.add_trace(
            go.Scatter(
                x=times,
                y=[on_axis(face.logit, bands) for _, face in points],
                mode="lines+markers",  # markers alone are what a click can select
                name=f"Face {id}",
                line={"color": colour, "width": 2},
                marker={
                    "size": 9,
                    "color": [BAND_COLOURS[bands.band_of(face.logit)] for _, face in points],
                    "line": {"color": colour, "width": 1.5},
                },
                customdata=customdata,
                text=[f"{clock(frame.time)}<br>score {face.score:.3f}" for frame, face in points],
                hovertemplate="%{text}<extra>Face " + str(id) + "</extra>",
            )
        )
    figure.update_layout(
        height=320,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode="closest",
        dragmode="pan",
        clickmode="event+select",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        showlegend=len(ids) > 1 or networks,
        xaxis={"title": "Time in the clip (s)", "range": _padded(span), "zeroline": False},
        yaxis={
            "title": "Score",
            "range": [lowest, highest],
            "fixedrange": True,
            "tickvals": [math.log(score / (1 - score)) for score in TICKS],
            "ticktext": [f"{score:g}" for score in TICKS],
            "zeroline": False,
        },
    )
    return figure


def _padded(span: tuple[float, float] | None) -> list[float] | None:
    if span is None:
        return None
    margin = max((span[1] - span[0]) * 0.02, 0.05)
    return [span[0] - margin, span[1] + margin]


def deletion_curve(found: Faithfulness) -> go.Figure:
    """Draw the logit while the marked pixels are blurred away, against random orders.

    Args:
        found: of one map; `random_logits` [orders, 21] give the grey band from lowest to highest.
    """
    shares = [float(share) * 100 for share in found.shares]
    low, high = found.random_logits.min(axis=0), found.random_logits.max(axis=0)
    grey = BAND_COLOURS["inconclusive"]
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[*shares, *shares[::-1]],
            y=[*high.tolist(), *low[::-1].tolist()],
            fill="toself",
            fillcolor="rgba(138, 143, 152, 0.2)",
            line={"width": 0},
            name="Random orders, lowest to highest",
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=shares,
            y=found.random_mean.tolist(),
            name="Random orders, mean",
            line={"color": grey, "dash": "dash"},
        )
    )
    figure.add_trace(
        go.Scatter(
            x=shares, y=found.logits.tolist(), name="Marked first", line={"color": "#c8372d"}
        )
    )
    figure.update_layout(
        height=260,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": "Share of the face that is blurred (%)", "zeroline": False},
        yaxis={"title": "Logit"},
    )
    return figure
