"""The report on paper: A4, legible in black and white, enough to check it without Veriframe.

Charts are vector drawings; every text that came with the clip is a stranger's and is escaped.
"""

from __future__ import annotations

import functools
import io
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from reportlab.graphics.shapes import Circle, Drawing, Group, Line, PolyLine, Rect, String
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from detector.clip import Image
from detector.result import Analysis, BandLimits, ScoredFace, ScoredFrame, Track
from detector.thumbnails import Pictures
from detector.wording import (
    BAND_ORDER,
    BAND_SHORT,
    LIMITS,
    NETWORKS,
    NOT_CALIBRATED,
    STATE_MEANING,
    STATES,
    clock,
    headline,
    meaning,
)

if TYPE_CHECKING:
    from detector.provenance import Provenance

STRONGEST = 6  # frames shown with their pictures
MOST_ROWS = 240  # face scores printed; longer ones refer to CSV
MOST_LINES = 6  # tracks drawn with a line of their own

_MARGIN = 20 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_INK = colors.HexColor("#1a1a1a")
_GREY = colors.HexColor("#5a5a5a")
_RULE = colors.HexColor("#9a9a9a")
_PALE = colors.HexColor("#f0f0f0")


def to_pdf(
    analysis: Analysis,
    pictures: Pictures | None = None,
    heat_maps: Mapping[tuple[int, int], Image] | None = None,
    provenance: Provenance | None = None,
) -> bytes:
    """The report.

    Args:
        analysis: what is reported.
        pictures: previews and face crops of it; without them, the report has numbers only.
        heat_maps: for (frame index, track), RGB uint8 [h, w, 3], the map laid over the face.
        provenance: what the file says of itself.

    Returns:
        A PDF; the same for the same arguments.
    """
    _register_fonts()
    stream = io.BytesIO()
    name = analysis.clip.name
    document = BaseDocTemplate(
        stream,
        pagesize=A4,
        title=f"Veriframe report: {_visible(name)}",
        author=f"Veriframe {analysis.software}",
        subject=headline(analysis),
        lang="en",
        invariant=True,  # no time of printing: the same analysis gives the same bytes
    )
    frame = Frame(
        _MARGIN, 20 * mm, _WIDTH, A4[1] - 40 * mm,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    document.addPageTemplates(PageTemplate(frames=[frame]))
    story: list[Flowable] = [
        *_finding(analysis),
        *_timeline(analysis),
        *_clip_facts(analysis),
        *_strongest(analysis, pictures, heat_maps or {}),
        *_tracks(analysis),
        *_warnings(analysis),
        *_limits(analysis),
        *_method(analysis),
        *_identity(analysis),
        *_provenance(provenance),
        *_reproduce(analysis),
        *_scores(analysis),
    ]
    document.build(story, canvasmaker=functools.partial(_Pages, analysis))
    return stream.getvalue()


# --- parts ----------------------------------------------------------------------------------


def _finding(analysis: Analysis) -> list[Flowable]:
    name = analysis.clip.name
    box: list[Flowable] = [
        Paragraph(_rich(headline(analysis), "Head"), _style("finding")),
        Paragraph(_rich(meaning(analysis)), _style("body")),
    ]
    if analysis.finding.band:
        box.insert(1, _scale(analysis))
    reasons = [
        Paragraph("• " + _rich(reason), _style("item"))
        for reason in analysis.finding.reasons
        if reason != meaning(analysis)
    ]
    framed = Table([[box]], colWidths=[_WIDTH])
    framed.setStyle(
        TableStyle(
            [
                ("BOX", (0, 0), (-1, -1), 0.8, _INK),
                ("LEFTPADDING", (0, 0), (-1, -1), 4 * mm),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4 * mm),
                ("TOPPADDING", (0, 0), (-1, -1), 3 * mm),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3 * mm),
            ]
        )
    )
    return [
        Paragraph("Report on faces in a clip", _style("kicker")),
        Paragraph(_rich(name, "Head"), _style("title")),
        Spacer(0, 2 * mm),
        framed,
        Spacer(0, 2 * mm),
        *reasons,
    ]


def _timeline(analysis: Analysis) -> list[Flowable]:
    faces = [(frame, face) for frame in analysis.frames for face in frame.faces]
    if not faces:
        return []
    if analysis.clip.still or len(analysis.frames) < 2:
        return []
    words = (
        "Ensemble score of each face over the time of the clip, from 0 to 1. Filled marks count, "
        "hollow marks are too small, too dark, too bright or too short of detail to count. Dashed "
        "lines are the lower limits of the bands."
    )
    return [
        KeepTogether(
            [_heading("Scores over time"), _Chart(analysis), Paragraph(words, _style("note"))]
        )
    ]


def _clip_facts(analysis: Analysis) -> list[Flowable]:
    clip, sampling = analysis.clip, analysis.sampling
    length = "still picture" if clip.still else f"{clock(clip.duration)}, {clip.frames:,} frames"
    asked = "every frame" if sampling.requested is None else f"{sampling.requested} asked for"
    rows = [
        ("File", name_and_size(clip.name, clip.bytes)),
        *([("Name spelt out", escape(spelt))] if (spelt := _spelt_out(clip.name)) else []),
        ("SHA-256", _mono(clip.sha256)),
        ("Length", length),
        ("Picture", f"{clip.width} × {clip.height} pixels, {_rich(clip.codec)}"
                    + (", with sound (not analysed)" if clip.has_audio else "")),
        ("Looked at", f"{_count(len(analysis.frames), 'frame')} ({asked}); "
                      f"{_count(len(analysis.tracks), 'face')} followed"),
        ("Analysed", _moment(analysis.created) + f", Veriframe {_rich(analysis.software)}"),
    ]  # fmt: skip
    return [KeepTogether([_heading("The clip"), _facts(rows)])]


def name_and_size(name: str, size: int) -> str:
    """A file's name and size, as marked-up text."""
    amount = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
    return f"{_rich(name)}, {amount} ({size:,} bytes)"


def _strongest(
    analysis: Analysis, pictures: Pictures | None, heat_maps: Mapping[tuple[int, int], Image]
) -> list[Flowable]:
    chosen = strongest(analysis, STRONGEST)
    if not chosen:
        return []
    story: list[Flowable] = []
    for frame, face in chosen:
        story.append(_moment_row(analysis, frame, face, pictures, heat_maps))
    note = (
        "The frames with the highest scores of faces that count, apart in time; not typical of "
        "the clip. Left the frame with the face marked, then the face as the networks saw it"
    )
    note += ", then where the networks looked." if heat_maps else "."
    if pictures is None:
        note = "The frames with the highest scores of faces that count. No pictures were kept."
    return [
        KeepTogether([_heading("Strongest frames"), Paragraph(note, _style("note")), story[0]]),
        *story[1:],
    ]


def strongest(analysis: Analysis, most: int) -> list[tuple[ScoredFrame, ScoredFace]]:
    """At most `most` faces with the highest scores, apart in time for each track, in order."""
    gap = analysis.clip.duration / (2 * most)
    pairs = [(frame, face) for frame in analysis.frames for face in frame.faces]
    usable = [pair for pair in pairs if pair[1].quality.usable] or pairs
    chosen: list[tuple[ScoredFrame, ScoredFace]] = []
    for frame, face in sorted(usable, key=lambda pair: pair[1].logit, reverse=True):
        near = any(
            other.track == face.track and abs(at.time - frame.time) < gap for at, other in chosen
        )
        if not near:
            chosen.append((frame, face))
        if len(chosen) == most:
            break
    return sorted(chosen, key=lambda pair: (pair[0].time, pair[1].track))


def _moment_row(
    analysis: Analysis,
    frame: ScoredFrame,
    face: ScoredFace,
    pictures: Pictures | None,
    heat_maps: Mapping[tuple[int, int], Image],
) -> Flowable:
    band = _band(face.logit, analysis.bands)
    lines = [
        f"<b>{clock(frame.time)}</b>, frame {frame.index:,}, face {face.track}",
        f"Score <b>{face.score:.3f}</b> (logit {face.logit:+.2f}): {BAND_SHORT[band]}",
        *(f"{_rich(NETWORKS.get(name, name))} {logit:+.2f}" for name, logit in face.logits.items()),
        f"{face.quality.size:.0f} pixels",
        f"sharpness {face.quality.sharpness:.0f}, brightness {face.quality.brightness:.0f}",
    ]
    words = [Paragraph(line, _style("small")) for line in lines]
    height = 32 * mm
    cells: list[Any] = []
    widths: list[float] = []
    whole = pictures.frame(frame.index) if pictures is not None else None
    marked = None if whole is None else _marked(whole, face, analysis)
    if marked is not None:
        picture = _Picture(marked, 58 * mm, height)
        cells.append(picture)
        widths.append(picture.width + 2 * mm)
    crop = pictures.face(frame.index, face.track) if pictures is not None else None
    for image in (crop, heat_maps.get((frame.index, face.track))):
        if image is not None:
            cells.append(_Picture(np.asarray(image), 31 * mm, height))
            widths.append(33 * mm)
    cells.append(words)
    widths.append(_WIDTH - sum(widths))
    table = Table([cells], colWidths=widths)
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2 * mm),
                ("TOPPADDING", (0, 0), (-1, -1), 2 * mm),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2 * mm),
                ("LINEBELOW", (0, 0), (-1, -1), 0.3, _RULE),
            ]
        )
    )
    return table


def _tracks(analysis: Analysis) -> list[Flowable]:
    if not analysis.tracks:
        return []
    head = ["Face", "Seen", "Frames", "Usable", "Score", "Logit", "Networks agree", "Band"]
    rows = [[Paragraph(f"<b>{text}</b>", _style("small")) for text in head]]
    ordered = sorted(
        analysis.tracks, key=lambda t: -math.inf if t.logit is None else t.logit, reverse=True
    )
    for track in ordered[:40]:
        rows.append([Paragraph(text, _style("small")) for text in _track_cells(track)])
    widths = [13, 34, 15, 15, 15, 15, 22, 41]
    table = Table(rows, colWidths=[width * mm for width in widths], repeatRows=1)
    table.setStyle(_grid())
    story: list[Flowable] = [_heading("Faces"), table]
    if len(ordered) > 40:
        more = f"{len(ordered) - 40} more faces with lower scores are in the JSON of this analysis."
        story.append(Paragraph(more, _style("note")))
    return story


def _track_cells(track: Track) -> list[str]:
    states = "; ".join(STATES[state].lower() for state in track.states)
    return [
        str(track.id),
        "–" if track.last == track.first else f"{clock(track.first)} to {clock(track.last)}",
        f"{track.frames:,}",
        f"{track.usable_frames:,}",
        "–" if track.score is None else f"{track.score:.3f}",
        "–" if track.logit is None else f"{track.logit:+.2f}",
        "–" if track.agreement is None else f"{track.agreement:.0%}",
        BAND_SHORT[track.band] if track.band else f"not judged: {states}",
    ]


def _warnings(analysis: Analysis) -> list[Flowable]:
    clip = analysis.clip
    states = list(analysis.finding.states)
    states += [s for track in analysis.tracks for s in track.states if s not in states]
    items = [f"{STATES[state]}. {STATE_MEANING[state]}" for state in dict.fromkeys(states)]
    faces = [face for frame in analysis.frames for face in frame.faces]
    unusable = sum(not face.quality.usable for face in faces)
    if unusable:
        items.append(
            f"{unusable:,} of {len(faces):,} faces were too small, too dark, too bright or too "
            "short of detail to count."
        )
    empty = sum(not frame.faces for frame in analysis.frames)
    if empty and faces:
        items.append(f"No face was found in {empty:,} of {len(analysis.frames):,} frames.")
    if clip.damaged:
        items.append(f"The file is damaged: {clip.damaged:,} of its packets could not be read.")
    if not items:
        items = ["None: faces were large, bright and frequent enough, and the file was whole."]
    return [
        KeepTogether([_heading("Warnings about quality"), *_items(items)]),
    ]


def _limits(analysis: Analysis) -> list[Flowable]:
    items = list(LIMITS)
    if not analysis.bands.calibrated:
        items.append(NOT_CALIBRATED)
    return [KeepTogether([_heading("What this method cannot say"), *_items(items)])]


def _method(analysis: Analysis) -> list[Flowable]:
    sampling, bands = analysis.sampling, analysis.bands
    looked = (
        "The picture was"
        if analysis.clip.still
        else (
            "Every frame was"
            if sampling.requested is None
            else "Frames spread evenly over time were"
        )
    )
    words = [
        f"{looked} searched for faces with {_rich(sampling.face_detector)} (BlazeFace, Bazarevsky "
        f"et al. 2019; faces from {sampling.min_face_score:g} certainty). Each face was cut out as "
        f"a square {sampling.crop_factor:g} times the larger side of its box and given to "
        f"{' and '.join(NETWORKS.get(model.name, model.name) for model in analysis.models)}. "
        "Each network answers with one number, its logit; a positive logit leans towards "
        "manipulation.",
        "Each logit is divided by the network's temperature, and the weighted mean of the results "
        "is the ensemble's logit; the score is its sigmoid, between 0 and 1. It is no probability "
        "that the clip was manipulated. A face followed over time has the median logit of its "
        "usable frames, and the clip has that of its highest face.",
        f"Bands start at these logits: inconclusive {bands.inconclusive:+.2f}, some evidence "
        f"{bands.some:+.2f}, strong evidence {bands.strong:+.2f}. {_rich(bands.note)}",
    ]
    return [
        _heading("Method"),
        *(Paragraph(text, _style("body")) for text in words),
    ]


def _identity(analysis: Analysis) -> list[Flowable]:
    head = ["Network", "Weights", "Share", "Temperature", "Run on"]
    rows: list[list[Any]] = [[Paragraph(f"<b>{text}</b>", _style("small")) for text in head]]
    for model in analysis.models:
        rows.append(
            [
                Paragraph(_rich(NETWORKS.get(model.name, model.name)), _style("small")),
                Paragraph(
                    f"version {_rich(model.version)}, SHA-256<br/>{_mono(model.sha256, 6)}",
                    _style("small"),
                ),
                Paragraph(f"{model.weight:.0%}", _style("small")),
                Paragraph(f"{model.temperature:g}", _style("small")),
                Paragraph(
                    _rich(f"{model.backend}, {model.precision}, {model.device}"), _style("small")
                ),
            ]
        )
    table = Table(rows, colWidths=[20 * mm, 84 * mm, 12 * mm, 22 * mm, 32 * mm], repeatRows=1)
    table.setStyle(_grid())
    sampling = analysis.sampling
    settings = (
        f"Frames asked for: {'every one' if sampling.requested is None else sampling.requested}; "
        f"face detector: {sampling.face_detector}; least certainty of a face: "
        f"{sampling.min_face_score:g}; crop: {sampling.crop_factor:g} × box, {sampling.crop_size} "
        f"pixels; schema {analysis.schema_version}; time spent: {analysis.timings.total:.1f} s."
    )
    return [
        KeepTogether([_heading("Networks and settings"), table]),
        Paragraph(_rich(settings), _style("note")),
    ]


def _provenance(provenance: Provenance | None) -> list[Flowable]:
    if provenance is None:
        return []
    from detector.provenance import NOTE

    credentials = provenance.credentials
    rows = [
        ("Container", _rich(provenance.container)),
        ("Written by", _rich(provenance.encoder or "not said")),
        ("Picture by", _rich(provenance.video_encoder or "not said")),
        ("Device", _rich(provenance.device or "not said")),
        ("Made", _rich(provenance.creation_time or "not said")),
    ]
    signed: list[Flowable] = [Paragraph(_rich(credentials.sentence), _style("body"))]
    said = [
        ("Signed", credentials.signed_at),
        ("Software", credentials.generator),
        ("Title", credentials.title),
        ("Claims", "; ".join(credentials.claims)),
        ("Edits", "; ".join(credentials.edits)),
        ("Made from", "; ".join(credentials.ingredients)),
        ("Problems", " ".join(credentials.problems)),
    ]
    if any(text for _, text in said):
        signed.append(_facts([(label, _rich(text)) for label, text in said if text]))
    return [
        KeepTogether(
            [_heading("What the file says of itself"), _facts(rows), *_items(provenance.hints)]
        ),
        Paragraph(NOTE, _style("note")),
        KeepTogether([_heading("Content Credentials (C2PA)"), *signed]),
    ]


def _reproduce(analysis: Analysis) -> list[Flowable]:
    steps = [
        "Take the clip and the JSON file of this analysis; keep both unchanged.",
        f"Check that the clip's SHA-256 is {_mono(analysis.clip.sha256)}",
        f"Install Veriframe {_rich(analysis.software)} with weights of the SHA-256 given above.",
        "Run <font name='Mono'>python -m detector verify REPORT.json CLIP</font>. It scans the "
        "clip again with the same settings, compares every score to within 0.001, and names the "
        "first difference.",
    ]
    listed = [
        Paragraph(f"{number}. {step}", _style("item")) for number, step in enumerate(steps, 1)
    ]
    return [KeepTogether([_heading("How to check this report"), *listed])]


def _scores(analysis: Analysis) -> list[Flowable]:
    pairs = [(frame, face) for frame in analysis.frames for face in frame.faces]
    if not pairs:
        return []
    names = [model.name for model in analysis.models]
    head = ["Time", "Frame", "Face", "Score", "Logit", *(NETWORKS.get(n, n) for n in names),
            "Pixels", "Sharpness", "Brightness", "Counts"]  # fmt: skip
    rows = [head]
    for frame, face in pairs[:MOST_ROWS]:
        rows.append(
            [
                clock(frame.time),
                f"{frame.index:,}",
                str(face.track),
                f"{face.score:.4f}",
                f"{face.logit:+.3f}",
                *(f"{face.logits[n]:+.3f}" if n in face.logits else "–" for n in names),
                f"{face.quality.size:.0f}",
                f"{face.quality.sharpness:.0f}",
                f"{face.quality.brightness:.0f}",
                "yes" if face.quality.usable else "no",
            ]
        )
    table = Table(rows, repeatRows=1, hAlign="LEFT")
    table.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, 0), "Body-Bold", 6.8),
                ("FONT", (0, 1), (-1, -1), "Body", 6.8),
                ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
                ("ALIGN", (0, 0), (-1, -1), "RIGHT"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.6, _INK),
                ("LINEBELOW", (0, 1), (-1, -1), 0.2, _RULE),
                ("TOPPADDING", (0, 0), (-1, -1), 0.6),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.6),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 5),
            ]
        )
    )
    words = "Logits of the networks are as they came, before calibration."
    if len(pairs) > MOST_ROWS:
        words = (
            f"The first {MOST_ROWS} of {len(pairs):,} scores; all of them are in the CSV, Parquet "
            "and JSON files of this analysis. " + words
        )
    return [_heading("All scores"), Paragraph(words, _style("note")), table]


# --- drawings -------------------------------------------------------------------------------


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(min(logit, 60.0), -60.0)))


def _band(logit: float, limits: BandLimits) -> Any:
    order = zip((limits.inconclusive, limits.some, limits.strong), BAND_ORDER[1:], strict=True)
    return max((band for limit, band in order if logit >= limit), key=BAND_ORDER.index,
               default=BAND_ORDER[0])  # fmt: skip


def _scale(analysis: Analysis) -> Drawing:
    """Four boxes, the band's own filled: the finding without colour."""
    width, height = _WIDTH - 8 * mm, 9 * mm
    drawing = Drawing(width, height + 2 * mm)
    step = width / len(BAND_ORDER)
    for place, band in enumerate(BAND_ORDER):
        here = band == analysis.finding.band
        drawing.add(
            Rect(
                place * step, 1 * mm, step - 1.2 * mm, height - 2 * mm,
                fillColor=_INK if here else colors.white, strokeColor=_INK, strokeWidth=0.5,
            )
        )  # fmt: skip
        drawing.add(
            String(
                place * step + step / 2 - 0.6 * mm, 3.2 * mm, BAND_SHORT[band],
                fontName="Body-Bold" if here else "Body", fontSize=8, textAnchor="middle",
                fillColor=colors.white if here else _INK,
            )
        )  # fmt: skip
    return drawing


# Told apart by dash, shade and mark at once: colours are lost on most printers.
_DASHES: tuple[tuple[int, ...] | None, ...] = (None, (4, 2), (1, 1.5), (6, 2, 1, 2), (2, 2), (8, 3))  # type: ignore[assignment]
_SHADES = ("#000000", "#555555", "#000000", "#555555", "#777777", "#333333")


class _Chart(Flowable):
    """Scores over time with the bands' limits, one line for each of the highest tracks."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self.analysis = analysis
        self.width = _WIDTH
        lines = min(len(analysis.tracks), MOST_LINES)
        self.height = 58 * mm + 4.5 * mm * math.ceil(lines / 3)

    def wrap(self, *_: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        drawing = self._drawing()
        drawing.drawOn(self.canv, 0, 0)

    def _drawing(self) -> Drawing:
        analysis = self.analysis
        left, right = 10 * mm, 29 * mm
        bottom = self.height - 50 * mm
        width, height = self.width - left - right, 46 * mm
        last = max(analysis.clip.duration, analysis.frames[-1].time, 1e-6)

        def x(time: float) -> float:
            return left + width * min(max(time / last, 0), 1)

        def y(score: float) -> float:
            return bottom + height * score

        drawing = Drawing(self.width, self.height)
        self._bands(drawing, left, width, y)
        drawing.add(Rect(left, bottom, width, height, fillColor=None, strokeColor=_INK,
                         strokeWidth=0.6))  # fmt: skip
        for score in (0, 0.25, 0.5, 0.75, 1):
            drawing.add(Line(left - 1.5 * mm, y(score), left, y(score), strokeColor=_INK,
                             strokeWidth=0.4))  # fmt: skip
            drawing.add(_label(left - 2.2 * mm, y(score) - 2.2, f"{score:g}", "end"))
        for time in _ticks(last):
            drawing.add(Line(x(time), bottom, x(time), bottom - 1.5 * mm, strokeColor=_INK,
                             strokeWidth=0.4))  # fmt: skip
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
            *(_sigmoid(v) for v in (limits.inconclusive, limits.some, limits.strong)),
            1.0,
        ]
        for place, band in enumerate(BAND_ORDER):
            low, high = y(edges[place]), y(edges[place + 1])
            if place % 2:
                drawing.add(Rect(left, low, width, high - low, fillColor=_PALE, strokeColor=None))
            if place:
                drawing.add(Line(left, low, left + width, low, strokeColor=_GREY, strokeWidth=0.5,
                                 strokeDashArray=[2, 2]))  # fmt: skip
            drawing.add(
                _label(left + width + 1.5 * mm, (low + high) / 2 - 2.2, BAND_SHORT[band], "start")
            )

    def _line(self, drawing: Drawing, id: int, place: int | None, x: Any, y: Any) -> None:
        points = [
            (x(frame.time), y(face.score), face.quality.usable)
            for frame in self.analysis.frames
            for face in frame.faces
            if face.track == id
        ]
        shade = colors.HexColor("#bbbbbb" if place is None else _SHADES[place])
        if len(points) > 1:
            flat = [value for px, py, _ in points for value in (px, py)]
            line = PolyLine(flat, strokeColor=shade, strokeWidth=0.5 if place is None else 1.0)
            if place is not None and _DASHES[place]:
                line.strokeDashArray = list(_DASHES[place] or ())
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
            line.strokeDashArray = list(_DASHES[place] or ())
        drawing.add(line)
        drawing.add(_mark(x + 4.5 * mm, y + 2, place, shade, True))
        band = BAND_SHORT[track.band] if track.band else "not judged"
        drawing.add(_label(x + 10.5 * mm, y, f"Face {track.id}: {band}", "start"))


def _mark(x: float, y: float, place: int, shade: Any, filled: bool) -> Any:
    fill = shade if filled else colors.white
    size = 1.7
    if place % 2:
        return Rect(x - size, y - size, 2 * size, 2 * size, fillColor=fill, strokeColor=shade,
                    strokeWidth=0.5)  # fmt: skip
    if place in (2, 4):
        group = Group(Rect(-size, -size, 2 * size, 2 * size, fillColor=fill, strokeColor=shade,
                           strokeWidth=0.5))  # fmt: skip
        group.translate(x, y)
        group.rotate(45)
        return group
    return Circle(x, y, size, fillColor=fill, strokeColor=shade, strokeWidth=0.5)


def _label(x: float, y: float, text: str, anchor: str) -> String:
    return String(x, y, text, fontName="Body", fontSize=7, textAnchor=anchor, fillColor=_INK)


def _ticks(last: float) -> list[float]:
    """About six round times from 0 to `last`, seconds."""
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


class _Picture(Flowable):
    """An RGB image uint8 [h, w, 3] within a box, with a hairline around it."""

    def __init__(self, image: Image, width: float, height: float) -> None:
        super().__init__()
        scale = min(width / image.shape[1], height / image.shape[0])
        self.width, self.height = image.shape[1] * scale, image.shape[0] * scale
        done, jpeg = cv2.imencode(
            ".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88]
        )
        self._jpeg = io.BytesIO(jpeg.tobytes() if done else b"")

    def wrap(self, *_: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        self.canv.drawImage(ImageReader(self._jpeg), 0, 0, self.width, self.height)
        self.canv.setLineWidth(0.3)
        self.canv.setStrokeColor(_GREY)
        self.canv.rect(0, 0, self.width, self.height)


def _marked(encoded: bytes, face: ScoredFace, analysis: Analysis) -> Image | None:
    """The frame with the face's box, white within black so that it shows on any ground."""
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    most = 700 / max(image.shape[:2])
    if most < 1:
        image = cv2.resize(image, None, fx=most, fy=most, interpolation=cv2.INTER_AREA)
    scale_x = image.shape[1] / analysis.clip.width
    scale_y = image.shape[0] / analysis.clip.height
    left, top, right, bottom = face.box
    corners = (
        (round(left * scale_x), round(top * scale_y)),
        (
            round(right * scale_x),
            round(bottom * scale_y),
        ),
    )
    cv2.rectangle(image, *corners, (0, 0, 0), 5)
    cv2.rectangle(image, *corners, (255, 255, 255), 2)
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


# --- text -----------------------------------------------------------------------------------


@functools.cache
def _register_fonts() -> None:
    """DejaVu, embedded (Latin, Greek, Cyrillic and more), and the readers' own East Asian ones."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name, file in {
        "Body": "DejaVuSans",
        "Body-Bold": "DejaVuSans-Bold",
        "Body-Italic": "DejaVuSans-Oblique",
        "Body-BoldItalic": "DejaVuSans-BoldOblique",
        "Head": "DejaVuSerif-Bold",
        "Mono": "DejaVuSansMono",
    }.items():
        pdfmetrics.registerFont(TTFont(name, folder / f"{file}.ttf"))
    pdfmetrics.registerFontFamily("Body", "Body", "Body-Bold", "Body-Italic", "Body-BoldItalic")
    for name in _EAST_ASIAN.values():
        pdfmetrics.registerFont(UnicodeCIDFont(name))


_EAST_ASIAN = {"korean": "HYSMyeongJo-Medium", "kana": "HeiseiMin-W3", "han": "STSong-Light"}


def _visible(text: str) -> str:
    """Text in which characters that are not seen, or turn what follows around, are spelt out."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return "".join(
        f"<U+{ord(letter):04X}>" if unicodedata.category(letter) in hidden else letter
        for letter in text
    )


def _rich(text: str, font: str = "Body") -> str:
    """Any text as markup: escaped, and each letter in a font that has it, or as its code."""
    own, body = (pdfmetrics.getFont(name).face.charToGlyph for name in (font, "Body"))
    text = _visible(text)
    kana = any("\u3040" <= letter <= "\u30ff" for letter in text)
    parts = []
    for letter in text:
        if ord(letter) in own:
            parts.append(escape(letter))
        elif ord(letter) in body:
            parts.append(f"<font name='Body'>{letter}</font>")
        elif other := _east_asian_font(letter, kana):
            parts.append(f"<font name='{other}'>{letter}</font>")
        else:
            parts.append(escape(f"<U+{ord(letter):04X}>"))
    return "".join(parts)


def _spelt_out(text: str) -> str | None:
    """The text with codes for letters whose fonts are the reader's; None where there are none."""
    body = pdfmetrics.getFont("Body").face.charToGlyph
    text = _visible(text)
    spelt = "".join(letter if ord(letter) in body else f"<U+{ord(letter):04X}>" for letter in text)
    return None if spelt == text else spelt


def _east_asian_font(letter: str, kana: bool) -> str | None:
    if "\uac00" <= letter <= "\ud7a3" or "\u1100" <= letter <= "\u11ff":
        return _EAST_ASIAN["korean"]
    if "\u3000" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef":
        return _EAST_ASIAN["kana" if kana else "han"]
    return None


def _mono(text: str, size: int = 7) -> str:
    return f"<font name='Mono' size='{size}'>{_rich(text, 'Mono')}</font>"


def _moment(created: str) -> str:
    return _rich(created.replace("T", " ").replace("+00:00", " UTC"))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@functools.cache
def _style(name: str) -> ParagraphStyle:
    body = ParagraphStyle("body", fontName="Body", fontSize=8.6, leading=12.4, textColor=_INK,
                          spaceAfter=2.5, splitLongWords=True)  # fmt: skip
    made = {
        "body": body,
        "kicker": ParagraphStyle("kicker", body, fontSize=8, textColor=_GREY, spaceAfter=1),
        "title": ParagraphStyle("title", body, fontName="Head", fontSize=15, leading=19),
        "finding": ParagraphStyle(
            "finding", body, fontName="Head", fontSize=16, leading=21, spaceAfter=4
        ),
        "heading": ParagraphStyle(
            "heading", body, fontName="Head", fontSize=10.5, leading=14, spaceBefore=11,
            spaceAfter=3.5, keepWithNext=True,
        ),
        "item": ParagraphStyle("item", body, leftIndent=9, firstLineIndent=-9, spaceAfter=2),
        "note": ParagraphStyle("note", body, fontSize=7.4, leading=10.4, textColor=_GREY),
        "small": ParagraphStyle("small", body, fontSize=7.6, leading=10.4, spaceAfter=1),
        "label": ParagraphStyle("label", body, fontSize=7.6, leading=10.4, textColor=_GREY),
        "right": ParagraphStyle("right", body, fontSize=7.6, alignment=TA_RIGHT),
    }  # fmt: skip
    return made[name]


def _heading(text: str) -> Paragraph:
    return Paragraph(escape(text), _style("heading"))


def _items(texts: Iterable[str]) -> list[Flowable]:
    return [Paragraph("• " + _rich(text), _style("item")) for text in texts]


def _facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Labels and values; values are marked up already."""
    table = Table(
        [[Paragraph(label, _style("label")), Paragraph(value, _style("small"))]
         for label, value in rows],
        colWidths=[24 * mm, _WIDTH - 24 * mm],
    )  # fmt: skip
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                ("LINEBELOW", (0, 0), (-1, -1), 0.2, _RULE),
            ]
        )
    )
    return table


def _grid() -> TableStyle:
    return TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ("LINEBELOW", (0, 0), (-1, 0), 0.6, _INK),
            ("LINEBELOW", (0, 1), (-1, -1), 0.2, _RULE),
        ]
    )


class _Pages(Canvas):
    """Pages with a foot that names the clip by its hash and counts the pages."""

    def __init__(self, analysis: Analysis, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._analysis = analysis
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._kept, 1):
            self.__dict__.update(page)
            self._foot(number, len(self._kept))
            super().showPage()
        super().save()

    def _foot(self, number: int, pages: int) -> None:
        right = A4[0] - _MARGIN
        self.setStrokeColor(_RULE)
        self.setLineWidth(0.4)
        self.line(_MARGIN, 16 * mm, right, 16 * mm)
        self.setFillColor(_GREY)
        self.setFont("Body", 7)
        self.drawString(_MARGIN, 12 * mm, f"Veriframe {self._analysis.software}. Clip SHA-256")
        self.setFont("Mono", 6)
        self.drawString(_MARGIN + 38 * mm, 12 * mm, self._analysis.clip.sha256)
        self.setFont("Body", 7)
        self.drawRightString(right, 12 * mm, f"Page {number} of {pages}")
        if number > 1:
            self.drawString(_MARGIN, A4[1] - 14 * mm, headline(self._analysis))
