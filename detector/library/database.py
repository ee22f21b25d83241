"""Opening the library's database: SQLite in the user's data folder, or PostgreSQL.

Whatever goes wrong below SQLAlchemy becomes one sentence, see `database_errors`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from detector.errors import LibraryError
from detector.files import data_folder
from detector.library.database_errors import plain_errors

# Not Alembic's own name: other programs' databases carry that one.
VERSION_TABLE = "veriframe_schema"
_VERSION = sa.table(VERSION_TABLE, sa.column("version_num"))
REVISION = "0003"  # the newest file in migrations/versions
MIGRATIONS = Path(__file__).resolve().parent / "migrations"

_LOCK_KEY = 0x5645524946  # PostgreSQL's advisory lock while migrating
_WAIT_SECONDS = 30


def database_url(url: str | None = None) -> URL:
    """Return the address of the library: `url`, `DATABASE_URL`, or SQLite in the data folder.

    Raises:
        LibraryError: the address is not one of SQLite or PostgreSQL.
    """
    text = url or os.environ.get("DATABASE_URL")
    if not text:
        return URL.create("sqlite", database=str(data_folder() / "library.sqlite"))
    try:
        parsed = make_url(text.replace("postgres://", "postgresql://", 1))
    except SQLAlchemyError as error:
        raise LibraryError(
            "The address of the library cannot be read; write it as sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite")
    raise LibraryError(
        "The library needs a file of SQLite or a PostgreSQL database; set DATABASE_URL to "
        "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE, or leave it out."
    )


def open_engine(url: URL) -> sa.Engine:
    """Open an engine on a database that holds the tables of `REVISION`, made or brought up to date.

    Raises:
        LibraryError: it cannot be reached or written, is damaged, belongs to another program, or
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
    """Open a connection in one transaction: all of it is kept, or nothing."""
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
    """Return the schema's revision, None for an empty database; LibraryError if it is not ours."""
    tables = sa.inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        found = connection.execute(sa.select(_VERSION.c.version_num)).scalar()
        known = {path.name.split("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*.py")}
        if found not in known:
            raise LibraryError(
                f"The library has schema {found}, newer than {REVISION}; update Veriframe to open "
                "it, or choose another folder with VERIFRAME_DATA."
            )
        return str(found)
    if tables:
        raise LibraryError(
            "The database belongs to another program; give Veriframe an empty one of its own."
        )
    return None


def _migrate(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
