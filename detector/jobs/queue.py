"""Analyses that run in the background: progress, cancelling, and nothing left behind.

A `Job` belongs to the person who started it. Its thread holds only the inner state, so that a
job nobody refers to any more (a closed browser tab) stops by itself and its files go.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from detector.analysis.engine import Engine
from detector.analysis.scan import Progress, scan
from detector.concurrency import threads
from detector.concurrency.fair_queue import FairQueue
from detector.concurrency.memory import give_back
from detector.errors import Cancelled, ClipError, DetectorError, QueueFull
from detector.limits import Limits
from detector.media.clip import check_size, shortened
from detector.pictures.folder import PictureFolder
from detector.result import Analysis, ScoredFrame
from detector.settings import Settings

Status = Literal["waiting", "running", "done", "failed", "cancelled"]
WhenDone = Callable[[Analysis, PictureFolder, Path], None]

PREFIX = "veriframe-"
UNEXPECTED = (
    "The analysis stopped because of an unexpected error; your file is unchanged. Try again, "
    "and if it happens again, report it with the server's log."
)


@dataclass
class _Run:
    """What the thread and the owner share."""

    folder: Path
    status: Status = "waiting"
    done: int = 0
    total: int = 0
    scored: list[ScoredFrame] = field(default_factory=list)
    analysis: Analysis | None = None
    error: str | None = None
    started: float | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def upload(self) -> Path:
        return self.folder / "clip"


@dataclass(frozen=True, eq=False)
class _Queued:
    """An analysis in the queue."""

    run: _Run
    owner: str
    work: Callable[[], None]


class Job:
    """One analysis in the background.

    Attributes:
        name: file name as the person gave it.
        pictures: previews and crops, there until the job is discarded.
    """

    def __init__(self, name: str, settings: Settings, folder: Path) -> None:
        self.name = name
        self.settings = settings
        self.pictures = PictureFolder(folder / "evidence")
        self._run = _Run(folder)
        self._queued: _Queued | None = None
        self._finalizer: weakref.finalize[Any, Any] = weakref.finalize(self, _abandon, self._run)

    def _wait_in(self, waiting: FairQueue[_Queued], queued: _Queued) -> None:
        self._queued = queued
        self._finalizer.detach()
        self._finalizer = weakref.finalize(self, _leave, waiting, queued)
        self._waiting = waiting

    @property
    def status(self) -> Status:
        """One of "waiting", "running", "done", "failed", "cancelled"."""
        return self._run.status

    @property
    def finished(self) -> bool:
        """True once nothing more will happen."""
        return self._run.ended.is_set()

    @property
    def progress(self) -> tuple[int, int]:
        """Frames done, and frames in all (0 until known)."""
        return self._run.done, self._run.total

    @property
    def seconds(self) -> float:
        """Since the analysis began, for an estimate of what is left."""
        return 0.0 if self._run.started is None else time.monotonic() - self._run.started

    @property
    def scored(self) -> tuple[ScoredFrame, ...]:
        """Frames scored so far."""
        return tuple(self._run.scored)

    @property
    def analysis(self) -> Analysis | None:
        """The result, once `status` is "done"."""
        return self._run.analysis

    @property
    def error(self) -> str | None:
        """One sentence for the person, once `status` is "failed"."""
        return self._run.error

    def cancel(self) -> None:
        """Stop at the next frame, or at once where it only waits."""
        self._run.cancel.set()
        if self._queued is not None:
            _withdraw(self._waiting, self._queued)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until finished; False when `timeout` seconds pass first."""
        return self._run.ended.wait(timeout)

    def discard(self) -> None:
        """Stop, and remove everything the job keeps on disk."""
        self._finalizer()


class Jobs:
    """The queue of this process: a few analyses at a time, and everybody in turn.

    Who sends many clips does not keep the others waiting: the next one is always that of the
    person who has waited longest. Those that run share the networks batch by batch.

    Args:
        engine: models shared by all jobs.
        at_once: analyses that run at the same time; default, as the limits say.
        limits: how many may run and wait; default, as the environment sets them.
    """

    def __init__(
        self, engine: Engine, at_once: int | None = None, limits: Limits | None = None
    ) -> None:
        self.engine = engine
        self._limits = limits or Limits.from_environment()
        self._arriving = 0  # that are being copied
        self._lock = threading.Lock()
        self._waiting: FairQueue[_Queued] = FairQueue()
        self._running: set[_Queued] = set()
        _sweep()
        for number in range(self._limits.analyses if at_once is None else at_once):
            threads.start(self._serve, f"analysis-{number}", self._stop)

    def submit(
        self,
        clip: Path | BinaryIO,
        name: str,
        settings: Settings | None = None,
        limits: Limits | None = None,
        on_done: WhenDone | None = None,
        owner: str = "",
    ) -> Job:
        """Start an analysis.

        Args:
            clip: a file that stays in place (a sample), or a stream that is copied to a
                temporary file, which is removed when the analysis ends, however it ends.
            name: file name as the person gave it; never used as a path.
            settings, limits: as for `scan`.
            on_done: called in the job's thread with the result, its pictures and the clip's file
                while that is still there; what it raises is logged and spoils nothing.
            owner: whose it is, for fair turns; default, everybody's.

        Raises:
            QueueFull: too many wait already.
            ClipError: the stream is too large or cannot be copied (the disk is full); nothing of
                it stays.
        """
        with self._place(name):
            return self._submit(clip, name, settings or Settings(), limits, on_done, owner)

    @contextlib.contextmanager
    def _place(self, name: str) -> Iterator[None]:
        """A place in the queue, from before the clip is copied."""
        with self._lock:
            if len(self._waiting) + self._arriving >= self._limits.queue:
                raise QueueFull(
                    f"“{shortened(name)}” cannot be analysed now, since {self._limits.queue:,} "
                    "analyses are waiting already; try again in a few minutes."
                )
            self._arriving += 1
        try:
            yield
        finally:
            with self._lock:
                self._arriving -= 1

    def _submit(
        self,
        clip: Path | BinaryIO,
        name: str,
        settings: Settings,
        limits: Limits | None,
        on_done: WhenDone | None,
        owner: str,
    ) -> Job:
        if not isinstance(clip, Path):
            size = clip.seek(0, os.SEEK_END)
            check_size(size, shortened(name), limits or self._limits)
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        job = Job(name, settings, folder)
        run = job._run
        if isinstance(clip, Path):
            path = clip
        else:
            path = run.upload
            try:
                clip.seek(0)
                with path.open("wb") as target:
                    shutil.copyfileobj(clip, target, 1 << 20)
            except OSError as error:
                job.discard()
                raise ClipError(
                    f"“{shortened(name)}” cannot be stored for the analysis ({error.strerror}); "
                    "free some disk space and try again."
                ) from error
        pictures = job.pictures  # the job itself must not be held by its thread
        queued = _Queued(
            run, owner, lambda: self._analyse(run, path, name, settings, limits, pictures, on_done)
        )
        job._wait_in(self._waiting, queued)
        self._waiting.put(owner, queued)
        return job

    def position(self, job: Job) -> int:
        """Analyses that begin before this one."""
        queued = job._queued
        return 0 if queued is None else self._waiting.ahead(queued.owner, queued) or 0

    @property
    def waiting(self) -> int:
        """Analyses that have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Analyses that are at work now."""
        return len(self._running)

    @property
    def full(self) -> bool:
        """True where no more are taken now."""
        return self.waiting + self._arriving >= self._limits.queue

    def _serve(self) -> None:
        while (queued := self._waiting.get()) is not None:
            self._running.add(queued)
            queued.work()
            self._running.discard(queued)
            del queued  # and with it the clip's path and pictures
            give_back()

    def _stop(self) -> None:
        self._waiting.close()
        for queued in list(self._running):
            queued.run.cancel.set()

    def _analyse(
        self,
        run: _Run,
        path: Path,
        name: str,
        settings: Settings,
        limits: Limits | None,
        pictures: PictureFolder,
        on_done: WhenDone | None,
    ) -> None:
        def report(progress: Progress) -> None:
            run.scored.extend(progress.scored)
            run.done, run.total = progress.done, progress.total

        try:
            if run.cancel.is_set():
                raise Cancelled("The analysis was stopped before it began.")
            run.started = time.monotonic()
            run.status = "running"
            analysis = scan(
                path,
                settings,
                self.engine,
                name=name,
                limits=limits,
                pictures=pictures,
                on_progress=report,
                cancelled=run.cancel.is_set,
            )
            if run.cancel.is_set():
                raise Cancelled("The analysis was stopped; nothing was kept.")
            if on_done is not None:
                _call(on_done, analysis, pictures, path)
            run.analysis, run.status = analysis, "done"
        except Cancelled:
            run.status = "cancelled"
        except DetectorError as error:
            run.error, run.status = str(error), "failed"
        except MemoryError:
            run.error = f"“{shortened(name)}” needs more memory than is free; analyse fewer frames."
            run.status = "failed"
        except Exception:
            if run.abandoned.is_set():  # its files went while it still ran
                run.status = "cancelled"
            else:
                logging.getLogger("veriframe").exception("analysis failed")
                run.error, run.status = UNEXPECTED, "failed"
        finally:
            run.upload.unlink(missing_ok=True)
            if run.status != "done" or run.abandoned.is_set():
                shutil.rmtree(run.folder, ignore_errors=True)
            run.ended.set()


def _call(on_done: WhenDone, analysis: Analysis, pictures: PictureFolder, path: Path) -> None:
    try:
        on_done(analysis, pictures, path)
    except Exception:
        logging.getLogger("veriframe").exception("after the analysis")


def _abandon(run: _Run) -> None:
    """The owner is gone, or the process ends: stop, and take the files away."""
    run.abandoned.set()
    run.cancel.set()
    shutil.rmtree(run.folder, ignore_errors=True)


def _leave(waiting: FairQueue[_Queued], queued: _Queued) -> None:
    """The owner is gone: give up the place in the queue too."""
    _withdraw(waiting, queued)
    _abandon(queued.run)


def _withdraw(waiting: FairQueue[_Queued], queued: _Queued) -> None:
    """End a job that has not begun; one that has is left alone."""
    if waiting.withdraw(queued.owner, queued):
        queued.run.status = "cancelled"
        shutil.rmtree(queued.run.folder, ignore_errors=True)
        queued.run.ended.set()


def leave_nothing() -> None:
    """Stop all jobs of this process and remove their files, for a server that is told to end.

    Python does the same when it ends by itself; a server that dies of its signal does not.
    """
    threads.end()
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}{os.getpid()}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Remove what earlier processes left behind that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    return True
