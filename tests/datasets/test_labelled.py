"""Folders, tables and lists; what cannot be used is said, the rest is there."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.datasets.labelled import open_labelled
from detector.datasets.table import make_table, write_table
from detector.errors import EvaluationError


def picture(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8))
    return path


def listed(folder: Path, rows: list[dict]) -> Path:
    """A CSV and its pictures; `number` decides what a picture shows."""
    for number, row in enumerate(rows):
        picture(folder / row["file"], row.pop("number", number))
    path = folder / "faces.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, sorted({key for row in rows for key in row}), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(name: str, split: str, manipulated: int, **more: object) -> dict:
    return {"file": f"{name}.png", "split": split, "manipulated": manipulated, **more}


FOUR = [row("a", "test", 0), row("b", "test", 1), row("c", "val", 0), row("d", "val", 1)]


def four() -> list[dict]:
    return [dict(entry) for entry in FOUR]


def test_a_list_with_splits_gives_its_test_split(tmp_path: Path) -> None:
    found = open_labelled(
        listed(tmp_path, [{**e, "set": "faces", "crop_factor": 1.8} for e in four()])
    )
    assert (found.name, found.split, found.notes) == ("faces", "test", ())
    assert list(found.rows["path"]) == ["a.png", "b.png"]
    assert list(found.rows["label"]) == [0, 1]
    assert set(found.rows["crop_factor"]) == {1.8}
    assert set(found.rows["kind"]) == {"crop"}


@pytest.mark.parametrize(
    ("split", "names"),
    [("val", ["c.png", "d.png"]), ("all", ["a.png", "b.png", "c.png", "d.png"])],
)
def test_another_split_or_all_of_them(tmp_path: Path, split: str, names: list[str]) -> None:
    found = open_labelled(listed(tmp_path, four()), split, "ours")
    assert list(found.rows["path"]) == names
    assert (found.name, found.split) == ("ours", split)


def test_a_table_that_index_wrote_reads_the_same(tmp_path: Path) -> None:
    rows = [
        {
            "path": e["file"],
            "clip": e["file"],
            "label": e["manipulated"],
            "split": e["split"],
            "method": "m",
            "source": e["file"],
        }
        for e in four()
    ]
    path = listed(tmp_path, four())
    write_table(make_table(tmp_path, rows), tmp_path / "index.parquet")
    ours, theirs = open_labelled(tmp_path / "index.parquet"), open_labelled(path)
    assert ours.fingerprint == theirs.fingerprint


def test_a_folder_of_two_folders_has_no_splits_and_is_used_whole(tmp_path: Path) -> None:
    for number, name in enumerate(("real/x.png", "fake/x_1.png", "fake/y.png")):
        picture(tmp_path / name, number)
    (tmp_path / "real" / "clip.mp4").write_bytes(b"no clip")
    found = open_labelled(tmp_path)
    assert (found.split, found.notes) == ("all", ())
    assert dict(zip(found.rows["path"], found.rows["kind"], strict=True)) == {
        "real/clip.mp4": "video",
        "real/x.png": "image",
        "fake/x_1.png": "image",
        "fake/y.png": "image",
    }
    sources = dict(zip(found.rows["path"], found.rows["source"], strict=True))
    assert sources["fake/x_1.png"] == sources["real/x.png"] == "x"
    asked = open_labelled(tmp_path, "val")
    assert len(asked.rows) == 4
    assert asked.notes == ("The data has no splits, so all of it is used as “val”.",)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_said_and_evaluated(tmp_path: Path, label: int) -> None:
    found = open_labelled(listed(tmp_path, [row("a", "test", label), row("b", "test", label)]))
    assert len(found.rows) == 2
    (note,) = found.notes
    word = "manipulated" if label else "unaltered"
    assert note.startswith(f"All items are {word}")
    assert "no AUC" in note


@pytest.mark.parametrize(
    ("extra", "words", "left"),
    [
        (row("copy", "val", 0, number=0), "the same file stands in another split", ["b.png"]),
        (row("copy", "test", 0, number=0), "copies of others in the same split",
         ["a.png", "b.png"]),
        (row("copy", "test", 1, number=0), "labelled unaltered and manipulated", ["b.png"]),
    ],
    ids=["across splits", "in one split", "with two labels"],
)  # fmt: skip
def test_a_copy_is_left_out_with_one_sentence(
    tmp_path: Path, extra: dict, words: str, left: list[str]
) -> None:
    found = open_labelled(listed(tmp_path, [*four(), dict(extra)]))
    assert list(found.rows["path"]) == left
    note = next(note for note in found.notes if words in note)
    assert note.count(".") == 1


def test_a_source_video_in_two_splits_is_left_out_with_one_sentence(tmp_path: Path) -> None:
    rows = four()
    rows[0]["group"] = rows[2]["group"] = "video 7"
    found = open_labelled(listed(tmp_path, rows))
    assert list(found.rows["path"]) == ["b.png"]
    assert found.notes[0] == ("1 file was left out: the same source video stands in another split.")


def test_files_that_are_not_there_are_said(tmp_path: Path) -> None:
    path = listed(tmp_path, four())
    (tmp_path / "a.png").unlink()
    found = open_labelled(path)
    assert list(found.rows["path"]) == ["b.png"]
    assert found.notes[0] == "1 file is listed but not there, and left out."


@pytest.mark.parametrize(
    ("content", "split", "words"),
    [
        (None, None, "is no folder and no table"),
        ("file,split\na.png,test\n", None, "no column 'manipulated'"),
        ("", None, "cannot be read as a table"),
        ("file,manipulated,split\na.png,1,test\n", "val", "nothing in the split 'val'"),
        ("file,manipulated\ngone.png,1\n", None, "None of the files"),
        ("file,manipulated\na.png,1\n", "best", "no split 'best'"),
    ],
    ids=["missing", "no labels", "empty", "empty split", "no files", "unknown split"],
)
def test_what_cannot_be_evaluated_is_refused_in_one_sentence(
    tmp_path: Path, content: str | None, split: str | None, words: str
) -> None:
    path = tmp_path / "list.csv"
    picture(tmp_path / "a.png", 1)
    if content is not None:
        path.write_text(content)
    with pytest.raises(EvaluationError, match=words):
        open_labelled(path, split)


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    rows = [row("a", "test", 0), row("c", "val", 0, number=0)]
    with pytest.raises(EvaluationError, match="Nothing is left"):
        open_labelled(listed(tmp_path, rows))


def test_the_fingerprint_is_of_contents_and_labels_alone(tmp_path: Path) -> None:
    first = open_labelled(listed(tmp_path / "one", four())).fingerprint
    moved = tmp_path / "two"
    shutil.copytree(tmp_path / "one", moved)
    (moved / "a.png").rename(moved / "z.png")
    text = (moved / "faces.csv").read_text().replace("a.png", "z.png")
    (moved / "faces.csv").write_text(text)
    assert open_labelled(moved / "faces.csv").fingerprint == first
    (moved / "faces.csv").write_text(text.replace("z.png,0", "z.png,1"))
    assert open_labelled(moved / "faces.csv").fingerprint != first


def test_the_first_of_each_class_are_always_the_same(tmp_path: Path) -> None:
    rows = [row(f"n{n}", "test", n % 2) for n in range(12)]
    found = open_labelled(listed(tmp_path, rows))
    some = found.first(2, 3)
    assert [int((some.rows["label"] == label).sum()) for label in (0, 1)] == [2, 3]
    assert set(found.first(1, 1).rows["path"]) <= set(some.rows["path"])
