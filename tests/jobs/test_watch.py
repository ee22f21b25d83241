"""Watching a folder: what arrives is scanned once, when all of it is there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.commands.cli import main
from detector.errors import ClipError, LibraryError
from detector.files import sha256_of
from detector.jobs import arrivals as arriving
from detector.jobs import watch as watching
from detector.jobs.arrivals import Arrivals, Arrived, RemovedFile
from detector.jobs.folder import FileOutcome
from detector.jobs.watch import Stop, WatchCounts, watch
from detector.library.store import Library
from detector.settings import Settings
from tests.helpers.clips import write
from tests.helpers.processes import ROOT
from tests.helpers.stand_ins import StandInEngine, one_face

SETTLE = 0.3  # seconds
PATIENCE = 60.0
HELD = sys.platform == "linux"  # elsewhere the system does not tell who has a file open


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fails where it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class Watch:
    """A watch in a thread of its own, and all that it says."""

    def __init__(
        self, folder: Path, library: Library, gate: threading.Semaphore | None = None
    ) -> None:
        self.arrivals = Arrivals(folder, recursive=True, settle=SETTLE)
        self.outcomes: list[FileOutcome] = []
        self.remarks: list[str] = []
        self.seen: WatchCounts | None = None
        self.error: Exception | None = None
        self.stop = Stop()
        self._library = library
        self._engine = StandInEngine(one_face, gate)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with self.arrivals:
                self.seen = watch(
                    self.arrivals,
                    self._library,
                    self.stop,
                    Settings(frames=4),
                    self._engine,
                    on_outcome=lambda outcome, _: self.outcomes.append(outcome),
                    on_remark=self.remarks.append,
                )
        except Exception as error:
            self.error = error

    def __enter__(self) -> Watch:
        self._thread.start()
        begun = self.arrivals
        until(lambda: begun._observer or begun.remark or self.error, "the beginning")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.ask()
        self.ended()

    def ended(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(outcome.path.name, outcome.state) for outcome in self.outcomes]

    @property
    def frames_seen(self) -> int:
        return len(self._engine.faces.seen)

    def until_said(self, count: int) -> None:
        until(lambda: len(self.outcomes) >= count or self.error, f"{count} clips")
        assert self.error is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "arriving"
    place.mkdir()
    return place


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two clips of different content."""
    place = tmp_path_factory.mktemp("clips")
    return write(place / "one.mp4", 40), write(place / "two.mp4", 30)


@pytest.fixture
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "LOOK_EVERY", 0.1)


# ---------------------------------------------------------------- arriving


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_clip_arrives_once_it_has_settled(
    folder: Path, clips: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(arriving, "time", clock)
    content = clips[0].read_bytes()
    path = folder / "clip.mp4"
    with Arrivals(folder, settle=2) as arrivals:
        for part in (content[:5000], content[5000:9000], content[9000:]):
            with path.open("ab") as file:
                file.write(part)
            until(lambda: arrivals.take(0) is None and path in arrivals._waiting, "the clip")
            clock.now += 1.9
            assert arrivals.take(0) is None
        found = []

        def arrived() -> bool:
            clock.now += 0.5
            found.append(arrivals.take(0))
            return found[-1] is not None

        until(arrived, "the clip")
        assert isinstance(found[-1], Arrived)
        assert (found[-1].path, found[-1].file_state.bytes) == (path, len(content))
        clock.now += 100
        assert arrivals.take(0) is None


def test_clip_that_is_held_open_has_not_arrived(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    content = clips[0].read_bytes()
    with Watch(folder, library) as seen:
        with (folder / "slow.mp4").open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            if HELD:  # well beyond the time to settle, as a slow line would
                shutil.copyfile(clips[1], folder / "other.mp4")
                seen.until_said(1)
                time.sleep(2 * SETTLE)
                assert seen.said == [("other.mp4", "analysed")]
            file.write(content[len(content) // 2 :])
        seen.until_said(2 if HELD else 1)
    assert seen.said[-1] == ("slow.mp4", "analysed")
    assert library.summary(seen.outcomes[-1].id or 0).sha256 == sha256_of(clips[0])


@pytest.mark.usefixtures("_looks_often")
def test_partial_and_hidden_names_wait_for_their_rename(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    partial = [f"clip.mp4{ending}" for ending in (".part", ".crdownload", ".tmp", ".filepart")]
    with Watch(folder, library) as seen:
        for name in (*partial, ".clip.mp4", "._clip.mp4", "notes.txt", "mp4"):
            shutil.copyfile(clips[0], folder / name)
        (folder / ".hidden").mkdir()
        shutil.copyfile(clips[0], folder / ".hidden" / "clip.mp4")
        (folder / "folder.mp4").mkdir()
        os.mkfifo(folder / "pipe.mp4")
        shutil.copyfile(clips[1], folder / "other.mp4")
        seen.until_said(1)
        time.sleep(2 * SETTLE)
        assert seen.said == [("other.mp4", "analysed")]
        (folder / partial[1]).rename(folder / "clip.mp4")
        seen.until_said(2)
        (folder / ".clip.mp4").rename(folder / "was hidden.mp4")
        seen.until_said(3)
    assert seen.said[1:] == [("clip.mp4", "analysed"), ("was hidden.mp4", "known")]
    assert seen.remarks == []


def test_clips_come_from_other_folders_and_in_folders(
    folder: Path, library: Library, clips: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    shutil.copyfile(clips[0], tmp_path / "elsewhere" / "deep" / "a.mp4")
    shutil.copyfile(clips[1], tmp_path / "b.mp4")
    with Watch(folder, library) as seen:
        (tmp_path / "b.mp4").rename(folder / "b.mp4")
        seen.until_said(1)
        (tmp_path / "elsewhere").rename(folder / "moved")
        seen.until_said(2)
    assert seen.said == [("b.mp4", "analysed"), ("a.mp4", "analysed")]
    assert library.summary(seen.outcomes[1].id or 0).source == str(folder / "moved/deep/a.mp4")


def test_folders_are_left_alone_unless_asked(folder: Path, clips: tuple[Path, Path]) -> None:
    (folder / "deeper").mkdir()
    shutil.copyfile(clips[0], folder / "deeper" / "a.mp4")
    with Arrivals(folder, settle=0) as arrivals:
        shutil.copyfile(clips[0], folder / "b.mp4")
        found = []
        until(lambda: found.append(arrivals.take()) or any(found), "a clip")
        assert arrivals.take(0.2) is None
    assert [one.path.name for one in found if one is not None] == ["b.mp4"]


def test_system_that_tells_nothing(
    folder: Path, library: Library, clips: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers import Observer

    def refused(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(Observer, "schedule", refused)
    with Watch(folder, library) as seen:
        until(lambda: seen.arrivals.remark, "the remark")
        shutil.copyfile(clips[0], folder / "a.mp4")
        seen.until_said(1)
    assert "watch limit reached); the folder is looked through every 1 seconds" in str(
        seen.arrivals.remark
    )


# ---------------------------------------------------------------- once


@pytest.mark.usefixtures("_looks_often")
def test_what_lies_there_is_scanned_once(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    shutil.copyfile(clips[0], folder / "a.mp4")
    shutil.copyfile(clips[0], folder / "same.mp4")
    with Watch(folder, library) as seen:
        seen.until_said(2)
        (folder / "a.mp4").rename(folder / "renamed.mp4")
        seen.until_said(3)
        frames = seen.frames_seen
        time.sleep(2 * SETTLE)
    states = [state for _, state in seen.said]
    assert states == ["analysed", "known", "known"]
    assert seen.seen == WatchCounts(analysed=1, known=2)
    assert len({outcome.id for outcome in seen.outcomes}) == 1
    assert frames == 4
    with Watch(folder, library) as again:
        again.until_said(2)
    assert again.seen == WatchCounts(known=2)
    assert again.frames_seen == 0
    assert library.size().analyses == 1


@pytest.mark.usefixtures("_looks_often")
def test_broken_clip_is_said_once_and_tried_again_when_it_changes(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    (folder / "broken.mp4").write_bytes(b"no clip" * 100)
    with Watch(folder, library) as seen:
        seen.until_said(1)
        shutil.copyfile(clips[1], folder / "other.mp4")
        seen.until_said(2)
        time.sleep(2 * SETTLE)
        assert seen.said == [("broken.mp4", "failed"), ("other.mp4", "analysed")]
        assert "“broken.mp4” is not a video" in str(seen.outcomes[0].error)
        shutil.copyfile(clips[0], folder / "broken.mp4")
        seen.until_said(3)
    assert seen.said[2] == ("broken.mp4", "analysed")
    assert seen.seen == WatchCounts(analysed=2, failed=1)


# ---------------------------------------------------------------- removed and replaced


def test_clip_that_is_removed_or_replaced_while_it_waits(
    folder: Path, clips: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copyfile(clips[0], folder / "a.mp4")
    shutil.copyfile(clips[0], folder / "b.mp4")
    with Arrivals(folder, settle=3600) as arrivals:
        assert arrivals.take(0) is None
        (folder / "a.mp4").unlink()
        shutil.copyfile(clips[1], tmp_path / "new.mp4")
        (tmp_path / "new.mp4").rename(folder / "b.mp4")
        lost = [arrivals.take(0), arrivals.take(0), arrivals.take(0)]
    assert lost == [
        RemovedFile(
            folder / "a.mp4", "“a.mp4” was removed while it waited; nothing of it was kept."
        ),
        RemovedFile(
            folder / "b.mp4",
            "“b.mp4” was replaced while it waited; it is scanned when all of it is there.",
        ),
        None,
    ]


def test_clip_that_changes_while_others_are_scanned(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    gate = threading.Semaphore(0)
    shutil.copyfile(clips[0], folder / "a.mp4")
    for name in ("b.mp4", "c.mp4"):
        shutil.copyfile(clips[1], folder / name)
    with Watch(folder, library, gate) as seen:
        until(lambda: len(seen.arrivals._ready) == 2, "the others")
        (folder / "b.mp4").unlink()
        shutil.copyfile(clips[0], folder / "c.mp4")
        gate.release(1000)
        seen.until_said(2)
    assert seen.said == [("a.mp4", "analysed"), ("c.mp4", "known")]
    assert seen.remarks == ["“b.mp4” was removed while it waited; nothing of it was kept."]


def test_clip_that_is_removed_while_it_is_scanned(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    gate = threading.Semaphore(1)
    shutil.copyfile(clips[0], folder / "a.mp4")
    with Watch(folder, library, gate) as seen:
        until(lambda: seen.frames_seen, "the first frame")
        (folder / "a.mp4").unlink()
        gate.release(1000)
        until(lambda: seen.remarks, "the sentence")
        shutil.copyfile(clips[1], folder / "b.mp4")
        seen.until_said(1)
    assert seen.remarks == ["“a.mp4” was removed while it was scanned; nothing of it was kept."]
    assert seen.said == [("b.mp4", "analysed")]
    assert library.size().analyses == 1


def test_clip_that_is_replaced_while_it_is_scanned(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    gate = threading.Semaphore(1)
    shutil.copyfile(clips[0], folder / "a.mp4")
    shutil.copyfile(clips[1], folder / "new.part")
    with Watch(folder, library, gate) as seen:
        until(lambda: seen.frames_seen, "the first frame")
        (folder / "new.part").rename(folder / "a.mp4")
        gate.release(1000)
        seen.until_said(1)
    assert seen.remarks == [
        "“a.mp4” was replaced while it was scanned; it is scanned when all of it is there."
    ]
    assert [one.sha256 for one in library.search().items] == [sha256_of(clips[1])]


# ---------------------------------------------------------------- how it ends


def test_watch_that_is_stopped_in_the_middle_keeps_nothing_of_it(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    gate = threading.Semaphore(1)
    shutil.copyfile(clips[0], folder / "a.mp4")
    with Watch(folder, library, gate) as seen:
        until(lambda: seen.frames_seen, "the first frame")
        seen.stop.ask()
        gate.release(1000)
        seen.ended()
    assert (seen.seen, seen.said, seen.remarks) == (WatchCounts(), [], [])
    assert library.size().analyses == 0


def test_folder_that_vanishes_ends_it(
    folder: Path, library: Library, clips: tuple[Path, Path]
) -> None:
    shutil.copyfile(clips[0], folder / "a.mp4")
    with Watch(folder, library) as seen:
        seen.until_said(1)
        folder.rename(folder.with_name("away"))
        folder.mkdir()  # another one by the same name is not the one that is watched
        seen.ended()
    assert isinstance(seen.error, ClipError)
    assert str(seen.error) == (
        f"“{folder}” is not there any more; bring the folder back, then start again."
    )
    assert seen.remarks == []


def test_library_that_is_full_ends_it(
    folder: Path, library: Library, clips: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise LibraryError("There is no room left.")

    monkeypatch.setattr(library, "add", full)
    shutil.copyfile(clips[0], folder / "a.mp4")
    with Watch(folder, library) as seen:
        seen.ended()
    assert isinstance(seen.error, LibraryError)
    assert str(seen.error) == "There is no room left."


# ---------------------------------------------------------------- the command


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "Engine", StandInEngine)


@pytest.mark.usefixtures("_stand_in")
def test_command_ends_with_its_folder(
    folder: Path, clips: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(clips[0], folder / "a.mp4")
    (folder / "b\n.mp4").write_bytes(b"no clip" * 100)

    def remove_when_done() -> None:
        with Library.open() as library:
            until(lambda: library.size().analyses, "the clip")
        shutil.rmtree(folder)

    removing = threading.Thread(target=remove_when_done)
    removing.start()
    assert main(["watch", str(folder), "--settle", "0.2", "--frames", "2"]) == 2
    removing.join()
    said = capsys.readouterr()
    first, *lines, last = said.out.splitlines()
    assert first.startswith(f"Watching {folder}; kept in ")
    assert f"{folder}/a.mp4: no band  #1" in "\n".join(lines)
    assert last.startswith("1 analysed, 0 known already, ")
    assert "\n.mp4" not in said.out
    assert f"veriframe: “{folder}” is not there any more;" in said.err


def test_command_says_what_it_cannot_do(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["watch", str(tmp_path / "none")]) == 2
    assert "is not a folder that can be read (No such file" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["watch", str(tmp_path / "file")]) == 2
    assert "is not a folder that can be read" in capsys.readouterr().err
    assert main(["watch", str(folder), "--models", "none such"]) == 2
    assert "none such" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["watch", str(folder), "--settle", "-1"])
    assert "'-1' is not a number of seconds" in capsys.readouterr().err
    monkeypatch.setenv("VERIFRAME_DATA", str(tmp_path / "file" / "below a file"))
    assert main(["watch", str(folder)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("veriframe: The library in ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_real_command_ends_by_its_signal(
    folder: Path, tmp_path: Path, sample_clip: Callable[[str], Path], how: int
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as output, err.open("w") as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "detector",
                "watch",
                str(folder),
                "--frames",
                "2",
                "--settle",
                "0.2",
            ],
            cwd=ROOT,
            stdout=output,
            stderr=errors,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        try:
            until(lambda: "Watching" in out.read_text() or process.poll() is not None, "the start")
            shutil.copyfile(sample_clip("grid_bbaf2n"), folder / "clip.mp4")
            until(lambda: "clip.mp4: " in out.read_text() or process.poll() is not None, "the clip")
            process.send_signal(how)
            assert process.wait(PATIENCE) == 0, err.read_text()
        finally:
            process.kill()
            process.wait()
    first, clip, last = out.read_text().splitlines()
    assert first.startswith("Watching ")
    assert clip.startswith(f"{folder}/clip.mp4: ")
    assert clip.endswith("  #1")
    assert last.startswith("1 analysed, 0 known already, 0 failed; kept in ")
    assert err.read_text() == ""
    assert list(temporary.iterdir()) == []
