"""What the service was asked to analyse, kept in the library's database.

A record outlives the process that works on it, so that a restart loses nothing: what was done
stays done, and what was waiting or running is taken up again by a process that can reach the
clip's file (`detector.service.service`).
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from detector.library import database, database_errors, schema
from detector.library.sql import clean
from detector.library.store import Library
from detector.library.types import Page
from detector.settings import Settings

JobState = Literal["waiting", "running", "done", "failed"]
STATES: tuple[JobState, ...] = ("waiting", "running", "done", "failed")
UNFINISHED: tuple[JobState, ...] = ("waiting", "running")


@dataclass(frozen=True)
class JobRecord:
    """One analysis that the service was asked for.

    Attributes:
        id: 32 hex digits that nobody can guess.
        owner, token: whose it is, and the id of the token that sent it.
        key: names owner, clip, settings and models; None once the clip may be sent again.
        state: "waiting", "running", "done" or "failed".
        name, bytes, sha256: of the clip, as it was sent.
        fingerprint: of models and settings, see `detector.result.fingerprint`.
        settings: how to look at it.
        created_at, started_at, ended_at: seconds since 1970, UTC; None before it happened.
        attempts: how often it was begun, from 1; more where the server died while it ran.
        done, total: frames; both 0 until known.
        error: one sentence, where it failed.
        analysis_id: number in the library, once done; None again when it is deleted there.
        home, worker: the data folder in which the clip waits, and the process that has it.
    """

    id: str
    owner: str
    token: str
    key: str | None
    state: JobState
    name: str
    bytes: int
    sha256: str
    fingerprint: str
    settings: Settings
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    attempts: int = 1
    done: int = 0
    total: int = 0
    error: str | None = None
    analysis_id: int | None = None
    home: str = ""
    worker: str = ""

    @property
    def finished(self) -> bool:
        """True once nothing more will happen."""
        return self.state not in UNFINISHED

    @property
    def answered(self) -> bool:
        """True where sending the clip again would bring nothing new."""
        return not self.finished or (self.state == "done" and self.analysis_id is not None)


def new_id() -> str:
    """Return an id that nobody can guess."""
    return uuid.uuid4().hex


class JobRecords:
    """The table of jobs. Safe under threads and processes; raises LibraryError only.

    Args:
        library: the library in whose database they are kept.
    """

    def __init__(self, library: Library) -> None:
        self._engine = library.engine
        self._url = library.url

    def add(self, record: JobRecord) -> JobRecord:
        """Keep a new record; where one with its key is there already, that one is given back."""
        row = dataclasses.asdict(record) | {"name": clean(record.name), "seen_at": time.time()}
        with database_errors.plain_errors(self._url):
            try:
                with database.writing(self._engine) as connection:
                    connection.execute(sa.insert(schema.job), row)
            except IntegrityError:  # another request was quicker
                known = None if record.key is None else self.by_key(record.key)
                if known is None:
                    raise
                return known
        return record

    def get(self, id: str, owner: str) -> JobRecord | None:
        """Return the record, unless it is somebody else's."""
        table = schema.job.c
        found = self._select(table.id == id, table.owner == owner)
        return found[0] if found else None

    def by_key(self, key: str) -> JobRecord | None:
        """Return the record that is about the same."""
        found = self._select(schema.job.c.key == key)
        return found[0] if found else None

    def unfinished(self) -> tuple[JobRecord, ...]:
        """Return all that wait or run, of all owners and processes, oldest first."""
        return self._select(schema.job.c.state.in_(UNFINISHED))

    def search(
        self, owner: str, state: JobState | None, page: int, page_size: int
    ) -> Page[JobRecord]:
        """Return one page of an owner's records, newest first.

        Args:
            owner: whose.
            state: only these; None for all.
            page: from 1; beyond the last page, nothing.
            page_size: records on a page.
        """
        table = schema.job.c
        where = [table.owner == owner] + ([] if state is None else [table.state == state])
        count = sa.select(sa.func.count()).select_from(schema.job).where(*where)
        query = (
            sa.select(schema.job)
            .where(*where)
            .order_by(table.created_at.desc(), table.id)
            .limit(page_size)
            .offset((page - 1) * page_size)
        )
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            total = int(connection.execute(count).scalar_one())
            rows = connection.execute(query).mappings().all()
        return Page(tuple(_record(row) for row in rows), total, page, page_size)

    def counts(self) -> dict[JobState, int]:
        """Return how many records are in each state, of all owners."""
        state = schema.job.c.state
        query = sa.select(state, sa.func.count()).group_by(state)
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            found: dict[str, int] = dict(connection.execute(query).tuples().all())
        return {name: int(found.get(name, 0)) for name in STATES}

    def change(self, id: str, **values: Any) -> bool:
        """Set columns of a record; False where it is gone."""
        return self._update(schema.job.c.id == id, **values)

    def take(self, record: JobRecord, home: str, worker: str) -> JobRecord | None:
        """Let another process have the job; its record then, or None where one was quicker.

        Only what ran counts as an attempt: waiting harms no server.
        """
        table = schema.job.c
        attempts = record.attempts + (record.state == "running")
        taken = self._update(
            table.id == record.id,
            table.worker == record.worker,
            table.state == record.state,
            state="waiting",
            home=home,
            worker=worker,
            attempts=attempts,
            started_at=None,
            done=0,
            total=0,
            seen_at=time.time(),
        )
        return (
            dataclasses.replace(
                record,
                state="waiting",
                home=home,
                worker=worker,
                attempts=attempts,
                started_at=None,
                done=0,
                total=0,
            )
            if taken
            else None
        )

    def seen(self, worker: str) -> None:
        """Say that this process lives, for all jobs that it has."""
        table = schema.job.c
        self._update(table.worker == worker, table.state.in_(UNFINISHED), seen_at=time.time())

    def unseen_since(self, moment: float) -> tuple[JobRecord, ...]:
        """Return unfinished records whose process was last known to live before `moment`."""
        table = schema.job.c
        return self._select(table.state.in_(UNFINISHED), table.seen_at < moment)

    def remove(self, id: str, owner: str) -> bool:
        """Forget a record; False where there was none of that owner."""
        table = schema.job
        with database_errors.plain_errors(self._url), database.writing(self._engine) as connection:
            query = sa.delete(table).where(table.c.id == id, table.c.owner == owner)
            return connection.execute(query).rowcount > 0

    def check(self) -> None:
        """Raise LibraryError unless the database answers."""
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            connection.execute(sa.select(schema.job.c.id).limit(1))

    def _select(self, *where: sa.ColumnElement[bool]) -> tuple[JobRecord, ...]:
        table = schema.job
        query = sa.select(table).where(*where).order_by(table.c.created_at, table.c.id)
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            return tuple(_record(row) for row in connection.execute(query).mappings())

    def _update(self, *where: sa.ColumnElement[bool], **values: Any) -> bool:
        with database_errors.plain_errors(self._url), database.writing(self._engine) as connection:
            query = sa.update(schema.job).where(*where).values(values)
            return connection.execute(query).rowcount > 0


_FIELDS: Collection[str] = {field.name for field in dataclasses.fields(JobRecord)}


def _record(row: sa.RowMapping) -> JobRecord:
    values = {name: row[name] for name in row if name in _FIELDS}
    return JobRecord(**values | {"settings": Settings(**row["settings"])})
