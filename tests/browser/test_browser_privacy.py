"""Nothing leaves the machine: a whole session, watched from inside and on the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers import wiretap
from tests.helpers.served import ROOT

HERE = Path(__file__).parent
WIRE = wiretap.possible()  # native code is watched too where this machine lets us


@dataclass(frozen=True)
class Watched:
    """What a session tried.

    Attributes:
        url: of the server.
        asked: addresses that the browser asked for.
        tried: what the guard in each Python process wrote down.
        packets: what came out on the wire; None where no namespace can be made.
        report: the first bytes of the report.
        stranger: what a page of another site was answered.
        log: of the server.
    """

    url: str
    asked: list[str]
    tried: list[str]
    packets: list[str] | None
    report: str
    stranger: str
    log: str


def on_the_wire(folder: Path, *command: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a command in a namespace; what it says, and the packets that it sent."""
    packets = folder / "packets.txt"
    done = subprocess.run(
        [*wiretap.UNSHARE, sys.executable, wiretap.__file__, str(packets), *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done, packets.read_text().splitlines()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A whole session, on the wire where this machine allows it."""
    folder = tmp_path_factory.mktemp("privacy")
    command = [sys.executable, str(ROOT / "tests" / "helpers" / "whole_session.py"), str(folder)]
    packets = None
    if WIRE:
        done, packets = on_the_wire(folder, *command)
    else:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=500,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return Watched(packets=packets, **found)


def test_the_session_was_a_whole_one(watched: Watched) -> None:
    assert watched.report == "%PDF-"
    assert any("/_stcore/upload_file/" in url for url in watched.asked)
    assert any(url.startswith("ws://") for url in watched.asked)
    assert watched.stranger.startswith("HTTP/1.1 403")


def test_no_process_tried_to_leave(watched: Watched) -> None:
    assert "ready" in watched.tried, "the guard was not there"
    assert [line for line in watched.tried if line != "ready"] == []


def test_nothing_came_out_on_the_wire(watched: Watched) -> None:
    assert not watched.packets  # of native code too, where a namespace can be made


def test_the_browser_asked_nobody_else(watched: Watched) -> None:
    own = (watched.url, watched.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in watched.asked if not url.startswith(own)] == []


SOCKET = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_{})\n"
LEAKS = {
    "connect": SOCKET.format("STREAM") + "s.settimeout(0.5); s.connect_ex(('192.0.2.1', 80))",
    "sendto": SOCKET.format("DGRAM") + "s.sendto(b'x', ('192.0.2.1', 9))",
    "name": "import socket; socket.getaddrinfo('a.example', 80)",
    "url": "import urllib.request; urllib.request.urlopen('http://192.0.2.1', timeout=0.5)",
}


@pytest.mark.parametrize("program", LEAKS.values(), ids=LEAKS)
def test_the_guard_sees_what_it_is_for(tmp_path: Path, program: str) -> None:
    guard = tmp_path / "guard.txt"
    environment = {**os.environ, "NETWORK_GUARD": str(guard), "PYTHONPATH": str(HERE / "guard")}
    # Whether it comes through is not the question.
    subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env=environment,
        timeout=60,
        capture_output=True,
    )
    ready, *tried = guard.read_text().splitlines()
    assert ready == "ready"
    assert any("192.0.2.1" in found or "a.example" in found for found in tried)


if WIRE:

    def test_the_wire_sees_native_code(tmp_path: Path) -> None:
        """A program that is no Python at all asks for a name."""
        _, packets = on_the_wire(tmp_path, "getent", "ahosts", "a.example")
        assert any(wiretap.NAMESERVER in one and "example" in one for one in packets)


def test_usage_statistics_are_off() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "localhost"


def test_the_one_exception_is_named_where_it_is_chosen() -> None:
    from detector.faces.mediapipe import PRIVACY_NOTE
    from pages.parts.check.settings_panel import DETECTOR_NAMES

    assert "Google" in PRIVACY_NOTE
    for detector, title in DETECTOR_NAMES.items():
        assert ("contacts Google" in title) == detector.startswith("mediapipe")
