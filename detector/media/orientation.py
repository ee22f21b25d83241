"""Show a picture as it was meant: turned upright, not mirrored, and with square pixels.

Phones store what the sensor saw and note how to turn it: a display matrix in a video
(ISO 14496-12, 8.3.2), Exif's orientation in a still picture. Anamorphic clips note how much wider
than high a pixel is.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image

from detector.media.clip import Image

_REFLECTED = (2, 4, 5, 7)  # of Exif's eight orientations


@dataclass(frozen=True)
class Orientation:
    """How the pictures of a clip are shown.

    Attributes:
        size: width and height as shown, pixels.
        rotation: degrees anticlockwise that a stored picture is turned by: 0, 90, 180 or 270.
        mirrored: it is stored as its reflection.
    """

    size: tuple[int, int]
    rotation: int = 0
    mirrored: bool = False

    def upright(self, frame: Any) -> Image:
        """Return a frame that PyAV decoded as it is shown, RGB uint8 [height, width, 3]."""
        image = frame.to_ndarray(format="rgb24")
        if self.mirrored:
            image = image[::-1]  # top to bottom: FFmpeg's angle then completes it
        if self.rotation:
            image = np.rot90(image, self.rotation // 90)
        if image.shape[1::-1] != self.size:
            image = cv2.resize(np.ascontiguousarray(image), self.size)
        return np.ascontiguousarray(image)


def orientation_of(frame: Any, stream: Any, still: Path | None) -> Orientation:
    """Find out how a clip is shown.

    Args:
        frame: its first frame, as PyAV decoded it.
        stream: the video stream.
        still: the file of a still picture; None for a video.
    """
    rotation = int(round((frame.rotation or 0) / 90) * 90) % 360
    width, height = frame.width, frame.height
    ratio = _pixel_aspect(stream)
    if ratio > 1:
        width = round(width * ratio)
    elif ratio < 1:
        height = round(height / ratio)
    return Orientation(
        size=(height, width) if rotation % 180 else (width, height),
        rotation=rotation,
        mirrored=_is_mirrored(frame, still),
    )


def _pixel_aspect(stream: Any) -> float:
    """Return the width of a pixel / its height; 1 unless the clip is anamorphic within reason."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 0.25 <= ratio <= 4 and abs(ratio - 1) > 0.01 else 1.0


def _is_mirrored(frame: Any, still: Path | None) -> bool:
    """Tell whether the picture is stored as its reflection, as selfies of some phones are."""
    # PyAV 18 raises ValueError where a frame carries side data that it does not know, Exif among
    # it; Pillow reads that.
    with contextlib.suppress(OSError, ValueError, SyntaxError):
        if still is not None:
            with PIL.Image.open(still) as picture:
                return picture.getexif().get(PIL.ExifTags.Base.Orientation) in _REFLECTED
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is not None:
            a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, np.int32)[:5])
            return a * d < b * c
    return False
