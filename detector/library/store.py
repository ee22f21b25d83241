"""The library: every analysis that is kept, searchable, with its face scores and pictures.

An analysis goes in and out whole (`add`, `get`: what is loaded equals what was saved). Beside
it lie rows for every face of every frame and small pictures, so that pages filter, sort and
leaf through a million scores in the database. One `Library` serves all threads of a process.
"""

from __future__ import annotations

import contextlib
import datetime
import shutil
import time as clock
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

from detector.errors import LibraryError, ResultError
from detector.files import data_folder, sha256_of
from detector.library import database, database_errors, schema, sql
from detector.library.connection import chunks, within
from detector.library.pictures import KeptPictures
from detector.library.rows import (
    analysis_row,
    digest_of,
    face_rows,
    frame_row,
    is_plain,
    lossless,
    search_text,
    summary_of,
    tag_rows,
    unpacked,
)
from detector.library.sql import clean, clean_tags
from detector.library.types import (
    FrameFilter,
    FrameRow,
    LibraryFilter,
    Measures,
    Page,
    Size,
    Summary,
)
from detector.limits import Limits
from detector.pictures.protocols import Pictures
from detector.pictures.thumbnails import pictures_of
from detector.result import SCHEMA_VERSION, Analysis

_CHUNK = 5000  # rows in one statement's batch
_LEFT_BEHIND = 24 * 3600  # seconds after which a clip that no analysis names is a crash's


class Library:
    """The library. Open it with `Library.open`; it is a context manager too.

    It shows, changes and deletes only analyses of its owner; see `owned_by`.

    Examples:
        >>> from detector import Library, Settings, scan
        >>> analysis = scan("assets/samples/grid_bbaf2n.mp4", Settings(frames=2))
        >>> with Library.open() as library:
        ...     number = library.add(analysis, tags=["interview"])
        ...     found = library.search().items
        ...     again = library.get(number)
        >>> [(entry.name, entry.tags) for entry in found]
        [('grid_bbaf2n.mp4', ('interview',))]
        >>> again == analysis
        True
    """

    def __init__(self, engine: sa.Engine, url: URL, clips: Path, owner: str = "") -> None:
        self._engine = engine
        self._url = url
        self._clips = clips
        self._owner = owner

    @classmethod
    def open(cls, url: str | Path | None = None) -> Self:
        """The library at `url`: an address, the path of a SQLite file, or None.

        None stands for `DATABASE_URL`, else for SQLite in the folder `VERIFRAME_DATA`, else in
        the user's data folder. A library that is not there is made.

        Raises:
            LibraryError: it cannot be reached or written, is damaged, belongs to another program,
                or was made by a newer Veriframe.
        """
        if isinstance(url, Path):
            address = URL.create("sqlite", database=str(url))
        else:
            address = database.database_url(url)
        engine = database.open_engine(address)
        sqlite = address.get_backend_name() == "sqlite"
        folder = Path(str(address.database)).parent if sqlite else data_folder()
        library = cls(engine, address, folder / "clips")
        library._sweep_clips()
        return library

    def owned_by(self, owner: str) -> Self:
        """The same library as one person sees it: theirs alone.

        Args:
            owner: a name that never changes and is nobody else's; "" for what was kept without
                a login, such as from the command line.
        """
        return type(self)(self._engine, self._url, self._clips, clean(owner))

    @property
    def owner(self) -> str:
        """Whose analyses these are; "" without a login."""
        return self._owner

    @property
    def engine(self) -> sa.Engine:
        """Its database, for tables that are not the library's own."""
        return self._engine

    @property
    def url(self) -> URL:
        """The address of its database; holds the password."""
        return self._url

    def close(self) -> None:
        """Close all connections; more calls do nothing."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def place(self) -> str:
        """Where the library is, for people; holds no password."""
        return database_errors.place(self._url)

    def add(
        self,
        analysis: Analysis,
        pictures: Pictures | None = None,
        *,
        tags: Iterable[str] = (),
        note: str = "",
        source: Path | str | None = None,
        keep_clip: Path | None = None,
    ) -> int:
        """Keep an analysis; the same one again gives the number that it has.

        Args:
            analysis: what to keep.
            pictures: its pictures; small copies of them are kept.
            tags, note: see `set_tags`, `set_note`.
            source: where the clip lies, so that it can be scanned again.
            keep_clip: the clip's file, where the person asked to keep a copy of it.

        Returns:
            The number in the library.

        Raises:
            LibraryError: it could not be kept; nothing of it was.
        """
        text = lossless(analysis)
        digest = digest_of(text, self._owner)
        small = pictures_of(analysis, pictures)
        with database_errors.plain_errors(self._url):
            clip_file = self._copy_clip(keep_clip, analysis) if keep_clip else None
            try:
                with database.writing(self._engine) as connection:
                    known = self._by_digest(connection, digest)
                    if known is not None:
                        return known
                    _check_room(connection)
                    row = analysis_row(analysis, digest, tags, note, source, clip_file)
                    row["owner"] = self._owner
                    id = connection.execute(
                        sa.insert(schema.analysis).returning(schema.analysis.c.id), row
                    ).scalar_one()
                    connection.execute(
                        sa.insert(schema.document),
                        {"analysis_id": id, "json": zlib.compress(text)},
                    )
                    _insert(connection, schema.face_score, face_rows(id, analysis))
                    _insert(
                        connection,
                        schema.thumbnail,
                        (
                            {"analysis_id": id, "frame": frame, "track": track, "jpeg": jpeg}
                            for (frame, track), jpeg in small.items()
                        ),
                    )
                    _insert(connection, schema.tag, tag_rows(id, clean_tags(tags)))
                    return int(id)
            except BaseException as error:
                if clip_file is not None:
                    self._forget_clips({clip_file})
                if isinstance(error, IntegrityError):  # another writer was quicker
                    with self._engine.connect() as connection:
                        known = self._by_digest(connection, digest)
                    if known is not None:
                        return known
                raise

    def get(self, id: int) -> Analysis:
        """The analysis, equal to the one that was added; LibraryError where there is none."""
        table = schema.document.c
        with self._reading() as connection:
            query = sa.select(table.json).where(
                table.analysis_id == id, *self._of_own(connection, table.analysis_id)
            )
            packed = connection.execute(query).scalar_one_or_none()
        if packed is None:
            raise _missing(id)
        try:
            return Analysis.from_json(unpacked(packed))
        except (zlib.error, TypeError, ResultError) as error:
            if isinstance(error, ResultError) and "newer" in str(error):
                raise LibraryError(
                    f"Analysis {id} was made by a newer Veriframe than this one, which reads "
                    f"schema {SCHEMA_VERSION}; update Veriframe to open it."
                ) from error
            raise LibraryError(
                f"Analysis {id} in the library is damaged; delete it and scan the clip again."
            ) from error

    def summary(self, id: int) -> Summary:
        """One line of the library; LibraryError where there is none."""
        found = self.search(LibraryFilter(ids=[id]), page_size=1).items
        if not found:
            raise _missing(id)
        return found[0]

    def find(self, sha256: str, fingerprint: str) -> Summary | None:
        """The newest analysis of that clip with those models and settings."""
        table = schema.analysis.c
        with self._reading() as connection:
            query = (
                sa.select(table.id)
                .where(table.sha256 == sha256, table.fingerprint == fingerprint)
                .where(*self._own(connection))
                .order_by(table.created_at.desc(), table.id.desc())
                .limit(1)
            )
            id = connection.execute(query).scalar_one_or_none()
        return None if id is None else self.summary(id)

    def search(
        self,
        filter: LibraryFilter | None = None,
        *,
        sort: str = "-created",
        page: int = 1,
        page_size: int = 50,
    ) -> Page[Summary]:
        """One page of what matches.

        Args:
            filter: what to look for; default, everything.
            sort: one of `LIBRARY_SORTS`, with "-" before it for falling order. What has no
                score stays last.
            page: from 1; beyond the last page, the last.
            page_size: analyses on a page.

        Raises:
            LibraryError: there is no such order, or the library cannot be read.
        """
        where = sql.library_conditions(filter or LibraryFilter())
        order = sql.library_order(sort)
        with self._reading() as connection:
            where += self._own(connection)
            count = sa.select(sa.func.count()).select_from(schema.analysis).where(*where)
            total = int(connection.execute(count).scalar_one())
            page = within(page, total, page_size)
            query = (
                sa.select(schema.analysis)
                .where(*where)
                .order_by(*order)
                .limit(page_size)
                .offset((page - 1) * page_size)
            )
            rows = connection.execute(query).mappings().all()
            tags = _tags_of(connection, [row["id"] for row in rows])
            items = tuple(summary_of(row, tags.get(row["id"], ())) for row in rows)
        return Page(items, total, page, page_size)

    def ids(self, filter: LibraryFilter | None = None) -> tuple[int, ...]:
        """Numbers of all analyses that match, rising: to delete, export or browse them all."""
        where = sql.library_conditions(filter or LibraryFilter())
        query = sa.select(schema.analysis.c.id).where(*where).order_by(schema.analysis.c.id)
        with self._reading() as connection:
            query = query.where(*self._own(connection))
            return tuple(connection.execute(query).scalars())

    def model_versions(self) -> tuple[str, ...]:
        """All values of `Summary.model_version`, in order."""
        column = schema.analysis.c.model_version
        with self._reading() as connection:
            query = sa.select(column).where(*self._own(connection)).distinct().order_by(column)
            return tuple(connection.execute(query).scalars())

    def tags(self) -> dict[str, int]:
        """Every tag, in order, and how many analyses carry it."""
        column = schema.tag.c.name
        query = sa.select(column, sa.func.count()).group_by(column).order_by(column)
        with self._reading() as connection:
            query = query.where(*self._of_own(connection, schema.tag.c.analysis_id))
            return {row[0]: row[1] for row in connection.execute(query)}

    def frames(
        self,
        filter: FrameFilter | None = None,
        *,
        sort: str = "order",
        page: int = 1,
        page_size: int = 100,
    ) -> Page[FrameRow]:
        """One page of face scores.

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
        """All face scores that match, one at a time, for an export; see `frames`."""
        query = sql.frame_query(sql.frame_conditions(filter or FrameFilter()), sort)
        with self._reading() as connection:
            query = query.where(*self._of_own(connection, schema.face_score.c.analysis_id))
            rows = connection.execution_options(yield_per=_CHUNK).execute(query).mappings()
            for row in rows:
                yield frame_row(row)

    def scores(self, filter: FrameFilter | None = None) -> NDArray[np.float64]:
        """Ensemble scores [n] in [0, 1] of all faces that match, for a histogram."""
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
        """Scores and inputs of the newest faces that these networks scored, to compare them.

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
                face.analysis_id, about.created_at, face.size, face.sharpness, face.brightness,
                *logits,
            )
            .join(schema.analysis, about.id == face.analysis_id)
            .where(about.model_version == model_version, face.track.is_not(None), *period)
            .order_by(face.analysis_id.desc(), face.frame.desc(), face.place.desc())
            .limit(most)
        )  # fmt: skip
        others = sa.select(sa.func.count()).where(about.model_version != model_version, *period)
        with self._reading() as connection:
            own = self._own(connection)
            rows = connection.execute(query.where(*own)).all()
            other = int(connection.execute(others.where(*own)).scalar_one())
        table = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 5 + len(networks))
        table = table[np.isfinite(table).all(axis=1)]
        made = [
            datetime.datetime.fromtimestamp(moment, datetime.UTC)
            for moment in (table[:, 1].min(), table[:, 1].max())
        ] if len(table) else [None, None]  # fmt: skip
        return Measures(
            logits={name: table[:, 5 + place] for place, name in enumerate(networks)},
            size=table[:, 2],
            sharpness=table[:, 3],
            brightness=table[:, 4],
            clips=len(np.unique(table[:, 0])),
            other=other,
            first=made[0],
            last=made[1],
        )

    def thumbnail(
        self, id: int, index: int | None = None, track: int | None = None
    ) -> bytes | None:
        """A small JPEG picture.

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
        """Many pictures at once, for a grid: (analysis, frame, track; 0: whole frame) -> JPEG."""
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
        """(frame, track) of every picture that was kept of an analysis; track 0: whole frame."""
        table = schema.thumbnail.c
        query = sa.select(table.frame, table.track).where(table.analysis_id == id)
        with self._reading() as connection:
            query = query.where(*self._of_own(connection, table.analysis_id))
            return frozenset((frame, track) for frame, track in connection.execute(query))

    def pictures(self, id: int) -> KeptPictures:
        """The pictures of one analysis, for a report or the frame browser."""
        return KeptPictures(self, id)

    def set_tags(self, ids: Iterable[int], tags: Iterable[str]) -> None:
        """Give the analyses exactly these tags (at most 80 characters each)."""
        self._retag(ids, lambda _: set(clean_tags(tags)))

    def tag(self, ids: Iterable[int], *tags: str) -> None:
        """Add tags to the analyses."""
        added = set(clean_tags(tags))
        self._retag(ids, lambda present: present | added)

    def untag(self, ids: Iterable[int], *tags: str) -> None:
        """Take tags off the analyses."""
        removed = set(clean_tags(tags))
        self._retag(ids, lambda present: present - removed)

    def set_note(self, id: int, note: str) -> None:
        """Replace an analysis's note; LibraryError where there is no such analysis."""
        self._update(id, note=clean(note))

    def set_source(self, id: int, source: Path | str | None) -> None:
        """Say where the clip lies now, or forget it; LibraryError for no such analysis."""
        self._update(id, source=None if source is None else clean(str(source)))

    def clip(self, id: int) -> Path | None:
        """The clip's file: the kept copy, or where it lay; None if neither is (still) that clip."""
        summary = self.summary(id)
        kept = self._one(sa.select(schema.analysis.c.clip_file).where(schema.analysis.c.id == id))
        candidates = [self._clips / kept] if is_plain(kept) else []
        source = summary.source if isinstance(summary.source, str) else ""
        candidates += [Path(source)] if source else []
        for path in candidates:
            try:
                if path.stat().st_size == summary.bytes and sha256_of(path) == summary.sha256:
                    return path
            except (OSError, ValueError):  # gone, or no name of a file
                continue
        return None

    def delete(self, ids: Iterable[int]) -> int:
        """Remove analyses with their scores, pictures, tags, notes and kept clips.

        In SQLite the bytes themselves are overwritten and the file shrinks; PostgreSQL frees
        the room at its next vacuum, which is asked for here.

        Returns:
            How many there were.
        """
        table = schema.analysis
        clip_files: set[str] = set()
        removed = 0
        with database_errors.plain_errors(self._url):
            with database.writing(self._engine) as connection:
                own = self._own(connection)
                for some in chunks(list(dict.fromkeys(ids)), 500):
                    match = sa.and_(table.c.id.in_(some), *own)
                    files = connection.execute(sa.select(table.c.clip_file).where(match)).scalars()
                    clip_files |= {name for name in files if is_plain(name)}
                    removed += connection.execute(sa.delete(table).where(match)).rowcount
            self._forget_clips(clip_files)
            if removed:
                self._give_room_back()
        return removed

    def size(self) -> Size:
        """How much the library holds: analyses of its owner, bytes of everybody's."""
        clips = sum(path.stat().st_size for path in self._clips.glob("*") if path.is_file())
        with self._reading() as connection:
            counts = [
                int(
                    connection.execute(
                        sa.select(sa.func.count())
                        .select_from(table)
                        .where(*self._of_own(connection, column))
                    ).scalar_one()
                )
                for table, column in (
                    (schema.analysis, schema.analysis.c.id),
                    (schema.face_score, schema.face_score.c.analysis_id),
                )
            ]
            if self._engine.dialect.name == "sqlite":
                path = Path(str(self._url.database))
                files = [path, path.with_name(path.name + "-wal")]
                used = sum(file.stat().st_size for file in files if file.exists())
            else:
                names = [table.name for table in schema.metadata.sorted_tables]
                used = sum(
                    connection.execute(
                        sa.select(sa.func.pg_total_relation_size(sa.cast(name, sa.Text)))
                    ).scalar_one()
                    for name in names
                )
        return Size(counts[0], counts[1], int(used) + clips)

    def _own(self, connection: sa.Connection) -> list[sa.ColumnElement[bool]]:
        """WHERE for analyses of the owner, joined by AND; none where all of them are."""
        owner = schema.analysis.c.owner
        if not self._owner:
            # One look at an index: without logins, a million rows need no test of their own.
            others = sa.select(sa.exists().where(owner > ""))
            if not connection.execute(others).scalar_one():
                return []
        return [owner == self._owner]

    def _of_own(
        self, connection: sa.Connection, column: sa.ColumnElement[int]
    ) -> list[sa.ColumnElement[bool]]:
        """The same for rows that name their analysis in `column`."""
        own = self._own(connection)
        return [column.in_(sa.select(schema.analysis.c.id).where(*own))] if own else []

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """A connection to read from, whose errors are sentences."""
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            yield connection

    def _one(self, query: sa.Select) -> Any:
        with self._reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    @staticmethod
    def _by_digest(connection: sa.Connection, digest: str) -> int | None:
        table = schema.analysis.c
        query = sa.select(table.id).where(table.digest == digest)
        return connection.execute(query).scalar_one_or_none()

    def _update(self, id: int, **values: str | None) -> None:
        with database_errors.plain_errors(self._url), database.writing(self._engine) as connection:
            table = schema.analysis
            mine = (table.c.id == id, *self._own(connection))
            changed = connection.execute(sa.update(table).where(*mine).values(values))
            if changed.rowcount == 0:
                raise _missing(id)
            _refresh_search_text(connection, [id])

    def _retag(self, ids: Iterable[int], change: Callable[[set[str]], set[str]]) -> None:
        wanted = list(dict.fromkeys(ids))
        table = schema.tag
        with database_errors.plain_errors(self._url), database.writing(self._engine) as connection:
            rows = schema.analysis.c.id
            mine = (rows.in_(wanted), *self._own(connection))
            locked = sa.select(rows).where(*mine).order_by(rows).with_for_update()
            present = list(connection.execute(locked).scalars())
            missing = set(wanted) - set(present)
            if missing:
                raise _missing(min(missing))
            before = _tags_of(connection, wanted)
            for id in wanted:
                old = set(before.get(id, ()))
                new = change(old)
                gone = table.c.name.in_(old - new)
                connection.execute(sa.delete(table).where(table.c.analysis_id == id, gone))
                _insert(connection, table, tag_rows(id, new - old))
            _refresh_search_text(connection, wanted)

    def _copy_clip(self, path: Path, analysis: Analysis) -> str:
        name = analysis.clip.sha256 + path.suffix.lower()
        self._clips.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._clips / name
        if target.exists():
            return name
        partial = target.with_name(f".{name}.{clock.monotonic_ns()}")
        try:
            shutil.copyfile(path, partial)  # not its times: an old clip is a new file here
            if sha256_of(partial) != analysis.clip.sha256:
                raise LibraryError(
                    f"“{path.name}” is no longer the clip that was analysed; scan it again."
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return name

    def _sweep_clips(self) -> None:
        """Remove what a crash left among the kept clips; what is new may be a writer's at work."""
        before = clock.time() - _LEFT_BEHIND
        with database_errors.plain_errors(self._url):
            old = {
                path.name
                for path in self._clips.glob("*")
                if path.is_file() and path.stat().st_mtime < before
            }
            if old:
                self._forget_clips(old)

    def _forget_clips(self, names: Iterable[str]) -> None:
        """Remove kept clips that no analysis refers to any more."""
        table = schema.analysis.c
        for name in names:
            with self._engine.connect() as connection:
                query = sa.select(sa.func.count()).where(table.clip_file == name)
                if connection.execute(query).scalar_one():
                    continue
            (self._clips / name).unlink(missing_ok=True)

    def _give_room_back(self) -> None:
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                raw: Any = connection.connection.dbapi_connection
                # As a script: a single statement stops after the first page. The old pages
                # also lie in the log until it is emptied.
                raw.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                names = ", ".join(table.name for table in schema.metadata.sorted_tables)
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                    f"VACUUM {names}"
                )


def _check_room(connection: sa.Connection) -> None:
    """Raises LibraryError where the library holds as many analyses as it may."""
    most = Limits.from_environment().kept
    # Numbers rise by one, so that counting a million rows is rarely needed.
    if (connection.execute(sa.select(sa.func.max(schema.analysis.c.id))).scalar() or 0) < most:
        return
    count = connection.execute(sa.select(sa.func.count()).select_from(schema.analysis)).scalar_one()
    if count >= most:
        raise LibraryError(
            f"The library holds {count:,} analyses, as many as are allowed here; delete some and "
            "keep this one then."
        )


def _insert(connection: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _CHUNK:
            connection.execute(sa.insert(table), batch)
            batch = []
    if batch:
        connection.execute(sa.insert(table), batch)


def _tags_of(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    table = schema.tag.c
    found: dict[int, tuple[str, ...]] = {}
    for some in chunks(list(ids), 500):
        query = sa.select(table.analysis_id, table.name).where(table.analysis_id.in_(some))
        for id, name in connection.execute(query.order_by(table.name)):
            found[id] = (*found.get(id, ()), name)
    return found


def _refresh_search_text(connection: sa.Connection, ids: Sequence[int]) -> None:
    table = schema.analysis
    tags = _tags_of(connection, ids)
    for some in chunks(list(ids), 500):
        query = sa.select(table.c.id, table.c.name, table.c.sha256, table.c.note)
        for id, name, sha256, note in connection.execute(query.where(table.c.id.in_(some))).all():
            text = search_text(name, sha256, tags.get(id, ()), note)
            connection.execute(sa.update(table).where(table.c.id == id).values(search_text=text))


def _missing(id: int) -> LibraryError:
    return LibraryError(f"There is no analysis {id} in the library; it may have been deleted.")
