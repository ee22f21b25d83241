"""Hand decoded frames over in shared memory: a few slots, filled by turns.

The app makes the memory and sends its descriptor to the sandboxed process, which writes one frame
into a free slot while the app works on another; only the slot's number passes through the channel.
The memory is sealed: a process that could shorten it could crash whoever reads it.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import tempfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_SLOTS = 4
_MOST_BYTES = 48 << 20  # that all slots may take, where that is two or more
_PAGE = mmap.ALLOCATIONGRANULARITY


@dataclass(frozen=True)
class SlotLayout:
    """How the memory is divided.

    Attributes:
        count: slots.
        bytes: size of a slot, whole pages.
        shape: height, width and 3, of the frame in each slot.
    """

    count: int
    bytes: int
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, width: int, height: int) -> SlotLayout:
        """Return the layout for frames of that size, pixels: two slots or more."""
        shape = (height, width, 3)
        size = -(-math.prod(shape) // _PAGE) * _PAGE
        return cls(max(min(_MOST_BYTES // size, _MOST_SLOTS), 2), size, shape)

    @property
    def total(self) -> int:
        """Bytes of all slots."""
        return self.count * self.bytes


def create_memory(size: int) -> int:
    """Make a file in memory whose size nobody can change; return its descriptor."""
    try:
        number = os.memfd_create("veriframe-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError):  # another system, or it is denied here
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    try:
        os.ftruncate(number, size)
        fcntl.fcntl(
            number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        )
    except BaseException:
        os.close(number)
        raise
    return number


def map_slots(file: int, layout: SlotLayout) -> NDArray[np.uint8]:
    """Map memory from `create_memory`, which is unmapped when nothing refers to the array.

    Args:
        file: its descriptor, which may be closed afterwards.
        layout: as both sides agreed.

    Returns:
        uint8 [count, height, width, 3], writable, shared with the other process.
    """
    memory = np.frombuffer(mmap.mmap(file, layout.total), np.uint8)
    pixels = memory.reshape(layout.count, layout.bytes)[:, : math.prod(layout.shape)]
    return pixels.reshape(layout.count, *layout.shape)
