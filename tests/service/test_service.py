"""detector.service.service: a job outlives the process, is done once, and leaves no clip behind."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.concurrency import threads
from detector.errors import DetectorError, LibraryError, ModelError, QueueFull, ServiceError
from detector.jobs.queue import Jobs
from detector.library.store import Library
from detector.limits import Limits
from detector.service import service as module
from detector.service.pending_clips import PendingClips
from detector.service.records import JobRecord, new_id
from detector.service.service import MOST_ATTEMPTS, Service, ServiceOpener
from detector.settings import Settings
from tests.helpers.clips import write
from tests.helpers.stand_ins import StandInEngine, one_face

WAIT = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of forty numbered frames."""
    return write(tmp_path_factory.mktemp("service") / "forty.mp4", 40)


@pytest.fixture
def library(database_url: str) -> Iterator[Library]:
    with Library.open(database_url) as opened:
        yield opened


Start = Callable[..., Service]


@pytest.fixture
def start(library: Library, tmp_path: Path, gate: threading.Semaphore) -> Iterator[Start]:
    """Starts a service on the same library and folder, as one process after the other does."""
    started: list[Service] = []

    def begin(
        gate: threading.Semaphore | None = None,
        limits: Limits | None = None,
        pending: str = "spool",
    ) -> Service:
        jobs = Jobs(StandInEngine(one_face, gate), at_once=1, limits=limits)
        started.append(Service(jobs, library, PendingClips(tmp_path / pending)))
        return started[-1]

    yield begin
    gate.release(100_000)
    for one in started:
        one.jobs._stop()
        one.close()


def send(
    service: Service, clip: Path, owner: str = "", frames: int = 4, name: str = "forty.mp4"
) -> tuple[JobRecord, bool]:
    """As the API hands a clip over."""
    path = service.pending.arriving(new_id())
    shutil.copyfile(clip, path)
    sha256 = hashlib.sha256(clip.read_bytes()).hexdigest()
    return service.submit(path, name, sha256, Settings(frames), owner, "t" + owner)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def ended(service: Service, id: str, owner: str = "") -> JobRecord:
    """The record once nothing more happens."""

    def finished() -> bool:
        record = service.get(id, owner)
        return record is not None and record.finished

    until(finished)
    record = service.get(id, owner)
    assert record is not None
    return record


def clips(service: Service) -> list[str]:
    """Files of clips that are left in the folder of pending clips."""
    return sorted(
        p.name for p in service.pending.folder.iterdir() if p.suffix in (".clip", ".part")
    )


def test_a_clip_is_analysed_kept_and_gone(start: Start, library: Library, clip: Path) -> None:
    service = start()
    record, begun = send(service, clip)
    assert begun
    assert record.state == "waiting"
    done = ended(service, record.id)
    assert (done.state, done.done, done.total, done.error) == ("done", 4, 4, None)
    assert done.started_at is not None
    assert done.ended_at is not None
    assert done.created_at <= done.started_at <= done.ended_at
    assert done.analysis_id is not None
    analysis = library.get(done.analysis_id)
    assert analysis.clip.sha256 == record.sha256
    assert analysis.clip.name == "forty.mp4"
    assert library.thumbnail(done.analysis_id) is not None
    until(lambda: clips(service) == [])
    assert service.records.counts() == {"waiting": 0, "running": 0, "done": 1, "failed": 0}


def test_progress_is_seen_while_it_runs_and_written_down(
    start: Start, clip: Path, gate: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITTEN_EVERY", 0.0)
    service = start(gate)
    record, _ = send(service, clip, frames=40)
    behind, _ = send(service, clip, frames=5)
    gate.release(30)

    def written() -> JobRecord:
        return service.records.get(record.id, "") or record

    until(lambda: written().done >= 8)  # the scorer takes eight at once
    assert (written().state, written().total) == ("running", 40)
    assert (service.get(record.id, "") or record).state == "running"
    assert [one.id for one in service.search("").items] == [behind.id, record.id]
    assert [one.id for one in service.search("", "waiting").items] == [behind.id]
    gate.release(100)
    assert ended(service, behind.id).state == "done"


def test_the_same_clip_is_not_analysed_twice(start: Start, library: Library, clip: Path) -> None:
    service = start()
    first, _ = send(service, clip)
    again, begun = send(service, clip, name="another name.mp4")
    assert (again.id, begun) == (first.id, False)
    ended(service, first.id)
    again, begun = send(service, clip)
    assert (again.id, again.state, begun) == (first.id, "done", False)
    other, begun = send(service, clip, frames=5)
    assert begun
    ended(service, other.id)
    assert len(library.ids()) == 2
    until(lambda: clips(service) == [])


def test_what_the_library_knows_is_answered_from_it(
    start: Start, library: Library, clip: Path
) -> None:
    service = start()
    first, _ = send(service, clip)
    kept = ended(service, first.id).analysis_id
    service.records.remove(first.id, "")
    again, begun = send(service, clip)
    assert (again.state, again.analysis_id, begun) == ("done", kept, False)
    assert again.id != first.id


def test_a_deleted_analysis_may_come_again(start: Start, library: Library, clip: Path) -> None:
    service = start()
    first, _ = send(service, clip)
    kept = ended(service, first.id).analysis_id
    assert kept is not None
    library.delete([kept])
    emptied = service.get(first.id, "")
    assert emptied is not None
    assert emptied.analysis_id is None
    again, begun = send(service, clip)
    assert begun
    assert again.id != first.id
    assert ended(service, again.id).state == "done"


def test_two_owners_do_not_see_each_other(start: Start, library: Library, clip: Path) -> None:
    service = start()
    mine, _ = send(service, clip, "me")
    yours, begun = send(service, clip, "you")
    assert begun
    assert ended(service, mine.id, "me").analysis_id != ended(service, yours.id, "you").analysis_id
    assert service.get(mine.id, "you") is None
    assert not service.delete(mine.id, "you")
    assert [one.id for one in service.search("you").items] == [yours.id]
    assert len(library.owned_by("me").ids()) == 1


def test_turns_are_fair_between_tokens(start: Start, clip: Path, gate: threading.Semaphore) -> None:
    service = start(gate)
    busy = [send(service, clip, "a", frames)[0] for frames in (1, 2, 3)]
    until(lambda: service.jobs.running == 1)
    other, _ = send(service, clip, "b", 1)
    assert service.ahead(other.id) == 1
    assert service.ahead(busy[2].id) == 2
    gate.release(100)
    ended(service, busy[2].id, "a")
    first, last = ended(service, other.id, "b"), ended(service, busy[2].id, "a")
    assert first.analysis_id is not None
    assert last.analysis_id is not None
    assert first.analysis_id < last.analysis_id


def test_a_broken_clip_fails_in_one_sentence_and_may_come_again(
    start: Start, tmp_path: Path
) -> None:
    service = start()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no clip at all" * 100)
    record, _ = send(service, broken)
    failed = ended(service, record.id)
    assert failed.state == "failed"
    assert failed.error is not None
    assert "\n" not in failed.error
    assert failed.key is None
    until(lambda: clips(service) == [])
    again, begun = send(service, broken)
    assert begun
    assert again.id != record.id
    ended(service, again.id)


def test_an_analysis_that_cannot_be_kept_has_failed(
    start: Start, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()

    def full(*_: object, **__: object) -> int:
        raise LibraryError("There is no room left for the library; free some space.")

    monkeypatch.setattr(Library, "add", full)
    record, _ = send(service, clip)
    failed = ended(service, record.id)
    assert (failed.state, failed.analysis_id) == ("failed", None)
    assert "no room left" in (failed.error or "")


def test_unknown_models_and_a_full_queue_leave_nothing(
    start: Start, clip: Path, gate: threading.Semaphore
) -> None:
    service = start(gate, Limits(queue=1))
    send(service, clip, frames=1)
    until(lambda: service.jobs.running == 1)
    send(service, clip, frames=2)
    with pytest.raises(QueueFull, match=r"cannot be analysed now, .* try again"):
        send(service, clip, frames=3)
    path = service.pending.arriving(new_id())
    shutil.copyfile(clip, path)
    with pytest.raises(ModelError):
        service.submit(path, "clip.mp4", "0" * 64, Settings(models="none"), "", "t")
    assert service.search("").total == 2
    assert len(clips(service)) == 2


def test_delete_stops_a_running_job_and_removes_all(
    start: Start, library: Library, clip: Path, gate: threading.Semaphore
) -> None:
    service = start(gate)
    running, _ = send(service, clip)
    waiting, _ = send(service, clip, frames=5)
    until(lambda: service.jobs.running == 1)
    gate.release(1)
    assert service.delete(waiting.id, "")
    gate.release(100)
    assert service.delete(running.id, "")
    assert not service.delete(running.id, "")
    assert service.get(running.id, "") is None
    until(lambda: clips(service) == [] and service.jobs.running == 0)
    assert library.ids() == ()


def test_delete_takes_the_analysis_along(start: Start, library: Library, clip: Path) -> None:
    service = start()
    record, _ = send(service, clip)
    ended(service, record.id)
    assert service.delete(record.id, "")
    assert library.ids() == ()
    assert service.search("").total == 0


# --- restarts --------------------------------------------------------------------------------


def test_a_restart_goes_on_with_what_ran_and_waited(
    start: Start, library: Library, clip: Path, gate: threading.Semaphore
) -> None:
    before = start(gate)
    done, _ = send(before, clip, frames=1)
    gate.release(1)
    kept = ended(before, done.id).analysis_id
    running, _ = send(before, clip, frames=3)
    waiting, _ = send(before, clip, frames=2)
    until(lambda: (before.records.get(running.id, "") or running).state == "running")
    before._end()  # as a kill would: nothing is written down any more
    before.pending.close()
    after = start()
    for record, attempts in ((running, 2), (waiting, 1)):  # only what ran was an attempt
        finished = ended(after, record.id)
        assert (finished.state, finished.attempts) == ("done", attempts)
    again = after.get(done.id, "")
    assert again is not None
    assert (again.attempts, again.analysis_id) == (1, kept)
    assert len(library.ids()) == 3
    until(lambda: clips(after) == [])


def test_a_stop_in_order_is_no_failure(start: Start, clip: Path, gate: threading.Semaphore) -> None:
    before = start(gate)
    record, _ = send(before, clip)
    until(lambda: before.jobs.running == 1)
    opened = threading.Thread(target=lambda: (before._closed.wait(WAIT), gate.release(100)))
    opened.start()
    before.close()
    opened.join()
    left = before.records.get(record.id, "")
    assert left is not None
    assert left.state == "waiting"
    done = ended(start(), record.id)
    assert (done.state, done.attempts) == ("done", 1)


def test_what_was_kept_but_not_written_down_is_not_repeated(
    start: Start, library: Library, clip: Path
) -> None:
    before = start()
    record, _ = send(before, clip)
    kept = ended(before, record.id).analysis_id
    before.close()
    before.records.change(record.id, state="running", analysis_id=None, ended_at=None)
    after = start()
    done = ended(after, record.id)
    assert (done.state, done.analysis_id) == ("done", kept)
    assert len(library.ids()) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({}, "the clip is gone; send it again"), ({"attempts": MOST_ATTEMPTS}, "stopped each time")],
    ids=["clip lost", "deadly clip"],
)
def test_what_cannot_go_on_has_failed(
    start: Start, clip: Path, gate: threading.Semaphore, change: dict[str, int], sentence: str
) -> None:
    before = start(gate)
    record, _ = send(before, clip)
    until(lambda: (before.records.get(record.id, "") or record).state == "running")
    before._end()
    before.pending.close()
    if change:
        before.records.change(record.id, **change)
    else:
        before.pending.clip(record.id).unlink()
    failed = ended(start(), record.id)
    assert failed.state == "failed"
    assert sentence in (failed.error or "")
    assert clips(before) == []


def test_a_living_process_keeps_its_jobs(
    start: Start, clip: Path, gate: threading.Semaphore
) -> None:
    first = start(gate)
    record, _ = send(first, clip)
    second = start()
    seen = second.get(record.id, "")
    assert seen is not None
    assert (seen.worker, seen.attempts) == (first.pending.worker, 1)
    assert clips(first) == [f"{record.id}.clip"]
    gate.release(100)
    assert ended(second, record.id).attempts == 1


def test_a_server_that_does_not_come_back_fails_its_jobs(
    start: Start, clip: Path, gate: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = start(gate, pending="another machine's")
    record, _ = send(elsewhere, clip)
    here = start()
    waiting = here.get(record.id, "")
    assert waiting is not None
    assert not waiting.finished
    monkeypatch.setattr(module, "FORGOTTEN_AFTER", -1.0)
    here._take_up()
    failed = here.get(record.id, "")
    assert failed is not None
    assert failed.state == "failed"


def test_two_processes_cannot_take_the_same_job(start: Start, clip: Path) -> None:
    service = start()
    record = JobRecord(
        id=new_id(),
        owner="",
        token="t",
        key=None,
        state="waiting",
        name="a",
        bytes=1,
        sha256="0" * 64,
        fingerprint="1" * 64,
        settings=Settings(),
        created_at=1.0,
        worker="dead",
        home="h",
    )
    service.records.add(record)
    assert service.records.take(record, "h", "first")
    assert not service.records.take(record, "h", "second")


def test_the_same_key_twice_gives_the_first(start: Start) -> None:
    records = start().records
    record = JobRecord(
        id=new_id(),
        owner="",
        token="t",
        key="k",
        state="waiting",
        name="a",
        bytes=1,
        sha256="0" * 64,
        fingerprint="1" * 64,
        settings=Settings(),
        created_at=1.0,
    )
    assert records.add(record) == record
    assert records.add(dataclasses.replace(record, id=new_id())).id == record.id


def test_a_job_that_another_process_deleted_brings_nothing(
    start: Start, library: Library, clip: Path, gate: threading.Semaphore
) -> None:
    service = start(gate)
    record, _ = send(service, clip)
    until(lambda: (service.records.get(record.id, "") or record).state == "running")
    assert service.records.remove(record.id, "")
    gate.release(100)
    until(lambda: not service._live)
    until(lambda: clips(service) == [])
    assert library.ids() == ()


def test_a_job_deleted_while_it_is_kept_is_kept_no_longer(
    start: Start, library: Library, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.01)
    keeping, go_on = threading.Event(), threading.Event()
    add = Library.add

    def slowly(*arguments: Any, **named: Any) -> int:
        keeping.set()
        assert go_on.wait(WAIT)
        return add(*arguments, **named)

    monkeypatch.setattr(Library, "add", slowly)
    service = start()
    record, _ = send(service, clip)
    assert keeping.wait(WAIT)
    assert service.delete(record.id, "")
    assert service.get(record.id, "") is None
    go_on.set()
    until(lambda: not service._live)
    assert library.ids() == ()


def test_a_deleted_job_is_forgotten_though_the_service_ends(
    start: Start, library: Library, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping, go_on = threading.Event(), threading.Event()
    add = Library.add

    def slowly(*arguments: Any, **named: Any) -> int:
        keeping.set()
        assert go_on.wait(WAIT)
        return add(*arguments, **named)

    monkeypatch.setattr(Library, "add", slowly)
    service = start()
    record, _ = send(service, clip)
    assert keeping.wait(WAIT)
    with monkeypatch.context() as hasty:
        hasty.setattr(threads, "PATIENCE", 0.01)
        service._end()  # the thread that follows jobs is gone
        assert service.delete(record.id, "")
    go_on.set()
    service.close()
    assert library.ids() == ()


def test_what_cannot_begin_leaves_no_job(
    start: Start, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(service.jobs, "submit", full)
    with pytest.raises(ServiceError, match=r"cannot be stored \(No space left on device\)"):
        send(service, clip)
    assert service.search("").total == 0
    assert clips(service) == []


def test_without_room_a_job_is_taken_up_later(
    start: Start, clip: Path, gate: threading.Semaphore
) -> None:
    before = start(gate)
    sent = [send(before, clip, frames=frames)[0] for frames in (1, 2, 3)]
    before._end()
    before.pending.close()
    after = start(gate, Limits(queue=1))
    gate.release(1000)

    def all_done() -> bool:
        after._take_up()
        return all((after.get(one.id, "") or one).state == "done" for one in sent)

    until(all_done)


def test_a_service_that_ends_takes_no_more(start: Start, clip: Path) -> None:
    service = start()
    service._end()
    with pytest.raises(QueueFull, match="being stopped"):
        send(service, clip)
    assert clips(service) == []


# --- the folder ------------------------------------------------------------------------------


def test_the_folder_knows_the_dead_and_sweeps_after_them(tmp_path: Path) -> None:
    dead, alive = PendingClips(tmp_path), PendingClips(tmp_path)
    assert dead.home == alive.home
    dead.clip("kept").write_bytes(b"1")
    dead.clip("left").write_bytes(b"1")
    dead.arriving("a").write_bytes(b"1")
    alive.arriving("b").write_bytes(b"1")
    assert alive.alive(dead.worker)
    dead._lock.close()
    alive.sweep(lambda: {"kept"})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"name", "kept.clip", alive.arriving("b").name, f"{alive.worker}.lock"}
    alive.close()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ServiceError, match=r"cannot be stored in .* VERIFRAME_DATA"):
        PendingClips(tmp_path / "file" / "spool")


def test_an_empty_name_of_a_folder_is_mended(tmp_path: Path) -> None:
    (tmp_path / "name").touch()
    pending = PendingClips(tmp_path)
    assert len(pending.home) == 32
    pending.close()


def test_the_opener_tries_again(start: Start) -> None:
    tries: list[int] = []

    def opened() -> Service:
        tries.append(1)
        if len(tries) == 1:
            raise DetectorError("not yet")
        return start()

    opener = ServiceOpener(opened)
    with pytest.raises(DetectorError, match="not yet"):
        opener()
    assert opener() is opener()
    opener.close()
    opener.close()
    assert len(tries) == 2


def test_background_knows_the_thread(start: Start) -> None:
    before = {thread for thread in threads._running if thread.is_alive()}
    service = start()
    began = [thread for thread in threads._running if thread not in before]
    (followed,) = [thread for thread in began if thread.name == "service"]
    service.close()
    followed.join(WAIT)
    assert not followed.is_alive()
