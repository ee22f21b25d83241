"""The sections of the PDF, in the order in which they are read.

Each takes the analysis and gives flowables; text of strangers goes through `rich`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Paragraph, Spacer, Table, TableStyle

from detector.media.clip import Image
from detector.models.networks.registry import network_title
from detector.pictures.protocols import Pictures
from detector.report.pdf.chart import Timeline, band_scale
from detector.report.pdf.styles import (
    INK,
    RULE,
    WIDTH,
    Picture,
    bullet_list,
    facts,
    grid,
    heading,
    style,
)
from detector.report.pdf.text import count, moment, mono, rich, spelt_out
from detector.report.strongest_faces import STRONGEST, strongest_faces
from detector.result import Analysis, ScoredFace, ScoredFrame, Track
from detector.wording import (
    BAND_SHORT,
    LIMITATIONS,
    NOT_CALIBRATED,
    STATE_MEANING,
    STATES,
    clock,
    headline,
    meaning,
)

if TYPE_CHECKING:
    from detector.media.provenance.facts import Provenance


MOST_TRACKS = 40  # faces in the table of faces
MOST_ROWS = 240  # face scores printed; longer ones refer to CSV


def finding_section(analysis: Analysis) -> list[Flowable]:
    """Return the title, the finding in a frame and its reasons."""
    name = analysis.clip.name
    box: list[Flowable] = [
        Paragraph(rich(headline(analysis), "Head"), style("finding")),
        Paragraph(rich(meaning(analysis)), style("body")),
    ]
    if analysis.finding.band:
        box.insert(1, band_scale(analysis))
    reasons = bullet_list(
        reason for reason in analysis.finding.reasons if reason != meaning(analysis)
    )
    framed = Table([[box]], colWidths=[WIDTH])
    framed.setStyle(
        TableStyle(
            [
                ("BOX", (0, 0), (-1, -1), 0.8, INK),
                ("LEFTPADDING", (0, 0), (-1, -1), 4 * mm),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4 * mm),
                ("TOPPADDING", (0, 0), (-1, -1), 3 * mm),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3 * mm),
            ]
        )
    )
    return [
        Paragraph("Report on faces in a clip", style("kicker")),
        Paragraph(rich(name, "Head"), style("title")),
        Spacer(0, 2 * mm),
        framed,
        Spacer(0, 2 * mm),
        *reasons,
    ]


def timeline_section(analysis: Analysis) -> list[Flowable]:
    """Return the chart of scores over time; nothing for pictures and clips without faces."""
    found = any(frame.faces for frame in analysis.frames)
    if not found or analysis.clip.still or len(analysis.frames) < 2:
        return []
    words = (
        "Ensemble score of each face over the time of the clip, from 0 to 1. Filled marks count, "
        "hollow marks are too small, too dark, too bright or too short of detail to count. Dashed "
        "lines are the lower limits of the bands."
    )
    return [
        KeepTogether(
            [heading("Scores over time"), Timeline(analysis), Paragraph(words, style("note"))]
        )
    ]


def clip_section(analysis: Analysis) -> list[Flowable]:
    """Return what is known of the clip and how it was looked at."""
    clip, sampling = analysis.clip, analysis.sampling
    length = "still picture" if clip.still else f"{clock(clip.duration)}, {clip.frames:,} frames"
    asked = "every frame" if sampling.requested is None else f"{sampling.requested} asked for"
    rows = [
        ("File", _name_and_size(clip.name, clip.bytes)),
        *([("Name spelt out", escape(spelt))] if (spelt := spelt_out(clip.name)) else []),
        ("SHA-256", mono(clip.sha256)),
        ("Length", length),
        (
            "Picture",
            f"{clip.width} × {clip.height} pixels, {rich(clip.codec)}"
            + (", with sound (not analysed)" if clip.has_audio else ""),
        ),
        (
            "Looked at",
            f"{count(len(analysis.frames), 'frame')} ({asked}); "
            f"{count(len(analysis.tracks), 'face')} followed",
        ),
        ("Analysed", moment(analysis.created) + f", Veriframe {rich(analysis.software)}"),
    ]
    return [KeepTogether([heading("The clip"), facts(rows)])]


def _name_and_size(name: str, size: int) -> str:
    """Return a file's name and size as markup."""
    amount = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
    return f"{rich(name)}, {amount} ({size:,} bytes)"


def strongest_section(
    analysis: Analysis, pictures: Pictures | None, heat_maps: Mapping[tuple[int, int], Image]
) -> list[Flowable]:
    """Return the strongest faces with their pictures and maps; nothing without faces."""
    chosen = strongest_faces(analysis, STRONGEST)
    if not chosen:
        return []
    rows = [_strongest_row(analysis, frame, face, pictures, heat_maps) for frame, face in chosen]
    note = (
        "The frames with the highest scores of faces that count, apart in time; not typical of "
        "the clip. Left the frame with the face marked, then the face as the networks saw it"
    )
    note += ", then where the networks looked." if heat_maps else "."
    if pictures is None:
        note = "The frames with the highest scores of faces that count. No pictures were kept."
    return [
        KeepTogether([heading("Strongest frames"), Paragraph(note, style("note")), rows[0]]),
        *rows[1:],
    ]


def _strongest_row(
    analysis: Analysis,
    frame: ScoredFrame,
    face: ScoredFace,
    pictures: Pictures | None,
    heat_maps: Mapping[tuple[int, int], Image],
) -> Flowable:
    """Return one face: the frame, the crop, the map and the numbers, side by side."""
    band = analysis.bands.band_of(face.logit)
    lines = [
        f"<b>{clock(frame.time)}</b>, frame {frame.index:,}, face {face.track}",
        f"Score <b>{face.score:.3f}</b> (logit {face.logit:+.2f}): {BAND_SHORT[band]}",
        *(f"{rich(network_title(name))} {logit:+.2f}" for name, logit in face.logits.items()),
        f"{face.quality.size:.0f} pixels",
        f"sharpness {face.quality.sharpness:.0f}, brightness {face.quality.brightness:.0f}",
    ]
    words = [Paragraph(line, style("small")) for line in lines]
    height = 32 * mm
    cells: list[Any] = []
    widths: list[float] = []
    whole = pictures.frame(frame.index) if pictures is not None else None
    marked = None if whole is None else _marked_frame(whole, face, analysis)
    if marked is not None:
        picture = Picture(marked, 58 * mm, height)
        cells.append(picture)
        widths.append(picture.width + 2 * mm)
    crop = pictures.face(frame.index, face.track) if pictures is not None else None
    for image in (crop, heat_maps.get((frame.index, face.track))):
        if image is not None:
            cells.append(Picture(np.asarray(image), 31 * mm, height))
            widths.append(33 * mm)
    cells.append(words)
    widths.append(WIDTH - sum(widths))
    table = Table([cells], colWidths=widths)
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2 * mm),
                ("TOPPADDING", (0, 0), (-1, -1), 2 * mm),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2 * mm),
                ("LINEBELOW", (0, 0), (-1, -1), 0.3, RULE),
            ]
        )
    )
    return table


def _marked_frame(encoded: bytes, face: ScoredFace, analysis: Analysis) -> Image | None:
    """Return the frame with the face's box, white within black so that it shows on any ground.

    Args:
        encoded: JPEG of the whole frame.
        face: in pixels of the clip.
        analysis: of that clip.

    Returns:
        RGB uint8 [h, w, 3], at most 700 pixels wide or high; None where it is no picture.
    """
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
        (round(right * scale_x), round(bottom * scale_y)),
    )
    cv2.rectangle(image, *corners, (0, 0, 0), 5)
    cv2.rectangle(image, *corners, (255, 255, 255), 2)
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def tracks_section(analysis: Analysis) -> list[Flowable]:
    """Return the table of faces that were followed, highest first; nothing without any."""
    if not analysis.tracks:
        return []
    head = ["Face", "Seen", "Frames", "Usable", "Score", "Logit", "Networks agree", "Band"]
    rows = [[Paragraph(f"<b>{text}</b>", style("small")) for text in head]]
    ordered = sorted(
        analysis.tracks, key=lambda t: -math.inf if t.logit is None else t.logit, reverse=True
    )
    for track in ordered[:MOST_TRACKS]:
        rows.append([Paragraph(text, style("small")) for text in _track_cells(track)])
    widths = [13, 34, 15, 15, 15, 15, 22, 41]
    table = Table(rows, colWidths=[width * mm for width in widths], repeatRows=1)
    table.setStyle(grid())
    story: list[Flowable] = [heading("Faces"), table]
    if len(ordered) > MOST_TRACKS:
        more = (
            f"{len(ordered) - MOST_TRACKS} more faces with lower scores are in the JSON of this "
            "analysis."
        )
        story.append(Paragraph(more, style("note")))
    return story


def _track_cells(track: Track) -> list[str]:
    """Return a track's cells in the order of the table's columns, as text."""
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


def warnings_section(analysis: Analysis) -> list[Flowable]:
    """Return what made faces hard to judge, and damage of the file."""
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
        KeepTogether([heading("Warnings about quality"), *bullet_list(items)]),
    ]


def limitations_section(analysis: Analysis) -> list[Flowable]:
    """Return what nobody may conclude from the finding."""
    items = list(LIMITATIONS)
    if not analysis.bands.calibrated:
        items.append(NOT_CALIBRATED)
    return [KeepTogether([heading("What this method cannot say"), *bullet_list(items)])]


def method_section(analysis: Analysis) -> list[Flowable]:
    """Return how the scores came to be, from frames to bands."""
    sampling, bands = analysis.sampling, analysis.bands
    if analysis.clip.still:
        looked = "The picture was"
    elif sampling.requested is None:
        looked = "Every frame was"
    else:
        looked = "Frames spread evenly over time were"
    words = [
        f"{looked} searched for faces with {rich(sampling.face_detector)} (BlazeFace, Bazarevsky "
        f"et al. 2019; faces from {sampling.min_face_score:g} certainty). Each face was cut out as "
        f"a square {sampling.crop_factor:g} times the larger side of its box and given to "
        f"{' and '.join(network_title(model.name) for model in analysis.models)}. "
        "Each network answers with one number, its logit; a positive logit leans towards "
        "manipulation.",
        "Each logit is divided by the network's temperature, and the weighted mean of the results "
        "is the ensemble's logit; the score is its sigmoid, between 0 and 1. It is no probability "
        "that the clip was manipulated. A face followed over time has the median logit of its "
        "usable frames, and the clip has that of its highest face.",
        f"Bands start at these logits: inconclusive {bands.inconclusive:+.2f}, some evidence "
        f"{bands.some:+.2f}, strong evidence {bands.strong:+.2f}. {rich(bands.note)}",
    ]
    return [
        heading("Method"),
        *(Paragraph(text, style("body")) for text in words),
    ]


def networks_section(analysis: Analysis) -> list[Flowable]:
    """Return the networks, their weights and the settings of the scan."""
    head = ["Network", "Weights", "Share", "Temperature", "Run on"]
    rows: list[list[Any]] = [[Paragraph(f"<b>{text}</b>", style("small")) for text in head]]
    for model in analysis.models:
        rows.append(
            [
                Paragraph(rich(network_title(model.name)), style("small")),
                Paragraph(
                    f"version {rich(model.version)}, SHA-256<br/>{mono(model.sha256, 6)}",
                    style("small"),
                ),
                Paragraph(f"{model.weight:.0%}", style("small")),
                Paragraph(f"{model.temperature:g}", style("small")),
                Paragraph(
                    rich(f"{model.backend}, {model.precision}, {model.device}"), style("small")
                ),
            ]
        )
    table = Table(rows, colWidths=[20 * mm, 84 * mm, 12 * mm, 22 * mm, 32 * mm], repeatRows=1)
    table.setStyle(grid())
    sampling = analysis.sampling
    settings = (
        f"Frames asked for: {'every one' if sampling.requested is None else sampling.requested}; "
        f"face detector: {sampling.face_detector}; least certainty of a face: "
        f"{sampling.min_face_score:g}; crop: {sampling.crop_factor:g} × box, {sampling.crop_size} "
        f"pixels; schema {analysis.schema_version}; time spent: {analysis.timings.total:.1f} s."
    )
    return [
        KeepTogether([heading("Networks and settings"), table]),
        Paragraph(rich(settings), style("note")),
    ]


def provenance_section(provenance: Provenance | None) -> list[Flowable]:
    """Return what the file says of itself; nothing where it was not asked."""
    if provenance is None:
        return []
    from detector.media.provenance.facts import NOTE

    credentials = provenance.credentials
    rows = [
        ("Container", rich(provenance.container)),
        ("Written by", rich(provenance.encoder or "not said")),
        ("Picture by", rich(provenance.video_encoder or "not said")),
        ("Device", rich(provenance.device or "not said")),
        ("Made", rich(provenance.creation_time or "not said")),
    ]
    signed: list[Flowable] = [Paragraph(rich(credentials.sentence), style("body"))]
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
        signed.append(facts([(label, rich(text)) for label, text in said if text]))
    return [
        KeepTogether(
            [heading("What the file says of itself"), facts(rows), *bullet_list(provenance.hints)]
        ),
        Paragraph(NOTE, style("note")),
        KeepTogether([heading("Content Credentials (C2PA)"), *signed]),
    ]


def check_section(analysis: Analysis) -> list[Flowable]:
    """Return the steps by which somebody else checks the report."""
    steps = [
        "Take the clip and the JSON file of this analysis; keep both unchanged.",
        f"Check that the clip's SHA-256 is {mono(analysis.clip.sha256)}",
        f"Install Veriframe {rich(analysis.software)} with weights of the SHA-256 given above.",
        "Run <font name='Mono'>python -m detector verify REPORT.json CLIP</font>. It scans the "
        "clip again with the same settings, compares every score to within 0.001, and names the "
        "first difference.",
    ]
    listed = [Paragraph(f"{number}. {step}", style("item")) for number, step in enumerate(steps, 1)]
    return [KeepTogether([heading("How to check this report"), *listed])]


def scores_section(analysis: Analysis) -> list[Flowable]:
    """Return the table of face scores, the first `MOST_ROWS`; nothing without faces."""
    pairs = [(frame, face) for frame in analysis.frames for face in frame.faces]
    if not pairs:
        return []
    names = [model.name for model in analysis.models]
    head = [
        "Time",
        "Frame",
        "Face",
        "Score",
        "Logit",
        *(network_title(n) for n in names),
        "Pixels",
        "Sharpness",
        "Brightness",
        "Counts",
    ]
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
                ("TEXTCOLOR", (0, 0), (-1, -1), INK),
                ("ALIGN", (0, 0), (-1, -1), "RIGHT"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.6, INK),
                ("LINEBELOW", (0, 1), (-1, -1), 0.2, RULE),
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
    return [heading("All scores"), Paragraph(words, style("note")), table]
