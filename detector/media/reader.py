"""A clip on disk: what it says of itself, and its frames with their true presentation times.

The container is indexed once, without decoding: every packet's presentation time and whether
it is a key frame. Frames are then chosen evenly in time, and whole groups of pictures that
hold none of them are skipped, so that a long clip costs little more than a short one.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
from numpy.typing import NDArray

from detector.errors import ClipError
from detector.limits import Limits
from detector.media.clip import Clip, Frame, Image, check_file, lasting, shortened, too_much_memory
from detector.media.containers import (
    Animation,
    is_cut_off,
    jpeg_is_cut_off,
    pictures,
    read_animation,
)

__all__ = ["Clip", "ClipReader", "Frame", "Image", "Limits", "frame_at", "probe", "sample"]

# Only formats that hold pictures themselves: playlists could point to other files or addresses.
_DEMUXERS = ("mov,matroska,avi,gif,mpeg,mpegts,mpegvideo,m4v,image2,"
             "png_pipe,jpeg_pipe,webp_pipe,webp,bmp_pipe")  # fmt: skip
_STILL = ("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe")


@dataclass(frozen=True)
class _Index:
    """The packets of the video stream in presentation order."""

    times: NDArray[np.int64]  # in units of the stream's time base
    keys: tuple[int, ...]  # presentation order of the key frames
    exact: bool  # frames can be found again by their time
    damaged: int
    bytes: int
    end: int


def open_container(path: Path, **options: str) -> Any:
    """The file as PyAV opens it, with nothing but the file: no protocol, playlist or series.

    Args:
        path: the file.
        options: more of FFmpeg's options for the format.

    Raises:
        av.FFmpegError, ValueError, OSError: it cannot be read as one of the formats here.
    """
    # A description of the path alone: FFmpeg must never follow a protocol in a name, nor take
    # “%03d” in it for a series of other pictures.
    safe = {"protocol_whitelist": "file", "format_whitelist": _DEMUXERS, "pattern_type": "none"}
    return av.open("file:" + str(path.resolve()), options=options | safe, metadata_errors="replace")


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
            self._index = self._index_animation() or self._build_index()
            self._check_duration()
            self._damaged = self._index.damaged
            self._start = self._start_time()
            self._mirrored, self._rotation, self._size = self._look_at_first()
            self._check_size(*self._size)
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
        return np.asarray((self._index.times - self._start) * float(self._base), dtype=np.float64)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every picture, pixels."""
        return self._size

    def describe(self, sha256: str | None = None) -> Clip:
        """The clip's own facts; its SHA-256 is taken from the file, unless it is given."""
        stream, container = self._stream, self._container
        times = self.times
        base = float(self._base)
        still = container.format.name in (*_STILL, "gif") and self.frames == 1
        duration = 0.0 if still else float(max((self._index.end - self._index.times[0]) * base, 0))
        steps = np.diff(times)
        variable = bool(len(steps) > 1 and steps.max() > 1.1 * max(float(np.median(steps)), 1e-9)
                        + base)  # fmt: skip
        width, height = self._size
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
            rotation=(360 - self._rotation) % 360,
            frame_rate=self.frames / duration if duration else 0.0,
            variable_frame_rate=variable,
            frames=self.frames,
            duration=duration,
            bits_per_pixel=self._index.bytes * 8 / (self.frames * width * height),
            has_audio=bool(container.streams.audio),
            creation_time=metadata.get("creation_time"),
            encoder=metadata.get("encoder"),
            damaged=self._damaged,
        )

    def choose(self, count: int | None) -> list[int]:
        """Indices of `count` frames spread evenly over time; None chooses every frame."""
        if count is None or count >= self.frames:
            return list(range(self.frames))
        if count < 1:
            raise ClipError("Choose at least one frame to analyse.")
        times = self._index.times
        span = max(self._index.end - times[0], 1)
        wanted = times[0] + (np.arange(count) + 0.5) * span / count
        shown = np.searchsorted(times, wanted, side="right") - 1
        return sorted({int(i) for i in np.clip(shown, 0, self.frames - 1)})

    def sample(self, count: int | None) -> Iterator[Frame]:
        """Frames spread evenly over time, one at a time, in order.

        Args:
            count: how many; None for every frame.

        Yields:
            Frame, at most `count`; fewer where the clip is shorter or damaged.
        """
        yield from self._decode(self.choose(count))

    def frame_at(self, seconds: float) -> Frame:
        """The frame that a player shows at `seconds`; the first or last one outside the clip.

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
        self._base: Fraction = stream.time_base or Fraction(1, 1000)
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
        seconds = (self._index.end - int(self._index.times[0])) * float(self._base)
        if seconds > self.limits.seconds:
            raise ClipError(
                f"“{self.label}” lasts {lasting(seconds)}, more than the "
                f"{lasting(self.limits.seconds)} allowed here; cut the part you need."
            )

    def _read_animation(self) -> Animation | None:
        """FFmpeg does not decode animated WebP; Pillow does."""
        animation = read_animation(self.path, self.limits.frames)
        if animation is not None:
            self._check_size(animation.width, animation.height)
            if len(animation.durations) > self.limits.frames:
                raise self._too_many_frames()
        return animation

    def _index_animation(self) -> _Index | None:
        if self._animation is None:
            return None
        durations = self._animation.durations
        if not durations:
            raise self._undecodable()
        self._base = Fraction(1, 1000)
        ends = np.cumsum(durations, dtype=np.int64)
        return _Index(
            times=ends - np.asarray(durations, np.int64),
            keys=(0,),
            exact=False,
            damaged=0,
            bytes=self.path.stat().st_size,
            end=int(ends[-1]),
        )

    def _look_at_first(self) -> tuple[bool, int, tuple[int, int]]:
        """Is the picture mirrored, by which angle is it turned, and how large is it shown?"""
        if self._animation is not None:
            if not any(True for _ in self._decode([0])):
                raise self._undecodable()
            return False, 0, (self._animation.width, self._animation.height)
        first = self._first_frame()
        mirrored = self._is_mirrored(first)
        self._rotation = int(round((first.rotation or 0) / 90) * 90) % 360
        return mirrored, self._rotation, self._displayed_size(first)

    def _build_index(self) -> _Index:
        times: list[int | None] = []
        keys: list[bool] = []
        durations: list[int] = []
        exact, damaged, size, discarded = True, 0, 0, 0
        try:
            for packet in self._container.demux(self._stream):
                self._on_packet()
                if packet.size == 0:
                    continue
                size += packet.size
                if packet.has_sidedata("encryption_info"):
                    raise ClipError(
                        f"“{self.label}” is encrypted; save or export an unprotected copy and "
                        "try again."
                    )
                if packet.is_discard:  # an edit list cut it away
                    discarded += 1
                    continue
                damaged += packet.is_corrupt
                time = packet.pts if packet.pts is not None else packet.dts
                exact &= packet.pts is not None
                times.append(time)
                keys.append(packet.is_keyframe)
                durations.append(packet.duration or 0)
                if len(times) > self.limits.frames:
                    raise self._too_many_frames()
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise too_much_memory(self.label) from error
            damaged += 1
        if not times:
            raise ClipError(f"“{self.label}” holds no frames; get the original file.")
        missing = (self._stream.frames or 0) - discarded - len(times)
        if missing > 0:
            damaged += max(missing - self._cut_away(discarded + len(times)), 0)
        if any(time is None for time in times):
            # No clock at all: the nominal rate has to serve.
            rate = self._stream.average_rate or self._stream.base_rate or Fraction(25)
            step = 1 / (rate * self._base)
            known = [int(i * step) for i in range(len(times))]
            exact = False
        else:
            known = [time for time in times if time is not None]
        order = sorted(range(len(known)), key=known.__getitem__)
        rank = {position: place for place, position in enumerate(order)}
        ordered = np.array([known[i] for i in order], dtype=np.int64)
        exact &= bool((np.diff(ordered) > 0).all())
        # A packet's duration is the way to the next in order of decoding: of use only where that
        # is the order of presentation.
        last = durations[order[-1]] if order == list(range(len(order))) else 0
        if last <= 0 and len(ordered) > 1:
            last = int(np.median(np.diff(ordered)))
        return _Index(
            times=ordered,
            keys=tuple(sorted(rank[i] for i, key in enumerate(keys) if key)),
            exact=exact,
            damaged=damaged,
            bytes=size,
            end=int(ordered[-1]) + last,
        )

    def _cut_away(self, present: int) -> int:
        """Packets that FFmpeg leaves out because an edit list begins at a later key frame."""
        try:
            with open_container(self.path, ignore_editlist="1") as container:
                stream = container.streams[self._stream.index]
                return sum(packet.size > 0 for packet in container.demux(stream)) - present
        except (av.FFmpegError, ValueError, OSError):
            return 0

    def _start_time(self) -> int:
        """The instant, in stream units, that a player calls zero."""
        start = self._container.start_time
        if start is None or self._animation is not None:
            return int(self._index.times[0])
        return math.floor(start / av.time_base / float(self._base) + 0.5)

    def _rewind(self, index: int) -> bool:
        """Go to a key frame; False where the container has no way there."""
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
            if self._container.format.name in _STILL and jpeg_is_cut_off(self.path):
                break  # a decoder fills what is missing with its own guess
            self._reopen()
            return frame
        raise self._undecodable()

    def _undecodable(self) -> ClipError:
        return ClipError(
            f"“{self.label}” holds no frame that can be decoded: it was cut off, is damaged or "
            "encrypted; get the original file."
        )

    def _too_many_frames(self) -> ClipError:
        return ClipError(
            f"“{self.label}” has more than {self.limits.frames:,} frames; cut the part you need."
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
        """The frames at the `wanted` indices (rising), decoding no group of pictures in vain."""
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
            place = bisect.bisect_right(index.keys, target) - 1
            key = index.keys[place] if place >= 0 else 0
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
        """Index of a decoded frame, by its time, or by counting where times are not exact."""
        if self._index.exact and raw.pts is not None:
            return int(np.searchsorted(self._index.times, raw.pts, side="right")) - 1
        return min(previous + 1, self.frames - 1)

    def _frame(self, raw: Any, position: int, times: NDArray[np.float64]) -> Frame:
        return Frame(position, float(times[position]), self._upright(raw))

    def _displayed_size(self, frame: Any) -> tuple[int, int]:
        width, height = frame.width, frame.height
        ratio = self._pixel_aspect()
        if ratio > 1:
            width = round(width * ratio)
        elif ratio < 1:
            height = round(height / ratio)
        return (height, width) if self._rotation % 180 else (width, height)

    def _pixel_aspect(self) -> float:
        """Width of a pixel / its height; 1 unless the clip is anamorphic within reason."""
        ratio = float(self._stream.sample_aspect_ratio or 1)
        return ratio if 0.25 <= ratio <= 4 and abs(ratio - 1) > 0.01 else 1.0

    def _is_mirrored(self, frame: Any) -> bool:
        """Is the picture stored as its reflection (EXIF 2, 4, 5, 7; selfies of some phones)?"""
        # PyAV 18 raises ValueError where a frame carries side data that it does not know, EXIF
        # among it; Pillow reads that.
        with contextlib.suppress(OSError, ValueError, SyntaxError):
            if self._container.format.name in _STILL:
                with PIL.Image.open(self.path) as picture:
                    return picture.getexif().get(PIL.ExifTags.Base.Orientation) in (2, 4, 5, 7)
            matrix = frame.side_data.get("DISPLAYMATRIX")
            if matrix is not None:
                a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, np.int32)[:5])
                return a * d < b * c
        return False

    def _upright(self, frame: Any) -> Image:
        image = frame.to_ndarray(format="rgb24")
        if self._mirrored:
            image = image[::-1]  # top to bottom: FFmpeg's angle then completes it
        if self._rotation:
            image = np.rot90(image, self._rotation // 90)
        if image.shape[1::-1] != self._size:
            image = cv2.resize(np.ascontiguousarray(image), self._size)
        return np.ascontiguousarray(image)


def _nothing() -> None:
    pass


def probe(path: Path | str, name: str | None = None, limits: Limits | None = None) -> Clip:
    """What a clip says of itself, its SHA-256 included; raises ClipError."""
    with ClipReader(path, name, limits) as reader:
        return reader.describe()


def sample(path: Path | str, count: int | None = 32) -> Iterator[Frame]:
    """`count` frames spread evenly over time (None: every frame); raises ClipError."""
    with ClipReader(path) as reader:
        yield from reader.sample(count)


def frame_at(path: Path | str, seconds: float) -> Frame:
    """The frame that a player shows at `seconds`; raises ClipError."""
    with ClipReader(path) as reader:
        return reader.frame_at(seconds)
