"""What the server tells browsers and strangers: headers, names, origins, and its address."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from detector.service.headers import response_headers
from pages.parts import navigation
from tests.helpers.served import Server, refusals

_, *PAGES = (Path(path).stem for path, *_ in navigation.PAGES)


def asked(
    server: Server, path: str, headers: dict[str, str], method: str = "GET"
) -> tuple[int, http.client.HTTPMessage]:
    """Status and headers of one answer; a refusal is an answer too."""
    request = urllib.request.Request(f"{server.url}{path}", headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


@pytest.mark.parametrize(
    "path", ["/", "/library", "/_stcore/health", "/static/nothing.js", "/media/nothing.png"]
)
def test_every_answer_carries_the_headers(server: Server, path: str) -> None:
    _, headers = asked(server, path, {})
    for name, value in response_headers().items():
        if name != "content-security-policy":
            assert headers.get_all(name) == [value], name
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost:1", True),
        ("127.0.0.1", True),
        ("[::1]:8501", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("169.254.169.254", False),
    ],
)
@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/media/nothing.png"])
def test_only_known_names_are_answered(
    server: Server, host: str, answered: bool, path: str
) -> None:
    status, headers = asked(server, path, {"Host": host})
    assert (status != 400) == answered
    assert headers["x-frame-options"] == "DENY"


def upgrade(server: Server, **headers: str) -> int:
    """The status with which the app's WebSocket answers."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection("localhost", address.port, timeout=10)
    wanted = {
        "Host": address.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "streamlit",
    }
    try:
        connection.request("GET", "/_stcore/stream", headers=wanted | headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 101),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 400),
    ],
    ids=["own", "other origin", "no origin", "rebound name"],
)
def test_no_other_page_opens_the_websocket(
    server: Server, headers: dict[str, str], status: int
) -> None:
    assert upgrade(server, **headers) == status


def test_an_upload_without_the_token_is_refused(server: Server) -> None:
    path = "/_stcore/upload_file/session/file"
    status, _ = asked(server, path, {"Origin": "http://evil.example"}, "PUT")
    assert status in (400, 403)


def test_another_origin_may_not_read(server: Server) -> None:
    _, headers = asked(server, "/_stcore/health", {"Origin": "http://evil.example"})
    assert headers["access-control-allow-origin"] in (None, "")


def test_it_listens_on_this_machine_only(server: Server) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in own:
        if str(address).startswith("127.") or address == "::1":
            continue
        with pytest.raises(OSError, match=r"."):  # refused, or no way there
            socket.create_connection((address, port), timeout=2).close()
    socket.create_connection(("localhost", port), timeout=2).close()


@pytest.mark.parametrize("name", PAGES)
def test_no_page_needs_what_the_policy_forbids(page: Page, server: Server, name: str) -> None:
    page.goto(f"{server.url}/{name}")  # the fixture looks at what was refused
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_script_from_text_does_not_run(browser: Browser, server: Server) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        refused = refusals(page)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            " document.head.append(s); const i = document.createElement('img');"
            " i.setAttribute('onerror', 'window.ran = 2'); i.src = 'x:'; document.body.append(i); }"
        )
        page.wait_for_timeout(300)
        assert page.evaluate("() => window.ran") is None
        assert len(refused) >= 2
