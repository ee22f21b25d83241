"""Who may ask the service: bearer tokens with scopes, and how often (RFC 6750)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool

from detector.errors import DetectorError
from detector.limits import Limits
from detector.service.problems import RETRY_AFTER, UNAVAILABLE
from detector.service.service import Service
from detector.service.tokens import Scope, Token

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="Made by `python -m detector token create NAME`.",
)


class Access:
    """Says whose request it is, and refuses those without a right to it.

    Args:
        limits: how many requests a second a token may send.
    """

    def __init__(self, limits: Limits) -> None:
        self._most = RateLimitItemPerSecond(limits.requests)
        self._counted = MovingWindowRateLimiter(MemoryStorage())

    def check(self, service: Callable[[], Service], text: str | None, scope: Scope) -> Token:
        """Return the token; raises HTTPException 401, 403, 429 or 503."""
        token = None if text is None else self._known(service, text)
        if token is None:
            raise HTTPException(
                401,
                "This needs a valid token; send one as “Authorization: Bearer …”, made by "
                "`python -m detector token create NAME`.",
                {"WWW-Authenticate": 'Bearer realm="veriframe"'},
            )
        if scope not in token.scopes:
            raise HTTPException(
                403,
                f"This token may not do that; it needs the scope “{scope}”.",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )
        if not self._counted.hit(self._most, token.id):
            raise HTTPException(
                429,
                f"This token sent more than {self._most.amount} requests a second; wait a second.",
                {"Retry-After": "1"},
            )
        return token

    @staticmethod
    def _known(service: Callable[[], Service], text: str) -> Token | None:
        try:
            return service().tokens.check(text)
        except DetectorError as error:  # it names folders and addresses
            logging.getLogger("veriframe").error("%s", error)
            raise HTTPException(503, UNAVAILABLE, {"Retry-After": RETRY_AFTER}) from error


def _allowed(
    request: Request, scope: Scope, credentials: HTTPAuthorizationCredentials | None
) -> Token:
    text = None if credentials is None else credentials.credentials
    access: Access = request.app.state.access
    return access.check(request.app.state.service, text, scope)


_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


# One change of threads for a request: each costs milliseconds while a scan holds the interpreter.
async def _reader(request: Request, credentials: _Credentials) -> Token:
    return await run_in_threadpool(_allowed, request, "read", credentials)


async def _writer(request: Request, credentials: _Credentials) -> Token:
    return await run_in_threadpool(_allowed, request, "write", credentials)


async def _service(request: Request) -> Service:
    """Return the service, open by now: a token was looked up in it."""
    service: Service = request.app.state.service()
    return service


Reader = Annotated[Token, Depends(_reader)]
Writer = Annotated[Token, Depends(_writer)]
TheService = Annotated[Service, Depends(_service)]
