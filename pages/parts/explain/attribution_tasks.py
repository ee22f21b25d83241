"""Maps and their tests, made in the background: what is due, what runs, how long it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import streamlit as st

from detector.concurrency.task import CancelCallback, ProgressCallback, Task
from detector.errors import Cancelled
from detector.explanation.explainer import Explainer
from detector.explanation.faithfulness import Faithfulness, faithfulness, passes
from detector.explanation.methods.registry import METHODS
from detector.explanation.result import Explanation
from detector.models.networks.registry import network_title
from pages.parts.explain.face_picker import PickedFace

# One explanation at a time in this process: two would only slow each other, and the analyses.
_SLOT = threading.Semaphore(1)


@dataclass(frozen=True)
class Wanted:
    """A map that is asked for: method, network, and the layer where one was chosen."""

    method: str
    network: str
    layer: str | None

    @property
    def title(self) -> str:
        """As a heading."""
        layer = f", {self.layer}" if self.layer else ""
        return f"{METHODS[self.method].title} · {network_title(self.network)}{layer}"


class TaskKey(NamedTuple):
    """What a task makes: the map of a face (`PickedFace.key`), or the test of that map."""

    face: str
    wanted: Wanted
    kind: Literal["map", "test"]

    @property
    def widget(self) -> str:
        """Tells the widgets of this task from those of others on the page."""
        return f"{self.wanted.method}-{self.wanted.network}-{self.kind}"


def cancel_others(face: PickedFace) -> None:
    """Stop what is made of faces that are no longer looked at."""
    tasks = _tasks()
    for stale in [key for key in tasks if key.face != face.key]:
        tasks.pop(stale).cancel()


def advance(face: PickedFace, wanted: Wanted, test: bool) -> bool:
    """Start what is due for one map; True while something of it runs."""
    tasks = _tasks()
    map_key, test_key = TaskKey(face.key, wanted, "map"), TaskKey(face.key, wanted, "test")
    if map_key not in tasks:
        tasks[map_key] = Task(_map_work(face, wanted), 0.0, name="explain")
    done = tasks[map_key]
    if not done.finished:
        return True
    if test and done.result is not None and test_key not in tasks:
        tasks[test_key] = Task(_test_work(face, wanted, done.result), 0.0, name="explain")
    return test_key in tasks and not tasks[test_key].finished


def task_of(key: TaskKey) -> Task[float, Any] | None:
    """Return the task that makes it, running or finished; None where none was started."""
    return _tasks().get(key)


def forget(key: TaskKey) -> None:
    """Let it be made anew."""
    _tasks().pop(key, None)


def timing(key: TaskKey, task: Task[float, Any]) -> tuple[float, float] | None:
    """Return how long `task` has taken, and about how long it takes in all, seconds.

    None while it waits for its turn.
    """
    begun = _estimates().get(key)
    if begun is None:
        return None
    start, estimate = begun
    elapsed = time.monotonic() - start
    # What it has taken so far tells more than the estimate, once some of it is done.
    return elapsed, elapsed / task.progress if task.progress > 0.1 else max(estimate, elapsed)


def _tasks() -> dict[TaskKey, Task[float, Any]]:
    """Return this session's tasks."""
    tasks: dict[TaskKey, Task[float, Any]] = st.session_state.setdefault("explaining", {})
    return tasks


def _estimates() -> dict[TaskKey, tuple[float, float]]:
    """Return when a task's turn came (monotonic seconds), and how long it was thought to take."""
    found: dict[TaskKey, tuple[float, float]] = st.session_state.setdefault("estimates", {})
    return found


def _map_work(
    face: PickedFace, wanted: Wanted
) -> Callable[[ProgressCallback, CancelCallback], Explanation]:
    """Return what a task does to make a map."""
    explainer, estimates = Explainer.load(), _estimates()
    crop, key = face.crop, TaskKey(face.key, wanted, "map")

    def work(progress: ProgressCallback, cancelled: CancelCallback) -> Explanation:
        def make() -> Explanation:
            with _Turn(cancelled):
                seconds = explainer.estimate_seconds(wanted.method, wanted.network)
                estimates[key] = (time.monotonic(), seconds)
                return explainer.attribute(
                    crop,
                    wanted.method,
                    wanted.network,
                    wanted.layer,
                    progress=progress,
                    cancelled=cancelled,
                )

        return explainer.keep(key, make)

    return work


def _test_work(
    face: PickedFace, wanted: Wanted, explanation: Explanation
) -> Callable[[ProgressCallback, CancelCallback], Faithfulness]:
    """Return what a task does to test a map."""
    explainer, estimates = Explainer.load(), _estimates()
    crop, key = face.crop, TaskKey(face.key, wanted, "test")
    # Not by the layer that was wanted: the last convolution is also taken where none was chosen.
    kept_as = ("test", face.key, explanation.method, explanation.network, explanation.layers)

    def work(progress: ProgressCallback, cancelled: CancelCallback) -> Faithfulness:
        def make() -> Faithfulness:
            with _Turn(cancelled):
                seconds = explainer.seconds_a_pass(wanted.network) * passes(wanted.method)
                estimates[key] = (time.monotonic(), seconds)
                return faithfulness(
                    explainer, crop, explanation, progress=progress, cancelled=cancelled
                )

        return explainer.keep(kept_as, make)

    return work


class _Turn:
    """Waits for this process's one place, and gives up where the task is cancelled."""

    def __init__(self, cancelled: CancelCallback) -> None:
        self._cancelled = cancelled

    def __enter__(self) -> None:
        while not _SLOT.acquire(timeout=0.2):
            if self._cancelled():
                raise Cancelled("Stopped before it began.")

    def __exit__(self, *_: object) -> None:
        _SLOT.release()
