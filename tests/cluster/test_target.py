"""detector.cluster.target: whole files, named after their clips, read and taken back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet
import pytest

from detector.cluster.target import Target, schema
from detector.errors import ClusterError

VERSION = "resnet50 v0, xception v0"


def row(identity: str, state: str = "analysed") -> dict:
    return dict.fromkeys(schema().names) | {"identity": identity, "state": state}


def write(target: Target, *rows: dict, date: str = "2031-05-04") -> str:
    return target.write(rows, date, VERSION)


@pytest.fixture(params=["path", "file", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    places = {"path": f"{tmp_path}/out", "file": f"file://{tmp_path}/out", "memory": "memory://out"}
    yield Target.at(places[request.param] + "/")
    system = fsspec.filesystem("memory")
    if system.exists("/out"):
        system.rm("/out", recursive=True)


def test_rows_are_found_and_taken_back(target: Target) -> None:
    assert target.known() == {}
    target.check()
    first = write(target, row("b"), row("a", "failed"))
    second = write(target, row("c", "failed"), date="2031-05-05")
    assert first.startswith("date=2031-05-04/model_version=resnet50%20v0%2C%20xception%20v0/part-")
    assert target.known() == {
        "a": ("failed", first),
        "b": ("analysed", first),
        "c": ("failed", second),
    }
    target.remove({"a", "c"}, {first, second})
    assert target.known() == {"b": ("analysed", first)}


def test_a_write_that_is_repeated_replaces_its_file(target: Target) -> None:
    first = write(target, row("b"), row("a"))
    assert write(target, row("a", "failed"), row("b")) == first
    assert target.known() == {"a": ("failed", first), "b": ("analysed", first)}


def test_any_reader_sees_the_partitions(tmp_path: Path) -> None:
    target = Target.at(str(tmp_path / "out"))
    write(target, row("a"))
    [read] = pyarrow.parquet.read_table(tmp_path / "out").to_pylist()
    assert (read["date"], read["model_version"], read["identity"]) == ("2031-05-04", VERSION, "a")


def test_trying_leaves_nothing(tmp_path: Path) -> None:
    target = Target.at(str(tmp_path / "deep" / "out"))
    target.check()
    with target.marker() as marker:
        assert target.sees(marker)
        assert not Target.at(str(tmp_path)).sees(marker)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    target = Target.at(str(tmp_path))
    path = tmp_path / write(target, row("a"))
    (path.parent / ".partial-1").write_bytes(b"half")
    assert target.known().keys() == {"a"}
    target.clean()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_place_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ClusterError, match=r"Nothing can be written to .*file/out \(Not a direc"):
        Target.at(str(tmp_path / "file" / "out")).check()


def test_place_without_rights() -> None:
    # Nobody may write there, not even root.
    with pytest.raises(ClusterError, match=r"Nothing can be written to /proc/out \("):
        Target.at("/proc/out").check()


def test_read_only_mount(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    # Only root may mount, and not everywhere: then a place that the kernel keeps will do.
    place = Path("/sys/kernel") if mounted.returncode else tmp_path
    try:
        with pytest.raises(ClusterError, match="Nothing can be written to"):
            Target.at(str(place / "out")).check()
        assert not (place / "out").exists()
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", str(tmp_path)], check=True)


def test_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "date=2031-05-04").mkdir()
    (tmp_path / "date=2031-05-04" / "part-1.parquet").write_bytes(b"none")
    with pytest.raises(ClusterError, match=r"part-1\.parquet cannot be read"):
        Target.at(str(tmp_path)).known()


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ClusterError, match="No space left on device"):
        write(Target.at(str(tmp_path)), row("a"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
