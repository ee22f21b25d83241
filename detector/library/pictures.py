"""The thumbnails and previews that the library keeps."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from detector.library import schema
from detector.library.connection import Connection, chunks


class Thumbnails(Connection):
    """The small JPEG pictures beside the analyses."""

    def thumbnail(
        self, id: int, index: int | None = None, track: int | None = None
    ) -> bytes | None:
        """Return a small JPEG picture.

        Args:
            id: of the analysis.
            index: of the frame; None for the strongest face of the analysis.
            track: the face to show, at most 128 px; None for the whole frame, at most 640 px.

        Returns:
            The picture, or None where none was kept.
        """
        if index is None:
            table = schema.analysis.c
            with self._reading() as connection:
                query = sa.select(table.cover_frame, table.cover_track).where(
                    table.id == id, *self._own(connection)
                )
                cover = connection.execute(query).one_or_none()
            if cover is None or cover[0] is None:
                return None
            index, track = cover
        key = (id, index, track or 0)
        return self.thumbnails([key]).get(key)

    def thumbnails(
        self, keys: Collection[tuple[int, int, int]]
    ) -> dict[tuple[int, int, int], bytes]:
        """Return many pictures at once: (analysis, frame, track; 0: whole frame) -> JPEG."""
        table = schema.thumbnail.c
        found = {}
        with self._reading() as connection:
            own = self._of_own(connection, table.analysis_id)
            for some in chunks(sorted(set(keys)), 300):
                query = sa.select(table.analysis_id, table.frame, table.track, table.jpeg).where(
                    sa.tuple_(table.analysis_id, table.frame, table.track).in_(some), *own
                )
                for id, frame, track, jpeg in connection.execute(query):
                    if isinstance(jpeg, bytes | memoryview) and jpeg:
                        found[id, frame, track] = bytes(jpeg)
        return found

    def pictured(self, id: int) -> frozenset[tuple[int, int]]:
        """Return (frame, track) of every kept picture of an analysis; track 0: whole frame."""
        table = schema.thumbnail.c
        query = sa.select(table.frame, table.track).where(table.analysis_id == id)
        with self._reading() as connection:
            query = query.where(*self._of_own(connection, table.analysis_id))
            return frozenset((frame, track) for frame, track in connection.execute(query))

    def pictures(self, id: int) -> KeptPictures:
        """Return the pictures of one analysis, for a report or the frame browser."""
        return KeptPictures(self, id)


class KeptPictures:
    """Pictures of one kept analysis, as `DisplayPictures`.

    Attributes:
        exact: False, since faces are small copies of what was scored.
    """

    exact = False

    def __init__(self, thumbnails: Thumbnails, id: int) -> None:
        self._thumbnails = thumbnails
        self._id = id
        self._pictured: frozenset[tuple[int, int]] | None = None

    def frame(self, index: int) -> bytes | None:
        """Return a JPEG of the frame, at most 640 px; None if it was not kept."""
        return self._thumbnails.thumbnail(self._id, index)

    def face(self, index: int, track: int) -> NDArray[np.uint8] | None:
        """Return a track's face in that frame, RGB uint8 [s, s, 3], s at most 128; or None."""
        jpeg = self.face_picture(index, track)
        if jpeg is None:
            return None
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        return None if image is None else np.ascontiguousarray(image[..., ::-1], np.uint8)

    def face_picture(self, index: int, track: int) -> bytes | None:
        """Return a JPEG of a track's face, at most 128 px; None if it was not kept."""
        return self._thumbnails.thumbnail(self._id, index, track)

    def has_face(self, index: int, track: int) -> bool:
        """Return whether a picture of a track's face in that frame was kept."""
        if self._pictured is None:
            self._pictured = self._thumbnails.pictured(self._id)
        return (index, track) in self._pictured
