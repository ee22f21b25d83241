"""Many analyses in one ZIP file: their scores as CSV and Parquet, each whole as JSON."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Collection, Sequence

from detector.errors import ReportError
from detector.library.store import Library
from detector.library.types import FrameFilter, LibraryFilter, Summary
from detector.report import export, tables

FORMS = ("csv", "parquet", "json")
MOST = 1000  # analyses in one file that a browser takes
_PAGE = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run these


def archive(library: Library, ids: Collection[int], forms: Collection[str] = FORMS) -> bytes:
    """A ZIP file with a list of the analyses and, for each form in `forms`, what it holds.

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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(
        ["number", "clip_name", "clip_sha256", "analysed", "seconds", "width", "height", "bytes",
         "band", "score", "logit", "states", "faces", "frames", "models", "tags", "note"]
    )  # fmt: skip
    for summary in summaries:
        cells = [
            summary.id, summary.name, summary.sha256, summary.created.isoformat(),
            summary.duration, summary.width, summary.height, summary.bytes, summary.band,
            summary.score, summary.logit, "; ".join(summary.states), summary.faces,
            summary.frames, summary.model_version, "; ".join(summary.tags), summary.note,
        ]  # fmt: skip
        writer.writerow(
            "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
            for cell in cells
        )
    return text.getvalue().encode("utf-8-sig", "replace")
