"""Who may ask the service, and for what: tokens that are shown once and kept only as a hash.

A token reads `vf_ID_SECRET`. The secret has 256 random bits, so that its plain SHA-256 gives
nothing away (NIST SP 800-63B, 5.1.2.2: salting and stretching are for secrets people choose).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from detector.errors import TokenError
from detector.library import database, database_errors, schema
from detector.library.sql import clean
from detector.library.store import Library

Scope = Literal["read", "write", "metrics"]
SCOPES: tuple[Scope, ...] = ("read", "write", "metrics")
DEFAULT_SCOPES: tuple[Scope, ...] = ("read", "write")
_TOKEN = re.compile(r"vf_([0-9a-f]{12})_([\w-]{43})", re.ASCII)


@dataclass(frozen=True)
class Token:
    """What is known of a token; not its secret.

    Attributes:
        id: 12 hex digits.
        name: what it is for, in words.
        owner: whose analyses it may see and add to, see `Store.owned_by`.
        scopes: "read" results, "write" (send and delete), "metrics".
        created_at, expires_at, revoked_at: seconds since 1970, UTC; None for never.
    """

    id: str
    name: str
    owner: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    @property
    def valid(self) -> bool:
        """True unless it was revoked or has expired."""
        return self.revoked_at is None and (
            self.expires_at is None or time.time() < self.expires_at
        )


class Tokens:
    """The table of tokens. Safe under threads and processes; raises LibraryError.

    Args:
        library: the library in whose database they are kept.
    """

    def __init__(self, library: Library) -> None:
        self._engine = library.engine
        self._url = library.url

    def create(
        self,
        name: str,
        scopes: Collection[Scope] = DEFAULT_SCOPES,
        owner: str = "",
        days: float | None = None,
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            name: what it is for, in words.
            scopes: of `SCOPES`.
            owner: whose analyses it may see; "" for those kept without a login.
            days: after which it expires; None for never.

        Returns:
            The token, and its text, which is shown this once.

        Raises:
            TokenError: the name is empty, a scope does not exist, or the time is not ahead.
        """
        name = clean(name).strip()
        unknown = set(scopes) - set(SCOPES)
        if not name:
            raise TokenError("A token needs a name; say in a word or two what it is for.")
        if unknown or not scopes:
            raise TokenError(f"A token needs scopes of these: {', '.join(SCOPES)}.")
        if days is not None and not 0 < days <= 36_500:
            raise TokenError("A token lasts for a number of days above 0, at most 36500.")
        now = time.time()
        token = Token(
            id=secrets.token_hex(6),
            name=name[:200],
            owner=clean(owner),
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            created_at=now,
            expires_at=None if days is None else now + days * 86_400,
            revoked_at=None,
        )
        secret = secrets.token_urlsafe(32)
        row = vars(token) | {"scopes": list(token.scopes), "sha256": _hash(secret)}
        with database_errors.plain_errors(self._url), database.writing(self._engine) as connection:
            connection.execute(sa.insert(schema.token), row)
        return token, f"vf_{token.id}_{secret}"

    def check(self, text: str) -> Token | None:
        """Return the token that `text` is, if it is a valid one."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        query = sa.select(schema.token).where(schema.token.c.id == match[1])
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None or not hmac.compare_digest(_hash(match[2]), row["sha256"]):
            return None
        token = _token(row)
        return token if token.valid else None

    def valid(self, id: str) -> bool:
        """Return whether the token with this id is still valid."""
        query = sa.select(schema.token).where(schema.token.c.id == id)
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return row is not None and _token(row).valid

    def all(self) -> tuple[Token, ...]:
        """Return every token that was made, oldest first."""
        query = sa.select(schema.token).order_by(schema.token.c.created_at, schema.token.c.id)
        with database_errors.plain_errors(self._url), self._engine.connect() as connection:
            return tuple(_token(row) for row in connection.execute(query).mappings())

    def revoke(self, id: str) -> Token:
        """Make a token invalid from now on; raises TokenError where there is none."""
        table = schema.token
        query = sa.select(table).where(table.c.id == id)
        with database_errors.plain_errors(self._url), database.writing(self._engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                raise TokenError(
                    f"There is no token {id[:40]}; `python -m detector token list` shows them."
                )
            if row["revoked_at"] is None:
                change = sa.update(table).where(table.c.id == id).values(revoked_at=time.time())
                connection.execute(change)
            return _token(connection.execute(query).mappings().one())


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row: sa.RowMapping) -> Token:
    values = {name: row[name] for name in row if name != "sha256"}
    return Token(**values | {"scopes": tuple(row["scopes"])})
