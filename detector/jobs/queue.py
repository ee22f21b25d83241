"""Analyses that run in the background: progress, cancelling, and nothing left behind.

A `Job` belongs to the person who started it. It is a task that waits in a queue; one that nobody
refers to any more (a closed browser tab) stops by itself and its files go.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from detector.analysis.engine import Engine
from detector.analysis.scan import Progress, scan
from detector.concurrency import threads
from detector.concurrency.fair_queue import FairQueue
from detector.concurrency.task import CancelCallback, Run, Status, Task, TaskQueue
from detector.errors import Cancelled, ClipError, DetectorError, QueueFull
from detector.limits import Limits
from detector.media.clip import check_size, shortened
from detector.pictures.folder import PictureFolder
from detector.result import Analysis, ScoredFrame
from detector.settings import Settings

WhenDone = Callable[[Analysis, PictureFolder, Path], None]

PREFIX = "veriframe-"
UNEXPECTED = (
    "The analysis stopped because of an unexpected error; your file is unchanged. Try again, "
    "and if it happens again, report it with the server's log."
)


class Job(Task[Progress, Analysis]):
    """One analysis in the background.

    Its progress is that of the scan, with all frames that are scored so far.

    Args:
        name: file name as the person gave it.
        settings: how the clip is looked at.
        folder: the job's own, which goes with it; the upload in it goes as the analysis ends.
        work: the analysis, with this folder's pictures; must not refer to the job.
        queue, owner: as for `Task`.

    Attributes:
        pictures: previews and crops, there until the job is discarded.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        folder: _Folder,
        work: Callable[[Callable[[Progress], None], CancelCallback], Analysis],
        queue: TaskQueue,
        owner: str,
    ) -> None:
        self.name = name
        self.settings = settings
        self.pictures = folder.pictures
        self._remove = weakref.finalize(self, folder.abandon)
        super().__init__(
            work,
            Progress(0, 0, ()),
            unexpected=UNEXPECTED,
            at_end=folder.tidy,
            queue=queue,
            owner=owner,
        )

    @property
    def analysis(self) -> Analysis | None:
        """The result, once `status` is "done"."""
        return self.result

    def discard(self) -> None:
        """Stop, and remove everything the job keeps on disk."""
        self.cancel()
        self._remove()


class _Folder:
    """What a job keeps on disk; held by its thread too, unlike the job."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.upload = self.path / "clip"
        self.pictures = PictureFolder(self.path / "evidence")
        self.abandoned = threading.Event()  # the owner is gone, or the process ends

    def abandon(self) -> None:
        """Take the files away, even while the analysis still runs."""
        self.abandoned.set()
        self.remove()

    def tidy(self, status: Status) -> None:
        """Take away what is not needed after an analysis that ended so."""
        self.upload.unlink(missing_ok=True)
        if status != "done" or self.abandoned.is_set():
            self.remove()

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


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
        self._waiting: TaskQueue = FairQueue()
        self._running: set[Run[Any, Any]] = set()
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
        """Hold a place in the queue, from before the clip is copied."""
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
        folder = _Folder()
        try:
            path = clip if isinstance(clip, Path) else _copy(clip, folder.upload, name)
        except BaseException:
            folder.remove()
            raise
        engine = self.engine

        def work(report: Callable[[Progress], None], cancelled: CancelCallback) -> Analysis:
            return _scan(path, name, settings, engine, limits, folder, on_done, report, cancelled)

        return Job(name, settings, folder, work, self._waiting, owner)

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
        while (run := self._waiting.get()) is not None:
            self._running.add(run)
            run()
            self._running.discard(run)
            del run

    def _stop(self) -> None:
        self._waiting.close()
        for run in list(self._running):
            run.cancel.set()


def _copy(clip: BinaryIO, path: Path, name: str) -> Path:
    try:
        clip.seek(0)
        with path.open("wb") as target:
            shutil.copyfileobj(clip, target, 1 << 20)
    except OSError as error:
        raise ClipError(
            f"“{shortened(name)}” cannot be stored for the analysis ({error.strerror}); "
            "free some disk space and try again."
        ) from error
    return path


def _scan(
    path: Path,
    name: str,
    settings: Settings,
    engine: Engine,
    limits: Limits | None,
    folder: _Folder,
    on_done: WhenDone | None,
    report: Callable[[Progress], None],
    cancelled: CancelCallback,
) -> Analysis:
    scored: list[ScoredFrame] = []

    def gather(progress: Progress) -> None:
        scored.extend(progress.scored)
        report(replace(progress, scored=tuple(scored)))

    if cancelled():
        raise Cancelled("The analysis was stopped before it began.")
    try:
        analysis = scan(
            path,
            settings,
            engine,
            name=name,
            limits=limits,
            pictures=folder.pictures,
            on_progress=gather,
            cancelled=cancelled,
        )
        if cancelled():
            raise Cancelled("The analysis was stopped; nothing was kept.")
    except DetectorError:
        raise
    except MemoryError as error:
        raise DetectorError(
            f"“{shortened(name)}” needs more memory than is free; analyse fewer frames."
        ) from error
    except Exception as error:
        if folder.abandoned.is_set():  # its files went while it still ran
            raise Cancelled("The analysis was stopped; nothing was kept.") from error
        raise
    if on_done is not None:
        _call(on_done, analysis, folder.pictures, path)
    return analysis


def _call(on_done: WhenDone, analysis: Analysis, pictures: PictureFolder, path: Path) -> None:
    try:
        on_done(analysis, pictures, path)
    except Exception:
        logging.getLogger("veriframe").exception("after the analysis")


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
