"""Threads end in order, and take nothing down with them that is late."""

from __future__ import annotations

from tests.helpers.processes import python

LATE = """
import threading, time
from detector.concurrency import threads

class Network:
    def __init__(self): self.stopped = threading.Event()
    def work(self):
        self.stopped.wait()
        time.sleep(0.5)
    def __del__(self): print("freed in", threading.current_thread().name)

def begin():
    network = Network()
    return threads.start(network.work, "late", network.stopped.set)

threads.PATIENCE = 0.01
thread = begin()
threads.end()
print("alive" if thread.is_alive() else "ended")
thread.join()
print("joined")
"""

STOPPED = """
import threading
from detector.concurrency import threads

stopped, done = threading.Event(), []
threads.start(lambda: (stopped.wait(), done.append(1)), "one", stopped.set)
threads.end()
print(done)
"""


def test_threads_are_told_and_waited_for() -> None:
    assert python(STOPPED) == "[1]"


def test_a_late_thread_frees_nothing_that_it_worked_on() -> None:
    """Or a C++ destructor would run in it while Python ends, which aborts the process."""
    lines = python(LATE).splitlines()
    assert lines[:2] == ["alive", "joined"]
    assert "freed in late" not in lines
