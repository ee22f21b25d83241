"""Labelled clips, pictures or face crops to evaluate on: a folder, a Parquet table, or a CSV.

What cannot be used is left out with one sentence in the notes, and the rest is evaluated: files
that are missing, copies, and clips whose file or source video also stands in another split.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from detector.datasets.layouts import LAYOUTS, listed_rows, recognise
from detector.datasets.table import PARQUET_NAME, SPLITS, VIDEO_ENDINGS, make_table, read_table
from detector.errors import EvaluationError, TrainingError
from detector.files import sha256_of

ALL = "all"


@dataclass(frozen=True)
class Labelled:
    """Items with labels.

    Attributes:
        name: of the data, for people; never a path.
        split: "train", "val", "test" or "all".
        root: folder that the paths start from.
        rows: `detector.datasets.table.COLUMNS` and `sha256`, one row a file.
        notes: what was left out, one sentence each.
    """

    name: str
    split: str
    root: Path
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256, first 16 hex digits, of labels and contents; names and order do not enter."""
        keys = self.rows[["sha256", "label"]].astype(str)
        lines = sorted("\t".join(row) for row in keys.itertuples(index=False))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def first(self, real: int, manipulated: int) -> Labelled:
        """Return at most so many clips of each class, chosen by a hash of what they hold."""
        rows = self.rows
        clips = rows.groupby("clip").agg(label=("label", "first"), key=("sha256", "min"))
        clips = clips.sort_values("key")
        kept = [
            name
            for label, most in ((0, real), (1, manipulated))
            for name in clips.index[clips["label"] == label][:most]
        ]
        return replace(self, rows=rows[rows["clip"].isin(kept)].reset_index(drop=True))


def open_labelled(path: Path, split: str | None = None, name: str = "") -> Labelled:
    """Open the labelled items of a folder, a `.parquet` table or a `.csv`, those of one split.

    Args:
        path: a folder with `real` and `fake`, or of any layout that `index` knows; a table that
            `index` wrote; or a CSV with the columns file and manipulated, and where known split,
            set, group (source video), clip and crop_factor.
        split: "train", "val", "test" or "all"; default, "test" where the data has splits.
        name: what the data is called; default, the names of its sets.

    Raises:
        EvaluationError: nothing there can be evaluated.
    """
    rows, root, notes = _rows(path)
    if split not in (None, ALL, *SPLITS):
        raise EvaluationError(f"There is no split {split!r}; choose train, val, test or all.")
    has_splits = bool((rows["split"] != "").any())
    if not has_splits and split not in (None, ALL):
        notes.append(f"The data has no splits, so all of it is used as “{split}”.")
    wanted = (split or "test") if has_splits else ALL
    there = pd.Series([(root / name).is_file() for name in rows["path"]], index=rows.index)
    mine = pd.Series(True, index=rows.index) if wanted == ALL else rows["split"] == wanted
    if not mine.any():
        raise EvaluationError(
            f"The data has nothing in the split {wanted!r}; choose another with --split."
        )
    if (mine & ~there).any():
        notes.append(f"{_files(int((mine & ~there).sum()))} listed but not there, and left out.")
    if not (mine & there).any():
        raise EvaluationError(
            f"None of the files that {path.name} lists is there; unpack or move them to {root}."
        )
    rows = _hashed(root, rows[there], mine[there])
    chosen = rows if wanted == ALL else rows[rows["split"] == wanted]
    if wanted != ALL:
        chosen = _without_shared(rows, chosen, wanted, notes)
    chosen = _without_copies(chosen, notes)
    if chosen.empty:
        raise EvaluationError(
            "Nothing is left to evaluate: every item also stands in another split; "
            "give it items of its own."
        )
    only = set(chosen["label"])
    if len(only) == 1:
        word = "manipulated" if only == {1} else "unaltered"
        notes.append(f"All items are {word}, so there is no AUC and no error of the other kind.")
    names = sorted({name for name in chosen["set"] if name not in ("", "plain", "listed")})
    return Labelled(
        name=name or ", ".join(names) or "labelled items",
        split=wanted if has_splits else (split or ALL),
        root=root,
        rows=chosen.reset_index(drop=True),
        notes=tuple(notes),
    )


def _rows(path: Path) -> tuple[pd.DataFrame, Path, list[str]]:
    """Read every row of the data, the folder its paths start from, and notes."""
    try:
        if path.suffix == ".parquet" or (path / PARQUET_NAME).is_file():
            table = read_table(path if path.suffix == ".parquet" else path / PARQUET_NAME)
        elif path.suffix == ".csv" and path.is_file():
            table = make_table(path.parent, [{"set": "", **row} for row in listed_rows(path)])
        elif path.is_dir():
            layout = recognise(path)
            rows = [{"set": layout, **row} for row in LAYOUTS[layout][1](path)]
            table = make_table(path, rows)
        else:
            raise EvaluationError(
                f"{path} is no folder and no table; name a folder with real/ and fake/, a .parquet "
                "or a .csv."
            )
    except (TrainingError, OSError, ValueError, KeyError) as error:
        if isinstance(error, TrainingError):
            raise EvaluationError(str(error)) from error
        raise EvaluationError(
            f"{path.name} cannot be read as a table of labelled items; it needs the columns file "
            "and manipulated."
        ) from error
    rows = table.rows.copy()
    videos = [Path(name).suffix.lower() in VIDEO_ENDINGS for name in rows["path"]]
    rows.loc[videos, "kind"] = "video"
    rows.loc[rows["source"] == "", "source"] = rows["clip"]
    return rows, table.root, list(table.notes)


def _hashed(root: Path, rows: pd.DataFrame, mine: pd.Series) -> pd.DataFrame:
    """Add the column sha256; in other splits only where the size occurs in this one too."""
    sizes = [(root / name).stat().st_size for name in rows["path"]]
    here = {size for size, own in zip(sizes, mine, strict=True) if own}
    hashes = [
        sha256_of(root / name) if size in here else ""
        for name, size in zip(rows["path"], sizes, strict=True)
    ]
    return rows.assign(sha256=hashes)


def _without_shared(
    rows: pd.DataFrame, chosen: pd.DataFrame, split: str, notes: list[str]
) -> pd.DataFrame:
    """Leave out what another split has too: the networks may have been fitted on it."""
    others = rows[rows["split"] != split]
    same_file = chosen["sha256"].isin(set(others["sha256"]) - {""})
    same_source = chosen["source"].isin(set(others["source"])) & ~same_file
    if same_file.any():
        notes.append(f"{_left_out(int(same_file.sum()))}: the same file stands in another split.")
    if same_source.any():
        notes.append(
            f"{_left_out(int(same_source.sum()))}: the same source video stands in another split."
        )
    return chosen[~same_file & ~same_source]


def _without_copies(chosen: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Count a file once; leave it out where its copies have different labels."""
    labels = chosen.groupby("sha256")["label"].transform("nunique")
    torn = labels > 1
    if torn.any():
        notes.append(
            f"{_left_out(int(torn.sum()))}: the same file is labelled unaltered and manipulated."
        )
    rest = chosen[~torn]
    copies = rest.duplicated("sha256")
    if copies.any():
        notes.append(f"{_left_out(int(copies.sum()))}: copies of others in the same split.")
    return rest[~copies]


def _left_out(count: int) -> str:
    return "1 file was left out" if count == 1 else f"{count} files were left out"


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"
