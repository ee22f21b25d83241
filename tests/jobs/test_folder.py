"""Scanning folders: what is found, kept, skipped, listed as failed, and stopped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.commands.cli import main
from detector.errors import ClipError, LibraryError
from detector.jobs import scan_and_keep as scan_and_keep_module
from detector.jobs.folder import find_clips, scan_files, start_scan
from detector.jobs.rescan import rescan
from detector.library.store import Library
from detector.result import fingerprint_of
from detector.settings import Settings
from tests.helpers.processes import ROOT

SAMPLES = ROOT / "assets" / "samples"
TWO = Settings(frames=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four clips, one of them damaged and one a copy, one of them deeper; and other files."""
    place = tmp_path / "clips"
    (place / "deeper").mkdir(parents=True)
    (place / ".hidden").mkdir()
    shutil.copyfile(SAMPLES / "grid_bbaf2n.mp4", place / "a.mp4")
    (place / "b broken.mp4").write_bytes(b"no clip" * 100)
    shutil.copyfile(SAMPLES / "noface_intel_cars.mp4", place / "C.MP4")
    shutil.copyfile(SAMPLES / "grid_bbaf2n.mp4", place / "deeper" / "copy of a.mp4")
    (place / "notes.txt").write_text("no clip")
    (place / ".mp4").write_text("no clip")
    (place / "._a.mp4").write_text("no clip")
    (place / ".hidden" / "d.mp4").write_text("no clip")
    (place / "loop").symlink_to(place)
    return place


def names(paths) -> list[str]:
    return [path.name for path in paths]


def test_clips_are_found_by_their_suffix(folder: Path) -> None:
    assert names(find_clips(folder)) == ["C.MP4", "a.mp4", "b broken.mp4"]
    assert names(find_clips(folder, recursive=True)) == [
        "C.MP4",
        "a.mp4",
        "b broken.mp4",
        "copy of a.mp4",
    ]


def test_folders_without_clips_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClipError, match=r"holds no clips; .*--recursive"):
        find_clips(tmp_path / "empty")
    with pytest.raises(ClipError, match=r"holds no clips; choose another folder\.$"):
        find_clips(tmp_path / "empty", recursive=True)
    with pytest.raises(ClipError, match="is not a folder"):
        find_clips(folder / "a.mp4")


def test_what_is_expected_is_what_analyses_carry(engine: Engine) -> None:
    for settings in (TWO, Settings(frames=3, face_detector="blazeface-short")):
        analysis = scan(SAMPLES / "grid_bbaf2n.mp4", settings, engine)
        assert engine.models_for(settings).fingerprint == fingerprint_of(analysis)


def test_folder_is_kept_and_errors_are_listed(
    folder: Path, library: Library, engine: Engine
) -> None:
    seen = []
    paths = find_clips(folder, recursive=True)
    outcome = scan_files(paths, library, TWO, engine, on_progress=seen.append)
    states = {file.path.name: file.state for file in outcome.files}
    assert states == {
        "C.MP4": "analysed",
        "a.mp4": "analysed",
        "b broken.mp4": "failed",
        "copy of a.mp4": "known",
    }
    assert (outcome.exit_code, outcome.stopped) == (1, None)
    [failed] = outcome.errors
    assert failed.error is not None
    assert "“b broken.mp4” is not a video" in failed.error
    first, cars = (next(f for f in outcome.files if f.path.name == n) for n in ("a.mp4", "C.MP4"))
    assert first.id is not None
    kept = library.summary(first.id)
    assert (kept.name, kept.source, kept.frames) == ("a.mp4", str(folder / "a.mp4"), 2)
    assert kept.band == first.band
    assert cars.band is None
    assert library.thumbnail(first.id) is not None
    assert library.clip(first.id) == folder / "a.mp4"
    assert library.size().analyses == 2
    assert (seen[0].done, seen[0].total) == (0, 4)
    assert (seen[-1].done, seen[-1].path) == (4, None)
    assert any(progress.frames_done == 2 == progress.frames_total for progress in seen)


def test_second_scan_skips_what_is_known(
    folder: Path, library: Library, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b broken.mp4").unlink()
    paths = find_clips(folder)
    scan_files(paths[:1], library, TWO, engine)
    (folder / "a.mp4").rename(folder / "renamed.mp4")
    second = scan_files(find_clips(folder), library, TWO, engine)
    assert [file.state for file in second.files] == ["known", "analysed"]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("scanned again")

    with monkeypatch.context() as patch:
        patch.setattr(scan_and_keep_module, "scan", never)
        third = scan_files(find_clips(folder), library, TWO, engine)
    assert [file.state for file in third.files] == ["known", "known"]
    assert [file.id for file in third.files] == [file.id for file in second.files]
    assert third.exit_code == 0
    other = scan_files(find_clips(folder)[:1], library, Settings(frames=3), engine)
    assert other.files[0].state == "analysed"


def test_nothing_is_kept_without_a_library(folder: Path, engine: Engine, tmp_path: Path) -> None:
    outcome = scan_files([folder / "a.mp4"], None, TWO, engine)
    assert (outcome.files[0].state, outcome.files[0].id) == ("analysed", None)
    assert not (tmp_path / "data").exists()


def test_scan_that_is_stopped_goes_on_later(folder: Path, library: Library, engine: Engine) -> None:
    (folder / "b broken.mp4").unlink()
    paths = find_clips(folder)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return library.size().analyses > 0

    outcome = scan_files(paths, library, TWO, engine, cancelled=stop)
    assert [file.state for file in outcome.files] == ["analysed"]
    assert outcome.stopped == "The scan was stopped; what was kept stays in the library."
    assert outcome.exit_code == 2
    again = scan_files(paths, library, TWO, engine)
    assert [file.state for file in again.files] == ["known", "analysed"]


def test_full_library_ends_the_scan(
    folder: Path, library: Library, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise LibraryError("There is no room left.")

    monkeypatch.setattr(library, "add", full)
    outcome = scan_files(find_clips(folder), library, TWO, engine)
    assert len(outcome.files) == 1
    assert outcome.stopped == "There is no room left."
    assert outcome.exit_code == 2


def test_all_failed(folder: Path, library: Library, engine: Engine) -> None:
    gone = folder / "gone.mp4"
    outcome = scan_files([folder / "b broken.mp4", gone], library, TWO, engine)
    assert [file.state for file in outcome.files] == ["failed", "failed"]
    assert outcome.exit_code == 2
    assert "“gone.mp4” cannot be opened" in str(outcome.errors[1].error)


def test_names_that_are_no_text(tmp_path: Path, library: Library, engine: Engine) -> None:
    place = tmp_path / "odd"
    place.mkdir()
    path = Path(os.fsdecode(os.fsencode(place) + b"/caf\xe9.mp4"))
    shutil.copyfile(SAMPLES / "noface_intel_cars.mp4", path)
    outcome = scan_files(find_clips(place), library, TWO, engine)
    assert outcome.exit_code == 0, outcome.errors
    assert outcome.files[0].id is not None
    assert library.summary(outcome.files[0].id).name == "caf\ufffd.mp4"


def test_scan_in_the_background(folder: Path, library: Library, engine: Engine) -> None:
    job = start_scan(find_clips(folder), library, TWO, engine)
    assert job.wait(120)
    assert job.finished
    assert job.error is None
    assert job.result is not None
    assert job.result.exit_code == 1
    assert job.progress.done == job.progress.total == 3
    stopped = start_scan(find_clips(folder), library, Settings(frames=5), engine)
    stopped.cancel()
    assert stopped.wait(120)
    assert stopped.result is not None
    assert stopped.result.stopped is not None
    refused = start_scan([folder / "a.mp4"], library, Settings(backend="abacus"), engine)  # type: ignore[arg-type]
    assert refused.wait(120)
    assert "no backend 'abacus'" in str(refused.error)
    assert refused.result is None


def test_rescan_with_other_settings(folder: Path, library: Library, engine: Engine) -> None:
    outcome = scan_files([folder / "a.mp4"], library, TWO, engine)
    id = outcome.files[0].id
    assert id is not None
    library.tag([id], "case 1")
    library.set_note(id, "A note")
    new = rescan(library, id, Settings(frames=3), engine)
    assert new != id
    summary = library.summary(new)
    assert (summary.frames, summary.tags, summary.note) == (3, ("case 1",), "A note")
    assert summary.source == str(folder / "a.mp4")
    assert library.get(id).sampling.requested == 2
    assert rescan(library, id, Settings(frames=3), engine) == new
    (folder / "a.mp4").unlink()
    with pytest.raises(LibraryError, match="was not kept and is not where it was"):
        rescan(library, id, Settings(frames=4), engine)


def test_command(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VERIFRAME_DATA", str(tmp_path / "kept"))
    command = ["scan", str(folder), "--recursive", "--keep", "--frames", "2"]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "2 analysed, 1 known already, 1 failed; kept in " in said.out
    assert "a.mp4: no band" in said.out
    assert "(known already)" in said.out
    assert "b broken.mp4: “b broken.mp4” is not a video" in said.err
    (folder / "b broken.mp4").unlink()
    assert main(command) == 0
    assert "0 analysed, 3 known already, 0 failed" in capsys.readouterr().out
    assert main(["scan", str(folder / ".hidden" / ".."), "--frames", "1"]) == 0
    assert "kept in" not in capsys.readouterr().out
    (tmp_path / "none").mkdir()
    assert main(["scan", str(tmp_path / "none")]) == 2
    assert "holds no clips" in capsys.readouterr().err


def test_one_clip_is_kept_and_reported(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VERIFRAME_DATA", str(tmp_path / "kept"))
    pdf = tmp_path / "report.pdf"
    clip = str(folder / "a.mp4")
    assert main(["scan", clip, "--keep", "--frames", "2", "--report", str(pdf)]) == 0
    assert pdf.read_bytes().startswith(b"%PDF")
    assert "Kept as number 1 in" in capsys.readouterr().out.replace("\n", " ")
    assert main(["scan", clip, "--frames", "2", "--report", str(tmp_path / "report.doc")]) == 2
    assert "has no format that can be written" in capsys.readouterr().err
    with Library.open(tmp_path / "kept" / "library.sqlite") as kept:
        [only] = kept.search().items
    assert only.source == clip
