"""Veriframe as one ASGI application: the pages of `app.py` and the REST routes, on one port.

Run with `streamlit run server.py` (`make run`).
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from streamlit import net_util

from detector.errors import DetectorError
from detector.jobs import process_queue
from detector.jobs.queue import leave_nothing
from detector.library.store import Library
from detector.service.headers import ResponseHeaders, inline_scripts, response_headers
from detector.service.health import Requests, health_routes, registry_of
from detector.service.routes import create_api, mounted
from detector.service.service import Service, ServiceOpener

STOP_WITHIN = 5  # seconds that open connections may still take


def allowed_hosts() -> list[str]:
    """Return the names this server answers to; without any, no name is refused.

    They are `server.allowedHosts`, which Streamlit itself asks only for its WebSocket.
    """
    names = [str(name) for name in st.get_option("server.allowedHosts")] or ["*"]
    return [f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names]


def front_end() -> str:
    """Return the HTML page into which Streamlit draws."""
    return (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")


# Streamlit asks a server of Amazon for this machine's outer address when it listens on all
# addresses, and whenever a page of another site tries to connect. Nothing leaves this machine.
net_util.get_external_ip = lambda: None
if st.get_option("server.address") in ("localhost", "127.0.0.1", "::1"):
    net_util.get_internal_ip = lambda: None  # opens a socket to one of Google to learn its own end


def begin() -> None:
    """Load the models, and go on with what the last process left unfinished."""
    try:
        service()
    except (DetectorError, OSError) as error:  # the pages work without it; the routes try again
        logging.getLogger("veriframe").error("%s", error)


def open_service() -> Service:
    """Open the service on a library of its own; nothing stays open where that fails."""
    library = Library.open()
    try:
        return Service(process_queue.jobs(), library)
    except BaseException:
        library.close()
        raise


service = ServiceOpener(open_service)


def uvicorn_server() -> uvicorn.Server | None:
    """Return the server that runs this application; None under another one."""
    running = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return running if isinstance(running, uvicorn.Server) else None


def stop_within(seconds: int) -> None:
    """Let Uvicorn wait only so long for open connections when it is told to end.

    Without a limit, which Streamlit does not set, an upload or a stream of events keeps a
    stopped server for hours.
    """
    running = uvicorn_server()
    if running is not None:
        running.config.timeout_graceful_shutdown = seconds


async def send_at_once() -> None:
    """Let small answers go out at once, on connections that begin from now on.

    asyncio does so only for sockets that name their protocol, and Streamlit's does not: the second
    part of each answer waited 40 ms for the first to be acknowledged (Nagle, RFC 896).
    """
    running = uvicorn_server()
    while running is not None and not running.started:
        await asyncio.sleep(0.01)
    for listening in running.servers if running is not None else ():
        for one in listening.sockets:
            if one.family in (socket.AF_INET, socket.AF_INET6):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextlib.asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Load and release what is ours; Uvicorn ends by the very signal that stopped it."""
    stop_within(STOP_WITHIN)
    beginning = asyncio.create_task(asyncio.to_thread(begin))
    sending = asyncio.create_task(send_at_once())
    yield
    sending.cancel()
    try:
        await beginning
        await asyncio.to_thread(service.close)
    finally:
        await asyncio.to_thread(leave_nothing)


api = create_api(service)
registry = registry_of(service)
app = st.App(
    Path(__file__).resolve().with_name("app.py"),
    lifespan=lifespan,
    routes=[
        *health_routes(service, api.state.access, registry),
        mounted(Requests(api, registry)),
    ],
    middleware=[
        # The outermost first, so that a refusal carries the headers too.
        Middleware(ResponseHeaders, headers=response_headers(inline_scripts(front_end()))),
        Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(), www_redirect=False),
    ],
)
