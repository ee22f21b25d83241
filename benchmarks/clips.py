"""Clips for the benchmarks: faces of the shipped portraits on a moving background."""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detector.faces.blazeface import BlazeFace
from detector.files import ASSETS

Image = NDArray[np.uint8]

CODECS = {"h264": "libx264", "h265": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_FAST = {
    "h264": {"preset": "ultrafast", "crf": "30"},
    "h265": {"preset": "ultrafast", "crf": "32", "x265-params": "log-level=none"},
    "vp9": {"deadline": "realtime", "cpu-used": "8", "b": "2M"},
    "av1": {"preset": "12", "crf": "45"},
}
RATE = 25


@functools.cache
def faces_of_portraits(side: int) -> tuple[Image, ...]:
    """Portraits cut around the face, RGB uint8 [side, side, 3]."""
    found = []
    for path in sorted((ASSETS / "samples" / "portraits").iterdir()):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        faces = BlazeFace().detect(np.asarray(picture, np.uint8))
        if not faces:
            continue
        left, top, right, bottom = faces[0].box
        reach = 0.9 * faces[0].size
        x, y = (left + right) / 2, (top + bottom) / 2
        matrix = np.array(
            [
                [side / 2 / reach, 0, side / 2 - x * side / 2 / reach],
                [0, side / 2 / reach, side / 2 - y * side / 2 / reach],
            ]
        )
        cut = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        found.append(np.asarray(cut, np.uint8))
    return tuple(found)


def write(
    path: Path,
    seconds: float,
    codec: str = "h264",
    size: tuple[int, int] = (1920, 1080),
    faces: int = 1,
) -> Path:
    """Write a clip with a key frame every two seconds.

    Args:
        path: of the file; its ending chooses the container.
        seconds: length.
        codec: one of `CODECS`.
        size: width and height, pixels.
        faces: people in the picture, 1 to 3.
    """
    width, height = size
    side = min(height // 2, width // (faces + 1))
    pattern = np.random.default_rng(3).integers(40, 200, (height // 60, width // 30, 3), np.uint8)
    wide = np.asarray(cv2.resize(pattern, (2 * width, height)), np.uint8)
    people = faces_of_portraits(side)
    with av.open(str(path), "w") as container:
        options = _FAST[codec] | {"g": str(2 * RATE)}
        stream = container.add_stream(CODECS[codec], rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(round(seconds * RATE)):
            shift = number * 4 % width
            picture = wide[:, shift : shift + width].copy()
            for place in range(faces):
                person = people[place % len(people)]
                x = round((place + 0.5) * width / faces - side / 2 + 20 * np.sin(number / 20))
                y = round(height / 2 - side / 2 + 12 * np.cos(number / 15))
                x, y = min(max(x, 0), width - side), min(max(y, 0), height - side)
                picture[y : y + side, x : x + side] = person
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def lengthen(source: Path, path: Path, times: int) -> Path:
    """The same packets `times` over, without encoding anew."""
    with av.open(str(path), "w") as target, av.open(str(source)) as first:
        stream = target.add_stream_from_template(first.streams.video[0])
        base = first.streams.video[0].time_base
        assert base is not None
        length = round(first.streams.video[0].frames / RATE / base)
        for turn in range(times):
            with av.open(str(source)) as container:
                for packet in container.demux(container.streams.video[0]):
                    if packet.size == 0 or packet.pts is None or packet.dts is None:
                        continue
                    packet.pts += turn * length
                    packet.dts += turn * length
                    packet.stream = stream
                    target.mux(packet)
    return path
