"""What a library's parts share: its database, whose analyses are seen, pieces of statements."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL

from detector.library import database_errors, schema

ROWS_AT_ONCE = 5000  # in one statement's batch

Item = TypeVar("Item")


class Connection:
    """A library's database as one person sees it.

    Args:
        engine: of the database.
        url: its address; holds the password.
        owner: whose analyses are seen; "" for what was kept without a login.
    """

    def __init__(self, engine: sa.Engine, url: URL, owner: str = "") -> None:
        self._engine = engine
        self._url = url
        self._owner = owner

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

    @property
    def place(self) -> str:
        """Where the library is, for people; holds no password."""
        return database_errors.place(self._url)

    def _own(self, connection: sa.Connection) -> list[sa.ColumnElement[bool]]:
        """Return WHERE for analyses of the owner, joined by AND; none where all of them are."""
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
        """Return the same for rows that name their analysis in `column`."""
        own = self._own(connection)
        return [column.in_(sa.select(schema.analysis.c.id).where(*own))] if own else []

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """Open a connection to read from, whose errors are sentences."""
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            yield connection


def within(page: int, total: int, size: int) -> int:
    """Return the number of a page that exists: from 1 to the last of `total` items."""
    return min(max(page, 1), max(math.ceil(total / size), 1))


def chunks(values: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield values in parts of at most `size`, since a statement takes only so many."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
