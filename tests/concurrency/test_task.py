"""Background tasks: progress, stopping, errors in words, and tasks that nobody waits for."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from detector.concurrency.task import UNEXPECTED, Task
from detector.errors import Cancelled, ExplanationError


def test_a_result_arrives_with_its_progress() -> None:
    half = threading.Event()
    go_on = threading.Event()

    def work(progress, cancelled):  # type: ignore[no-untyped-def]
        progress(0.5)
        half.set()
        go_on.wait(5)
        return 42

    task = Task(work, 0.0)
    assert half.wait(5)
    assert task.progress == 0.5
    assert not task.finished
    go_on.set()
    assert task.wait(5)
    assert task.result == 42
    assert task.error is None


def _until_stopped(progress, cancelled):  # type: ignore[no-untyped-def]
    while not cancelled():
        time.sleep(0.01)
    raise Cancelled("Stopped.")


def test_cancelling_stops_it() -> None:
    task = Task(_until_stopped, 0.0)
    task.cancel()
    assert task.wait(5)
    assert task.status == "cancelled"
    assert task.result is None


def test_a_task_that_nobody_refers_to_stops() -> None:
    stopped = threading.Event()

    def work(progress, cancelled):  # type: ignore[no-untyped-def]
        while not cancelled():
            time.sleep(0.01)
        stopped.set()

    task = Task(work, 0.0)
    del task
    gc.collect()
    assert stopped.wait(5)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ExplanationError("There is no layer 99."), "There is no layer 99."),
        (RuntimeError("secret detail"), UNEXPECTED),
    ],
    ids=["known", "unexpected"],
)
def test_an_error_becomes_one_sentence(error: Exception, sentence: str) -> None:
    def work(progress, cancelled):  # type: ignore[no-untyped-def]
        raise error

    task = Task(work, 0.0)
    assert task.wait(5)
    assert task.error == sentence
