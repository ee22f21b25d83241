"""OpenVINO's core, begun so that threads cannot lock each other out forever.

The first time that any thread looks into a tensor, OpenVINO's Python binding fills a table of
types. A thread that does so may lose Python's lock in the middle; a second one that comes at that
moment then waits for the table while it holds the lock, and the whole process stands still. Two
clips that were uploaded together to a fresh server met it (seen in a soak, OpenVINO 2026.4.1).
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

_BEGINNING = threading.Lock()

# Pinned threads of the face detector and of the networks meet on the same core, where each batch
# then waits for its slowest thread: scoring while faces are found took twice the sum of both.
SHARED_CORES = {"ENABLE_CPU_PINNING": False}


def core() -> Any:
    """Return a new `openvino.Core`; the table is filled before any thread has one.

    Raises:
        ImportError: OpenVINO is not there.
    """
    with _BEGINNING:
        import openvino

        tensor = openvino.Tensor(np.zeros(1, np.uint8))
        assert tensor.data.dtype == np.uint8  # looking is what fills the table
        return openvino.Core()
