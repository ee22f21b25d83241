"""The headers, without and with the server that sends them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from detector.service.headers import (
    ResponseHeaders,
    content_security_policy,
    inline_scripts,
    response_headers,
)


def directives(policy: str) -> dict[str, list[str]]:
    """Sources by directive."""
    parts = [part.split() for part in policy.split(";")]
    return {part[0]: part[1:] for part in parts}


def sent(kind: str, given: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    """What an application's response becomes behind the middleware."""
    messages: list[dict[str, Any]] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        start = "http.response.start" if kind == "http" else "websocket.accept"
        await send({"type": start, "status": 200, "headers": given})

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.request"}

    async def send(message: Any) -> None:
        messages.append(dict(message))

    middleware = ResponseHeaders(inside, response_headers())
    asyncio.run(middleware({"type": kind}, receive, send))
    return messages


@pytest.mark.parametrize("name", ["default-src", "script-src", "connect-src", "worker-src"])
def test_nothing_of_another_machine_and_no_code_from_text(name: str) -> None:
    sources = directives(content_security_policy())[name]
    assert set(sources) <= {"'self'", "blob:", "data:"}
    assert "'unsafe-eval'" not in sources
    assert "'unsafe-inline'" not in sources


@pytest.mark.parametrize("name", ["object-src", "base-uri", "frame-src", "frame-ancestors"])
def test_what_is_never_needed_is_off(name: str) -> None:
    assert directives(content_security_policy())[name] == ["'none'"]


def test_scripts_of_the_page_itself_are_named_by_hash() -> None:
    page = "<html><script>alert(1)</script><script src='a.js'></script></html>"
    # Made with: printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    known = "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"
    assert inline_scripts(page) == (known,)
    assert known in directives(content_security_policy(inline_scripts(page)))["script-src"]


def test_headers_replace_what_the_application_set() -> None:
    given = [(b"X-Frame-Options", b"ALLOWALL"), (b"content-type", b"text/html")]
    headers = sent("http", given)[0]["headers"]
    assert (b"content-type", b"text/html") in headers
    assert [value for name, value in headers if name.lower() == b"x-frame-options"] == [b"DENY"]
    assert len(headers) == 1 + len(response_headers())


def test_a_websocket_is_left_alone() -> None:
    assert sent("websocket", [(b"a", b"b")])[0]["headers"] == [(b"a", b"b")]
