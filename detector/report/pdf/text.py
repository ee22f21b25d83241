"""Text for the PDF: fonts, characters that a font lacks, numbers."""

from __future__ import annotations

import functools
import unicodedata
from html import escape
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

_EAST_ASIAN = {"korean": "HYSMyeongJo-Medium", "kana": "HeiseiMin-W3", "han": "STSong-Light"}


@functools.cache
def register_fonts() -> None:
    """Register DejaVu, embedded (Latin, Greek, Cyrillic), and East Asian fonts of the reader."""
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


def visible(text: str) -> str:
    """Spell out characters that are not seen, or that turn around what follows."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return "".join(
        f"<U+{ord(letter):04X}>" if unicodedata.category(letter) in hidden else letter
        for letter in text
    )


def rich(text: str, font: str = "Body") -> str:
    """Return any text as markup: escaped, each letter in a font that has it, or as its code."""
    own, body = (pdfmetrics.getFont(name).face.charToGlyph for name in (font, "Body"))
    text = visible(text)
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


def spelt_out(text: str) -> str | None:
    """Return the text with codes for letters whose fonts are the reader's; None without any."""
    body = pdfmetrics.getFont("Body").face.charToGlyph
    text = visible(text)
    spelt = "".join(letter if ord(letter) in body else f"<U+{ord(letter):04X}>" for letter in text)
    return None if spelt == text else spelt


def _east_asian_font(letter: str, kana: bool) -> str | None:
    if "\uac00" <= letter <= "\ud7a3" or "\u1100" <= letter <= "\u11ff":
        return _EAST_ASIAN["korean"]
    if "\u3000" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef":
        return _EAST_ASIAN["kana" if kana else "han"]
    return None


def mono(text: str, size: int = 7) -> str:
    """Return any text as markup in letters of one width, `size` points high."""
    return f"<font name='Mono' size='{size}'>{rich(text, 'Mono')}</font>"


def moment(created: str) -> str:
    """Return a time in ISO 8601 as markup for people."""
    return rich(created.replace("T", " ").replace("+00:00", " UTC"))


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
