"""One person's whole session: upload, scan, look around, explain, report, library.

Run as a program with a folder: prints JSON with what the browser asked for and what came of it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.helpers.served import ROOT, Server, chromium, serve

CLIP = ROOT / "assets" / "samples" / "grid_brbk7n.mp4"
PAGES = ("Feature maps", "Training", "Frames", "Model card", "Library")


def main(folder: Path) -> None:
    """Run the session, on a server of its own that is watched."""
    guard = folder / "guard.txt"
    watched = {
        "NETWORK_GUARD": str(guard),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "browser" / "guard"), str(ROOT)]),
    }
    asked: list[str] = []
    with sync_playwright() as playwright, serve(folder, environment=watched) as server:
        # No name but this machine's: what Chromium itself would ask for is not the app's.
        browser = chromium(playwright, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost")
        page = browser.new_page(viewport={"width": 1280, "height": 2200})
        page.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        report = session(page, server, folder)
        browser.close()
        stranger = foreign_page(server)
        time.sleep(1)
    print(
        json.dumps(
            {
                "url": server.url,
                "asked": sorted(set(asked)),
                "report": report,
                "stranger": stranger,
                "tried": guard.read_text().splitlines(),
                "log": server.log.read_text(),
            }
        )
    )


def session(page: Page, server: Server, folder: Path) -> str:
    """Do what the person does; return how the report begins."""
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status))
    page.goto(server.url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload", exact=True).click()
    chooser.value.set_files(CLIP)
    expect(page.locator(".st-key-timeline .scatterlayer .trace path.point").first).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("button", name="Report (PDF)").click()
    report = folder / "report.pdf"
    started.value.save_as(report)
    page.get_by_role("link", name="Attributions").click()
    expect(page.get_by_role("heading", name="Attributions", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile("Making the map"))).to_have_count(0)
    expect(page.get_by_test_id("stImage").first).to_be_visible()
    for name in PAGES:
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page.get_by_role("heading", name=name, exact=True).first).to_be_visible()
    expect(page.get_by_text(CLIP.name).first).to_be_visible()
    assert max(statuses) < 500
    return report.read_bytes()[:5].decode()


def foreign_page(server: Server) -> str:
    """Return what the server answers where a page of another site asks for its WebSocket."""
    port = int(server.url.rsplit(":", 1)[1].strip("/"))
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\nOrigin: https://elsewhere.example\r\n\r\n"
    )
    with socket.create_connection(("localhost", port), timeout=60) as connection:
        connection.sendall(request.encode())
        return connection.recv(100).split(b"\r\n")[0].decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
