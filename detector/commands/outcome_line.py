"""What a command says of one clip of many: one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.jobs.folder import FileOutcome


def outcome_line(file: FileOutcome) -> str:
    """Return the clip's path, its finding or that it failed, and its number in the library."""
    from detector.wording import BAND_SHORT

    words = {"analysed": "", "known": " (known already)", "failed": "failed"}[file.state]
    found = "" if file.state == "failed" else (BAND_SHORT[file.band] if file.band else "no band")
    number = "" if file.id is None else f"  #{file.id}"
    return f"{printable(file.path)}: {found}{words}{number}"


def printable(path: Path) -> str:
    """Return a path as one line: it may hold line breaks, a terminal's orders, or no text."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(path))
