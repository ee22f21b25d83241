"""Frames that one process writes into shared memory are what the other reads there."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from detector.media.sandbox.frame_buffer import SlotLayout, create_memory, map_slots


@pytest.fixture
def layout() -> SlotLayout:
    return SlotLayout.of(128, 96)


@pytest.fixture
def memory(layout: SlotLayout) -> Iterator[int]:
    number = create_memory(layout.total)
    yield number
    os.close(number)


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [(32, 32, 4), (1920, 1080, 4), (3840, 2160, 2), (8192, 8192, 2)],
    ids=["small", "full HD", "4K", "largest"],
)
def test_large_frames_get_fewer_slots_and_never_less_than_two(
    width: int, height: int, count: int
) -> None:
    layout = SlotLayout.of(width, height)
    assert (layout.count, layout.shape) == (count, (height, width, 3))
    assert layout.bytes % mmap.ALLOCATIONGRANULARITY == 0
    assert 0 <= layout.bytes - width * height * 3 < mmap.ALLOCATIONGRANULARITY
    assert layout.total == count * layout.bytes


def test_both_sides_see_the_same_frames(layout: SlotLayout, memory: int) -> None:
    written, read = map_slots(memory, layout), map_slots(memory, layout)
    assert read.shape == (layout.count, 96, 128, 3)
    frames = np.random.default_rng(0).integers(0, 256, read.shape, dtype=np.uint8)
    for slot in reversed(range(layout.count)):
        np.copyto(written[slot], frames[slot])
    np.testing.assert_array_equal(read, frames)


def test_slots_outlive_the_descriptor(layout: SlotLayout) -> None:
    memory = create_memory(layout.total)
    slots = map_slots(memory, layout)
    os.close(memory)
    gc.collect()
    slots[:] = 7
    assert slots.min() == slots.max() == 7


def test_nobody_can_change_the_size(layout: SlotLayout, memory: int) -> None:
    """Only Linux seals memory; elsewhere nothing more is promised."""
    sealed = sys.platform == "linux"
    for size in (0, layout.total + 1):
        with pytest.raises(PermissionError) if sealed else contextlib.nullcontext():
            os.ftruncate(memory, size)
