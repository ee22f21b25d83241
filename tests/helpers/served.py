"""The app that the browser tests talk to."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

from tests.helpers.processes import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
# Without these Chromium looks for updates and accounts, which a closed network refuses.
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Server:
    """A running app: its address, its own folders (temporary, and what is kept), and its log."""

    url: str
    temporary: Path
    data: Path
    log: Path
    process: int = 0


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(
    folder: Path,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[Server]:
    """Run the app as `make run` does, on a free port, with folders of its own in `folder`."""
    port = port or free_port()
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    data, log = folder / "data", folder / "log.txt"
    ours = {**os.environ, "TMPDIR": str(temporary), "VERIFRAME_DATA": str(data)}
    ours.pop("DATABASE_URL", None)
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                "server.py",
                "--server.port",
                str(port),
                "--server.headless",
                "true",
                *options,
            ],
            cwd=ROOT,
            env={**ours, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://localhost:{port}"
    try:
        _wait(url, process, log)
        yield Server(url, temporary, data, log, process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the app did not start:\n{log.read_text()}")


def refusals(page: Page) -> list[str]:
    """Return what the browser refuses on that page by the server's policies, as it comes."""
    found: list[str] = []
    page.on(
        "console",
        lambda message: (
            found.append(message.text)
            if any(
                name in message.text for name in ("Content Security Policy", "Permissions-Policy")
            )
            else None
        ),
    )
    return found


def chromium_path() -> str:
    """Return the system's Chromium; RuntimeError where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), MAC if os.path.exists(MAC) else None)
    if path is None:
        raise RuntimeError(
            "The browser tests need Chromium: apt install chromium, or install Chrome."
        )
    return path


def chromium_flags(*more: str) -> list[str]:
    """Return the switches it is started with, and `more`."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*QUIET, *more, *(["--no-sandbox"] if root else [])]


def chromium(playwright: Playwright, *more: str) -> Browser:
    """Start headless Chromium, with `more` switches."""
    return playwright.chromium.launch(executable_path=chromium_path(), args=chromium_flags(*more))
