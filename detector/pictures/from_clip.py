"""The face crops that were scored, for an analysis whose own pictures are gone or small."""

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
    """The crop as it was scored, RGB uint8 [s, s, 3], s = `sampling.crop_size`.

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
    """A small copy of a crop in the size that networks expect; what it lost stays lost."""
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
        """The kept preview of the frame."""
        return self._kept.frame(index)

    def face(self, index: int, track: int) -> Image | None:
        """The crop that was scored, RGB uint8 [s, s, 3]; None where no such face was scored."""
        for frame in self._analysis.frames:
            for face in frame.faces:
                if (frame.index, face.track) == (index, track):
                    try:
                        return crop_from_clip(self._clip, self._analysis.sampling, frame, face)
                    except ClipError:
                        return None
        return None

    def face_picture(self, index: int, track: int) -> bytes | None:
        """The kept copy of the face, encoded."""
        return self._kept.face_picture(index, track)

    def has_face(self, index: int, track: int) -> bool:
        """True where a copy of the face was kept."""
        return self._kept.has_face(index, track)
