"""Many analyses in one ZIP file: their scores as CSV and Parquet, each whole as JSON."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Collection, Sequence
from typing import Any

from detector.errors import ReportError
from detector.library.store import Library
from detector.library.types import FrameFilter, LibraryFilter, Summary
from detector.report import export, tables

FORMS = ("csv", "parquet", "json")
MOST = 1000  # analyses in one file that a browser takes
_PAGE = 200


def archive(library: Library, ids: Collection[int], forms: Collection[str] = FORMS) -> bytes:
    """Return a ZIP file with a list of the analyses and, for each form, what it holds.

    Args:
        library: the library.
        ids: numbers of the analyses, at most `MOST`.
        forms: of `FORMS`.

    Returns:
        The file: `analyses.csv`, and `scores.csv`, `scores.parquet`, `json/NUMBER-NAME.json`.

    Raises:
        ReportError: too many, or none of them is in the library.
        LibraryError: the library cannot be read.
    """
    if len(ids) > MOST:
        raise ReportError(
            f"{len(ids):,} analyses are too many for one file; choose at most {MOST:,}."
        )
    summaries = _summaries(library, ids)
    if not summaries:
        raise ReportError("None of these analyses is in the library any more; choose others.")
    present = [summary.id for summary in summaries]
    with tempfile.SpooledTemporaryFile(max_size=64 << 20) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
            target.writestr("analyses.csv", _list(summaries))
            if "csv" in forms:
                target.writestr(
                    "scores.csv", tables.filtered_csv(library, FrameFilter(analyses=present))
                )
            if "parquet" in forms:
                target.writestr(
                    "scores.parquet",
                    tables.filtered_parquet(library, FrameFilter(analyses=present)),
                )
            if "json" in forms:
                for id in present:
                    analysis = library.get(id)
                    name = f"json/{id}-{export.file_name(analysis, 'json')}"
                    target.writestr(name, export.to_json(analysis))
        file.seek(0)
        return file.read()


def _summaries(library: Library, ids: Collection[int]) -> list[Summary]:
    found: list[Summary] = []
    page = 1
    while True:
        some = library.search(LibraryFilter(ids=ids), sort="created", page=page, page_size=_PAGE)
        found += some.items
        if page >= some.pages:
            return found
        page += 1


def _list(summaries: Sequence[Summary]) -> bytes:
    rows = [_columns(summary) for summary in summaries]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(tables.spreadsheet_cell(cell) for cell in row.values())
    return text.getvalue().encode("utf-8-sig", "replace")


def _columns(summary: Summary) -> dict[str, Any]:
    return {
        "number": summary.id,
        "clip_name": summary.name,
        "clip_sha256": summary.sha256,
        "analysed": summary.created.isoformat(),
        "seconds": summary.duration,
        "width": summary.width,
        "height": summary.height,
        "bytes": summary.bytes,
        "band": summary.band,
        "score": summary.score,
        "logit": summary.logit,
        "states": "; ".join(summary.states),
        "faces": summary.faces,
        "frames": summary.frames,
        "models": summary.model_version,
        "tags": "; ".join(summary.tags),
        "note": summary.note,
    }
