"""Adapters: each known data set on disk becomes rows of one table (`table.COLUMNS`).

Layouts, as their publishers hand them out:

- `faceforensics` (Roessler et al. 2019): `original_sequences/*/c*/videos/033.mp4`,
  `manipulated_sequences/METHOD/c*/videos/033_097.mp4`; official splits are read from
  `train.json`, `val.json`, `test.json` where they lie in the root or in `splits/`.
- `celebdf` (Li et al. 2020, version 2): `Celeb-real/id0_0000.mp4`,
  `Celeb-synthesis/id0_id1_0000.mp4`, `YouTube-real/00000.mp4`. Its own test list shares persons
  with training and is therefore not used.
- `dfdc` (Dolhansky et al. 2020): folders with `metadata.json` naming label and original.
- `dfdc-crops`: one 224 px crop a video (`*.jpg`) with `metadata.csv` (videoname, label, original).
- `listed`: a folder with `index.csv` (file, split, manipulated, group, and where known set,
  crop_factor, min_factor, max_factor).
- `plain`: `real/` and `fake/` with clips or images; a folder of images is one clip; a
  manipulated file whose name begins with a real file's name and "_" has it as its source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from detector.datasets.splits import assign_groups, assign_splits, check_splits
from detector.datasets.table import IMAGE_ENDINGS, VIDEO_ENDINGS, Table, make_table
from detector.errors import TrainingError

Row = dict[str, Any]


def index_folder(root: Path, layout: str = "auto", seed: int = 1) -> Table:
    """Return the table of the data in `root`, with groups and splits, checked.

    Args:
        root: folder of the data set.
        layout: one of `LAYOUTS`, or "auto" to recognise it.
        seed: decides the splits of layouts that bring none.

    Raises:
        TrainingError: no folder, nothing in it, no labels, or a source or person in two splits.
    """
    if not root.is_dir():
        raise TrainingError(f"{root} is not a folder; name the folder that holds the data.")
    name = recognise(root) if layout == "auto" else layout
    if name not in LAYOUTS:
        raise TrainingError(
            f"There is no layout called {name!r}; choose one of: {', '.join(LAYOUTS)}."
        )
    rows = LAYOUTS[name][1](root)
    table = make_table(root, [{"set": name, **row} for row in rows])
    table = assign_splits(assign_groups(table), seed)
    check_splits(table)
    return table


def recognise(root: Path) -> str:
    """Recognise the layout that `root` follows; raises TrainingError where none fits."""
    if not any(root.iterdir()):
        raise TrainingError(f"{root} is empty; name the folder that holds the data.")
    for name, (fits, _) in LAYOUTS.items():
        if fits(root):
            return name
    raise TrainingError(
        f"{root} has no labels that are understood; put clips or images into folders called "
        "real and fake, or name the layout."
    )


def _faceforensics(root: Path) -> list[Row]:
    official = _official_splits(root)
    rows: list[Row] = []
    for path in _files(root / "original_sequences", VIDEO_ENDINGS):
        kind = path.relative_to(root).parts[1]
        # Actors' clips (DeepFakeDetection) are called 01__scene: their number is the person.
        person = path.stem.split("__")[0] if "__" in path.stem else path.stem
        prefix = "" if kind == "youtube" else f"{kind}/"
        rows.append(_video(root, path, 0, "real", prefix + path.stem, prefix + person))
    for path in _files(root / "manipulated_sequences", VIDEO_ENDINGS):
        method = path.relative_to(root).parts[1]
        if "__" in path.stem:  # 01_02__scene__code: the actor, the donor, the scene
            persons, scene = path.stem.split("__")[:2]
            target, donor = persons.split("_")
            prefix = "actors/"
            source = f"{target}__{scene}"
        else:
            target, _, donor = path.stem.partition("_")
            prefix, source = "", target
        rows.append(
            _video(
                root,
                path,
                1,
                method,
                prefix + source,
                prefix + target,
                prefix + donor if donor else "",
            )
        )
    for row in rows:
        row["split"] = official.get(str(row["source"]), "")
    if official:
        # A clip that the official lists leave out would need a split of its own: leave it too.
        rows = [row for row in rows if row["split"]]
    return rows


def _official_splits(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        for path in (root / f"{split}.json", root / "splits" / f"{split}.json"):
            if path.is_file():
                for pair in json.loads(path.read_text()):
                    found.update({str(name): split for name in pair})
    return found


def _celebdf(root: Path) -> list[Row]:
    rows: list[Row] = []
    for path in _files(root / "Celeb-real", VIDEO_ENDINGS):
        rows.append(_video(root, path, 0, "real", path.stem, path.stem.split("_")[0]))
    for path in _files(root / "Celeb-synthesis", VIDEO_ENDINGS):
        person, donor, number = path.stem.split("_", 2)
        rows.append(_video(root, path, 1, "Celeb-synthesis", f"{person}_{number}", person, donor))
    for path in _files(root / "YouTube-real", VIDEO_ENDINGS):
        rows.append(_video(root, path, 0, "real", f"youtube/{path.stem}"))
    return rows


def _dfdc(root: Path) -> list[Row]:
    rows: list[Row] = []
    for listing in sorted(root.glob("**/metadata.json")):
        for name, entry in sorted(json.loads(listing.read_text()).items()):
            path = listing.parent / name
            if not path.is_file():
                continue
            manipulated = entry["label"] == "FAKE"
            original = Path(entry.get("original") or name).stem
            rows.append(
                _video(root, path, int(manipulated), "dfdc" if manipulated else "real", original)
            )
    return rows


def _dfdc_crops(root: Path) -> list[Row]:
    listing = pd.read_csv(root / "metadata.csv", dtype=str, keep_default_na=False)
    files = {path.stem: path for path in _files(root, IMAGE_ENDINGS)}
    rows: list[Row] = []
    for name, label, original in zip(
        listing["videoname"], listing["label"], listing["original"], strict=True
    ):
        stem = Path(name).stem
        if stem in files:
            manipulated = label.upper() == "FAKE"
            rows.append(
                {
                    "path": str(files[stem].relative_to(root)),
                    "clip": stem,
                    "label": int(manipulated),
                    "method": "dfdc" if manipulated else "real",
                    "source": Path(original).stem if original and original != "NAN" else stem,
                }
            )
    return rows


def _listed(root: Path) -> list[Row]:
    return listed_rows(root / "index.csv")


def listed_rows(path: Path) -> list[Row]:
    """Read the rows of a CSV with the columns that the layout `listed` names.

    Raises:
        TrainingError: the files have no labels.
    """
    listing = pd.read_csv(path, keep_default_na=False)
    missing = {"file", "manipulated"} - set(listing.columns)
    if missing:
        raise TrainingError(
            f"{path.name} has no column {sorted(missing)[0]!r}, so its files have no labels; "
            "add it."
        )
    rows: list[Row] = []
    for entry in listing.to_dict("records"):
        name = str(entry["file"])
        manipulated = int(entry["manipulated"])
        source = str(entry.get("group") or name)
        row: Row = {
            "path": name,
            "clip": str(entry.get("clip") or name),
            "label": manipulated,
            "method": str(entry.get("set") or "swap") if manipulated else "real",
            "set": str(entry.get("set") or ""),
            "source": source,
            "split": str(entry.get("split") or ""),
            "person": str(entry.get("person") or ""),
        }
        for column in ("crop_factor", "min_factor", "max_factor"):
            if entry.get(column) not in (None, ""):
                row[column] = float(entry[column])
        rows.append(row)
    return rows


def _plain(root: Path) -> list[Row]:
    reals = list(_plain_class(root, "real", 0))
    sources = sorted((str(row["source"]) for row in reals), key=len, reverse=True)
    fakes = list(_plain_class(root, "fake", 1))
    for row in fakes:
        stem = str(row["source"])
        row["source"] = next(
            (name for name in sources if stem == name or stem.startswith(name + "_")), stem
        )
    return reals + fakes


def _plain_class(root: Path, folder: str, label: int) -> Iterator[Row]:
    top = root / folder
    for path in _files(top, VIDEO_ENDINGS | IMAGE_ENDINGS):
        # Images in a folder of their own are the frames of one clip.
        inside = path.relative_to(top).parent
        stem = str(inside) if inside.parts and path.suffix.lower() in IMAGE_ENDINGS else path.stem
        kind = "video" if path.suffix.lower() in VIDEO_ENDINGS else "image"
        yield {
            "path": str(path.relative_to(root)),
            "kind": kind,
            "clip": f"{folder}/{stem}",
            "label": label,
            "method": "real" if label == 0 else "fake",
            "source": stem,
        }


def _video(
    root: Path,
    path: Path,
    label: int,
    method: str,
    source: str,
    person: str = "",
    donor: str = "",
) -> Row:
    name = str(path.relative_to(root))
    return {
        "path": name,
        "kind": "video",
        "clip": name,
        "label": label,
        "method": method,
        "source": source,
        "person": person,
        "donor": donor,
    }


def _files(folder: Path, endings: frozenset[str]) -> list[Path]:
    return sorted(path for path in folder.glob("**/*") if path.suffix.lower() in endings)


LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], list[Row]]]] = {
    "listed": (lambda root: (root / "index.csv").is_file(), _listed),
    "dfdc-crops": (lambda root: (root / "metadata.csv").is_file(), _dfdc_crops),
    "faceforensics": (lambda root: (root / "original_sequences").is_dir(), _faceforensics),
    "celebdf": (lambda root: (root / "Celeb-real").is_dir(), _celebdf),
    "dfdc": (
        lambda root: any(root.glob("*/metadata.json")) or (root / "metadata.json").is_file(),
        _dfdc,
    ),
    "plain": (lambda root: (root / "real").is_dir() or (root / "fake").is_dir(), _plain),
}
