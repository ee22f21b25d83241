"""Analyses that others ask for over the network: kept until done, also over a restart.

The clip waits in a folder (`PendingClips`) and its record in the library's database; the work
itself goes through the queue that the pages use (`process_queue`), everybody in turn. One thread
writes down how far things are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from detector.concurrency import threads
from detector.errors import DetectorError, LibraryError, QueueFull, ServiceError
from detector.jobs.queue import UNEXPECTED, Job, Jobs
from detector.jobs.saver import LibrarySaver
from detector.library.store import Library
from detector.library.types import LibraryFilter, Page
from detector.models.installed import get_model
from detector.service.pending_clips import PendingClips
from detector.service.records import JobRecord, JobRecords, JobState, new_id
from detector.service.tokens import Tokens
from detector.settings import Settings

MOST_ATTEMPTS = 3
TICK = 0.05  # seconds between looks at what runs
WRITTEN_EVERY = 1.0  # seconds between two writes of how far a job is
SEEN_EVERY = 30.0  # seconds between two signs of life
FORGOTTEN_AFTER = 3600.0  # seconds without one, after which a process will not come back

_LOST = "The server that had “{name}” stopped and the clip is gone; send it again."
_DEADLY = (
    "“{name}” was begun {attempts} times and the server stopped each time; send it to whoever "
    "runs this server, not again."
)


_log = logging.getLogger("veriframe")


@dataclass
class _Live:
    """A job of this process that is not finished, and how much of it is written down."""

    record: JobRecord
    job: Job
    saver: LibrarySaver
    written: float = 0.0
    leaving: bool = False  # deleted: what it still brings is removed


class Service:
    """What the routes of the service stand on. Safe under threads.

    Args:
        jobs: the queue that does the work.
        library: the library that results come into, for all owners.
        pending: where clips wait; default, in the data folder.

    Raises:
        ServiceError: clips cannot be stored.
        LibraryError: the database does not answer.
    """

    def __init__(self, jobs: Jobs, library: Library, pending: PendingClips | None = None) -> None:
        self.jobs = jobs
        self.library = library
        self.records = JobRecords(library)
        self.tokens = Tokens(library)
        self.pending = pending or PendingClips()
        self._lock = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._seen = time.monotonic()
        self._take_up()
        threads.start(self._follow, "service", self._end)

    def close(self) -> None:
        """Stop: what is unfinished stays in the records, for the next start."""
        self._end()
        with self._lock:
            live, self._live = list(self._live.values()), {}
        for one in live:
            one.job.cancel()
        for one in live:
            one.job.wait(threads.PATIENCE)
            with _logged():
                if one.leaving:
                    self._forget(one.record.id, one)
                elif one.job.status != "done":  # it ran, but did not stop the server
                    self.records.change(one.record.id, state="waiting")
        for one in live:
            one.job.discard()
        self.pending.close()

    # --- what is asked -----------------------------------------------------------------------

    def check_room(self, name: str = "the clip") -> None:
        """Raise QueueFull where a clip would be refused, before it is sent."""
        if self.jobs.full:
            raise QueueFull(
                f"{name[:1].upper() + name[1:]} cannot be analysed now, since too many analyses "
                "are waiting already; try again in a few minutes."
            )

    def submit(
        self, clip: Path, name: str, sha256: str, settings: Settings, owner: str, token: str
    ) -> tuple[JobRecord, bool]:
        """Take a clip that has arrived; its file is the service's from now on.

        The same clip with the same settings and models is not analysed twice for an owner: it
        gives the job or the kept analysis that is there.

        Args:
            clip: a file in the folder of pending clips.
            name: as the sender gave it; never used as a path.
            sha256: of the file, hex.
            settings: how to look at it.
            owner, token: whose it is, and the id of the token that sent it.

        Returns:
            The record, and True where work was begun.

        Raises:
            QueueFull: too many wait already, or the server is being stopped.
            ServiceError: the disk is full.
            ModelError: there are no such models.
            LibraryError: nothing can be written down.
        """
        try:
            settings = dataclasses.replace(settings, models=get_model(settings.models).name)
            fingerprint = self.jobs.engine.models_for(settings).fingerprint
            key = hashlib.sha256("\0".join((owner, sha256, fingerprint)).encode()).hexdigest()
            record = JobRecord(
                id=new_id(),
                owner=owner,
                token=token,
                key=key,
                state="waiting",
                name=name,
                bytes=clip.stat().st_size,
                sha256=sha256,
                fingerprint=fingerprint,
                settings=settings,
                created_at=time.time(),
                home=self.pending.home,
                worker=self.pending.worker,
            )
            with self._lock:
                if self._closed.is_set():
                    raise QueueFull("The server is being stopped; send the clip again in a moment.")
                known = self._known(record)
                if known is not None:
                    return known, False
                self.check_room(f"“{name}”")
                added = self.records.add(record)
                if added.id != record.id:
                    return added, False
                try:
                    clip.rename(self.pending.clip(record.id))
                    self._begin(record)
                except (DetectorError, OSError) as error:
                    self.pending.clip(record.id).unlink(missing_ok=True)
                    self.records.remove(record.id, owner)
                    if isinstance(error, OSError):
                        raise ServiceError(
                            f"The clip cannot be stored ({error.strerror}); free some disk space "
                            "on the server and send it again."
                        ) from error
                    raise
                return record, True
        finally:
            clip.unlink(missing_ok=True)

    def get(self, id: str, owner: str) -> JobRecord | None:
        """Return how far a job is; None where there is none of that owner."""
        live = self._live.get(id)
        return self.records.get(id, owner) if live is None else _seen_by(live, owner)

    def at_work(self, id: str, owner: str) -> JobRecord | None:
        """Return the same of a job that waits or runs in this process, without the database."""
        live = self._live.get(id)
        return None if live is None else _seen_by(live, owner)

    def search(
        self, owner: str, state: JobState | None = None, page: int = 1, page_size: int = 50
    ) -> Page[JobRecord]:
        """Return one page of an owner's jobs, newest first; see `JobRecords.search`."""
        found = self.records.search(owner, state, page, page_size)
        items = tuple(
            _as_it_is(live) if (live := self._live.get(record.id)) else record
            for record in found.items
        )
        return dataclasses.replace(found, items=items)

    def ahead(self, id: str) -> int:
        """Return how many analyses of this process begin before this one."""
        live = self._live.get(id)
        return 0 if live is None else live.job.ahead

    def delete(self, id: str, owner: str) -> bool:
        """Stop a job and remove its clip, its record and its analysis; False where none is."""
        with self._lock:
            record = self.records.get(id, owner)
            if record is None or not self.records.remove(id, owner):
                return False
            live = self._live.get(id)
            if live is not None:
                live.leaving = True
        if live is None:
            self.pending.clip(id).unlink(missing_ok=True)
            if record.analysis_id is not None:
                self.library.owned_by(owner).delete([record.analysis_id])
            return True
        live.job.cancel()
        if live.job.wait(threads.PATIENCE):  # else it is forgotten as soon as it has ended
            self._forget(id, live)
        return True

    # --- the work ----------------------------------------------------------------------------

    def _known(self, record: JobRecord) -> JobRecord | None:
        """Return a job, or an analysis in the library, that answers the same."""
        assert record.key is not None
        known = self.records.by_key(record.key)
        if known is not None:
            if known.answered:
                return known
            self.records.change(known.id, key=None)
        kept = self.library.owned_by(record.owner).find(record.sha256, record.fingerprint)
        if kept is None:
            return None
        now = time.time()
        return self.records.add(
            dataclasses.replace(
                record,
                state="done",
                started_at=now,
                ended_at=now,
                analysis_id=kept.id,
                done=kept.frames,
                total=kept.frames,
            )
        )

    def _begin(self, record: JobRecord) -> None:
        saver = LibrarySaver(self.library.owned_by(record.owner))
        job = self.jobs.submit(
            self.pending.clip(record.id),
            record.name,
            record.settings,
            on_done=saver,
            owner=f"token {record.token}",
        )
        self._live[record.id] = _Live(record, job, saver)
        self._changed.set()

    def _take_up(self) -> None:
        """Go on with what a process that is gone left behind."""
        for record in self.records.unfinished():
            if record.home == self.pending.home and (
                record.worker == self.pending.worker or not self.pending.alive(record.worker)
            ):
                self._go_on(record)
        for record in self.records.unseen_since(time.time() - FORGOTTEN_AFTER):
            if record.home != self.pending.home:
                self._fail(record, _LOST.format(name=record.name))
        self.pending.sweep(
            lambda: {one.id for one in self.records.unfinished() if one.home == self.pending.home}
        )

    def _go_on(self, record: JobRecord) -> None:
        with self._lock:
            if record.id in self._live or self._closed.is_set() or self.jobs.full:
                return  # where there is no room, a later look finds it again
            taken = self.records.take(record, self.pending.home, self.pending.worker)
            if taken is None:
                return
            record = taken
            kept = self.library.owned_by(record.owner).find(record.sha256, record.fingerprint)
            if kept is not None and kept.kept.timestamp() >= record.created_at:
                # It was kept, and the process ended before it could write that down.
                self.records.change(
                    record.id,
                    state="done",
                    analysis_id=kept.id,
                    ended_at=time.time(),
                    done=kept.frames,
                    total=kept.frames,
                )
            elif not self.pending.clip(record.id).exists():
                self._fail(record, _LOST.format(name=record.name))
            elif record.attempts > MOST_ATTEMPTS:
                self._fail(record, _DEADLY.format(name=record.name, attempts=MOST_ATTEMPTS))
            else:
                try:
                    self._begin(record)
                except QueueFull:
                    return
                except (DetectorError, OSError) as error:
                    self._fail(record, str(error))

    def _fail(self, record: JobRecord, error: str) -> None:
        self.records.change(record.id, state="failed", error=error, ended_at=time.time(), key=None)
        if record.home == self.pending.home:
            self.pending.clip(record.id).unlink(missing_ok=True)

    # --- writing down how far it is ----------------------------------------------------------

    def _follow(self) -> None:
        while not self._closed.is_set():
            self._changed.wait(TICK if self._live else SEEN_EVERY)
            if self._closed.is_set():
                return
            self._changed.clear()
            with _logged():
                self._write_down()
            if time.monotonic() - self._seen > SEEN_EVERY:
                self._seen = time.monotonic()
                with _logged():
                    self.records.seen(self.pending.worker)
                    self._take_up()

    def _write_down(self) -> None:
        for id, live in list(self._live.items()):
            if self._closed.is_set():
                return
            try:
                if live.leaving:
                    if live.job.finished:
                        self._forget(id, live)
                elif live.job.finished:
                    self._finish(id, live)
                else:
                    self._note(id, live)
            except LibraryError as error:  # the others are written all the same
                _log.error("%s", error)
                self._closed.wait(WRITTEN_EVERY)

    def _note(self, id: str, live: _Live) -> None:
        """Write down how far a job is, now and then."""
        now = _as_it_is(live)
        if now == live.record:
            return
        # That it runs is written at once: a server that dies of it shall know.
        if now.state == live.record.state and time.monotonic() - live.written < WRITTEN_EVERY:
            return
        there = self.records.change(
            id, state=now.state, started_at=now.started_at, done=now.done, total=now.total
        )
        if not there:  # deleted by another process
            live.leaving = True
            live.job.cancel()
        live.record, live.written = now, time.monotonic()

    def _finish(self, id: str, live: _Live) -> None:
        """Write the end down; a job that was stopped with the process is not ended."""
        if live.job.status == "cancelled":
            return
        now = _as_it_is(live)
        kept = live.saver.id
        error = live.job.error if live.job.status == "failed" else live.saver.refused
        if error is None and kept is None:
            error = UNEXPECTED
        with self._lock:
            if live.leaving or self._live.get(id) is not live:
                return
            if error is None:
                own = self.library.owned_by(live.record.owner)
                there = self.records.change(
                    id,
                    state="done",
                    started_at=now.started_at,
                    ended_at=time.time(),
                    done=now.done,
                    total=now.total,
                    error=None,
                    analysis_id=kept if own.ids(LibraryFilter(ids=[kept or 0])) else None,
                )
            else:
                there = self.records.change(
                    id, started_at=now.started_at, done=now.done, total=now.total
                )
                self._fail(live.record, error)
            if there:
                live.job.discard()
                self.pending.clip(id).unlink(missing_ok=True)
                del self._live[id]
        if not there:  # deleted by another process
            self._forget(id, live)

    def _forget(self, id: str, live: _Live) -> None:
        """Remove what a deleted job has brought by now."""
        if live.saver.id is not None:
            self.library.owned_by(live.record.owner).delete([live.saver.id])
        live.job.discard()
        self.pending.clip(id).unlink(missing_ok=True)
        self._live.pop(id, None)

    def _end(self) -> None:
        self._closed.set()
        self._changed.set()


def _seen_by(live: _Live, owner: str) -> JobRecord | None:
    mine = live.record.owner == owner and not live.leaving
    return _as_it_is(live) if mine else None


def _as_it_is(live: _Live) -> JobRecord:
    """Return the record of a job that is not finished, with what is known now.

    It says "running" until the end is written down, so that nobody asks for a result before.
    """
    job = live.job
    if job.status == "waiting":
        return live.record
    progress = job.progress
    started = live.record.started_at or time.time() - job.seconds
    return dataclasses.replace(
        live.record, state="running", started_at=started, done=progress.done, total=progress.total
    )


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Log errors: a database that is silent for a while must not end the thread that writes."""
    try:
        yield
    except LibraryError as error:
        _log.error("%s", error)
    except Exception:
        _log.exception("the service's records")


class ServiceOpener:
    """The service, opened on first use and tried again after a failure. Safe under threads.

    Args:
        opened: makes it.
    """

    def __init__(self, opened: Callable[[], Service]) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._service: Service | None = None

    def __call__(self) -> Service:
        """Return the service; raises DetectorError where it cannot be opened now."""
        if self._service is None:
            with self._lock:
                if self._service is None:
                    self._service = self._opened()
        return self._service

    def close(self) -> None:
        """Close it, if it was opened."""
        with self._lock:
            if self._service is not None:
                self._service.close()
                self._service = None
