"""Clips made on the spot with PyAV, whose pictures say which frame they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT = 128, 96


@dataclass(frozen=True)
class Kind:
    """A container with a codec, and the options that make it hard to read where that is possible.

    Attributes:
        ending: of the file's name.
        format: FFmpeg's muxer.
        codec: FFmpeg's encoder.
        options: of the encoder.
        base: time base in which presentation times are given to the encoder.
    """

    ending: str
    format: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    pixels: str = "yuv420p"
    base: Fraction = Fraction(1, 1000)


_X264 = {"preset": "ultrafast", "bf": "2", "g": "10", "crf": "20"}
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=10:bframes=2"}
_VP9 = {"cpu-used": "8", "deadline": "realtime", "g": "10", "crf": "20"}
KINDS = {
    kind.ending: kind
    for kind in (
        Kind("mp4", "mp4", "libx264", _X264),
        Kind("m4v", "mp4", "libx264", _X264 | {"x264-params": "open-gop=1"}),
        Kind("mov", "mov", "libx265", _X265),
        Kind("webm", "webm", "libvpx-vp9", _VP9),
        Kind("mkv", "matroska", "libx264", _X264),
        Kind("avi", "avi", "mpeg4", {"g": "10", "bf": "0"}, base=Fraction(1, 25)),
        # AVI has no place for the order of B-frames; every picture comes one frame late.
        Kind("divx", "avi", "mpeg4", {"g": "10", "bf": "2"}, base=Fraction(1, 25)),
        Kind("gif", "gif", "gif", pixels="rgb8", base=Fraction(1, 100)),
        Kind("ts", "mpegts", "libx264", _X264),
        Kind("mpg", "mpeg", "mpeg2video", {"g": "10", "bf": "2", "b": "4000000"},
             base=Fraction(1, 25)),
    )
}  # fmt: skip


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """RGB uint8 [height, width, 3] whose upper half spells `number` (below 256) in eight blocks.

    The lower half holds a still texture and a square that moves, as an animation would.
    """
    image = np.empty((height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    image[..., 0], image[..., 1], image[..., 2] = x * 255 // width, y * 255 // height, (x + y) % 200
    step = width // 4
    for bit in range(8):
        top, left = (bit // 4) * (height // 4), (bit % 4) * step
        image[top : top + height // 4, left : left + step] = 255 * (number >> bit & 1)
    side = height // 4
    left = number * 3 % (width - side)
    image[height // 2 + 4 : height // 2 + 4 + side, left : left + side] = (255, 255, 0)
    return image


def number_of(image: np.ndarray) -> int:
    """The number that a `picture` spells, also after lossy coding."""
    height, width = image.shape[:2]
    number = 0
    for bit in range(8):
        y, x = height // 8 + (bit // 4) * (height // 4), width // 8 + (bit % 4) * (width // 4)
        number |= int(image[y - 2 : y + 3, x - 2 : x + 3].mean() > 127) << bit
    return number


def write(
    path: Path,
    pictures: int | Sequence[np.ndarray] = 40,
    kind: Kind | str = "mp4",
    *,
    times: Sequence[int] | None = None,
    rate: int = 25,
    muxer: dict[str, str] | None = None,
    prepare: Callable[[Any], None] | None = None,
    audio: int = 0,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a clip and return its path.

    Args:
        pictures: of the frames, RGB uint8; or how many of `picture`'s to draw.
        kind: what to write; default, by H.264 into MP4.
        times: presentation times of the frames in units of the kind's base; default, even.
        rate: nominal frames a second.
        muxer: options of the muxer.
        prepare: called with the video stream before the first frame is encoded.
        audio: sample rate of a silent audio track; 0 for none.
        metadata: of the container.
    """
    kind = KINDS[kind] if isinstance(kind, str) else kind
    images = [picture(n) for n in range(pictures)] if isinstance(pictures, int) else pictures
    step = 1 / (rate * kind.base)
    if times is None:
        times = [int(number * step) for number in range(len(images))]
    with av.open(str(path), "w", format=kind.format, options=muxer or {}) as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(kind.codec, rate=rate, options=dict(kind.options))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = kind.pixels
        stream.codec_context.time_base = kind.base
        if prepare is not None:
            prepare(stream)
        sound = container.add_stream("aac", rate=audio) if audio else None
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, kind.base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            silence(container, sound, audio, seconds=len(images) / rate)
    return path


def write_audio(path: Path, cover: np.ndarray | None = None, format: str = "mp4") -> Path:
    """A file that holds sound, and its cover picture where one is given, but no video."""
    with av.open(str(path), "w", format=format) as container:
        sound = container.add_stream("mp3" if format == "mp3" else "aac", rate=44100)
        if cover is not None:
            art: Any = container.add_stream("mjpeg", rate=1)
            art.height, art.width = cover.shape[:2]
            art.pix_fmt = "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
            container.mux(art.encode(av.VideoFrame.from_ndarray(cover, format="rgb24")))
            container.mux(art.encode())
        silence(container, sound, 44100, seconds=0.5)
    return path


def silence(container: Any, stream: Any, rate: int, seconds: float) -> None:
    """Encode that many seconds of silence into an audio stream, and end it."""
    samples = np.zeros((1, 1024), np.float32)
    for number in range(int(seconds * rate / 1024) + 1):
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, number * 1024, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def decode_all(path: Path) -> list[np.ndarray]:
    """Every picture of a clip, RGB, in order of presentation: one straight pass, no seeking."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames]
