"""Errors of SQLite and PostgreSQL as sentences that say what to do."""

from __future__ import annotations

import contextlib
import errno
import logging
import sqlite3
from collections.abc import Iterator

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from detector.errors import LibraryError

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


def place(url: URL) -> str:
    """Return where the library is, for people; never the password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


@contextlib.contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Turn what the database or the disk refuses into a LibraryError of one sentence."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise LibraryError(_sentence(error, url)) from error
    except OSError as error:
        raise LibraryError(_sentence_for_file(error, url)) from error
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        # A cell of another type, a date of the year 10,000, a number beyond a column.
        logging.getLogger("veriframe").exception("a row of the library")
        raise LibraryError(_ROW.format(place=f"in {place(url)}")) from error


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
