"""Face crops out of clips and pictures, with the project's own BlazeFace.

Each clip's crops and rows are written before its small JSON part, so that an extraction that was
stopped goes on where it was; the parts become one table and one file of hulls at the end.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector.datasets.table import PARQUET_NAME, Table, make_table, write_table
from detector.errors import ClipError, TrainingError
from detector.faces.blazeface import BlazeFace
from detector.faces.face import FaceDetector
from detector.faces.geometry import crop_face
from detector.files import atomic_write
from detector.media.reader import sample
from detector.training.hulls import HULLS_NAME, hulls_from_key_points, write_hulls

FACTOR = 1.4  # side of the crop / larger side of the box: the widest view training takes
TIGHTEST = 0.8
JPEG_QUALITY = 95  # the same for both classes
KEPT_COLUMNS = ("set", "label", "method", "source", "person", "donor", "group", "split")


@dataclass(frozen=True)
class Extraction:
    """What came out.

    Attributes:
        table: one row a crop.
        damaged: clips that could not be read, and why.
        faceless: clips in which no face was found.
    """

    table: Table
    damaged: tuple[str, ...]
    faceless: tuple[str, ...]


@dataclass(frozen=True)
class _Task:
    root: Path
    out: Path
    path: str
    kind: str
    frames: int
    size: int
    row: dict[str, Any]
    clip: str


def extract_faces(
    table: Table,
    out: Path,
    *,
    frames: int = 16,
    size: int = 320,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Cut the largest face out of evenly spread frames of every clip, into `out`.

    Args:
        table: rows of kind "video" or "image".
        out: gets `crops/`, `parts/`, `faces.parquet` and `hulls.npz`.
        frames: of each video.
        size: side of the crops, pixels.
        jobs: processes.
        progress: called with files done and files in all.

    Raises:
        TrainingError: no face was found in any clip.
    """
    wanted = table.rows[table.rows["kind"].isin(["video", "image"])]
    tasks = [
        _Task(
            table.root,
            out,
            str(row["path"]),
            str(row["kind"]),
            frames,
            size,
            {column: row[column] for column in KEPT_COLUMNS},
            str(row["clip"]),
        )
        for row in wanted.to_dict("records")
    ]
    (out / "parts").mkdir(parents=True, exist_ok=True)
    open_ = [task for task in tasks if not _part(task).exists()]
    done = len(tasks) - len(open_)
    for _ in _run(open_, jobs):
        done += 1
        if progress:
            progress(done, len(tasks))
    return _gather(tasks, out)


def _run(tasks: list[_Task], jobs: int) -> Iterator[None]:
    if jobs <= 1:
        for task in tasks:
            _extract(task)
            yield
        return
    context = multiprocessing.get_context("spawn")  # OpenVINO's threads do not survive a fork
    waiting = iter(tasks)
    with ProcessPoolExecutor(jobs, context) as pool:
        running: set[Future[None]] = {
            pool.submit(_extract, task) for task in islice(waiting, 2 * jobs)
        }
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                future.result()
                yield
            running |= {pool.submit(_extract, task) for task in islice(waiting, len(ready))}


_detector: FaceDetector | None = None


def _extract(task: _Task) -> None:
    """Write one file's crops, then its part, in this order."""
    global _detector  # noqa: PLW0603 - one detector a process
    _detector = _detector or BlazeFace()
    part: dict[str, Any] = {"path": task.path, "rows": [], "hulls": [], "error": ""}
    name = _key(task)
    try:
        for index, (time, image) in enumerate(_images(task)):
            faces = _detector.detect(image)
            if not faces:
                continue
            face = max(faces, key=lambda found: found.size)
            crop = crop_face(image, face.box, FACTOR, task.size)
            file = f"crops/{name[:2]}/{name}_{index:03d}.jpg"
            path = task.out / file
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(
                str(path),
                cv2.cvtColor(crop, cv2.COLOR_RGB2BGR),
                [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
            )
            left, top, right, bottom = face.box
            side = face.size * FACTOR
            corner = np.array([(left + right - side) / 2, (top + bottom - side) / 2])
            hulls = hulls_from_key_points((np.array(face.key_points) - corner) / side)
            part["rows"].append(
                {
                    **task.row,
                    "path": file,
                    "kind": "crop",
                    "clip": task.clip,
                    "time": time,
                    "crop_factor": FACTOR,
                    "min_factor": TIGHTEST,
                    "max_factor": FACTOR,
                }
            )
            part["hulls"].append(np.round(hulls, 4).tolist())
    except (ClipError, OSError) as error:
        part["error"] = str(error)
    with atomic_write(_part(task)) as draft:
        draft.write_text(json.dumps(part), encoding="utf-8")


def _images(task: _Task) -> Iterator[tuple[float | None, np.ndarray[Any, np.dtype[np.uint8]]]]:
    path = task.root / task.path
    if task.kind == "video":
        for frame in sample(path, task.frames):
            yield frame.time, frame.image
        return
    image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ClipError(f"{task.path} cannot be read as an image; leave it out or replace it.")
    yield None, np.asarray(image, dtype=np.uint8)


def _key(task: _Task) -> str:
    return hashlib.sha256(task.path.encode()).hexdigest()[:16]


def _part(task: _Task) -> Path:
    return task.out / "parts" / f"{_key(task)}.json"


def _gather(tasks: list[_Task], out: Path) -> Extraction:
    rows: list[dict[str, Any]] = []
    hulls = {}
    damaged, faceless = [], []
    for task in tasks:
        part = json.loads(_part(task).read_text(encoding="utf-8"))
        if part["error"]:
            damaged.append(task.path)
        elif not part["rows"]:
            faceless.append(task.path)
        for row, hull in zip(part["rows"], part["hulls"], strict=True):
            rows.append({**row, "time": float("nan") if row["time"] is None else row["time"]})
            hulls[row["path"]] = np.array(hull, dtype=np.float32)
    if not rows:
        raise TrainingError("No face was found in any clip; name a folder whose clips show faces.")
    table = make_table(out, rows)
    write_hulls(out / HULLS_NAME, hulls)
    write_table(table, out / PARQUET_NAME)
    return Extraction(table, tuple(damaged), tuple(faceless))
