"""detector.cluster.source: folders, patterns and tables, by path and by address."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from detector.cluster.source import SourceClip, file_system, find_source
from detector.errors import ClipError, ClusterError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips" / "deep").mkdir(parents=True)
    for name in ("b.mp4", "a.MOV", "notes.txt", ".hidden.mp4", "deep/c.mkv"):
        (tmp_path / "clips" / name).write_bytes(b"x" * len(name))
    return tmp_path / "clips"


def names(clips: tuple[SourceClip, ...]) -> list[str]:
    return [clip.path.rsplit("/", 1)[-1] for clip in clips]


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_folders_and_patterns(folder: Path, prefix: str) -> None:
    assert names(find_source(f"{prefix}{folder}")) == ["a.MOV", "b.mp4"]
    assert names(find_source(f"{prefix}{folder}", recursive=True)) == ["a.MOV", "b.mp4", "c.mkv"]
    assert names(find_source(f"{prefix}{folder}/*.mp4")) == ["b.mp4"]
    assert names(find_source(f"{prefix}{folder}/**/*.mkv")) == ["c.mkv"]
    [one] = find_source(f"{prefix}{folder}/b.mp4")
    assert one.bytes == 5
    assert one.modified
    assert one.path == f"{folder}/b.mp4"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["path", "clip"])
def test_tables(folder: Path, ending: str, column: str) -> None:
    table = folder.parent / f"table.{ending}"
    paths = ["clips/b.mp4", str(folder / "b.mp4"), None, "clips/gone.mp4", f"file://{folder}/a.MOV"]
    frame = pd.DataFrame({"number": range(len(paths)), column: paths})
    frame.to_csv(table, index=False) if ending == "csv" else frame.to_parquet(table)
    clips = find_source(str(table))
    assert names(clips) == ["a.MOV", "b.mp4", "gone.mp4"]
    assert [clip.bytes for clip in clips] == [5, 5, -1]
    assert find_source(f"file://{table}") == clips


def test_tables_that_are_none(folder: Path) -> None:
    table = folder.parent / "table.csv"
    with pytest.raises(ClusterError, match=r"cannot be read \(.*check that it is there"):
        find_source(str(table))
    table.write_text("file,number\na.mp4,1\n")
    with pytest.raises(ClusterError, match="has no column “path” or “clip”"):
        find_source(str(table))
    table.write_text("path\n")
    with pytest.raises(ClipError, match="lists no clips"):
        find_source(str(table))
    (folder.parent / "table.parquet").write_bytes(b"none")
    with pytest.raises(ClusterError, match="cannot be read"):
        find_source(str(folder.parent / "table.parquet"))


def test_sources_without_clips(folder: Path) -> None:
    with pytest.raises(ClipError, match="No clip matches"):
        find_source(f"{folder}/*.avi")
    with pytest.raises(ClipError, match="holds no clips"):
        find_source("memory://none")
    with pytest.raises(ClusterError, match="cannot be used"):
        find_source("nonsense://bucket/clips")


def test_an_address_of_memory() -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/clips/a.mp4", b"abc")
    try:
        [clip] = find_source("memory://clips")
        assert (clip.path, clip.bytes) == ("memory:///clips/a.mp4", 3)
        found, path = file_system(clip.path)
        assert found.cat_file(path) == b"abc"
    finally:
        system.rm("/clips", recursive=True)


def test_identity_is_of_one_state_of_a_file(folder: Path) -> None:
    def identity(fingerprint: str = "f") -> str:
        [clip] = find_source(str(folder / "b.mp4"))
        return clip.identity(fingerprint)

    first = identity()
    assert first == identity()
    assert first != identity("g")
    os.utime(folder / "b.mp4", ns=(1, 1))
    assert first != identity()
