"""Opening the library's database: SQLite in the user's data folder, or PostgreSQL.

Everything that can go wrong below SQLAlchemy becomes one sentence here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from detector.errors import StoreError
from detector.folders import data_folder

# Not Alembic's own name: other programs' databases carry that one.
VERSION_TABLE = "veriframe_schema"
_VERSION = sa.table(VERSION_TABLE, sa.column("version_num"))
REVISION = "0003"  # the newest file in migrations/versions
MIGRATIONS = Path(__file__).resolve().parent / "migrations"

_LOCK_KEY = 0x5645524946  # PostgreSQL's advisory lock while migrating
_WAIT_SECONDS = 30


def database_url(url: str | None = None) -> URL:
    """The address of the library: `url`, else `DATABASE_URL`, else SQLite in the data folder.

    Raises:
        StoreError: the address is not one of SQLite or PostgreSQL.
    """
    text = url or os.environ.get("DATABASE_URL")
    if not text:
        return URL.create("sqlite", database=str(data_folder() / "library.sqlite"))
    try:
        parsed = make_url(text.replace("postgres://", "postgresql://", 1))
    except SQLAlchemyError as error:
        raise StoreError(
            "The address of the library cannot be read; write it as sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite")
    raise StoreError(
        "The library needs a file of SQLite or a PostgreSQL database; set DATABASE_URL to "
        "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE, or leave it out."
    )


def open_engine(url: URL) -> sa.Engine:
    """An engine on a database that holds the tables of `REVISION`, made or brought up to date.

    Raises:
        StoreError: it cannot be reached or written, is damaged, belongs to another program, or
            was made by a newer Veriframe.
    """
    with plain_errors(url):
        if url.get_backend_name() == "sqlite":
            return _open_sqlite(url)
        engine = sa.create_engine(
            url,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "veriframe"},
        )
        return _prepared(engine)


def _open_sqlite(url: URL) -> sa.Engine:
    path = Path(str(url.database))
    if not path.parent.is_dir():
        # Faces are in it: nobody else on this machine needs to look.
        path.parent.mkdir(mode=0o700, parents=True)
    engine = sa.create_engine(url, connect_args={"timeout": _WAIT_SECONDS})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    with path.with_name(path.name + ".lock").open("a") as lock:
        # Changing to WAL does not wait for others by itself, so that openers take turns.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.touch(mode=0o600)
        return _prepared(engine)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")  # deleted faces are overwritten
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    # A reader that turns writer halfway would fail at once where another one writes.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in one transaction: all of it is kept, or nothing."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def _prepared(engine: sa.Engine) -> sa.Engine:
    try:
        with engine.connect() as connection:
            found = _revision(connection)
        server = engine.dialect.name == "postgresql"
        if not server:
            with engine.connect() as connection:
                raw: Any = connection.connection.dbapi_connection
                if found is None:  # works only before the first table
                    raw.execute("PRAGMA auto_vacuum=INCREMENTAL")
                raw.execute("PRAGMA journal_mode=WAL")
        # Also where nothing has to change: a library that cannot be written says so now, not
        # after an hour of analysis. (SQLite says so when the transaction begins; an UPDATE
        # there would lock people with a full disk out of deleting.)
        with writing(engine) as connection:
            if server:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
            if _revision(connection) != REVISION:
                _migrate(connection)
            if server:
                connection.execute(sa.update(_VERSION).values(version_num=REVISION))
    except BaseException:
        engine.dispose()
        raise
    return engine


def _revision(connection: sa.Connection) -> str | None:
    """The schema's revision, None for an empty database; StoreError for one that is not ours."""
    tables = sa.inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        found = connection.execute(sa.select(_VERSION.c.version_num)).scalar()
        known = {path.name.split("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*.py")}
        if found not in known:
            raise StoreError(
                f"The library has schema {found}, newer than {REVISION}; update Veriframe to open "
                "it, or choose another folder with VERIFRAME_DATA."
            )
        return str(found)
    if tables:
        raise StoreError(
            "The database belongs to another program; give Veriframe an empty one of its own."
        )
    return None


def _migrate(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")


def place(url: URL) -> str:
    """Where the library is, for people; never the password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


@contextlib.contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Turns what the database or the disk refuses into a StoreError of one sentence."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(_sentence(error, url)) from error
    except OSError as error:
        raise StoreError(_sentence_for_file(error, url)) from error
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        # A cell of another type, a date of the year 10,000, a number beyond a column.
        logging.getLogger("veriframe").exception("a row of the library")
        raise StoreError(_ROW.format(place=f"in {place(url)}")) from error


_FULL = (
    "There is no room left for the library {place}; free some space or delete analyses, "
    "then try again."
)
_READ_ONLY = (
    "The library {place} may only be read; allow this user to write there, or choose another "
    "folder with VERIFRAME_DATA."
)
_DAMAGED = (
    "The library {place} is damaged or was never one; restore a copy of it, or move it away to "
    "start anew."
)
_BUSY = "The library {place} is being written by another program; try again in a moment."
_DISK = (
    "The disk refuses to read or write the library {place}; check that it has room left and is "
    "whole, then try again."
)
_CANNOT_OPEN = (
    "The library {place} cannot be opened; check that its folder exists and may be written, or "
    "choose another with VERIFRAME_DATA."
)
_UNREACHABLE = (
    "The database {place} cannot be reached; check that PostgreSQL runs there and that "
    "DATABASE_URL is right."
)
_REFUSED = (
    "The database {place} refuses this user; check the user, password and rights that "
    "DATABASE_URL names."
)
_ROW = (
    "Something in the library {place} cannot be read or written as what it should be; delete the "
    "analysis that it belongs to, or restore a copy of the library."
)
_FAILED = "The library {place} could not be used ({reason}); try again, or restart Veriframe."

_SQLITE = {5: _BUSY, 6: _BUSY, 8: _READ_ONLY, 10: _DISK, 11: _DAMAGED, 13: _FULL,
           14: _CANNOT_OPEN, 23: _READ_ONLY, 26: _DAMAGED}  # fmt: skip
_POSTGRESQL = {"53100": _FULL, "53200": _FULL, "25006": _READ_ONLY, "42501": _REFUSED,
               "28": _REFUSED, "3D000": _UNREACHABLE, "08": _UNREACHABLE, "57P": _UNREACHABLE,
               "55P03": _BUSY, "40": _BUSY, "XX001": _DAMAGED, "XX002": _DAMAGED,
               "42P01": _DAMAGED, "42703": _DAMAGED}  # fmt: skip


def _sentence(error: SQLAlchemyError | sqlite3.Error, url: URL) -> str:
    template = _FAILED
    reason = str(error).splitlines()[0]
    orig = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DBAPIError | sqlite3.Error) and orig is not None:
        reason = (str(orig).strip() or type(orig).__name__).splitlines()[0]
        code = getattr(orig, "sqlite_errorcode", None)
        state = getattr(orig, "sqlstate", None)
        if code is not None:
            template = _SQLITE.get(code & 0xFF, _FAILED)
            if code & 0xFF == 1 and ("no such table" in reason or "no such column" in reason):
                template = _DAMAGED
        elif state is not None:
            fits = [text for start, text in _POSTGRESQL.items() if state.startswith(start)]
            template = fits[0] if fits else _FAILED
        elif isinstance(error, OperationalError):
            # Before a connection stands there is no code, only words in the server's language.
            refused = any(word in reason for word in ("authentication", "password", "role"))
            template = _REFUSED if refused else _UNREACHABLE
    return template.format(place=f"in {place(url)}", reason=reason)


def _sentence_for_file(error: OSError, url: URL) -> str:
    template = {
        errno.ENOSPC: _FULL,
        errno.EDQUOT: _FULL,
        errno.EFBIG: _FULL,
        errno.EROFS: _READ_ONLY,
        errno.EACCES: _READ_ONLY,
        errno.EPERM: _READ_ONLY,
    }.get(error.errno or 0, _CANNOT_OPEN)
    return template.format(place=f"in {place(url)}", reason=error.strerror)
