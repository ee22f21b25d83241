"""detector.jobs.queue: progress, stopping, and no file left behind, whatever happens."""

from __future__ import annotations

import errno
import gc
import io
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector.analysis.scan import Progress, scan
from detector.errors import ClipError
from detector.jobs import queue as module
from detector.jobs.queue import PREFIX, UNEXPECTED, Job, Jobs
from detector.limits import Limits
from detector.settings import Settings
from tests.helpers.clips import write
from tests.helpers.processes import python
from tests.helpers.stand_ins import StandInEngine, one_face

WAIT = 60  # seconds that a busy machine may take; nothing here is timed


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of forty numbered frames."""
    return write(tmp_path_factory.mktemp("jobs") / "forty.mp4", 40)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which jobs put their files: the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def held(temporary: Path, gate: threading.Semaphore) -> Jobs:
    """A queue with one place, in which each frame waits at the gate."""
    return Jobs(StandInEngine(one_face, gate), at_once=1)


@pytest.fixture
def quick(temporary: Path) -> Jobs:
    """A queue whose models answer at once."""
    return Jobs(StandInEngine())


def upload(path: Path) -> io.BytesIO:
    """As a page hands it over."""
    return io.BytesIO(path.read_bytes())


def left(temporary: Path) -> list[str]:
    """Names of all files of all jobs."""
    return sorted(path.name for path in temporary.rglob("*") if path.is_file())


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def finish(job: Job) -> Job:
    assert job.wait(WAIT)
    assert job.finished
    return job


# ---------------------------------------------------------------- done


def test_a_job_gives_what_an_analysis_gives(quick: Jobs, forty: Path) -> None:
    job = finish(quick.submit(upload(forty), "theirs.mp4", Settings(8)))
    assert (job.status, job.error, job.name) == ("done", None, "theirs.mp4")
    alone = scan(forty, Settings(8), StandInEngine(), name="theirs.mp4")
    assert job.analysis is not None
    assert job.analysis.frames == alone.frames == job.progress.scored
    assert job.analysis.clip == alone.clip
    assert job.analysis.finding == alone.finding
    assert (job.progress.done, job.progress.total) == (8, 8)


def test_a_file_that_stays_in_place_is_not_copied_and_not_removed(
    quick: Jobs, forty: Path, temporary: Path
) -> None:
    job = finish(quick.submit(forty, "forty.mp4", Settings(4)))
    assert job.status == "done"
    assert "clip" not in left(temporary)
    job.discard()
    assert forty.is_file()


def test_the_upload_is_gone_when_the_analysis_ends_and_the_evidence_is_there(
    quick: Jobs, forty: Path, temporary: Path
) -> None:
    job = finish(quick.submit(upload(forty), "clip.mp4", Settings(4)))
    assert job.status == "done"
    names = left(temporary)
    assert "clip" not in names
    assert len([name for name in names if name.startswith("frame-")]) == 4
    assert len([name for name in names if name.startswith("face-")]) == 4
    assert job.analysis is not None
    assert all(job.pictures.frame(frame.index) for frame in job.analysis.frames)


def test_an_upload_that_was_read_already_is_read_from_its_start(quick: Jobs, forty: Path) -> None:
    stream = upload(forty)
    stream.read()
    assert finish(quick.submit(stream, "clip.mp4", Settings(1))).status == "done"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b\\c.mp4", "x" * 300, ""])
def test_a_name_is_never_a_path(quick: Jobs, forty: Path, temporary: Path, name: str) -> None:
    job = finish(quick.submit(upload(forty), name, Settings(1)))
    assert job.status == "done"
    assert all(path.is_relative_to(temporary) for path in temporary.rglob("*"))
    assert {name.split("-")[0] for name in left(temporary)} == {"frame", "face"}


def test_settings_and_limits_reach_the_analysis(quick: Jobs, forty: Path) -> None:
    job = finish(quick.submit(forty, "clip.mp4", Settings(3)))
    assert job.analysis is not None
    assert job.analysis.sampling.requested == 3
    refused = finish(quick.submit(forty, "clip.mp4", limits=Limits(frames=5)))
    assert refused.error == "“clip.mp4” has more than 5 frames; cut the part you need."


# ---------------------------------------------------------------- on its way


def test_progress_and_scores_arrive_while_it_runs(
    held: Jobs, gate: threading.Semaphore, forty: Path
) -> None:
    job = held.submit(forty, "clip.mp4", Settings(20))
    until(lambda: job.status == "running")
    assert (job.progress, job.analysis) == (Progress(0, 0, ()), None)
    gate.release(9)
    until(lambda: job.progress.done >= 8)
    assert (job.progress.done, job.progress.total) == (8, 20)
    assert [frame.index for frame in job.progress.scored] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert not job.finished
    assert job.seconds > 0
    assert not job.wait(0)
    gate.release(100)
    assert finish(job).status == "done"


def test_a_job_that_waits_says_how_many_are_before_it(
    held: Jobs, gate: threading.Semaphore, forty: Path
) -> None:
    first, second, third = (held.submit(forty, f"{n}.mp4", Settings(2)) for n in range(3))
    until(lambda: first.status == "running")
    assert [job.status for job in (second, third)] == ["waiting", "waiting"]
    assert [job.ahead for job in (first, second, third)] == [0, 0, 1]
    assert second.seconds == 0
    gate.release(100)
    for job in (first, second, third):
        assert finish(job).status == "done"
    assert third.ahead == 0


def test_a_full_queue_refuses_before_it_copies(
    temporary: Path, gate: threading.Semaphore, forty: Path
) -> None:
    jobs = Jobs(StandInEngine(one_face, gate), limits=Limits(analyses=1, queue=2))
    running = jobs.submit(upload(forty), "first", Settings(2))
    until(lambda: running.status == "running")
    waiting = [jobs.submit(upload(forty), "next", Settings(2), owner=who) for who in "ab"]
    before = left(temporary)

    class Unread(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("it was copied")

    with pytest.raises(ClipError) as caught:
        jobs.submit(Unread(forty.read_bytes()), "one too many", owner="c")
    assert str(caught.value) == (
        "“one too many” cannot be analysed now, since 2 analyses are waiting already; try again in "
        "a few minutes."
    )
    assert left(temporary) == before
    gate.release(100)
    for job in (running, *waiting):
        assert finish(job).status == "done"
    assert finish(jobs.submit(upload(forty), "later", Settings(2))).status == "done"


def test_no_more_run_at_once_than_the_limits_say(
    temporary: Path, gate: threading.Semaphore, forty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFRAME_MAX_ANALYSES", "3")
    jobs = Jobs(StandInEngine(one_face, gate))
    several = [jobs.submit(forty, f"{number}.mp4", Settings(2)) for number in range(5)]
    until(lambda: [job.status for job in several].count("running") == 3)
    assert [job.status for job in several[3:]] == ["waiting", "waiting"]
    gate.release(100)
    assert [finish(job).status for job in several] == ["done"] * 5


@pytest.mark.parametrize("which", ["of the queue", "of the clip"])
def test_an_upload_beyond_the_limit_is_refused_before_it_is_copied(
    temporary: Path, forty: Path, which: str
) -> None:
    small = Limits(bytes=1000)
    jobs = Jobs(StandInEngine(), limits=small if which == "of the queue" else None)
    with pytest.raises(ClipError, match="GiB allowed here; cut the part you need"):
        jobs.submit(upload(forty), "large.mp4", limits=None if which == "of the queue" else small)
    assert list(temporary.iterdir()) == []


def test_two_run_at_once_and_do_not_mix(
    temporary: Path, gate: threading.Semaphore, forty: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other.mp4", 12)
    both = Jobs(StandInEngine(one_face, gate), at_once=2)
    long, short = (
        both.submit(upload(forty), "long", Settings(None)),
        both.submit(upload(other), "short", Settings(None)),
    )
    until(lambda: long.status == short.status == "running")
    gate.release(200)
    for job, count in ((long, 40), (short, 12)):
        assert finish(job).analysis is not None
        assert [frame.index for frame in job.progress.scored] == list(range(count))
        assert all(job.pictures.frame(index) for index in range(count))
    assert long.pictures.folder != short.pictures.folder


# ---------------------------------------------------------------- stopped


def test_stopping_a_running_job_leaves_nothing(
    held: Jobs, gate: threading.Semaphore, forty: Path, temporary: Path
) -> None:
    job = held.submit(upload(forty), "clip.mp4", Settings(20))
    gate.release(5)
    until(lambda: len(left(temporary)) > 5)
    job.cancel()
    gate.release(1)  # the frame that is under way may end
    assert finish(job).status == "cancelled"
    assert (job.analysis, job.error) == (None, None)
    assert list(temporary.iterdir()) == []


def test_stopping_a_waiting_job_leaves_nothing_and_analyses_nothing(
    held: Jobs, gate: threading.Semaphore, forty: Path, temporary: Path
) -> None:
    first = held.submit(forty, "first.mp4", Settings(1))
    second = held.submit(upload(forty), "second.mp4", Settings(None))
    until(lambda: first.status == "running")
    second.cancel()
    gate.release(1)
    assert finish(first).status == "done"
    assert finish(second).status == "cancelled"
    assert second.progress.scored == ()
    first.discard()
    assert list(temporary.iterdir()) == []


def test_stopping_what_is_done_changes_nothing(quick: Jobs, forty: Path) -> None:
    job = finish(quick.submit(forty, "clip.mp4", Settings(2)))
    job.cancel()
    assert job.status == "done"
    assert job.analysis is not None
    assert job.pictures.frame(job.analysis.frames[0].index)


def test_a_stopped_job_makes_room_for_the_next(
    held: Jobs, gate: threading.Semaphore, forty: Path
) -> None:
    job = held.submit(forty, "clip.mp4", Settings(None))
    until(lambda: job.status == "running")
    job.cancel()
    gate.release(100)
    finish(job)
    assert finish(held.submit(forty, "next.mp4", Settings(2))).status == "done"


def test_discarding_takes_the_evidence_away(quick: Jobs, forty: Path, temporary: Path) -> None:
    job = finish(quick.submit(upload(forty), "clip.mp4", Settings(2)))
    job.discard()
    assert list(temporary.iterdir()) == []
    job.discard()  # again does nothing
    assert job.status == "done"
    assert job.pictures.frame(10) is None


def test_discarding_a_running_job_stops_it(
    held: Jobs, gate: threading.Semaphore, forty: Path, temporary: Path
) -> None:
    job = held.submit(upload(forty), "clip.mp4", Settings(None))
    gate.release(3)
    until(lambda: len(left(temporary)) >= 3)
    job.discard()
    gate.release(2)
    finish(job)
    assert job.status != "done"
    assert list(temporary.iterdir()) == []


def test_a_job_nobody_refers_to_stops_and_its_files_go(
    held: Jobs, gate: threading.Semaphore, forty: Path, temporary: Path
) -> None:
    """A browser tab was closed."""
    job = held.submit(upload(forty), "clip.mp4", Settings(None))
    run = job._run
    gate.release(3)
    until(lambda: len(left(temporary)) >= 3)
    del job
    gc.collect()
    assert run.cancel.is_set()
    gate.release(2)
    assert run.ended.wait(WAIT)
    assert run.status != "done"
    assert list(temporary.iterdir()) == []


def test_a_finished_job_nobody_refers_to_leaves_nothing(
    quick: Jobs, forty: Path, temporary: Path
) -> None:
    job = finish(quick.submit(upload(forty), "clip.mp4", Settings(2)))
    assert left(temporary)
    del job
    gc.collect()
    assert list(temporary.iterdir()) == []


# ---------------------------------------------------------------- failed


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "“bad.mp4” is empty; choose a file with content."),
        (b"no video at all" * 50, "“bad.mp4” is not a video or image that can be read"),
    ],
    ids=["empty", "text"],
)
def test_bad_input_fails_in_a_sentence_and_leaves_nothing(
    quick: Jobs, temporary: Path, content: bytes, says: str
) -> None:
    job = finish(quick.submit(io.BytesIO(content), "bad.mp4"))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.startswith(says)
    assert job.analysis is None
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (RuntimeError("tensor shapes [1, 2] differ in /usr/lib/x.so"), UNEXPECTED),
        (KeyError("logits"), UNEXPECTED),
        (OSError(errno.ENOSPC, "No space left on device"), UNEXPECTED),
        (MemoryError(), "“clip.mp4” needs more memory than is free; analyse fewer frames."),
    ],
    ids=["runtime", "key", "disk full", "memory"],
)
def test_the_unexpected_is_a_sentence_and_its_details_go_to_the_log(
    quick: Jobs,
    forty: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: Exception,
    says: str,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(module, "scan", broken)
    with caplog.at_level(logging.ERROR, logger="veriframe"):
        job = finish(quick.submit(upload(forty), "clip.mp4"))
    assert (job.status, job.error) == ("failed", says)
    assert "Traceback" not in says
    assert ("Traceback" in caplog.text) is (says == UNEXPECTED)
    assert list(temporary.iterdir()) == []


def test_a_failure_does_not_stop_the_queue(
    quick: Jobs, forty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("once more")

    with monkeypatch.context() as patch:
        patch.setattr(module, "scan", broken)
        for _ in range(3):
            assert finish(quick.submit(forty, "clip.mp4")).status == "failed"
    assert finish(quick.submit(forty, "clip.mp4", Settings(2))).status == "done"


def test_a_full_disk_refuses_the_upload_in_a_sentence(
    quick: Jobs, forty: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Any, target: Any, length: int = 0) -> None:
        target.write(source.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ClipError) as caught:
        quick.submit(upload(forty), "two\nlines " + "x" * 300 + ".mp4")
    sentence = str(caught.value)
    assert "cannot be stored for the analysis (No space left on device); free some" in sentence
    assert sentence.isprintable()
    assert len(sentence) < 250
    assert list(temporary.iterdir()) == []


def test_an_upload_that_cannot_be_read_leaves_nothing(quick: Jobs, temporary: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ValueError("I/O operation on closed file")

    with pytest.raises(ValueError, match="closed file"):
        quick.submit(Broken(b"x"), "clip.mp4")
    gc.collect()
    assert list(temporary.iterdir()) == []


# ---------------------------------------------------------------- afterwards


def test_what_follows_gets_the_result_while_the_clip_is_there(quick: Jobs, forty: Path) -> None:
    seen: list[tuple[int, bool, bytes]] = []

    def keep(analysis: Any, pictures: Any, path: Path) -> None:
        first = analysis.frames[0].index
        seen.append((len(analysis.frames), pictures.frame(first) is not None, path.read_bytes()))

    finish(quick.submit(upload(forty), "clip.mp4", Settings(4), on_done=keep))
    assert seen == [(4, True, forty.read_bytes())]


def test_what_follows_may_fail_without_harm(
    quick: Jobs, forty: Path, temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("library is locked")

    job = finish(quick.submit(upload(forty), "clip.mp4", Settings(2), on_done=fail))
    assert job.status == "done"
    assert "library is locked" in caplog.text
    assert "clip" not in left(temporary)


def test_nothing_follows_where_nothing_was_found_out(
    held: Jobs, gate: threading.Semaphore, forty: Path
) -> None:
    calls: list[Any] = []
    failed = held.submit(io.BytesIO(b"no clip"), "bad", on_done=lambda *a: calls.append(a))
    stopped = held.submit(forty, "clip", Settings(4), on_done=lambda *a: calls.append(a))
    finish(failed)
    stopped.cancel()
    gate.release(10)
    assert finish(stopped).status == "cancelled"
    assert calls == []


# ---------------------------------------------------------------- left behind by others


def folder_of(temporary: Path, process: int | str) -> Path:
    folder = temporary / f"{PREFIX}{process}-abcd1234"
    (folder / "evidence").mkdir(parents=True)
    (folder / "clip").write_bytes(b"somebody's clip")
    return folder


def test_files_of_processes_that_died_are_swept(temporary: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive, odd = (
        folder_of(temporary, ended.pid),
        folder_of(temporary, os.getpid()),
        folder_of(temporary, "notes"),
    )
    other = temporary / "someone-elses"
    other.mkdir()
    Jobs(StandInEngine(), at_once=0)
    assert not dead.exists()
    assert (alive / "clip").is_file()
    assert odd.is_dir()
    assert other.is_dir()


def test_a_process_of_another_user_is_alive(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: int, signal: int) -> None:
        raise PermissionError

    folder = folder_of(temporary, 1)
    monkeypatch.setattr(os, "kill", refuse)
    Jobs(StandInEngine(), at_once=0)
    assert folder.is_dir()


def test_a_process_that_ends_takes_its_files_away(temporary: Path, forty: Path) -> None:
    """The server is stopped while a clip is analysed."""
    code = f"""
import io, sys, tempfile, threading
from pathlib import Path
tempfile.tempdir = {str(temporary)!r}
from detector.settings import Settings
from detector.jobs.queue import Jobs
from tests.helpers.stand_ins import StandInEngine, one_face
gate = threading.Semaphore(3)
job = Jobs(StandInEngine(one_face, gate), 1).submit(
    io.BytesIO(Path({str(forty)!r}).read_bytes()), "clip.mp4", Settings(None))
while len(list(Path(tempfile.tempdir).rglob("frame-*"))) < 3:
    threading.Event().wait(0.01)
print(len(list(Path(tempfile.tempdir).rglob("clip"))))
"""
    printed = python(code)
    assert printed == "1", "the copy of the upload was there"
    assert list(temporary.iterdir()) == []


def test_who_leaves_while_waiting_gives_up_the_place(
    held: Jobs, temporary: Path, forty: Path, gate: threading.Semaphore
) -> None:
    running = held.submit(forty, "running")
    until(lambda: held.running == 1)
    cancelled, gone, last = (held.submit(upload(forty), name) for name in "abc")
    assert held.waiting == 3
    cancelled.cancel()
    assert (cancelled.status, cancelled.finished) == ("cancelled", True)
    del gone
    gc.collect()
    assert held.waiting == 1
    assert last.ahead == 0
    assert len([name for name in left(temporary) if name == "clip"]) == 1
    gate.release(1000)
    assert last.wait(WAIT)
    assert last.status == "done"
    assert running.status == "done"
