"""Index a clip without decoding it: when each frame is shown, and where decoding can begin.

A container stores packets in order of decoding, each with its presentation time and a mark where
a decoder can start (a key frame). One pass over them, far cheaper than decoding, gives the frames
in order of presentation; frames are then chosen evenly in time, and found again by their time.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from detector.errors import ClipError
from detector.media.clip import too_much_memory
from detector.media.containers import Animation, open_container

_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, eq=False)
class PacketIndex:
    """The packets of a video stream in presentation order, one for each frame.

    Attributes:
        base: seconds of one unit of time.
        start: the instant that a player calls zero, in units.
        times: when each frame is shown, int64 [frames], in units, in order.
        end: when the last frame is no longer shown, in units.
        keys: places of the key frames in `times`, in order.
        exact: every packet says when it is shown, and no two say the same; frames can then be
            found again by their time.
        damaged: packets that cannot be read, or that the header promises in vain.
        bytes: size of all packets together.
    """

    base: Fraction
    start: int
    times: NDArray[np.int64]
    end: int
    keys: tuple[int, ...]
    exact: bool
    damaged: int
    bytes: int

    @property
    def seconds(self) -> NDArray[np.float64]:
        """When each frame is shown, float64 [frames], seconds from `start`."""
        return np.asarray((self.times - self.start) * float(self.base), dtype=np.float64)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return max((self.end - int(self.times[0])) * float(self.base), 0.0)

    @property
    def is_variable(self) -> bool:
        """The times between frames differ by more than a tenth, and more than a unit."""
        steps = np.diff(self.seconds)
        if len(steps) < 2:
            return False
        usual = max(float(np.median(steps)), 1e-9)
        return bool(steps.max() > 1.1 * usual + float(self.base))

    def spread(self, count: int) -> list[int]:
        """Return the places of at most `count` (from 1) frames spread evenly over time, rising."""
        span = max(self.end - self.times[0], 1)
        wanted = self.times[0] + (np.arange(count) + 0.5) * span / count
        shown = np.searchsorted(self.times, wanted, side="right") - 1
        return sorted({int(place) for place in np.clip(shown, 0, len(self.times) - 1)})

    def key_before(self, place: int) -> int:
        """Return the place of the last key frame up to `place`; 0 where there is none."""
        found = bisect.bisect_right(self.keys, place) - 1
        return self.keys[found] if found >= 0 else 0

    def place_of(self, time: int) -> int:
        """Return the place of the frame that is shown at `time`, in units; -1 before the first."""
        return int(np.searchsorted(self.times, time, side="right")) - 1


def index_packets(
    container: Any, stream: Any, path: Path, label: str, most: int, on_packet: Callable[[], None]
) -> PacketIndex:
    """Read every packet of a video stream once, without decoding any.

    Args:
        container, stream: as PyAV opened them; the container stands at its end afterwards.
        path: the same file, which may have to be opened again.
        label: the clip's name, fit for a sentence.
        most: frames that are allowed.
        on_packet: called for each packet.

    Raises:
        ClipError: the clip is encrypted, holds no frames, or more than are allowed, or needs too
            much memory.
    """
    base: Fraction = stream.time_base or _MILLISECOND
    packets = _read_packets(container, stream, label, most, on_packet)
    if not packets.times:
        raise ClipError(f"“{label}” holds no frames; get the original file.")
    known = [time for time in packets.times if time is not None]
    if len(known) < len(packets.times):
        # No clock at all: the nominal rate has to serve.
        rate = stream.average_rate or stream.base_rate or Fraction(25)
        step = 1 / (rate * base)
        known = [int(place * step) for place in range(len(packets.times))]
    order = sorted(range(len(known)), key=known.__getitem__)
    times = np.array([known[packet] for packet in order], dtype=np.int64)
    return PacketIndex(
        base=base,
        start=_start(container, base, int(times[0])),
        times=times,
        end=int(times[-1]) + _last_duration(packets.durations, order, times),
        keys=tuple(place for place, packet in enumerate(order) if packets.keys[packet]),
        exact=packets.presented and bool((np.diff(times) > 0).all()),
        damaged=packets.damaged + _missing(path, stream, len(packets.times), packets.discarded),
        bytes=packets.bytes,
    )


def index_animation(animation: Animation, size: int) -> PacketIndex:
    """Index an animated WebP, whose frames each say how long they are shown.

    Args:
        animation: with one frame or more.
        size: of its file, bytes.
    """
    ends = np.cumsum(animation.durations, dtype=np.int64)
    return PacketIndex(
        base=_MILLISECOND,
        start=0,
        times=ends - np.asarray(animation.durations, np.int64),
        end=int(ends[-1]),
        keys=(0,),
        exact=False,
        damaged=0,
        bytes=size,
    )


def too_many_frames(label: str, most: int) -> ClipError:
    """Return what is said of a clip with more frames than are allowed."""
    return ClipError(f"“{label}” has more than {most:,} frames; cut the part you need.")


@dataclass
class _Packets:
    """What the packets of a stream say, in order of decoding."""

    times: list[int | None] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    presented: bool = True  # every packet has a presentation time, not one of decoding alone
    damaged: int = 0
    discarded: int = 0  # cut away by an edit list
    bytes: int = 0


def _read_packets(
    container: Any, stream: Any, label: str, most: int, on_packet: Callable[[], None]
) -> _Packets:
    found = _Packets()
    try:
        for packet in container.demux(stream):
            on_packet()
            if packet.size == 0:
                continue
            found.bytes += packet.size
            if packet.has_sidedata("encryption_info"):
                raise ClipError(
                    f"“{label}” is encrypted; save or export an unprotected copy and try again."
                )
            if packet.is_discard:
                found.discarded += 1
                continue
            found.damaged += packet.is_corrupt
            found.presented &= packet.pts is not None
            found.times.append(packet.pts if packet.pts is not None else packet.dts)
            found.keys.append(packet.is_keyframe)
            found.durations.append(packet.duration or 0)
            if len(found.times) > most:
                raise too_many_frames(label, most)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise too_much_memory(label) from error
        found.damaged += 1
    return found


def _start(container: Any, base: Fraction, first: int) -> int:
    start: int | None = container.start_time
    return first if start is None else math.floor(start / av.time_base / float(base) + 0.5)


def _last_duration(durations: list[int], order: list[int], times: NDArray[np.int64]) -> int:
    # A packet's duration is the way to the next in order of decoding: of use only where that is
    # the order of presentation.
    last = durations[order[-1]] if order == list(range(len(order))) else 0
    if last <= 0 and len(times) > 1:
        last = int(np.median(np.diff(times)))
    return last


def _missing(path: Path, stream: Any, present: int, discarded: int) -> int:
    """Count the packets that the header promises in vain."""
    read = discarded + present
    missing = (stream.frames or 0) - read
    return max(missing - _cut_away(path, stream.index, read), 0) if missing > 0 else 0


def _cut_away(path: Path, number: int, read: int) -> int:
    """Count the packets that FFmpeg leaves out where an edit list begins at a later key frame."""
    try:
        with open_container(path, ignore_editlist="1") as container:
            packets = container.demux(container.streams[number])
            return sum(int(packet.size > 0) for packet in packets) - read
    except (av.FFmpegError, ValueError, OSError):
        return 0
