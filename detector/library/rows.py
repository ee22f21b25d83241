"""Analyses as rows of the library's tables, and back."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import time as clock
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from detector.errors import LibraryError, ResultError
from detector.library import schema
from detector.library.sql import clean, clean_tags
from detector.library.types import FrameRow, Summary
from detector.models.ensemble import calibrated
from detector.result import Analysis, ScoredFrame, fingerprint_of
from detector.wording import BAND_ORDER

_COLUMNS = frozenset(schema.face_score.columns.keys())
_MOST_JSON = 1 << 30  # bytes of one analysis: a hundred hours, every frame


def is_plain(name: object) -> TypeGuard[str]:
    """Return whether this names a file in the folder of kept clips, and no way out of it."""
    if not isinstance(name, str) or name in ("", ".", "..") or "\0" in name:
        return False
    return Path(name).name == name


def unpacked(packed: bytes) -> bytes:
    """Return a document of the library; zlib.error where it is damaged, or grows without end."""
    reader = zlib.decompressobj()
    text = reader.decompress(packed, _MOST_JSON)
    if not reader.eof:
        raise zlib.error("cut off, or too large")
    return text


def digest_of(text: bytes, owner: str) -> str:
    """Return what tells one kept analysis from another: two people may keep the same one."""
    return hashlib.sha256(text + (b"\0" + owner.encode() if owner else b"")).hexdigest()


def lossless(analysis: Analysis) -> bytes:
    """Return the analysis as JSON; LibraryError unless it reads back equal, as NaN does not."""
    try:
        text = analysis.to_json().encode()
        same = Analysis.from_json(text) == analysis
    except (ResultError, ValueError) as error:
        raise LibraryError(
            f"The analysis cannot be kept ({str(error).splitlines()[0]}); scan the clip again."
        ) from error
    if not same:
        raise LibraryError("The analysis cannot be kept without loss; scan the clip again.")
    return text


def analysis_row(
    analysis: Analysis,
    digest: str,
    tags: Iterable[str],
    note: str,
    source: Path | str | None,
) -> dict[str, Any]:
    """Return the row of the table of analyses, but for its number and owner."""
    clip, finding = analysis.clip, analysis.finding
    faces = [(face, frame.index) for frame in analysis.frames for face in frame.faces]
    # The picture that stands for the clip shows the face that decides, where one does.
    deciding = [pair for pair in faces if pair[0].track == finding.track] or faces
    cover = max(deciding, key=lambda pair: pair[0].logit, default=None)
    name, note = clean(clip.name), clean(note)
    now = clock.time()
    return {
        "digest": digest,
        "sha256": clip.sha256,
        "fingerprint": fingerprint_of(analysis),
        "name": name,
        "name_key": name.casefold()[:200],
        "created_at": _seconds(analysis.created, now),
        "kept_at": now,
        "bytes": clip.bytes,
        "width": clip.width,
        "height": clip.height,
        "duration": clip.duration,
        "band": finding.band,
        "band_rank": 0 if finding.band is None else BAND_ORDER.index(finding.band) + 1,
        "logit": finding.logit,
        "score": finding.score,
        "states": list(finding.states),
        "faces": len(analysis.tracks),
        "frames": len(analysis.frames),
        "model_version": ", ".join(f"{model.name} {model.version}" for model in analysis.models),
        "cover_frame": cover[1] if cover else None,
        "cover_track": cover[0].track if cover else None,
        "source": None if source is None else clean(str(source)),
        "note": note,
        "search_text": search_text(name, clip.sha256, clean_tags(tags), note),
    }


def face_rows(id: int, analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of face scores, as its columns name them.

    Args:
        id: number of the analysis in the library.
        analysis: what to keep.
    """
    for frame in analysis.frames:
        for place, row in enumerate(frame_rows(analysis, frame, id)):
            left, top, right, bottom = row.box or (None,) * 4
            values = {name: value for name, value in vars(row).items() if name in _COLUMNS}
            yield values | {
                "analysis_id": id,
                "frame": row.index,
                "place": place,
                "left": left,
                "top": top,
                "right": right,
                "bottom": bottom,
            }


def frame_rows(analysis: Analysis, frame: ScoredFrame, id: int = 0) -> Iterator[FrameRow]:
    """Yield what is known of each face of a frame; one row without a face where there is none.

    The library's table, CSV and Parquet are all made from these.
    """
    if not frame.faces:
        yield FrameRow(id, analysis.clip.name, frame.index, frame.time)
    for face in frame.faces:
        logits = calibrated(analysis.models, face.logits).values()
        yield FrameRow(
            analysis=id,
            clip=analysis.clip.name,
            index=frame.index,
            time=frame.time,
            disagree=len({logit > 0 for logit in logits}) > 1,
            track=face.track,
            score=face.score,
            logit=face.logit,
            logits=dict(face.logits),
            spread=max(logits) - min(logits) if logits else 0.0,
            size=face.quality.size,
            sharpness=face.quality.sharpness,
            brightness=face.quality.brightness,
            usable=face.quality.usable,
            detection_score=face.detection_score,
            box=face.box,
        )


def frame_row(row: Mapping[Any, Any]) -> FrameRow:
    """Return a row of the table of face scores as a value."""
    found = row["track"] is not None
    return FrameRow(
        analysis=row["analysis_id"],
        clip=row["clip"],
        index=row["frame"],
        time=row["time"],
        disagree=bool(row["disagree"]),
        track=row["track"],
        score=row["score"],
        logit=row["logit"],
        logits=row["logits"],
        spread=row["spread"],
        size=row["size"],
        sharpness=row["sharpness"],
        brightness=row["brightness"],
        usable=row["usable"],
        detection_score=row["detection_score"],
        box=(row["left"], row["top"], row["right"], row["bottom"]) if found else None,
    )


def summary_of(row: Mapping[Any, Any], tags: tuple[str, ...]) -> Summary:
    """Return a row of the table of analyses, with its tags, as a value."""
    same = {field.name for field in dataclasses.fields(Summary)} & set(row)
    cover = None if row["cover_frame"] is None else (row["cover_frame"], row["cover_track"])
    values = {name: row[name] for name in same} | {
        "created": datetime.datetime.fromtimestamp(row["created_at"], datetime.UTC),
        "kept": datetime.datetime.fromtimestamp(row["kept_at"], datetime.UTC),
        "states": tuple(row["states"]),
        "cover": cover,
        "tags": tags,
        "clip_kept": row["clip_file"] is not None,
    }
    return Summary(**values)


def search_text(name: str, sha256: str, tags: Iterable[str], note: str) -> str:
    """Return what a search by words looks through, case folded."""
    return "\n".join([name, sha256, *tags, note]).casefold()


def tag_rows(id: int, tags: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rows of the table of tags for an analysis."""
    return [{"analysis_id": id, "name": name} for name in sorted(tags)]


def _seconds(created: str, otherwise: float) -> float:
    try:
        moment = datetime.datetime.fromisoformat(created)
    except ValueError:
        return otherwise
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
