"""The timeline and the band scale of the PDF, as vector drawings."""

from __future__ import annotations

import math
from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Group, Line, PolyLine, Rect, String
from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from detector.models.ensemble import probability
from detector.report.pdf.styles import GREY, INK, PALE, WIDTH
from detector.result import Analysis, Track
from detector.wording import BAND_ORDER, BAND_SHORT

MOST_LINES = 6  # tracks drawn with a line of their own


def band_scale(analysis: Analysis) -> Drawing:
    """Return four boxes, the band's own filled: the finding without colour."""
    width, height = WIDTH - 8 * mm, 9 * mm
    drawing = Drawing(width, height + 2 * mm)
    step = width / len(BAND_ORDER)
    for place, band in enumerate(BAND_ORDER):
        here = band == analysis.finding.band
        drawing.add(
            Rect(
                place * step,
                1 * mm,
                step - 1.2 * mm,
                height - 2 * mm,
                fillColor=INK if here else colors.white,
                strokeColor=INK,
                strokeWidth=0.5,
            )
        )
        drawing.add(
            String(
                place * step + step / 2 - 0.6 * mm,
                3.2 * mm,
                BAND_SHORT[band],
                fontName="Body-Bold" if here else "Body",
                fontSize=8,
                textAnchor="middle",
                fillColor=colors.white if here else INK,
            )
        )
    return drawing


# Told apart by dash, shade and mark at once: colours are lost on most printers.
_DASHES: tuple[tuple[float, ...], ...] = ((), (4, 2), (1, 1.5), (6, 2, 1, 2), (2, 2), (8, 3))
_SHADES = ("#000000", "#555555", "#000000", "#555555", "#777777", "#333333")


class Timeline(Flowable):  # type: ignore[misc]  # ReportLab has no types
    """Scores over time with the bands' lower limits, a line for each of the highest tracks."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self.analysis = analysis
        self.width = WIDTH
        lines = min(len(analysis.tracks), MOST_LINES)
        self.height = 58 * mm + 4.5 * mm * math.ceil(lines / 3)

    def wrap(self, *_: float) -> tuple[float, float]:
        """Return width and height, points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw on the page."""
        self._drawing().drawOn(self.canv, 0, 0)

    def _drawing(self) -> Drawing:
        analysis = self.analysis
        left: float = 10 * mm
        right: float = 29 * mm
        bottom: float = self.height - 50 * mm
        width: float = self.width - left - right
        height: float = 46 * mm
        last = max(analysis.clip.duration, analysis.frames[-1].time, 1e-6)

        def x(time: float) -> float:
            return float(left + width * min(max(time / last, 0), 1))

        def y(score: float) -> float:
            return float(bottom + height * score)

        drawing = Drawing(self.width, self.height)
        self._bands(drawing, left, width, y)
        drawing.add(
            Rect(left, bottom, width, height, fillColor=None, strokeColor=INK, strokeWidth=0.6)
        )
        for score in (0, 0.25, 0.5, 0.75, 1):
            drawing.add(
                Line(left - 1.5 * mm, y(score), left, y(score), strokeColor=INK, strokeWidth=0.4)
            )
            drawing.add(_label(left - 2.2 * mm, y(score) - 2.2, f"{score:g}", "end"))
        for time in _ticks(last):
            drawing.add(
                Line(x(time), bottom, x(time), bottom - 1.5 * mm, strokeColor=INK, strokeWidth=0.4)
            )
            drawing.add(_label(x(time), bottom - 4.6 * mm, _short_clock(time), "middle"))
        order = sorted(
            analysis.tracks, key=lambda t: -math.inf if t.logit is None else t.logit, reverse=True
        )
        for track in order[MOST_LINES:]:
            self._line(drawing, track.id, None, x, y)
        for place, track in reversed(list(enumerate(order[:MOST_LINES]))):
            self._line(drawing, track.id, place, x, y)
        for place, track in enumerate(order[:MOST_LINES]):
            self._key(drawing, track, place, left, width, bottom)
        return drawing

    def _bands(self, drawing: Drawing, left: float, width: float, y: Any) -> None:
        limits = self.analysis.bands
        edges = [
            0.0,
            *(probability(v) for v in (limits.inconclusive, limits.some, limits.strong)),
            1.0,
        ]
        for place, band in enumerate(BAND_ORDER):
            low, high = y(edges[place]), y(edges[place + 1])
            if place % 2:
                drawing.add(Rect(left, low, width, high - low, fillColor=PALE, strokeColor=None))
            if place:
                drawing.add(
                    Line(
                        left,
                        low,
                        left + width,
                        low,
                        strokeColor=GREY,
                        strokeWidth=0.5,
                        strokeDashArray=[2, 2],
                    )
                )
            drawing.add(
                _label(left + width + 1.5 * mm, (low + high) / 2 - 2.2, BAND_SHORT[band], "start")
            )

    def _line(self, drawing: Drawing, number: int, place: int | None, x: Any, y: Any) -> None:
        points = [
            (x(frame.time), y(face.score), face.quality.usable)
            for frame in self.analysis.frames
            for face in frame.faces
            if face.track == number
        ]
        shade = colors.HexColor("#bbbbbb" if place is None else _SHADES[place])
        if len(points) > 1:
            flat = [value for px, py, _ in points for value in (px, py)]
            line = PolyLine(flat, strokeColor=shade, strokeWidth=0.5 if place is None else 1.0)
            if place is not None and _DASHES[place]:
                line.strokeDashArray = list(_DASHES[place])
            drawing.add(line)
        if place is None or len(points) > 150:
            return
        for px, py, usable in points:
            drawing.add(_mark(px, py, place, shade, usable))

    def _key(
        self, drawing: Drawing, track: Track, place: int, left: float, width: float, bottom: float
    ) -> None:
        x = left + (place % 3) * width / 3 * 1.2
        y = bottom - 10.5 * mm - (place // 3) * 4.5 * mm
        shade = colors.HexColor(_SHADES[place])
        line = Line(x, y + 2, x + 9 * mm, y + 2, strokeColor=shade, strokeWidth=1.0)
        if _DASHES[place]:
            line.strokeDashArray = list(_DASHES[place])
        drawing.add(line)
        drawing.add(_mark(x + 4.5 * mm, y + 2, place, shade, True))
        band = BAND_SHORT[track.band] if track.band else "not judged"
        drawing.add(_label(x + 10.5 * mm, y, f"Face {track.id}: {band}", "start"))


def _mark(x: float, y: float, place: int, shade: Any, filled: bool) -> Any:
    fill = shade if filled else colors.white
    size = 1.7
    if place % 2:
        return _square(x, y, size, shade, fill)
    if place in (2, 4):
        group = Group(_square(0, 0, size, shade, fill))
        group.translate(x, y)
        group.rotate(45)
        return group
    return Circle(x, y, size, fillColor=fill, strokeColor=shade, strokeWidth=0.5)


def _square(x: float, y: float, size: float, shade: Any, fill: Any) -> Rect:
    return Rect(
        x - size, y - size, 2 * size, 2 * size, fillColor=fill, strokeColor=shade, strokeWidth=0.5
    )


def _label(x: float, y: float, text: str, anchor: str) -> String:
    return String(x, y, text, fontName="Body", fontSize=7, textAnchor=anchor, fillColor=INK)


def _ticks(last: float) -> list[float]:
    """Return about six round times from 0 to `last`, seconds."""
    steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800,
             3600, 7200, 14400]  # fmt: skip
    step = next((step for step in steps if last / step <= 7), math.ceil(last / 25200) * 3600)
    return [number * step for number in range(int(last / step + 1e-9) + 1)]


def _short_clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
