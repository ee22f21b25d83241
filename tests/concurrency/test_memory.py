"""detector.concurrency.memory: what many threads freed goes back to the system."""

from __future__ import annotations

import json

import pytest

from detector.concurrency import memory
from tests.helpers.processes import python

# Each thread fills its own arena with pieces and frees all but the last: a hole that stays.
FREED_IN_THREADS = """
import ctypes, json, threading
import psutil
from detector.concurrency.memory import give_back

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
held = []

def work():
    pieces = [libc.malloc(60_000) for _ in range(1500)]
    for piece in pieces:
        ctypes.memset(piece, 1, 60_000)
    for piece in pieces[:-1]:
        libc.free(piece)
    held.append(pieces[-1])

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
own = psutil.Process()
before = own.memory_info().rss
give_back()
print(json.dumps([before, own.memory_info().rss]))
"""


def test_freed_memory_goes_back() -> None:
    before, after = json.loads(python(FREED_IN_THREADS).strip().splitlines()[-1])
    assert memory._trim() is None or before - after > 200 << 20


def test_where_the_system_cannot_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    memory.give_back()
