"""What pictures of an analysis are asked for, wherever they are kept."""

from __future__ import annotations

from typing import Protocol

from detector.media.clip import Image


class Pictures(Protocol):
    """Where pictures of an analysis come from: a `PictureFolder`, or the library."""

    def frame(self, index: int) -> bytes | None:
        """Return the whole frame as an encoded picture (JPEG); None if it was not kept."""

    def face(self, index: int, track: int) -> Image | None:
        """Return a track's face in that frame, RGB uint8 [s, s, 3]; None if it was not kept."""


class DisplayPictures(Pictures, Protocol):
    """Pictures that a page shows: also encoded, and asked for in advance.

    Attributes:
        exact: faces are the very pixels that were scored, no smaller copies.
    """

    exact: bool

    def face_picture(self, index: int, track: int) -> bytes | None:
        """Return a track's face in that frame as an encoded picture; None if it was not kept."""

    def has_face(self, index: int, track: int) -> bool:
        """Say whether `face` and `face_picture` return a picture."""
