"""server: what it sets on Uvicorn, which Streamlit starts."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest
import uvicorn

import server
from tests.helpers.apptest import open_page


def test_pages_are_not_parsed_as_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 fails at it now and then where another thread does so too."""
    parsed: list[str] = []
    monkeypatch.setattr(
        "streamlit.runtime.scriptrunner.magic.add_magic",
        lambda code, path: parsed.append(path) or code,
    )
    assert open_page("model_card").title[0].value == "Model card"
    assert parsed == []


def test_small_answers_go_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a socket like Streamlit's, without a protocol's number, asyncio does not see to it."""
    options: list[int] = []

    async def connect() -> None:
        with socket.socket(socket.AF_INET) as own, socket.socket() as visitor:
            own.bind(("127.0.0.1", 0))
            accepted = asyncio.Event()

            async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                taken = writer.get_extra_info("socket")
                options.append(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                writer.close()
                accepted.set()

            listening = await asyncio.start_server(look, sock=own)
            running = uvicorn.Server(uvicorn.Config(server.app))
            running.started, running.servers = True, [listening]
            monkeypatch.setattr(server, "uvicorn_server", lambda: running)
            await server.send_at_once()
            visitor.setblocking(False)
            await asyncio.get_running_loop().sock_connect(visitor, own.getsockname())
            await accepted.wait()
            listening.close()

    asyncio.run(asyncio.wait_for(connect(), 60))
    assert options[0] != 0


def test_open_connections_have_a_limit() -> None:
    before = signal.getsignal(signal.SIGTERM)
    running = uvicorn.Server(uvicorn.Config(server.app))
    signal.signal(signal.SIGTERM, running.handle_exit)
    try:
        assert server.uvicorn_server() is running
        server.stop_within(3)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert running.config.timeout_graceful_shutdown == 3


def test_another_server_is_left_alone() -> None:
    assert server.uvicorn_server() is None
    server.stop_within(3)
    asyncio.run(server.send_at_once())
