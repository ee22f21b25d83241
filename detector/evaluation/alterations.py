"""What happens to clips on their way: re-encoding, rescaling, messengers, screen recordings.

Each alteration takes pictures and gives a file, so that real codecs leave their real traces.
Pictures and crops become clips of a few equal frames. Encoders run in one thread with fixed
settings: the same pictures give the same file.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import PIL.Image

from detector.errors import ClipError
from detector.media.clip import Image
from detector.media.containers import open_container

STILL_FRAMES = 8  # of the clip that a single picture becomes
MOST_FRAMES = 300  # of a longer clip, from its start
Filter = Callable[[Image, np.random.Generator], Image]


@dataclass(frozen=True)
class Encoding:
    """A codec and its options, and the ending of the files it is put in."""

    codec: str = "libx264"
    ending: str = "mp4"
    options: tuple[tuple[str, str], ...] = (("preset", "medium"), ("crf", "18"))
    pixels: str = "yuv420p"


def _h264(crf: int) -> Encoding:
    return Encoding(options=(("preset", "medium"), ("crf", str(crf))))


@dataclass(frozen=True)
class Step:
    """Pictures are filtered, then encoded."""

    encoding: Encoding
    filter: Filter = lambda image, _: image


@dataclass(frozen=True)
class Alteration:
    """A way to alter clips.

    Attributes:
        name: stable, for JSON.
        title: for a table.
        about: what is done, one sentence.
        steps: each takes what the one before has written.
        kept: share of width and height that is still in the picture, below 1 after cropping.
    """

    name: str
    title: str
    about: str
    steps: tuple[Step, ...]
    kept: float = 1.0


def scaled(factor: float = 1.0, lines: int = 0, most: float = 1.0) -> Filter:
    """Resize by `factor`, or to `lines` lines but at most `most` of the size; sides stay even."""

    def resize(image: Image, _: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        by = min(lines / height, most) if lines else factor
        size = (max(round(width * by / 2) * 2, 32), max(round(height * by / 2) * 2, 32))
        way = cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(image, size, interpolation=way), dtype=np.uint8)

    return resize


def toned(gain: float = 1.0, gamma: float = 1.0, offset: float = 0.0) -> Filter:
    """Change brightness: (value ** gamma) * gain + offset, values in [0, 1]."""
    table = np.clip((np.arange(256) / 255) ** gamma * gain + offset, 0, 1) * 255

    def tone(image: Image, _: np.random.Generator) -> Image:
        return np.round(table).astype(np.uint8)[image]

    return tone


def noisy(sigma: float) -> Filter:
    """Add Gaussian noise of `sigma` grey levels, new in every frame."""

    def add(image: Image, random: np.random.Generator) -> Image:
        noise = random.normal(0, sigma, image.shape)
        return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)

    return add


def cropped(share: float) -> Filter:
    """Keep only the middle: `share` of width and height."""

    def crop(image: Image, _: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        y, x = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
        return image[y : height - y, x : width - x]

    return crop


def both(first: Filter, second: Filter) -> Filter:
    """Apply one filter after the other."""
    return lambda image, random: second(first(image, random), random)


_VP9 = Encoding(
    "libvpx-vp9", "webm", (("crf", "38"), ("b", "0"), ("deadline", "realtime"), ("cpu-used", "6"))
)
_H265 = Encoding(
    "libx265",
    options=(
        ("preset", "medium"),
        ("crf", "28"),
        ("x265-params", "log-level=none:pools=1:frame-threads=1"),
    ),
)
_GIF = Encoding("gif", "gif")
_SMALL = scaled(lines=360, most=0.5)

ALTERATIONS: tuple[Alteration, ...] = (
    Alteration("original", "As it is", "The file as it is, not encoded again.", ()),
    Alteration("h264-crf23", "H.264, CRF 23", "H.264 at x264's default quality.",
               (Step(_h264(23)),)),
    Alteration("h264-crf35", "H.264, CRF 35", "H.264, strongly compressed.", (Step(_h264(35)),)),
    Alteration("h264-crf40", "H.264, CRF 40", "H.264, compressed until blocks can be seen.",
               (Step(_h264(40)),)),
    Alteration("h265", "H.265, CRF 28", "H.265 at x265's default quality.", (Step(_H265),)),
    Alteration("vp9", "VP9, CRF 38", "VP9 in its real-time mode, as in a browser's recording.",
               (Step(_VP9),)),
    Alteration("360p", "360p", "Scaled to 360 lines, at least to a half, then H.264 CRF 28.",
               (Step(_h264(28), _SMALL),)),
    Alteration("messenger", "Sent twice", "Sent on twice as messengers do: 0.7 of the size at "
               "CRF 30, then 0.8 of that at CRF 33.",
               (Step(_h264(30), scaled(0.7)), Step(_h264(33), scaled(0.8)))),
    Alteration("screen-recording", "Screen recording", "Shown 1.25 times as large with another "
               "gamma and more brightness, recorded at CRF 26.",
               (Step(_h264(26), both(scaled(1.25), toned(0.96, 0.9, 0.03))),)),
    Alteration("brighter", "Brighter", "1.4 times as bright, then H.264 CRF 18.",
               (Step(_h264(18), toned(1.4)),)),
    Alteration("darker", "Darker", "0.45 times as bright, then H.264 CRF 18.",
               (Step(_h264(18), toned(0.45)),)),
    Alteration("noise", "Noise", "Noise of 8 grey levels in every frame, then H.264 CRF 18.",
               (Step(_h264(18), noisy(8)),)),
    Alteration("crop", "Cropped", "A tenth of the picture cut off at every side, then H.264 "
               "CRF 18.", (Step(_h264(18), cropped(0.8)),), kept=0.8),
    Alteration("gif", "GIF", "A GIF of the 256 colours that fit best, dithered.", (Step(_GIF),)),
)  # fmt: skip


def alter(
    pictures: Iterable[Image], alteration: Alteration, folder: Path, rate: Fraction, seed: int = 0
) -> Path:
    """Write the pictures as a clip, altered; returns the file.

    Args:
        pictures: RGB uint8 [h, w, 3], all of one size.
        alteration: with at least one step.
        folder: where the file, and those of the steps between, are written.
        rate: frames a second.
        seed: of the noise.

    Raises:
        ClipError: the pictures cannot be encoded that way.
    """
    random = np.random.default_rng(seed)
    path: Path | None = None
    for number, step in enumerate(alteration.steps):
        source = pictures if path is None else read_pictures(path)
        path = folder / f"{alteration.name}-{number}.{step.encoding.ending}"
        filtered = (step.filter(image, random) for image in source)
        try:
            _encode(filtered, step.encoding, path, rate)
        except (av.FFmpegError, ValueError, IndexError, StopIteration) as error:
            raise ClipError(
                f"The clip cannot be altered as “{alteration.title}” ({error}); leave it out."
            ) from error
    if path is None:
        raise ClipError("An alteration without steps writes no file; use the file as it is.")
    return path


def still(picture: Image) -> Iterator[Image]:
    """Yield a single picture as the frames of a short clip."""
    return itertools.repeat(picture, STILL_FRAMES)


def read_pictures(path: Path) -> Iterator[Image]:
    """Yield every frame of a clip, RGB uint8, at most `MOST_FRAMES`."""
    with open_container(path) as container:
        for frame in itertools.islice(container.decode(video=0), MOST_FRAMES):
            yield frame.to_ndarray(format="rgb24")


def rate_of(path: Path) -> Fraction:
    """Return frames a second of a clip, 25 where it does not say."""
    with open_container(path) as container:
        return Fraction(container.streams.video[0].average_rate or 25)


def _encode(pictures: Iterable[Image], encoding: Encoding, path: Path, rate: Fraction) -> None:
    if encoding.codec == "gif":
        _encode_gif(pictures, path, rate)
        return
    iterator = iter(pictures)
    first = _even(next(iterator))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(encoding.codec, rate=rate)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = encoding.pixels
        stream.options = dict(encoding.options)
        stream.codec_context.thread_count = 1  # the same file everywhere
        for number, image in enumerate(itertools.chain([first], map(_even, iterator))):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _encode_gif(pictures: Iterable[Image], path: Path, rate: Fraction) -> None:
    # Pillow, not FFmpeg's encoder alone: it finds a palette, as every tool that makes GIFs does.
    frames: list[PIL.Image.Image] = []
    last: Image | None = None
    for image in pictures:
        # Finding a palette is slow, and a still repeats one picture.
        again = image is last
        frames.append(frames[-1] if again else PIL.Image.fromarray(image).quantize(256))
        last = image
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(1000 / rate))


def _even(image: Image) -> Image:
    """Leave out the last line of odd sides: codecs with halved colour want even ones."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2])
