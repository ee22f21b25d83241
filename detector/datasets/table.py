"""The table of training data: one row a clip or a crop, kept as Parquet."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from detector.errors import TrainingError
from detector.files import atomic_write

COLUMNS: dict[str, str] = {
    "path": "string",  # relative to the root
    "set": "string",  # name of the data set
    "kind": "string",  # video, image (a whole picture) or crop (a face)
    "clip": "string",  # crops of one clip enter a step together
    "label": "int64",  # 1 = manipulated
    "method": "string",  # how it was manipulated; "real" where it was not
    "source": "string",  # the original video
    "person": "string",  # whose video it is, "" where unknown
    "donor": "string",  # whose face, or which video, was put in, "" where unknown
    "group": "string",  # what must stay in one split: all that shares a source or person
    "split": "string",  # train, val or test
    "time": "float64",  # seconds into the clip, NaN for stills
    "crop_factor": "float64",  # side of the crop / larger side of the face box
    "min_factor": "float64",  # tightest and
    "max_factor": "float64",  # widest view that a crop is good for
}
SPLITS = ("train", "val", "test")
VIDEO_ENDINGS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})
IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
PARQUET_NAME = "faces.parquet"


@dataclass(frozen=True)
class Table:
    """Rows of `COLUMNS`, and the folder their paths start from.

    Attributes:
        root: folder of the media.
        rows: the table, one row a file.
        notes: what was left out while indexing, one sentence each.
    """

    root: Path
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256, first 16 hex digits, of what decides training: files, labels, groups, splits.

        The root does not enter it, nor does the order of the rows.
        """
        keys = self.rows[["path", "label", "clip", "group", "split"]].astype(str)
        lines = sorted("\t".join(row) for row in keys.itertuples(index=False))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def counts(self) -> dict[str, Any]:
        """Return clips and files by split and class, for the history."""
        result: dict[str, Any] = {}
        for split in SPLITS:
            part = self.rows[self.rows["split"] == split]
            result[split] = {
                name: {
                    "clips": int(part.loc[part["label"] == label, "clip"].nunique()),
                    "files": int((part["label"] == label).sum()),
                }
                for name, label in (("real", 0), ("manipulated", 1))
            }
        return result


def make_table(root: Path, rows: list[dict[str, Any]], notes: tuple[str, ...] = ()) -> Table:
    """Make a table of rows, with defaults in the columns that a row leaves out.

    Raises:
        TrainingError: there are no rows.
    """
    if not rows:
        raise TrainingError(
            f"{root} holds no clips or images to train on; name a folder that does."
        )
    defaults: dict[str, Any] = {
        "set": "",
        "kind": "crop",
        "person": "",
        "donor": "",
        "group": "",
        "split": "",
        "time": float("nan"),
        "crop_factor": 1.0,
        "min_factor": 0.8,
        "max_factor": 1.12,
    }
    frame = pd.DataFrame([{**defaults, **row} for row in rows])
    missing = set(COLUMNS) - set(frame.columns)
    if missing:
        raise TrainingError(f"The index lacks the column {sorted(missing)[0]!r}; add it.")
    return Table(root, frame[list(COLUMNS)].astype(COLUMNS), notes)


def write_table(table: Table, path: Path) -> None:
    """Write Parquet; the root is kept in the file, relative to it where the file lies inside."""
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    data = pyarrow.Table.from_pandas(table.rows, preserve_index=False)
    root = table.root.resolve()
    home = path.parent.resolve()
    kept = os.path.relpath(root, home) if home.is_relative_to(root) else str(root)
    metadata = dict(data.schema.metadata or {})
    metadata[b"veriframe_root"] = kept.encode()
    with atomic_write(path) as draft:
        parquet.write_table(data.replace_schema_metadata(metadata), draft)


def read_table(path: Path) -> Table:
    """Read the table that `write_table` wrote.

    Raises:
        TrainingError: the file is missing or is no such table.
    """
    from pyarrow import ArrowException, parquet

    try:
        data = parquet.read_table(path)
        kept = Path((data.schema.metadata or {})[b"veriframe_root"].decode())
        rows = data.to_pandas()[list(COLUMNS)].astype(COLUMNS)
    except (OSError, KeyError, ValueError, ArrowException) as error:
        raise TrainingError(
            f"{path} is not an index of training data; write one with `python -m detector index`."
        ) from error
    return Table((path.parent / kept).resolve(), rows)


def in_mixed_sets(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of data sets that have both classes.

    A set of real faces only would teach, and reward, telling sets apart instead of seeing
    manipulation: it serves self-blending, where its faces stand in both classes.
    """
    classes = rows.groupby("set")["label"].transform("nunique")
    return rows[classes > 1]


def check_labels(table: Table) -> None:
    """Raise TrainingError unless both classes are there, in training and in validation."""
    for split, words in (("train", "training"), ("val", "validation")):
        labels = set(table.rows.loc[table.rows["split"] == split, "label"])
        if not labels:
            raise TrainingError(
                f"The data has no {words} clips; index it again or give rows the split {split!r}."
            )
        if len(labels) == 1:
            only = "manipulated" if labels == {1} else "real"
            raise TrainingError(f"The {words} clips are all {only}; add clips of the other class.")
