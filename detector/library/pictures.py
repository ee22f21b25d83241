"""The thumbnails and previews that the library keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from detector.library.store import Library


class KeptPictures:
    """Pictures of one kept analysis, as `DisplayPictures`.

    Attributes:
        exact: False, since faces are small copies of what was scored.
    """

    exact = False

    def __init__(self, library: Library, id: int) -> None:
        self._library = library
        self._id = id
        self._pictured: frozenset[tuple[int, int]] | None = None

    def frame(self, index: int) -> bytes | None:
        """JPEG preview of the frame, at most 640 px; None if it was not kept."""
        return self._library.thumbnail(self._id, index)

    def face(self, index: int, track: int) -> NDArray[np.uint8] | None:
        """A track's face in that frame, RGB uint8 [s, s, 3], s at most 128; or None."""
        jpeg = self.face_picture(index, track)
        if jpeg is None:
            return None
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        return None if image is None else np.ascontiguousarray(image[..., ::-1], np.uint8)

    def face_picture(self, index: int, track: int) -> bytes | None:
        """JPEG of a track's face in that frame, at most 128 px; None if it was not kept."""
        return self._library.thumbnail(self._id, index, track)

    def has_face(self, index: int, track: int) -> bool:
        """True where a picture of a track's face in that frame was kept."""
        if self._pictured is None:
            self._pictured = self._library.pictured(self._id)
        return (index, track) in self._pictured
