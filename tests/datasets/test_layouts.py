from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.datasets.layouts import index_folder, recognise
from detector.datasets.splits import check_splits, folds
from detector.datasets.table import in_mixed_sets, read_table, write_table
from detector.errors import TrainingError


def _touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def _faceforensics(root: Path) -> None:
    for number in range(0, 40, 2):
        a, b = f"{number:03d}", f"{number + 1:03d}"
        _touch(
            root,
            f"original_sequences/youtube/c23/videos/{a}.mp4",
            f"original_sequences/youtube/c23/videos/{b}.mp4",
            f"manipulated_sequences/Deepfakes/c23/videos/{a}_{b}.mp4",
            f"manipulated_sequences/FaceSwap/c23/videos/{b}_{a}.mp4",
        )


def _celebdf(root: Path) -> None:
    for person in range(59):
        for clip in range(2):
            _touch(root, f"Celeb-real/id{person}_{clip:04d}.mp4")
        for other in range(1, 13):
            donor = (person + other * 4) % 59
            _touch(root, f"Celeb-synthesis/id{person}_id{donor}_0001.mp4")
    _touch(root, *(f"YouTube-real/{number:05d}.mp4" for number in range(10)))


def _dfdc(root: Path) -> None:
    for part in range(4):
        folder = f"dfdc_train_part_{part}"
        entries = {}
        for number in range(5):
            entries[f"r{part}{number}.mp4"] = {"label": "REAL", "split": "train"}
            entries[f"f{part}{number}.mp4"] = {
                "label": "FAKE",
                "split": "train",
                "original": f"r{part}{number}.mp4",
            }
        _touch(root, *(f"{folder}/{name}" for name in entries))
        (root / folder / "metadata.json").write_text(json.dumps(entries))


def _dfdc_crops(root: Path) -> None:
    lines = ["videoname,original_width,original_height,label,original"]
    for number in range(20):
        _touch(root, f"faces_224/r{number}.jpg", f"faces_224/f{number}.jpg")
        lines += [f"r{number}.mp4,1,1,REAL,", f"f{number}.mp4,1,1,FAKE,r{number}.mp4"]
    (root / "metadata.csv").write_text("\n".join(lines))


def _plain(root: Path) -> None:
    for number in range(20):
        _touch(root, f"real/clip{number:02d}.mp4", f"fake/clip{number:02d}_swap.mp4")
    for frame in range(3):
        _touch(root, f"real/stills/{frame}.jpg")


# layout -> builder, clips, manipulated clips, an example row's path, source, person, donor
LAYOUTS = [
    pytest.param(
        "faceforensics",
        _faceforensics,
        80,
        40,
        ("manipulated_sequences/Deepfakes/c23/videos/000_001.mp4", "000", "000", "001"),
        id="FaceForensics++",
    ),
    pytest.param(
        "celebdf",
        _celebdf,
        None,
        None,
        ("Celeb-real/id3_0001.mp4", "id3_0001", "id3", ""),
        id="Celeb-DF v2",
    ),
    pytest.param("dfdc", _dfdc, 40, 20, ("dfdc_train_part_1/f12.mp4", "r12", "", ""), id="DFDC"),
    pytest.param(
        "dfdc-crops", _dfdc_crops, 40, 20, ("faces_224/f7.jpg", "r7", "", ""), id="DFDC face crops"
    ),
    pytest.param("plain", _plain, 41, 20, ("fake/clip03_swap.mp4", "clip03", "", ""), id="plain"),
]


@pytest.mark.parametrize(("name", "build", "clips", "manipulated", "example"), LAYOUTS)
def test_layouts_become_one_table(
    tmp_path: Path,
    name: str,
    build: Callable[[Path], None],
    clips: int | None,
    manipulated: int | None,
    example: tuple[str, str, str, str],
) -> None:
    build(tmp_path)
    assert recognise(tmp_path) == name
    table = index_folder(tmp_path)
    rows = table.rows
    if clips is not None:
        assert rows["clip"].nunique() == clips
        assert rows.loc[rows["label"] == 1, "clip"].nunique() == manipulated
    path, source, person, donor = example
    row = rows.set_index("path").loc[path]
    assert (row["source"], row["person"], row["donor"]) == (source, person, donor)
    assert set(rows["split"]) == {"train", "val", "test"}
    check_splits(table)
    # Celeb-DF's few persons may leave a small split without a swap inside it.
    for split in ("train",) if name == "celebdf" else ("train", "val", "test"):
        assert set(rows.loc[rows["split"] == split, "label"]) == {0, 1}


def test_faceforensics_keeps_pairs_and_official_splits_together(tmp_path: Path) -> None:
    _faceforensics(tmp_path)
    rows = index_folder(tmp_path).rows.set_index("path")
    for number in range(0, 40, 2):
        pair = [path for path in rows.index if f"{number:03d}" in path]
        assert rows.loc[pair, "split"].nunique() == 1
    (tmp_path / "splits").mkdir()
    for split, first in (("train", 0), ("val", 20), ("test", 30)):
        pairs = [[f"{n:03d}", f"{n + 1:03d}"] for n in range(first, first + 10, 2)]
        (tmp_path / "splits" / f"{split}.json").write_text(json.dumps(pairs))
    official = index_folder(tmp_path).rows
    assert set(official.loc[official["source"] == "022", "split"]) == {"val"}
    assert not (official["source"] == "012").any()


def test_celebdf_leaves_out_swaps_between_splits(tmp_path: Path) -> None:
    _celebdf(tmp_path)
    table = index_folder(tmp_path)
    split_of = dict(zip(table.rows["person"], table.rows["split"], strict=True))
    fakes = table.rows[table.rows["label"] == 1]
    assert 0 < len(fakes) < 708
    assert all(split_of[d] == s for d, s in zip(fakes["donor"], fakes["split"], strict=True))
    assert str(708 - len(fakes)) in table.notes[0]


def test_frames_in_a_folder_are_one_clip(tmp_path: Path) -> None:
    _plain(tmp_path)
    rows = index_folder(tmp_path).rows
    stills = rows[rows["clip"] == "real/stills"]
    assert len(stills) == 3
    assert set(stills["kind"]) == {"image"}


def test_table_is_the_same_after_parquet_and_after_moving(tiny_folder: Path) -> None:
    table = index_folder(tiny_folder)
    write_table(table, tiny_folder / "faces.parquet")
    moved = shutil.move(tiny_folder, tiny_folder.with_name("moved"))
    again = read_table(Path(moved) / "faces.parquet")
    assert again.root == Path(moved).resolve()
    assert again.fingerprint == table.fingerprint
    assert (again.rows["path"] == table.rows["path"]).all()


def test_fingerprint_follows_labels_and_splits(tiny_folder: Path) -> None:
    table = index_folder(tiny_folder)
    text = (tiny_folder / "index.csv").read_text()
    changed = text.replace("00.png,drawn,train,0", "00.png,drawn,train,1")
    (tiny_folder / "index.csv").write_text(changed)
    assert index_folder(tiny_folder).fingerprint != table.fingerprint


def test_a_source_in_two_splits_is_refused(tiny_folder: Path) -> None:
    text = (tiny_folder / "index.csv").read_text()
    (tiny_folder / "index.csv").write_text(text.replace("source-0\n", "source-11\n"))
    with pytest.raises(TrainingError, match=r"source 'source-11' stands in two splits"):
        index_folder(tiny_folder)


def test_sets_of_one_class_are_told_apart(tiny_folder: Path) -> None:
    with (tiny_folder / "index.csv").open("a") as stream:
        stream.write("train/portrait.png,portraits,train,0,1.8,1,1.2,p\n")
    rows = index_folder(tiny_folder).rows
    assert len(in_mixed_sets(rows)) == len(rows) - 1
    assert set(in_mixed_sets(rows)["set"]) == {"drawn"}


def test_folds_share_no_group_and_cover_all(tmp_path: Path) -> None:
    _faceforensics(tmp_path)
    table = index_folder(tmp_path)
    held_out = []
    for dealt in folds(table, 5):
        rows = dealt.rows
        train = set(rows.loc[rows["split"] == "train", "group"])
        val = set(rows.loc[rows["split"] == "val", "group"])
        assert not train & val
        assert "test" not in set(rows["split"])
        check_splits(dealt)
        held_out += rows.loc[rows["split"] == "val", "path"].tolist()
    assert sorted(held_out) == sorted(table.rows.loc[table.rows["split"] != "test", "path"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "is empty; name the folder"),
        (lambda root: _touch(root, "a.mp4"), "no labels that are understood"),
        (lambda root: (root / "real").mkdir(), "holds no clips or images"),
        (lambda root: (root / "index.csv").write_text("file\na.png\n"), "have no labels; add it"),
    ],
    ids=["empty folder", "no labels", "empty class", "no label column"],
)
def test_one_sentence_when_there_is_nothing_to_index(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path)
    with pytest.raises(TrainingError, match=message) as caught:
        index_folder(tmp_path)
    assert str(caught.value).count(". ") == 0


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not a folder"):
        index_folder(tmp_path / "nowhere")
