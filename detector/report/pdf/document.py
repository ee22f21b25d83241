"""The report on paper: A4, legible in black and white, enough to check it without Veriframe.

Charts are vector drawings; every text that came with the clip is a stranger's and is escaped.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from detector.media.clip import Image
from detector.pictures.protocols import Pictures
from detector.report.pdf.sections import (
    check_section,
    clip_section,
    finding_section,
    limitations_section,
    method_section,
    networks_section,
    provenance_section,
    scores_section,
    strongest_section,
    timeline_section,
    tracks_section,
    warnings_section,
)
from detector.report.pdf.styles import GREY, MARGIN, RULE, WIDTH
from detector.report.pdf.text import register_fonts, visible
from detector.result import Analysis
from detector.wording import headline

if TYPE_CHECKING:
    from detector.media.provenance.facts import Provenance


def to_pdf(
    analysis: Analysis,
    pictures: Pictures | None = None,
    heat_maps: Mapping[tuple[int, int], Image] | None = None,
    provenance: Provenance | None = None,
) -> bytes:
    """Return the report as a PDF.

    Args:
        analysis: what is reported.
        pictures: previews and face crops of it; without them, the report has numbers only.
        heat_maps: for (frame index, track), RGB uint8 [h, w, 3], the map laid over the face.
        provenance: what the file says of itself.

    Returns:
        The same bytes for the same arguments.
    """
    register_fonts()
    stream = io.BytesIO()
    name = analysis.clip.name
    document = BaseDocTemplate(
        stream,
        pagesize=A4,
        title=f"Veriframe report: {visible(name)}",
        author=f"Veriframe {analysis.software}",
        subject=headline(analysis),
        lang="en",
        invariant=True,  # no time of printing: the same analysis gives the same bytes
    )
    frame = Frame(
        MARGIN,
        20 * mm,
        WIDTH,
        A4[1] - 40 * mm,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    document.addPageTemplates(PageTemplate(frames=[frame]))
    story: list[Flowable] = [
        *finding_section(analysis),
        *timeline_section(analysis),
        *clip_section(analysis),
        *strongest_section(analysis, pictures, heat_maps or {}),
        *tracks_section(analysis),
        *warnings_section(analysis),
        *limitations_section(analysis),
        *method_section(analysis),
        *networks_section(analysis),
        *provenance_section(provenance),
        *check_section(analysis),
        *scores_section(analysis),
    ]
    document.build(story, canvasmaker=functools.partial(_Pages, analysis))
    return stream.getvalue()


class _Pages(Canvas):  # type: ignore[misc]  # ReportLab has no types
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
        right = A4[0] - MARGIN
        self.setStrokeColor(RULE)
        self.setLineWidth(0.4)
        self.line(MARGIN, 16 * mm, right, 16 * mm)
        self.setFillColor(GREY)
        self.setFont("Body", 7)
        self.drawString(MARGIN, 12 * mm, f"Veriframe {self._analysis.software}. Clip SHA-256")
        self.setFont("Mono", 6)
        self.drawString(MARGIN + 38 * mm, 12 * mm, self._analysis.clip.sha256)
        self.setFont("Body", 7)
        self.drawRightString(right, 12 * mm, f"Page {number} of {pages}")
        if number > 1:
            self.drawString(MARGIN, A4[1] - 14 * mm, headline(self._analysis))
