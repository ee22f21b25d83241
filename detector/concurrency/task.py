"""Something slow in the background: progress, a way to stop, and one result or one sentence."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from typing import Any, Generic, Literal, TypeVar

from detector.concurrency import threads
from detector.concurrency.fair_queue import FairQueue
from detector.concurrency.memory import give_back
from detector.errors import Cancelled, DetectorError

Progress = TypeVar("Progress")
Result = TypeVar("Result")
Status = Literal["waiting", "running", "done", "failed", "cancelled"]
ProgressCallback = Callable[[float], None]  # of work whose progress is the share done, [0, 1]
CancelCallback = Callable[[], bool]

UNEXPECTED = (
    "This stopped because of an unexpected error; try again, or look into the server's log."
)


class Run(Generic[Progress, Result]):
    """The work of a task and what has come of it: what its thread holds in place of the task.

    Attributes:
        progress: what `work` reported last.
        status: "waiting" until a thread takes it.
        result: what `work` returned; None until then.
        error: one sentence, once `status` is "failed".
        started: monotonic seconds; None until then.
        cancel, ended: set when it is to stop, and when nothing more will happen.
    """

    def __init__(
        self,
        work: Callable[[Callable[[Progress], None], CancelCallback], Result],
        progress: Progress,
        unexpected: str,
        at_end: Callable[[Status], None] | None,
    ) -> None:
        self.progress = progress
        self.status: Status = "waiting"
        self.result: Result | None = None
        self.error: str | None = None
        self.started: float | None = None
        self.cancel = threading.Event()
        self.ended = threading.Event()
        self._work: Callable[[Callable[[Progress], None], CancelCallback], Result] | None = work
        self._unexpected = unexpected
        self._at_end = at_end

    def __call__(self) -> None:
        """Do the work, in the thread that calls; never raises an Exception."""
        work, self._work = self._work, None  # what it refers to goes when it has ended
        assert work is not None
        self.started, self.status = time.monotonic(), "running"
        try:
            self.result = work(self._report, self.cancel.is_set)
            self.status = "done"
        except Cancelled:
            self.status = "cancelled"
        except DetectorError as error:
            self.error, self.status = str(error), "failed"
        except Exception as error:
            logging.getLogger("veriframe").exception("a task failed")
            self.error, self.status = self._unexpected.replace("{error}", str(error)), "failed"
        finally:
            del work
            self._end()
            give_back()

    def skip(self) -> None:
        """End as cancelled without having begun."""
        self._work, self.status = None, "cancelled"
        self._end()

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def _end(self) -> None:
        try:
            if self._at_end is not None:
                self._at_end(self.status)
        finally:
            self.ended.set()


TaskQueue = FairQueue[Run[Any, Any]]


class Task(Generic[Progress, Result]):
    """A function that runs in another thread; it stops when nobody refers to the task.

    Args:
        work: called with a callback for its progress and one that says whether to stop, which
            it does by raising Cancelled or by returning what it has.
        progress: before any is reported.
        name: of the thread.
        unexpected: the sentence for an error that nobody expected, whose details are logged;
            "{error}" in it stands for what was raised.
        at_end: called with the status before `finished` is true, also where `work` never began.
        queue: where the task waits for one of the threads that serve it; default, it has a
            thread of its own at once.
        owner: whose it is in the queue.
    """

    def __init__(
        self,
        work: Callable[[Callable[[Progress], None], CancelCallback], Result],
        progress: Progress,
        *,
        name: str = "task",
        unexpected: str = UNEXPECTED,
        at_end: Callable[[Status], None] | None = None,
        queue: TaskQueue | None = None,
        owner: Hashable = "",
    ) -> None:
        self._run = Run(work, progress, unexpected, at_end)
        self._queue = queue
        self._owner = owner
        weakref.finalize(self, _cancel, self._run, queue, owner)
        if queue is None:
            threads.start(self._run, name, self._run.cancel.set)
        else:
            queue.put(owner, self._run)

    @property
    def status(self) -> Status:
        """One of "waiting", "running", "done", "failed", "cancelled"."""
        return self._run.status

    @property
    def finished(self) -> bool:
        """True once nothing more will happen."""
        return self._run.ended.is_set()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._run.progress

    @property
    def seconds(self) -> float:
        """Since the work began, for an estimate of what is left."""
        return 0.0 if self._run.started is None else time.monotonic() - self._run.started

    @property
    def ahead(self) -> int:
        """Tasks of the queue that begin before this one."""
        return 0 if self._queue is None else self._queue.ahead(self._owner, self._run) or 0

    @property
    def result(self) -> Result | None:
        """What `work` returned, once `status` is "done"."""
        return self._run.result

    @property
    def error(self) -> str | None:
        """One sentence for the person, once `status` is "failed"."""
        return self._run.error

    def cancel(self) -> None:
        """Stop at the next occasion, or at once where it only waits."""
        _cancel(self._run, self._queue, self._owner)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until finished; False when `timeout` seconds pass first."""
        return self._run.ended.wait(timeout)


def _cancel(run: Run[Any, Any], queue: TaskQueue | None, owner: Hashable) -> None:
    run.cancel.set()
    if queue is not None and queue.withdraw(owner, run):
        run.skip()
