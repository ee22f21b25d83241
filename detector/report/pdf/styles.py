"""Type, spacing and building blocks of the PDF."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable, Paragraph, Table, TableStyle

from detector.media.clip import Image
from detector.report.pdf.text import rich

MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN  # of the text, points

INK = colors.HexColor("#1a1a1a")
GREY = colors.HexColor("#5a5a5a")
RULE = colors.HexColor("#9a9a9a")
PALE = colors.HexColor("#f0f0f0")


class Picture(Flowable):  # type: ignore[misc]  # ReportLab has no types
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
        """Return width and height, points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw on the page."""
        self.canv.drawImage(ImageReader(self._jpeg), 0, 0, self.width, self.height)
        self.canv.setLineWidth(0.3)
        self.canv.setStrokeColor(GREY)
        self.canv.rect(0, 0, self.width, self.height)


@functools.cache
def style(name: str) -> ParagraphStyle:
    """Return a style by its name; KeyError where there is none."""
    body = ParagraphStyle(
        "body",
        fontName="Body",
        fontSize=8.6,
        leading=12.4,
        textColor=INK,
        spaceAfter=2.5,
        splitLongWords=True,
    )
    made = {
        "body": body,
        "kicker": ParagraphStyle("kicker", body, fontSize=8, textColor=GREY, spaceAfter=1),
        "title": ParagraphStyle("title", body, fontName="Head", fontSize=15, leading=19),
        "finding": ParagraphStyle(
            "finding", body, fontName="Head", fontSize=16, leading=21, spaceAfter=4
        ),
        "heading": ParagraphStyle(
            "heading",
            body,
            fontName="Head",
            fontSize=10.5,
            leading=14,
            spaceBefore=11,
            spaceAfter=3.5,
            keepWithNext=True,
        ),
        "item": ParagraphStyle("item", body, leftIndent=9, firstLineIndent=-9, spaceAfter=2),
        "note": ParagraphStyle("note", body, fontSize=7.4, leading=10.4, textColor=GREY),
        "small": ParagraphStyle("small", body, fontSize=7.6, leading=10.4, spaceAfter=1),
        "label": ParagraphStyle("label", body, fontSize=7.6, leading=10.4, textColor=GREY),
        "right": ParagraphStyle("right", body, fontSize=7.6, alignment=TA_RIGHT),
    }
    return made[name]


def heading(text: str) -> Paragraph:
    """Return the heading of a section; the text is escaped."""
    return Paragraph(escape(text), style("heading"))


def bullet_list(texts: Iterable[str]) -> list[Flowable]:
    """Return texts as items with a bullet each; they are escaped."""
    return [Paragraph("• " + rich(text), style("item")) for text in texts]


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of labels and values; values are markup already."""
    table = Table(
        [
            [Paragraph(label, style("label")), Paragraph(value, style("small"))]
            for label, value in rows
        ],
        colWidths=[24 * mm, WIDTH - 24 * mm],
    )
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                ("LINEBELOW", (0, 0), (-1, -1), 0.2, RULE),
            ]
        )
    )
    return table


def grid() -> TableStyle:
    """Return the style of tables with a head and a hairline under each row."""
    return TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ("LINEBELOW", (0, 0), (-1, 0), 0.6, INK),
            ("LINEBELOW", (0, 1), (-1, -1), 0.2, RULE),
        ]
    )
