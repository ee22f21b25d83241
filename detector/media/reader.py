"""Read a clip from disk: what it says of itself, and its frames at their true times.

The container is indexed once, without decoding (`packet_index`). Frames are then chosen evenly in
time, and whole groups of pictures that hold none of them are skipped, so that a long clip costs
little more than a short one.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from detector.errors import ClipError
from detector.limits import Limits
from detector.media.clip import Clip, Frame, check_file, lasting, shortened, too_much_memory
from detector.media.containers import (
    STILL_PICTURES,
    Animation,
    is_cut_off,
    jpeg_is_cut_off,
    open_container,
    pictures,
    read_animation,
)
from detector.media.orientation import Orientation, orientation_of
from detector.media.packet_index import (
    PacketIndex,
    index_animation,
    index_packets,
    too_many_frames,
)


class ClipReader:
    """An open clip. Use it as a context manager; it is not shared between threads.

    Args:
        path: the file.
        name: the name that the person gave it; default, the file's own.
        limits: what it may cost.
        on_packet: called whenever another part of the file was read or decoded.

    Attributes:
        label: the name, fit for a sentence.

    Raises:
        ClipError: the file is no clip, holds no pictures, or is beyond the limits.
    """

    def __init__(
        self,
        path: Path | str,
        name: str | None = None,
        limits: Limits | None = None,
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = name or self.path.name
        self.label = shortened(self.name)
        self.limits = limits or Limits()
        self._on_packet = on_packet or _nothing
        check_file(self.path, self.label, self.limits)
        self._animation = self._read_animation()
        self._container = self._open()
        try:
            self._stream = self._video_stream()
            self._index = self._build_index()
            self._check_duration()
            self._damaged = self._index.damaged
            self._orientation = self._look_at_first()
            self._check_size(*self.size)
            if not self._damaged:
                self._damaged += is_cut_off(self.path, self._container.format.name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; more calls do nothing."""
        self._container.close()

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self._index.times)

    @property
    def times(self) -> NDArray[np.float64]:
        """Presentation time of every frame, seconds [frames]."""
        return self._index.seconds

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every picture, pixels."""
        return self._orientation.size

    def describe(self, sha256: str | None = None) -> Clip:
        """Return the clip's own facts.

        Args:
            sha256: of the file, hex, where it is known; default, taken from the file.
        """
        stream, container = self._stream, self._container
        still = container.format.name in (*STILL_PICTURES, "gif") and self.frames == 1
        duration = 0.0 if still else self._index.duration
        width, height = self.size
        metadata = {key.lower(): value for key, value in stream.metadata.items()}
        metadata |= {key.lower(): value for key, value in container.metadata.items()}
        if sha256 is None:
            with self.path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Clip(
            name=self.name,
            sha256=sha256,
            bytes=self.path.stat().st_size,
            container=container.format.name,
            codec=stream.codec_context.codec.canonical_name,
            width=width,
            height=height,
            rotation=(360 - self._orientation.rotation) % 360,
            frame_rate=self.frames / duration if duration else 0.0,
            variable_frame_rate=self._index.is_variable,
            frames=self.frames,
            duration=duration,
            bits_per_pixel=self._index.bytes * 8 / (self.frames * width * height),
            has_audio=bool(container.streams.audio),
            creation_time=metadata.get("creation_time"),
            encoder=metadata.get("encoder"),
            damaged=self._damaged,
        )

    def choose(self, count: int | None) -> list[int]:
        """Return the indices of `count` frames spread evenly over time; of all for None."""
        if count is None or count >= self.frames:
            return list(range(self.frames))
        if count < 1:
            raise ClipError("Choose at least one frame to analyse.")
        return self._index.spread(count)

    def sample(self, count: int | None) -> Iterator[Frame]:
        """Decode frames spread evenly over time, one at a time, in order.

        Args:
            count: how many; None for every frame.

        Yields:
            Frame, at most `count`; fewer where the clip is shorter or damaged.
        """
        yield from self._decode(self.choose(count))

    def frame_at(self, seconds: float) -> Frame:
        """Decode the frame that a player shows at `seconds`; outside the clip, its first or last.

        Raises:
            ClipError: that part of the clip cannot be decoded.
        """
        index = max(bisect.bisect_right(self.times.tolist(), seconds + 1e-6) - 1, 0)
        for frame in self._decode([index]):
            return frame
        raise ClipError(f"“{self.label}” cannot be decoded at {seconds:.2f} s; try another moment.")

    def _open(self) -> Any:
        try:
            return open_container(self.path, max_pixels=str(self.limits.pixels))
        except (av.FFmpegError, ValueError, OSError) as error:
            if isinstance(error, MemoryError):
                raise too_much_memory(self.label) from error
            raise self._unreadable() from error

    def _unreadable(self) -> ClipError:
        return ClipError(
            f"“{self.label}” is not a video or image that can be read, or it was cut off; "
            "get the original file or export it as MP4."
        )

    def _video_stream(self) -> Any:
        attached = av.stream.Disposition.attached_pic
        every = self._container.streams
        streams = [s for s in every.video if not s.disposition & attached]
        if not (every.video or every.audio or every.subtitles):
            raise self._unreadable()  # what describes the streams was cut off
        if len(every) > self.limits.streams:
            raise ClipError(
                f"“{self.label}” holds {len(every):,} streams, more than the "
                f"{self.limits.streams:,} allowed here; export a copy with one video stream."
            )
        if not streams:
            raise ClipError(f"“{self.label}” holds no video, only other streams; choose a video.")
        stream = streams[0]
        context = stream.codec_context
        if context is None:
            raise ClipError(
                f"“{self.label}” uses a video format that cannot be decoded here; export it as MP4."
            )
        width, height = context.width, context.height
        if width and height:
            self._check_size(width, height)
        context.thread_type = "AUTO"
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.limits.pixels:
            raise ClipError(
                f"“{self.label}” has frames of {width}×{height} pixels, more than can be analysed "
                "here; export a smaller copy, at most 8K."
            )
        if min(width, height) < self.limits.side:
            raise ClipError(
                f"“{self.label}” has frames of {width}×{height} pixels, too small to show a face; "
                "get a larger version."
            )

    def _check_duration(self) -> None:
        seconds = self._index.duration
        if seconds > self.limits.seconds:
            raise ClipError(
                f"“{self.label}” lasts {lasting(seconds)}, more than the "
                f"{lasting(self.limits.seconds)} allowed here; cut the part you need."
            )

    def _read_animation(self) -> Animation | None:
        """Look for an animated WebP, which FFmpeg does not decode; Pillow does."""
        animation = read_animation(self.path, self.limits.frames)
        if animation is not None:
            self._check_size(animation.width, animation.height)
            if len(animation.durations) > self.limits.frames:
                raise too_many_frames(self.label, self.limits.frames)
        return animation

    def _build_index(self) -> PacketIndex:
        if self._animation is None:
            return index_packets(
                self._container,
                self._stream,
                self.path,
                self.label,
                self.limits.frames,
                self._on_packet,
            )
        if not self._animation.durations:
            raise self._undecodable()
        return index_animation(self._animation, self.path.stat().st_size)

    def _look_at_first(self) -> Orientation:
        if self._animation is not None:
            if not any(True for _ in self._decode([0])):
                raise self._undecodable()
            return Orientation((self._animation.width, self._animation.height))
        first = self._first_frame()
        return orientation_of(first, self._stream, self.path if self._is_still() else None)

    def _is_still(self) -> bool:
        return self._container.format.name in STILL_PICTURES

    def _rewind(self, index: int) -> bool:
        """Seek to a key frame; False where the container has no way there."""
        try:
            self._container.seek(int(self._index.times[index]), stream=self._stream, backward=True)
        except av.FFmpegError:
            return False
        return True

    def _reopen(self) -> None:
        self._container.close()
        self._container = self._open()
        self._stream = self._video_stream()

    def _first_frame(self) -> Any:
        self._reopen()
        for frame in self._raw_frames():
            self._check_size(frame.width, frame.height)
            if self._is_still() and jpeg_is_cut_off(self.path):
                break  # a decoder fills what is missing with its own guess
            self._reopen()
            return frame
        raise self._undecodable()

    def _undecodable(self) -> ClipError:
        return ClipError(
            f"“{self.label}” holds no frame that can be decoded: it was cut off, is damaged or "
            "encrypted; get the original file."
        )

    def _raw_frames(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        # After a loss the decoder guesses pixels until the next key frame: nothing to score.
        lost = False
        while True:
            self._on_packet()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise too_much_memory(self.label) from error
                self._damaged += 1
                return
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise too_much_memory(self.label) from error
                self._damaged += 1
                lost = True
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._damaged += 1
                    lost = True
                elif frame.key_frame:
                    lost = False
                if not lost:
                    yield frame

    def _decode(self, wanted: list[int]) -> Iterator[Frame]:
        """Decode the frames at the `wanted` indices (rising), no group of pictures in vain."""
        index, times = self._index, self.times
        if self._animation is not None:
            for place, image in pictures(self.path, wanted):
                self._on_packet()
                yield Frame(place, float(times[place]), image)
            return
        seekable = index.exact
        self._reopen()
        frames = self._raw_frames()
        position = last = -1  # of the frame that came out of the decoder, and of the one yielded
        for target in wanted:
            if target <= last:
                continue
            key = index.key_before(target)
            if seekable and key > position + 1:
                frames = self._raw_frames()
                raw = next(frames, None) if self._rewind(key) else None
                position = -1 if raw is None else self._position(raw, position)
                if raw is None or position > key or raw.pts != index.times[position]:
                    # This container does not find its key frames: read on from the start.
                    seekable, position = False, -1
                    self._reopen()
                    frames = self._raw_frames()
                elif position >= target:
                    last = position
                    yield self._frame(raw, position, times)
                    continue
            for raw in frames:
                position = self._position(raw, position)
                if position >= target:
                    last = position
                    yield self._frame(raw, position, times)
                    break

    def _position(self, raw: Any, previous: int) -> int:
        """Return the index of a decoded frame: by its time, or counted where it has none."""
        if self._index.exact and raw.pts is not None:
            return self._index.place_of(raw.pts)
        return min(previous + 1, self.frames - 1)

    def _frame(self, raw: Any, position: int, times: NDArray[np.float64]) -> Frame:
        return Frame(position, float(times[position]), self._orientation.upright(raw))


def _nothing() -> None:
    pass


def probe(path: Path | str, name: str | None = None, limits: Limits | None = None) -> Clip:
    """Return what a clip says of itself, its SHA-256 included; raises ClipError."""
    with ClipReader(path, name, limits) as reader:
        return reader.describe()


def sample(path: Path | str, count: int | None = 32) -> Iterator[Frame]:
    """Decode `count` frames spread evenly over time (None: every frame); raises ClipError."""
    with ClipReader(path) as reader:
        yield from reader.sample(count)


def frame_at(path: Path | str, seconds: float) -> Frame:
    """Decode the frame that a player shows at `seconds`; raises ClipError."""
    with ClipReader(path) as reader:
        return reader.frame_at(seconds)
