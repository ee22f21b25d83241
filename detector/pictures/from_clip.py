"""The face crops that were scored, cut again for an analysis whose pictures are gone or small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from detector.errors import ClipError
from detector.faces.geometry import crop_face
from detector.media.clip import Image
from detector.media.sandboxed_clip import frame_at
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis, Sampling, ScoredFace, ScoredFrame


def crop_from_clip(clip: Path, sampling: Sampling, frame: ScoredFrame, face: ScoredFace) -> Image:
    """Cut a face out of its clip as it was scored: RGB uint8 [s, s, 3], s = `sampling.crop_size`.

    Args:
        clip: the very file that was analysed.
        sampling: how its faces were cut.
        frame, face: which one.

    Raises:
        ClipError: the clip cannot be read.
    """
    image = frame_at(clip, frame.time).image
    return crop_face(image, face.box, sampling.crop_factor, sampling.crop_size)


def enlarge_copy(copy: Image, sampling: Sampling) -> Image:
    """Enlarge a small copy of a crop to the size that networks expect; what it lost stays lost.

    Args:
        copy: RGB uint8 [n, n, 3].
        sampling: how the crop was cut; the result is RGB uint8 [s, s, 3], s = its `crop_size`.
    """
    side = sampling.crop_size
    large = cv2.resize(copy, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large, np.uint8)


class ClipPictures:
    """Kept pictures of an analysis whose clip is still there, as `DisplayPictures`.

    Args:
        kept: small copies, which are shown as they are.
        clip: the very file that was analysed; faces are cut from it again.
        analysis: of that clip.

    Attributes:
        exact: faces are the very pixels that were scored.
    """

    exact = True

    def __init__(self, kept: DisplayPictures, clip: Path, analysis: Analysis) -> None:
        self._kept = kept
        self._clip = clip
        self._analysis = analysis

    def frame(self, index: int) -> bytes | None:
        """Return the kept preview of the frame, encoded; None if it was not kept."""
        return self._kept.frame(index)

    def face(self, index: int, track: int) -> Image | None:
        """Return the crop that was scored, RGB uint8 [s, s, 3].

        None where no such face was scored, or the clip can no longer be read.
        """
        for frame in self._analysis.frames:
            for face in frame.faces:
                if (frame.index, face.track) == (index, track):
                    try:
                        return crop_from_clip(self._clip, self._analysis.sampling, frame, face)
                    except ClipError:
                        return None
        return None

    def face_picture(self, index: int, track: int) -> bytes | None:
        """Return the kept copy of the face, encoded; None if it was not kept."""
        return self._kept.face_picture(index, track)

    def has_face(self, index: int, track: int) -> bool:
        """Say whether a copy of the face was kept."""
        return self._kept.has_face(index, track)
