"""Containers: how one is opened safely, and what FFmpeg does not say of them.

FFmpeg says neither whether the end of a file is missing nor what an animated WebP holds. Formats:
Matroska (RFC 9559) and EBML (RFC 8794), GIF89a, MPEG transport streams (ISO 13818-1), RIFF and
WebP (RFC 9649). Each look reads a few bytes, whatever the file claims.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import PIL.Image
from numpy.typing import NDArray

# Only formats that hold pictures themselves: playlists could point to other files or addresses.
_DEMUXERS = (
    "mov,matroska,avi,gif,mpeg,mpegts,mpegvideo,m4v,image2,"
    "png_pipe,jpeg_pipe,webp_pipe,webp,bmp_pipe"
)
STILL_PICTURES = ("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe")  # FFmpeg's names

_PACKETS = ((188, 0), (192, 4), (204, 0))  # of transport streams: size, and where 0x47 stands

# What Pillow raises where a picture is not as it should be.
_UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, PIL.Image.DecompressionBombError)


@dataclass(frozen=True)
class Animation:
    """An animated WebP.

    Attributes:
        width, height: pixels.
        durations: how long each frame is shown, milliseconds.
    """

    width: int
    height: int
    durations: tuple[int, ...]


def open_container(path: Path, **options: str) -> Any:
    """Open a file with PyAV and with nothing but the file: no protocol, playlist or series.

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


def is_cut_off(path: Path, container: str) -> bool:
    """Tell whether less is there than the container says, or its end stands inside something.

    Args:
        path: the file.
        container: FFmpeg's name of its format; nothing is known of others than Matroska, GIF,
            AVI and transport streams: False.
    """
    looks = {"matroska": _matroska, "gif": _gif, "mpegts": _transport, "avi": _riff}
    look = next((looks[name] for name in container.split(",") if name in looks), None)
    if look is None:
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        return look(file, size)


def read_animation(path: Path, most: int) -> Animation | None:
    """List the frames of an animated WebP without decoding them; None where it is another file.

    Args:
        path: the file.
        most: frames after which counting ends.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(30)
        if len(head) < 30 or head[:4] != b"RIFF" or head[8:16] != b"WEBPVP8X" or not head[20] & 2:
            return None
        width, height = _number(head[24:27]) + 1, _number(head[27:30]) + 1
        end = 8 + _number(head[4:8])
        place = 20 + _number(head[16:20]) + (_number(head[16:20]) & 1)
        durations: list[int] = []
        while place + 8 <= min(end, size) and len(durations) <= most:
            file.seek(place)
            chunk = file.read(24)
            length = _number(chunk[4:8])
            if place + 8 + length > size:
                break
            if chunk[:4] == b"ANMF" and len(chunk) == 24:
                durations.append(_number(chunk[20:23]))
            place += 8 + length + (length & 1)
    return Animation(width, height, tuple(durations))


def pictures(path: Path, wanted: Collection[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Decode frames of an animated WebP, RGB uint8 [height, width, 3].

    Args:
        path: the file.
        wanted: their indices, from 0.

    Yields:
        Index and picture, in order; it ends early where the file is damaged.
    """
    with contextlib.suppress(*_UNREADABLE), PIL.Image.open(path) as animation:
        for index in sorted(set(wanted)):
            animation.seek(index)
            image = np.asarray(animation.convert("RGB"))
            yield index, np.ascontiguousarray(image, np.uint8)


def jpeg_is_cut_off(path: Path) -> bool:
    """Tell whether the picture data of a JPEG ends too early; False where it is no JPEG."""
    try:
        with PIL.Image.open(path) as picture:
            if picture.format not in ("JPEG", "MPO"):
                return False
            picture.draft("L", (1, 1))  # an eighth of the size: all data is read, little is made
            try:
                picture.load()
            except _UNREADABLE:
                return True
    except _UNREADABLE:
        return False
    return False


def _number(little: bytes) -> int:
    return int.from_bytes(little, "little")


def _matroska(file: BinaryIO, size: int) -> bool:
    place = 0
    for wanted in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):  # the header, then the segment
        file.seek(place)
        head = file.read(12)
        if head[:4] != wanted or len(head) < 5 or not head[4]:
            return False
        width = 9 - head[4].bit_length()
        coded = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if coded == (1 << 7 * width) - 1:
            return False  # a length that was not known when it was written
        place += 4 + width + coded
    return place > size


def _gif(file: BinaryIO, size: int) -> bool:
    file.seek(max(size - 4096, 0))
    return not file.read().rstrip(b"\0").endswith(b";")


def _transport(file: BinaryIO, size: int) -> bool:
    head = file.read(4 * 204)
    for length, first in _PACKETS:
        if head[first::length] and set(head[first::length]) == {0x47}:
            return size % length != 0
    return False


def _riff(file: BinaryIO, size: int) -> bool:
    head = file.read(12)
    return head[:4] == b"RIFF" and 8 + _number(head[4:8]) > size
