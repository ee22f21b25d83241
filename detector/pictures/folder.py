"""What a person looks at: previews of frames and the face crops that were scored, on disk.

One folder for each analysis, filled while it runs, so that memory stays flat for long clips too.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector.errors import ClipError
from detector.media.clip import Frame, Image

PREVIEW_SIDE = 960
MOST_FRAMES = 600  # kept evenly over longer scans: about 100 MB at most
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PictureFolder:
    """Pictures of one analysis in a folder of their own.

    Args:
        folder: made when the first picture is added.

    Attributes:
        exact: the faces are the very pixels that were scored.
    """

    exact = True

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def add(self, frame: Frame, faces: Iterable[tuple[int, Image]]) -> None:
        """Keep a preview of a frame, and the faces in it pixel by pixel.

        Args:
            frame: as it was read.
            faces: track and crop, RGB uint8 [s, s, 3], of each.

        Raises:
            ClipError: the disk is full.
        """
        try:
            self._add(frame, faces)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise ClipError(
                f"The pictures of the analysis cannot be stored ({error.strerror}); free some disk "
                "space and try again."
            ) from error

    def _add(self, frame: Frame, faces: Iterable[tuple[int, Image]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        image: Any = frame.image
        scale = PREVIEW_SIDE / max(image.shape[:2])
        if scale < 1:
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            image = cv2.resize(
                image, (max(size[0], 1), max(size[1], 1)), interpolation=cv2.INTER_AREA
            )
        jpeg = _encode(".jpg", image, cv2.IMWRITE_JPEG_QUALITY, 88)
        _write(self._frame_path(frame.index), jpeg)
        for track, crop in faces:
            # PNG: explanations must see the very pixels that were scored.
            png = _encode(".png", crop, cv2.IMWRITE_PNG_COMPRESSION, 2)
            _write(self._face_path(frame.index, track), png)

    def frame(self, index: int) -> bytes | None:
        """Return a JPEG preview of frame `index`, at most 960 px wide or high, or None."""
        return _read(self._frame_path(index))

    def face_picture(self, index: int, track: int) -> bytes | None:
        """Return a PNG of a track's face in frame `index`; None if it was not kept."""
        return _read(self._face_path(index, track))

    def has_face(self, index: int, track: int) -> bool:
        """Say whether the crop of a track's face in frame `index` was kept."""
        return self._face_path(index, track).is_file()

    def face(self, index: int, track: int) -> Image | None:
        """Return the crop that was scored, RGB uint8 [s, s, 3]; None if it was not kept."""
        png = self.face_picture(index, track)
        if png is None:
            return None
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        return None if image is None else np.ascontiguousarray(image[..., ::-1], np.uint8)

    def remove(self) -> None:
        """Delete every picture; more calls do nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _frame_path(self, index: int) -> Path:
        return self.folder / f"frame-{index:07d}.jpg"

    def _face_path(self, index: int, track: int) -> Path:
        return self.folder / f"face-{index:07d}-{track}.png"


def _encode(kind: str, image: Image, option: int, value: int) -> bytes:
    """Return an RGB picture as a file of `kind`, ".jpg" or ".png"."""
    done, buffer = cv2.imencode(kind, np.ascontiguousarray(image[..., ::-1]), [option, value])
    if not done:
        raise OSError(f"a picture could not be encoded as {kind}")
    return buffer.tobytes()


def _write(path: Path, content: bytes) -> None:
    """Write a file, or leave none."""
    try:
        path.write_bytes(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes | None:
    """Return what a file holds; None where there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return None
