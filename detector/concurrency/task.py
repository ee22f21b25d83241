"""Something slow in the background: progress, a way to stop, and one result or one sentence."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from detector.concurrency import threads
from detector.concurrency.memory import give_back
from detector.errors import Cancelled, DetectorError

Result = TypeVar("Result")
ProgressCallback = Callable[[float], None]
CancelCallback = Callable[[], bool]

UNEXPECTED = (
    "This stopped because of an unexpected error; try again, or look into the server's log."
)


@dataclass
class _State:
    """What the thread and the owner share."""

    share: float = 0.0
    result: Any = None
    error: str | None = None
    cancelled: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Task(Generic[Result]):
    """A function that runs in a thread of its own; it stops when nobody refers to the task.

    Args:
        work: called with a progress callback (share done, [0, 1]) and a cancel callback.
    """

    def __init__(self, work: Callable[[ProgressCallback, CancelCallback], Result]) -> None:
        self._state = _State()
        self.started = time.monotonic()
        weakref.finalize(self, self._state.cancel.set)
        state = self._state  # the task itself must not be held by its thread
        threads.start(lambda: _run(work, state), "explain", state.cancel.set)

    @property
    def share(self) -> float:
        """How much is done, [0, 1]."""
        return self._state.share

    @property
    def finished(self) -> bool:
        """True once nothing more will happen."""
        return self._state.ended.is_set()

    @property
    def cancelled(self) -> bool:
        """True where it was stopped on request."""
        return self._state.cancelled

    @property
    def result(self) -> Result | None:
        """What `work` returned, once finished without an error."""
        result: Result | None = self._state.result
        return result

    @property
    def error(self) -> str | None:
        """One sentence for the person, where it failed."""
        return self._state.error

    def cancel(self) -> None:
        """Stop at the next occasion."""
        self._state.cancel.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until finished; False when `timeout` seconds pass first."""
        return self._state.ended.wait(timeout)


def _run(work: Callable[[ProgressCallback, CancelCallback], Any], state: _State) -> None:
    def report(share: float) -> None:
        state.share = min(max(share, 0.0), 1.0)

    try:
        state.result = work(report, state.cancel.is_set)
    except Cancelled:
        state.cancelled = True
    except DetectorError as error:
        state.error = str(error)
    except Exception:
        logging.getLogger("veriframe").exception("a task failed")
        state.error = UNEXPECTED
    finally:
        state.ended.set()
        give_back()
