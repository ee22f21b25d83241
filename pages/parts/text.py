"""Text from files and people, made safe to show."""

from __future__ import annotations

import re

# Streamlit draws these also where they are escaped: icons, its logo, links, and symbols.
_DRAWN = re.compile(r"(?<=:)(?=material|streamlit|//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
_SYMBOL = re.compile(r"(?<!\S)(<->|->|<-|--|>=|<=|~=)(?!\S)")
_JOINER = "\N{WORD JOINER}"  # no width, and no line break either
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^=&])")


def plain(text: str) -> str:
    """Return Markdown that shows `text` as it is: no markup, HTML or line breaks of its own."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    apart = _SYMBOL.sub(lambda found: _JOINER.join(found[0]), _DRAWN.sub(_JOINER, printable))
    return _SPECIAL.sub(r"\\\1", apart)


def short(text: str, most: int = 60) -> str:
    """Return `text`, without its middle where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
