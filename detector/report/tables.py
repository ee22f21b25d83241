"""Face scores as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from detector.library.rows import frame_rows
from detector.library.store import Library
from detector.library.types import FrameFilter, FrameRow
from detector.result import Analysis

if TYPE_CHECKING:
    import pyarrow

_BATCH = 20_000  # rows written at a time

# A spreadsheet runs a cell that begins so as a formula, and names of clips are strangers'.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(analyses: Analysis | Iterable[Analysis]) -> bytes:
    """Return a line for each face in each frame, UTF-8 with the byte order mark of spreadsheets.

    Numbers are written in full. Text that a spreadsheet would run as a formula gets an
    apostrophe in front.
    """
    return _csv(_rows(_several(analyses)))


def to_parquet(analyses: Analysis | Iterable[Analysis]) -> bytes:
    """Return a row for each face in each frame; the metadata repeats models and settings."""
    return _parquet(_rows(_several(analyses)))


def filtered_csv(library: Library, filter: FrameFilter, sort: str = "order") -> bytes:
    """Return `to_csv` of the library's face scores that match, in that order."""
    return _csv(_filtered_rows(library, filter, sort))


def filtered_parquet(library: Library, filter: FrameFilter, sort: str = "order") -> bytes:
    """Return `to_parquet` of the library's face scores that match, in that order."""
    return _parquet(_filtered_rows(library, filter, sort))


def _several(analyses: Analysis | Iterable[Analysis]) -> Iterable[Analysis]:
    return [analyses] if isinstance(analyses, Analysis) else analyses


def _rows(analyses: Iterable[Analysis]) -> Iterator[dict[str, Any]]:
    for analysis in analyses:
        common = _common(analysis)
        for frame in analysis.frames:
            for row in frame_rows(analysis, frame):
                yield common | _face(row)


def _filtered_rows(library: Library, filter: FrameFilter, sort: str) -> Iterator[dict[str, Any]]:
    commons: dict[int, dict[str, Any]] = {}
    for row in library.every_frame(filter, sort=sort):
        if row.analysis not in commons:
            commons[row.analysis] = _common(library.get(row.analysis))
        yield commons[row.analysis] | _face(row)


def _face(row: FrameRow) -> dict[str, Any]:
    """Return what a row holds of its own, by column; frames without faces have time alone."""
    place = {"frame": row.index, "time": row.time}
    if row.box is None:
        return place
    left, top, right, bottom = row.box
    return place | {
        "track": row.track,
        "score": row.score,
        "logit": row.logit,
        **{f"logit_{name}": logit for name, logit in (row.logits or {}).items()},
        "networks_disagree": row.disagree,
        "detection_score": row.detection_score,
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
        "size": row.size,
        "sharpness": row.sharpness,
        "brightness": row.brightness,
        "usable": row.usable,
    }


def _common(analysis: Analysis) -> dict[str, Any]:
    """Return what every row of an analysis repeats: whose scores, and how they came to be."""
    sampling = analysis.sampling
    facts: dict[str, Any] = {
        "clip_name": analysis.clip.name,
        "clip_sha256": analysis.clip.sha256,
        "created": analysis.created,
        "software": f"Veriframe {analysis.software}",
        "schema_version": analysis.schema_version,
        "frames_requested": sampling.requested,
        "face_detector": sampling.face_detector,
        "min_face_score": sampling.min_face_score,
        "crop_factor": sampling.crop_factor,
        "crop_size": sampling.crop_size,
    }
    for model in analysis.models:
        facts |= {
            f"{model.name}_version": model.version,
            f"{model.name}_sha256": model.sha256,
            f"{model.name}_weight": model.weight,
            f"{model.name}_temperature": model.temperature,
            f"{model.name}_backend": f"{model.backend} {model.precision}",
        }
    return facts


_FIRST = ("clip_name", "clip_sha256", "frame", "time", "track", "score", "logit")
_LAST = ("networks_disagree", "detection_score", "left", "top", "right", "bottom", "size",
         "sharpness", "brightness", "usable", "created", "software", "schema_version",
         "frames_requested", "face_detector", "min_face_score", "crop_factor",
         "crop_size")  # fmt: skip

_INTEGERS = {"frame", "track", "frames_requested", "crop_size"}
_BOOLEANS = {"networks_disagree", "usable"}
_TEXTS = ("clip_name", "clip_sha256", "created", "software", "schema_version", "face_detector",
          "_version", "_sha256", "_backend")  # fmt: skip


def _columns(names: Iterable[str]) -> list[str]:
    """Return all columns in order: networks' logits after the ensemble's, their facts last."""
    names = list(dict.fromkeys(names))
    logits = [name for name in names if name.startswith("logit_")]
    rest = [name for name in names if name not in (*_FIRST, *_LAST, *logits)]
    return [*_FIRST, *logits, *_LAST, *rest]


def _csv(rows: Iterator[dict[str, Any]]) -> bytes:
    table, _ = _table(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.column_names)
    for batch in table.to_batches(max_chunksize=_BATCH):
        columns = [
            [spreadsheet_cell(value) for value in column.to_pylist()] for column in batch.columns
        ]
        writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode("utf-8-sig", "replace")


def spreadsheet_cell(value: Any) -> Any:
    """Return the value so that no spreadsheet runs it: a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _parquet(rows: Iterator[dict[str, Any]]) -> bytes:
    import pyarrow.parquet

    table, about = _table(rows)
    table = table.replace_schema_metadata({"veriframe": json.dumps(about)})
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _table(rows: Iterator[dict[str, Any]]) -> tuple[pyarrow.Table, list[dict[str, Any]]]:
    """Return the rows in columns, and what each clip's rows repeat; gathered part by part."""
    import pyarrow as pa

    parts, about = [], {}
    while part := list(itertools.islice(rows, _BATCH)):
        names = _columns(name for row in part for name in row)
        shared = _about(names)
        for row in part:
            key = (row["clip_sha256"], row["created"])
            if key not in about:
                about[key] = {name: row[name] for name in names if name in shared & row.keys()}
        schema = pa.schema([pa.field(name, _type(pa, name)) for name in names])
        parts.append(pa.Table.from_pylist(part, schema=schema))
    if not parts:
        names = _columns(())
        return pa.schema([pa.field(name, _type(pa, name)) for name in names]).empty_table(), []
    table = pa.concat_tables(parts, promote_options="default")
    return table.select(_columns(table.column_names)), list(about.values())


def _about(columns: Iterable[str]) -> set[str]:
    measured = {*_FIRST[2:], *_LAST[:10]}
    return {name for name in columns if name not in measured and not name.startswith("logit_")}


def _type(pa: Any, name: str) -> pyarrow.DataType:
    if name in _INTEGERS:
        return pa.int64()
    if name in _BOOLEANS:
        return pa.bool_()
    if name in _TEXTS or name.endswith(_TEXTS[-3:]):
        return pa.dictionary(pa.int32(), pa.string())  # they repeat from row to row
    return pa.float64()
