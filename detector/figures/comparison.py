"""Charts that lay two or more analyses over each other, as Plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go

from detector.analysis.comparison import Comparison
from detector.figures.timeline import band_edges
from detector.palette import BAND_COLOURS, TRACK_COLOURS, track_colour
from detector.result import Analysis
from detector.wording import BAND_ORDER, BAND_SHORT, clock

DASHES = ("solid", "dash", "dot", "dashdot")  # the lines stay apart without colour
BINS = 20


@dataclass(frozen=True)
class Named:
    """An analysis, its number in the library, and the name of its clip, as a legend shows it."""

    number: int
    name: str
    analysis: Analysis

    @property
    def label(self) -> str:
        """Number and name."""
        return f"{self.number} · {self.name}"


def deciding_scores(analysis: Analysis) -> list[tuple[int, float, float]]:
    """Return (frame index, seconds, score) of the face that decides, in order of time.

    Without a face that decides, it is the highest score in each frame.
    """
    decides = analysis.finding.track
    found = []
    for frame in analysis.frames:
        scores = [face.score for face in frame.faces if decides in (None, face.track)]
        if scores:
            found.append((frame.index, frame.time, max(scores)))
    return found


def timelines(several: Sequence[Named], *, share: bool = False) -> go.Figure:
    """Draw the score of the face that decides over time, a line for each analysis.

    Args:
        several: in the order of their colours.
        share: x is the share of the clip, [0, 1], so that clips of any length lie over each
            other; else seconds.
    """
    figure = go.Figure()
    bands = several[0].analysis.bands
    if all(named.analysis.bands == bands for named in several):  # else no band is everybody's
        edges = band_edges(bands)
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
    for number, named in enumerate(several):
        points = deciding_scores(named.analysis)
        length = named.analysis.clip.duration or 1.0
        figure.add_trace(
            go.Scatter(
                x=[time / length if share else time for _, time, _ in points],
                y=[score for _, _, score in points],
                mode="lines+markers",
                name=escape(named.label, quote=False),  # Plotly draws HTML in names
                line={
                    "color": TRACK_COLOURS[number % len(TRACK_COLOURS)],
                    "dash": DASHES[number % len(DASHES)],
                    "width": 2,
                },
                marker={"size": 6},
                text=[clock(time) for _, time, _ in points],
                hovertemplate="%{text}<br>score %{y:.2f}<extra></extra>",
            )
        )
    figure.update_layout(
        height=340,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        dragmode="pan",
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={
            "title": "Share of the clip" if share else "Time in the clip (s)",
            "zeroline": False,
            **({"tickformat": ".0%"} if share else {}),
        },
        yaxis={
            "title": "Score",
            "range": [0, 1],
            "fixedrange": True,
            "zeroline": False,
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
        },
    )
    return figure


def histogram(scores: Sequence[float], colour: str) -> go.Figure:
    """Draw how the scores of all faces in all frames are distributed.

    Args:
        scores: in [0, 1].
        colour: of the bars.
    """
    counts, edges = np.histogram(scores, BINS, (0.0, 1.0))
    share = counts / max(counts.sum(), 1)
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=share,
            width=1 / BINS,
            marker={"color": colour, "line": {"width": 1, "color": "#ffffff"}},
            customdata=counts,
            hovertemplate="score %{x:.2f}: %{customdata} faces, %{y:.0%}<extra></extra>",
        )
    )
    figure.update_layout(
        height=200,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": "Score", "range": [0, 1], "fixedrange": True},
        yaxis={"title": "Faces", "tickformat": ".0%", "fixedrange": True, "rangemode": "tozero"},
    )
    return figure


def changes(comparison: Comparison) -> go.Figure:
    """Draw by how much the score of each face changed, over time; a colour for each track."""
    figure = go.Figure()
    for track in sorted({pair.after.track for pair in comparison.pairs}):
        pairs = [pair for pair in comparison.pairs if pair.after.track == track]
        figure.add_trace(
            go.Bar(
                x=[pair.time for pair in pairs],
                y=[pair.change for pair in pairs],
                name=f"Face {track}",
                marker_color=track_colour(track),
                customdata=[[pair.before.score, pair.after.score] for pair in pairs],
                text=[clock(pair.time) for pair in pairs],
                textposition="none",
                hovertemplate="%{text}<br>%{customdata[0]:.2f} to %{customdata[1]:.2f} "
                "(%{y:+.2f})<extra>Face " + str(track) + "</extra>",
            )
        )
    most = max((abs(pair.change) for pair in comparison.pairs), default=0.0)
    reach = max(most * 1.1, 0.05)
    figure.update_layout(
        height=240,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        barmode="group",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": "Time in the clip (s)", "zeroline": False},
        yaxis={"title": "Change of the score", "range": [-reach, reach], "fixedrange": True},
    )
    return figure
