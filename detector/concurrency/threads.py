"""Threads that work in the background and end in order when the process does.

Python ends daemon threads wherever they are; inside a C++ library (OpenCV, OpenVINO) that
aborts the whole process. So each is told to stop first, and given a moment to do so.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

PATIENCE = 3.0  # seconds: a batch on a slow machine; a server that is stopped must not hang

_running: weakref.WeakKeyDictionary[threading.Thread, Callable[[], Any]]
_running = weakref.WeakKeyDictionary()
# What a thread works on lives until the process ends: the last reference must not go in a thread
# that is late, where a C++ destructor (OpenVINO's of a network) would meet Python's end.
_ended: list[Any] = []


def start(work: Callable[[], Any], name: str, stop: Callable[[], Any]) -> threading.Thread:
    """Run `work` in a thread; `stop` is called when the process ends, and must return at once."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    _running[thread] = stop
    thread.start()
    return thread


@atexit.register
def end() -> None:
    """Stop all threads; returns once they have ended, or after `PATIENCE`."""
    threads = [(thread, stop) for thread, stop in list(_running.items()) if thread.is_alive()]
    _ended.extend(getattr(thread, "_target", None) for thread, _ in threads)
    for _, stop in threads:
        stop()
    deadline = time.monotonic() + PATIENCE
    for thread, _ in threads:
        thread.join(max(deadline - time.monotonic(), 0))
