"""Scores of faces and frames, read from the library a page, or a million, at a time."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from detector.library import schema, sql
from detector.library.connection import ROWS_AT_ONCE, Connection, within
from detector.library.rows import frame_row
from detector.library.types import FrameFilter, FrameRow, Measures, Page


class FaceScores(Connection):
    """The rows of faces in frames, filtered and sorted by the database."""

    def frames(
        self,
        filter: FrameFilter | None = None,
        *,
        sort: str = "order",
        page: int = 1,
        page_size: int = 100,
    ) -> Page[FrameRow]:
        """Return one page of face scores.

        Args:
            filter: which; default, all of the library.
            sort: one of `FRAME_SORTS` or a network's name (its logit), with "-" before it for
                falling order; "order" is by analysis, frame and place. What has no score stays
                last.
            page: from 1; beyond the last page, the last.
            page_size: rows on a page.

        Raises:
            LibraryError: there is no such order, or the library cannot be read.
        """
        where = sql.frame_conditions(filter or FrameFilter())
        with self._reading() as connection:
            where += self._of_own(connection, schema.face_score.c.analysis_id)
            count = sa.select(sa.func.count()).select_from(schema.face_score).where(*where)
            total = int(connection.execute(count).scalar_one())
            page = within(page, total, page_size)
            query = sql.frame_query(where, sort).limit(page_size).offset((page - 1) * page_size)
            rows = connection.execute(query).mappings()
            return Page(tuple(frame_row(row) for row in rows), total, page, page_size)

    def every_frame(
        self, filter: FrameFilter | None = None, *, sort: str = "order"
    ) -> Iterator[FrameRow]:
        """Yield all face scores that match, for an export; see `frames`."""
        query = sql.frame_query(sql.frame_conditions(filter or FrameFilter()), sort)
        with self._reading() as connection:
            query = query.where(*self._of_own(connection, schema.face_score.c.analysis_id))
            rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query).mappings()
            for row in rows:
                yield frame_row(row)

    def scores(self, filter: FrameFilter | None = None) -> NDArray[np.float64]:
        """Return ensemble scores, float64 [n] in [0, 1], of all faces that match, in any order."""
        column = schema.face_score.c.score
        where = sql.frame_conditions(filter or FrameFilter())
        query = sa.select(column).where(*where, column.is_not(None))
        with self._reading() as connection:
            query = query.where(*self._of_own(connection, schema.face_score.c.analysis_id))
            return np.fromiter(connection.execute(query).scalars(), np.float64)

    def measures(
        self,
        networks: Sequence[str],
        model_version: str,
        since: datetime.datetime | None = None,
        most: int = 100_000,
    ) -> Measures:
        """Return scores and inputs of the newest faces that these networks scored, to compare them.

        Args:
            networks: their names.
            model_version: of the analyses, as in `Summary.model_version`.
            since: analyses made from then on; default, all.
            most: faces at most.
        """
        about, face = schema.analysis.c, schema.face_score.c
        period = [] if since is None else [about.created_at >= since.timestamp()]
        logits = [face.logits[name].as_float() for name in networks]
        query = (
            sa.select(
                face.analysis_id,
                about.created_at,
                face.size,
                face.sharpness,
                face.brightness,
                *logits,
            )
            .join(schema.analysis, about.id == face.analysis_id)
            .where(about.model_version == model_version, face.track.is_not(None), *period)
            .order_by(face.analysis_id.desc(), face.frame.desc(), face.place.desc())
            .limit(most)
        )
        others = sa.select(sa.func.count()).where(about.model_version != model_version, *period)
        with self._reading() as connection:
            own = self._own(connection)
            rows = connection.execute(query.where(*own)).all()
            other = int(connection.execute(others.where(*own)).scalar_one())
        table = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 5 + len(networks))
        table = table[np.isfinite(table).all(axis=1)]
        made = [
            datetime.datetime.fromtimestamp(moment, datetime.UTC)
            for moment in np.unique(table[:, 1])
        ]
        return Measures(
            logits={name: table[:, 5 + place] for place, name in enumerate(networks)},
            size=table[:, 2],
            sharpness=table[:, 3],
            brightness=table[:, 4],
            clips=len(np.unique(table[:, 0])),
            other=other,
            first=min(made, default=None),
            last=max(made, default=None),
        )
