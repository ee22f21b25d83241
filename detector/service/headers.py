"""Headers that tell the browser what the app's pages may do, on every response of the server.

The policy allows what Streamlit's own front end needs and nothing from another machine:
Streamlit writes styles into the page (`unsafe-inline` for styles only), loads the scripts of
components from blobs, and draws from `data:` and `blob:` images. Sources: W3C "Content Security
Policy Level 3", "Permissions Policy", "Referrer Policy"; OWASP "HTTP Headers Cheat Sheet".
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Nothing of this is used here, and a page that could be tricked must not get at it either.
_DENIED = (
    "accelerometer", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope",
    "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment", "screen-wake-lock",
    "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
_OWN = ("autoplay", "clipboard-write", "fullscreen", "picture-in-picture")

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def inline_scripts(page: str) -> tuple[str, ...]:
    """Return CSP sources, such as `'sha256-…'`, of the scripts that stand in an HTML page."""
    hashes = (hashlib.sha256(script.encode()).digest() for script in _INLINE.findall(page))
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)


def content_security_policy(scripts: Iterable[str] = ()) -> str:
    """Return the policy.

    Args:
        scripts: sources of scripts that are allowed besides the server's own files.
    """
    sources = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "blob:", *scripts]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self' blob: data:",  # 'self' covers its WebSocket; charts fetch data: URLs
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-src": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items())


def response_headers(scripts: Iterable[str] = ()) -> dict[str, str]:
    """Return all headers, by their lower-case names; see `content_security_policy`."""
    denied = [f"{name}=()" for name in _DENIED]
    own = [f"{name}=(self)" for name in _OWN]
    return {
        "content-security-policy": content_security_policy(scripts),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": ", ".join([*denied, *own]),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


class ResponseHeaders:
    """ASGI middleware that sets headers on every HTTP response, in place of what was there.

    Args:
        app: the application inside.
        headers: by lower-case name, see `response_headers`.
    """

    def __init__(self, app: Application, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ours = {name for name, _ in self._headers}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in ours]
                message["headers"] = kept + self._headers
            await send(message)

        await self._app(scope, receive, with_headers)
