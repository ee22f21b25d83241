"""The clips that ship with Veriframe, with their titles and credits."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from detector.files import ASSETS


@dataclass(frozen=True)
class Sample:
    """A shipped clip: its file, what to call it, what it shows, and whom to credit."""

    path: Path
    title: str
    about: str
    credit: str


@functools.cache
def samples() -> tuple[Sample, ...]:
    """List all shipped clips whose files are there, in the order to offer them."""
    folder = ASSETS / "samples"
    listed = json.loads((folder / "samples.json").read_text())
    return tuple(
        Sample(folder / entry["file"], entry["title"], entry["about"], entry["credit"])
        for entry in listed
        if (folder / entry["file"]).is_file()
    )
