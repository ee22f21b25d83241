"""Veriframe as one ASGI application: the pages of `app.py` behind strict response headers.

Run with `streamlit run server.py` (`make run`). Routes beside the pages belong here too.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from detector.jobs import leave_nothing
from detector.response_headers import ResponseHeaders, inline_scripts, response_headers


def allowed_hosts() -> list[str]:
    """The names this server answers to: `server.allowedHosts`, which Streamlit itself asks only
    for its WebSocket; without any, no name is refused."""
    names = [str(name) for name in st.get_option("server.allowedHosts")] or ["*"]
    return [f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names]


def front_end() -> str:
    """The HTML page into which Streamlit draws."""
    return (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")


@contextlib.asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Uvicorn ends by the very signal that stopped it: what is ours goes before."""
    yield
    await asyncio.to_thread(leave_nothing)


app = st.App(
    Path(__file__).resolve().with_name("app.py"),
    lifespan=lifespan,
    middleware=[
        # The outermost first, so that a refusal carries the headers too.
        Middleware(ResponseHeaders, headers=response_headers(inline_scripts(front_end()))),
        Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(), www_redirect=False),
    ],
)
