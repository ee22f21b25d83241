"""The library: every analysis that is kept, searchable, with its face scores and pictures.

An analysis goes in and out whole (`add`, `get`: what is loaded equals what was saved). Beside
it lie rows for every face of every frame and small pictures, so that pages filter, sort and
leaf through a million scores in the database. One `Library` serves all threads of a process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

from detector.errors import LibraryError, ResultError
from detector.files import data_folder, sha256_of
from detector.library import database, database_errors, schema, sql
from detector.library.connection import ROWS_AT_ONCE, chunks, within
from detector.library.face_scores import FaceScores
from detector.library.pictures import Thumbnails
from detector.library.rows import (
    analysis_row,
    digest_of,
    face_rows,
    is_plain,
    lossless,
    search_text,
    summary_of,
    tag_rows,
    unpacked,
)
from detector.library.sql import clean, clean_tags
from detector.library.types import LibraryFilter, Page, Size, Summary
from detector.limits import Limits
from detector.pictures.protocols import Pictures
from detector.pictures.thumbnails import pictures_of
from detector.result import SCHEMA_VERSION, Analysis


class Library(FaceScores, Thumbnails):
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
        super().__init__(engine, url, owner)
        self._clips = clips  # copies that earlier versions kept where they were asked to

    @classmethod
    def open(cls, url: str | Path | None = None) -> Self:
        """Open the library at `url`: an address, the path of a SQLite file, or None.

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
        return cls(engine, address, folder / "clips")

    def owned_by(self, owner: str) -> Self:
        """Return the same library as one person sees it: theirs alone.

        Args:
            owner: a name that never changes and is nobody else's; "" for what was kept without
                a login, such as from the command line.
        """
        return type(self)(self._engine, self._url, self._clips, clean(owner))

    def close(self) -> None:
        """Close all connections; more calls do nothing."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self,
        analysis: Analysis,
        pictures: Pictures | None = None,
        *,
        tags: Iterable[str] = (),
        note: str = "",
        source: Path | str | None = None,
    ) -> int:
        """Keep an analysis; the same one again gives the number that it has.

        Args:
            analysis: what to keep.
            pictures: its pictures; small copies of them are kept.
            tags, note: see `set_tags`, `set_note`.
            source: where the clip lies, so that it can be scanned again.

        Returns:
            The number in the library.

        Raises:
            LibraryError: it could not be kept; nothing of it was.
        """
        text = lossless(analysis)
        digest = digest_of(text, self._owner)
        small = pictures_of(analysis, pictures)
        with database_errors.plain_errors(self._url):
            try:
                with database.writing(self._engine) as connection:
                    known = self._by_digest(connection, digest)
                    if known is not None:
                        return known
                    _check_room(connection)
                    row = analysis_row(analysis, digest, tags, note, source)
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
            except IntegrityError:  # another writer was quicker
                with self._engine.connect() as connection:
                    known = self._by_digest(connection, digest)
                if known is not None:
                    return known
                raise

    def get(self, id: int) -> Analysis:
        """Return the analysis, equal to the one that was added; LibraryError if there is none."""
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
        """Return one line of the library; LibraryError where there is none."""
        found = self.search(LibraryFilter(ids=[id]), page_size=1).items
        if not found:
            raise _missing(id)
        return found[0]

    def find(self, sha256: str, fingerprint: str) -> Summary | None:
        """Return the newest analysis of that clip with those models and settings."""
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
        """Return one page of what matches.

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
        """Return the numbers of all analyses that match, rising."""
        where = sql.library_conditions(filter or LibraryFilter())
        query = sa.select(schema.analysis.c.id).where(*where).order_by(schema.analysis.c.id)
        with self._reading() as connection:
            query = query.where(*self._own(connection))
            return tuple(connection.execute(query).scalars())

    def model_versions(self) -> tuple[str, ...]:
        """Return all values of `Summary.model_version`, in order."""
        column = schema.analysis.c.model_version
        with self._reading() as connection:
            query = sa.select(column).where(*self._own(connection)).distinct().order_by(column)
            return tuple(connection.execute(query).scalars())

    def tags(self) -> dict[str, int]:
        """Return every tag, in order, and how many analyses carry it."""
        column = schema.tag.c.name
        query = sa.select(column, sa.func.count()).group_by(column).order_by(column)
        with self._reading() as connection:
            query = query.where(*self._of_own(connection, schema.tag.c.analysis_id))
            return {row[0]: row[1] for row in connection.execute(query)}

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

    def clip(self, id: int) -> Path | None:
        """Return the clip's file: a kept copy, or where it lay; None if neither is that clip."""
        summary = self.summary(id)
        query = sa.select(schema.analysis.c.clip_file).where(schema.analysis.c.id == id)
        with self._reading() as connection:
            kept: object = connection.execute(query).scalar_one_or_none()
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
        """Return how much the library holds: analyses of its owner, bytes of everybody's."""
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
    """Raise LibraryError where the library holds as many analyses as it may."""
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
        if len(batch) == ROWS_AT_ONCE:
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
