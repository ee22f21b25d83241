"""An analysis as a file to hand over: JSON, CSV, Parquet, and PDF (`detector.report.pdf.document`).

Every form carries the clip's SHA-256, the weights' SHA-256, versions and settings, so that
someone else can check it again (`detector.analysis.verify`). JSON alone is complete.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import ReportError
from detector.files import ASSETS, write_whole
from detector.media.clip import Image
from detector.pictures.protocols import Pictures
from detector.report.tables import to_csv, to_parquet
from detector.result import Analysis, json_schema

if TYPE_CHECKING:
    from detector.media.provenance.facts import Provenance

SCHEMA_FILE = ASSETS / "analysis.schema.json"
FORMATS = ("json", "csv", "parquet", "pdf")


def file_name(analysis: Analysis, suffix: str) -> str:
    """Return a name for a download: the clip's, without what file systems refuse, and its hash.

    Args:
        analysis: what is saved.
        suffix: "pdf", "csv" and so on.

    Returns:
        For example "interview-3fa94c1d-veriframe.pdf".
    """
    stem = re.sub(r"[^\w.-]+", "-", Path(analysis.clip.name).stem).strip("-.")[:60] or "clip"
    return f"{stem}-{analysis.clip.sha256[:8]}-veriframe.{suffix}"


def to_json(analysis: Analysis) -> bytes:
    """Return the whole analysis as JSON; `SCHEMA_FILE` describes it, `from_json` reads it."""
    return analysis.to_json().encode()


def to_pdf(
    analysis: Analysis,
    pictures: Pictures | None = None,
    heat_maps: Mapping[tuple[int, int], Image] | None = None,
    provenance: Provenance | None = None,
) -> bytes:
    """Return the report as an A4 PDF; see `detector.report.pdf.document.to_pdf`."""
    from detector.report.pdf import document  # its libraries are loaded when a report is made

    return document.to_pdf(analysis, pictures, heat_maps, provenance)


def save(
    analysis: Analysis,
    path: Path | str,
    pictures: Pictures | None = None,
    heat_maps: Mapping[tuple[int, int], Image] | None = None,
    provenance: Provenance | None = None,
) -> Path:
    """Write the analysis to `path`, in the format that its suffix names: one of `FORMATS`.

    Raises:
        ReportError: there is no such format, or the file cannot be written; nothing is left.
    """
    path = Path(path)
    check_format(path)
    makers: dict[str, Callable[[], bytes]] = {
        "json": lambda: to_json(analysis),
        "csv": lambda: to_csv(analysis),
        "parquet": lambda: to_parquet(analysis),
        "pdf": lambda: to_pdf(analysis, pictures, heat_maps, provenance),
    }
    write_whole(path, makers[path.suffix.lower().removeprefix(".")]())
    return path


def check_format(path: Path) -> None:
    """Raise ReportError unless the suffix of `path` is one of `FORMATS`."""
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise ReportError(
            f"“{path.name}” has no format that can be written; end it with one of: "
            f"{', '.join('.' + name for name in FORMATS)}."
        )


def write_schema(path: Path = SCHEMA_FILE) -> None:
    """Write the JSON Schema of a result where it is published."""
    write_whole(path, (json.dumps(json_schema(), indent=1, sort_keys=True) + "\n").encode())
