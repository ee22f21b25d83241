"""The stages of a scan on a cluster: look at clips, score their faces, write their rows.

Every function here runs in a worker and takes and gives Arrow tables, one row a clip. Looking is
done by tasks, since a clip may kill its process; scoring by actors, which hold the networks;
writing by tasks again. Nothing a clip does is an exception: it becomes a failed row. An exception
or a killed process would take the other clips of its table with it.
"""

from __future__ import annotations

import datetime
import functools
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.analysis.engine import Engine, describe
from detector.analysis.finding import assemble
from detector.analysis.scan import scored_frame, search_frames
from detector.cluster.plan import ClipOutcome, LookedAt, Plan, Scores
from detector.cluster.serialize import from_bytes, to_bytes
from detector.cluster.source import SourceClip, file_system, is_address
from detector.errors import ClipError, DetectorError
from detector.media.clip import check_size, shortened
from detector.media.sandboxed_clip import open_clip
from detector.models import installed
from detector.models.scorer import Crops, face_scores
from detector.models.spec import EnsembleSpec
from detector.result import Analysis, Timings

if TYPE_CHECKING:
    import pyarrow

# Crops of one clip that a worker holds, and that pass to the networks in one piece: 568 MB.
MOST_CROPS = 2048


def to_table(clips: Sequence[SourceClip]) -> pyarrow.Table:
    """Return clips as `look` takes them."""
    import pyarrow as pa

    return pa.table({"clip": pa.array([to_bytes(clip) for clip in clips], pa.binary())})


def look(table: pyarrow.Table, plan: Plan) -> Iterator[pyarrow.Table]:
    """Decode each clip and find its faces; gives one table for each clip, as soon as it is done.

    Args:
        table: of `to_table`.
        plan: of the scan.

    Yields:
        looked_at: a `LookedAt`, as `to_bytes` writes it; crops: RGB uint8 [n, s, s, 3] as bytes.
    """
    import pyarrow as pa

    for row in table["clip"]:
        found, crops = look_at(from_bytes(SourceClip, row.as_py()), plan)
        yield pa.table(
            {
                "looked_at": pa.array([to_bytes(found)], pa.binary()),
                "crops": _one_cell(crops),
            }
        )


def _one_cell(crops: Crops) -> pyarrow.LargeBinaryArray:
    """Return the crops' bytes as a column of one row, without a copy."""
    import pyarrow as pa

    ends = pa.py_buffer(np.array([0, crops.size], np.int64))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(crops)])


def look_at(source: SourceClip, plan: Plan) -> tuple[LookedAt, Crops]:
    """Return a clip's faces and crops uint8 [n, s, s, 3]; a failure is stated, never raised."""
    none = np.zeros((0, 1, 1, 3), np.uint8)
    # File systems allow names that are no text.
    name = os.fsencode(source.path.rsplit("/", 1)[-1]).decode("utf-8", "replace")
    try:
        if not is_address(source.path):
            return _look_at(source, Path(source.path), name, plan)
        check_size(source.bytes, shortened(name), plan.limits)  # before it is fetched
        with tempfile.TemporaryDirectory(prefix="veriframe-") as folder:
            path = Path(folder) / ("clip" + Path(name).suffix)
            _fetch(source.path, path)
            return _look_at(source, path, name, plan)
    except DetectorError as error:
        return LookedAt(source, error=str(error)), none
    except OSError as error:
        reason = error.strerror or error
        sentence = f"“{name}” cannot be opened ({reason}); check that it may be read."
        return LookedAt(source, error=sentence), none
    except Exception as error:
        sentence = f"“{name}” cannot be analysed ({type(error).__name__}: {error}); scan it alone."
        return LookedAt(source, error=sentence), none


def _look_at(source: SourceClip, path: Path, name: str, plan: Plan) -> tuple[LookedAt, Crops]:
    settings, ensemble = plan.settings, _ensemble(plan.settings.models)
    detector = _engine().face_detector(settings.face_detector)
    frames, crops = [], []
    decode = detect = 0.0
    with open_clip(path, name, plan.limits) as reader:
        for one in search_frames(reader, settings.frames, detector, ensemble):
            frames.append(one.faces)
            crops.extend(one.crops)
            decode += one.decode
            detect += one.detect
            if len(crops) > MOST_CROPS:
                raise ClipError(
                    f"“{reader.label}” shows more than {MOST_CROPS:,} faces in its frames, too "
                    "many for a worker's memory; choose fewer frames, or scan it without --ray."
                )
        clip = reader.describe()
    side = ensemble.crop_size
    stacked = np.stack(crops) if crops else np.zeros((0, side, side, 3), np.uint8)
    return LookedAt(source, clip, tuple(frames), None, decode, detect), stacked


def _fetch(address: str, path: Path) -> None:
    system, inside = file_system(address)
    try:
        system.get_file(inside, str(path))
    except Exception as error:  # each kind of storage has errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ClipError(
            f"{address} cannot be fetched ({reason}); check that it is there."
        ) from error


class Score:
    """An actor that holds the networks.

    Args:
        plan: of the scan.
    """

    def __init__(self, plan: Plan) -> None:
        self._scorer = Engine().load(plan.settings.backend, plan.settings.models)
        self._models = describe(self._scorer)

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """Score the clips of a table together, so that the networks see full batches.

        Args:
            table: of `look`.

        Returns:
            looked_at: as it came; scores: of each a `Scores`.
        """
        import pyarrow as pa

        side = self._scorer.ensemble.crop_size
        crops = [
            np.frombuffer(cell.as_buffer(), np.uint8).reshape(-1, side, side, 3)
            for cell in table["crops"]
        ]
        try:
            scores = self._score(crops)
        except DetectorError:  # which of them? the others have done nothing wrong
            scores = [self._score_alone(one) for one in crops]
        return pa.table(
            {
                "looked_at": table["looked_at"],
                "scores": pa.array([to_bytes(one) for one in scores], pa.binary()),
            }
        )

    def _score_alone(self, crops: Crops) -> Scores:
        try:
            return self._score([crops])[0]
        except DetectorError as error:
            return Scores(self._models, error=str(error))

    def _score(self, crops: list[Crops]) -> list[Scores]:
        counts = [len(one) for one in crops]
        if not sum(counts):
            return [Scores(self._models) for _ in crops]
        started = time.perf_counter()
        logits = self._scorer.logits(crops[0] if len(crops) == 1 else np.concatenate(crops))
        seconds = (time.perf_counter() - started) / sum(counts)
        faces = face_scores(self._scorer.ensemble, logits)
        ends = np.cumsum(counts)
        return [
            Scores(self._models, tuple(faces[end - count : end]), count * seconds)
            for end, count in zip(ends, counts, strict=True)
        ]


def write(table: pyarrow.Table, plan: Plan) -> pyarrow.Table:
    """Conclude for each clip, write all rows as one file, and say what became of the clips.

    Args:
        table: of `Score`.
        plan: of the scan.

    Returns:
        outcomes: one row, a list of `ClipOutcome`.
    """
    import pyarrow as pa

    rows = [
        row_of(from_bytes(LookedAt, looked_at.as_py()), from_bytes(Scores, scores.as_py()), plan)
        for looked_at, scores in zip(table["looked_at"], table["scores"], strict=True)
    ]
    outcomes = write_rows(rows, plan)
    return pa.table({"outcomes": pa.array([to_bytes(outcomes)], pa.binary())})


def write_rows(rows: list[dict[str, Any]], plan: Plan) -> list[ClipOutcome]:
    """Write rows as one file; an error that would meet every clip is stated in each outcome."""
    unwritten = None
    try:
        plan.target.write(rows, plan.date, plan.model_version)
    except DetectorError as error:
        unwritten = str(error)
    return [
        ClipOutcome(row["path"], row["identity"], row["state"], row["error"], unwritten)
        for row in rows
    ]


def row_of(looked_at: LookedAt, scores: Scores, plan: Plan) -> dict[str, Any]:
    """Return the row of a clip, see `detector.cluster.target.schema`."""
    source, error = looked_at.source, looked_at.error or scores.error
    common = {
        "path": os.fsencode(source.path).decode("utf-8", "replace"),
        "identity": source.identity(plan.fingerprint),
        "bytes": source.bytes,
        "modified": source.modified,
        "fingerprint": plan.fingerprint,
        "error": error,
        "tracks": 0,
        "frames": len(looked_at.frames),
    }
    if error is not None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return common | {"state": "failed", "created": now}
    analysis = analysis_of(looked_at, scores, plan)
    finding = analysis.finding
    return common | {
        "sha256": analysis.clip.sha256,
        "state": "analysed",
        "band": finding.band,
        "logit": finding.logit,
        "score": finding.score,
        "tracks": len(analysis.tracks),
        "created": analysis.created,
        "analysis": analysis.to_json(),
    }


def analysis_of(looked_at: LookedAt, scores: Scores, plan: Plan) -> Analysis:
    """Return the analysis that `detector.analysis.scan.scan` makes of the same clip."""
    assert looked_at.clip is not None
    faces = iter(scores.faces)
    frames = [scored_frame(found, [next(faces) for _ in found.faces]) for found in looked_at.frames]
    seconds = (looked_at.decode, looked_at.detect, scores.seconds)
    return assemble(
        looked_at.clip,
        frames,
        plan.settings,
        _ensemble(plan.settings.models),
        scores.models,
        Timings(*seconds, total=sum(seconds)),
    )


@functools.cache
def _engine() -> Engine:
    return Engine()


@functools.cache
def _ensemble(models: str) -> EnsembleSpec:
    return installed.get_model(models).read()
