"""The whole service as a process: pages and routes on one port, a kill and a restart."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from detector.analysis.scan import scan
from detector.client import ApiError, Client
from detector.library.store import Library
from detector.service.tokens import Tokens
from detector.settings import Settings
from tests.helpers.processes import ROOT

CLIP = ROOT / "assets" / "samples" / "grid_brbk7n.mp4"
WAIT = 120


class Server:
    """`streamlit run server.py`, as `make run` starts it, with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        with Library.open(self.data / "library.sqlite") as library:
            self.token = Tokens(library).create("test", ["read", "write", "metrics"])[1]
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://localhost:{self.port}"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "streamlit",
                    "run",
                    "server.py",
                    "--server.headless",
                    "true",
                    "--server.port",
                    str(self.port),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"VERIFRAME_DATA": str(self.data)},
            )
        end = time.monotonic() + WAIT
        while not self._ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            return httpx2.get(self.address + "/readyz", timeout=10).is_success
        except httpx2.HTTPError:
            return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(WAIT)

    def client(self) -> Client:
        return Client(self.address, self.token)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("service"))
    running.start()
    yield running
    running.stop()


def test_the_client_goes_the_whole_way(server: Server, tmp_path: Path) -> None:
    told: list[int] = []
    with server.client() as client:
        job = client.send(CLIP, frames=4)
        done = client.wait(job, on_progress=lambda job: told.append(job["progress"]["done"]))
        assert done["state"] == "done"
        assert told[-1] == 4
        assert told == sorted(told)
        result = client.result(done)
        here = scan(CLIP, Settings(frames=4))
        assert result.finding.band == here.finding.band
        assert result.finding.logit == pytest.approx(here.finding.logit, abs=1e-3)
        assert client.save(done, tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
        assert client.save(done, tmp_path / "scores.csv").stat().st_size > 0
        index = result.frames[0].index
        assert client.frame(done, index).startswith(b"\xff\xd8")
        assert client.send(CLIP, frames=4)["id"] == job["id"]
        assert [one["id"] for one in client.jobs("done")] == [job["id"]]
        assert client.models()[0]["networks"]
        client.delete(job)
        with pytest.raises(ApiError, match="no analysis") as refused:
            client.job(job)
        assert refused.value.status == 404


def test_pages_and_routes_share_the_port_and_its_headers(server: Server) -> None:
    page = httpx2.get(server.address)
    route = httpx2.get(server.address + "/api/v1/openapi.json")
    assert page.headers["content-type"].startswith("text/html")
    assert route.headers["content-type"] == "application/json"
    for answer in (page, route, httpx2.get(server.address + "/healthz")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    other = httpx2.get(server.address + "/api/v1/models", headers={"Host": "elsewhere.example"})
    assert other.status_code == 400


def test_a_token_in_an_address_is_no_token(server: Server) -> None:
    answer = httpx2.get(server.address + "/api/v1/models", params={"token": server.token})
    assert answer.status_code == 401


def test_a_sender_that_vanishes_leaves_nothing(server: Server) -> None:
    head = (
        f"POST /api/v1/analyses HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        f"Authorization: Bearer {server.token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="clip"; filename="a.mp4"\r\n\r\n'
    )
    pending = server.data / "spool"

    def arriving() -> list[Path]:
        return list(pending.glob("*.part"))

    with socket.create_connection(("localhost", server.port)) as sender:
        sender.sendall(head.encode() + b"\0" * 3_000_000)
        end = time.monotonic() + WAIT
        while not arriving():
            assert time.monotonic() < end
            time.sleep(0.05)
    end = time.monotonic() + WAIT
    while arriving():
        assert time.monotonic() < end
        time.sleep(0.05)
    with server.client() as client:
        assert list(client.jobs()) == []
    assert "Traceback" not in server.log.read_text()


def test_a_killed_server_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    """Jobs that ran or waited are done after the restart, and nothing is done twice."""
    with server.client() as client:
        first = client.wait(client.send(CLIP, frames=2))
        sent = [client.send(CLIP, frames=frames) for frames in (20, 21, 22, 23)]
        assert server.process is not None
        server.process.kill()
        server.process.wait()
    server.start()
    with server.client() as client:
        ended = [client.wait(job) for job in sent]
        again = client.job(first)
        assert [job["state"] for job in ended] == ["done"] * len(sent)
        assert max(job["attempts"] for job in ended) == 2
        assert (again["attempts"], again["analysis"]) == (1, first["analysis"])
        analyses = [job["analysis"] for job in [first, *ended]]
        assert len(set(analyses)) == len(analyses)
    with Library.open(server.data / "library.sqlite") as library:
        assert set(library.ids()) == set(analyses)
    end = time.monotonic() + WAIT
    while list((server.data / "spool").glob("*.clip")):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_open_connections_do_not_keep_a_stopped_server(server: Server) -> None:
    """A stream of events and half an upload are open; the job goes on after the restart."""
    told = threading.Event()
    ended: list[str] = []

    def follow() -> None:
        with server.client() as client:
            ended.append(client.wait(job, on_progress=lambda _: told.set())["state"])

    head = (
        f"POST /api/v1/analyses HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        f"Authorization: Bearer {server.token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n--b"
    )
    with server.client() as client:
        job = client.send(CLIP, frames=48)
        follower = threading.Thread(target=follow)
        follower.start()
        assert told.wait(WAIT)
        with socket.create_connection(("localhost", server.port)) as sender:
            sender.sendall(head.encode())
            time.sleep(0.5)
            assert server.process is not None
            server.process.terminate()
            server.process.wait(40)
    server.start()
    follower.join(WAIT)
    assert ended == ["done"]


def test_status_is_answered_while_a_scan_runs(server: Server) -> None:
    """Nobody waits for another's scan: the routes answer while the networks work."""
    with server.client() as client:
        job = client.send(CLIP, frames="all")
        slowest, state = 0.0, "waiting"
        while state in ("waiting", "running"):
            asked = time.monotonic()
            state = client.job(job)["state"]
            slowest = max(slowest, time.monotonic() - asked)
        done = client.job(job)
    lasted = datetime.fromisoformat(done["ended"]) - datetime.fromisoformat(done["started"])
    assert slowest < lasted.total_seconds(), "an answer waited for the whole scan"


def test_an_address_without_a_server_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    client = Client(f"http://localhost:{port}", "vf_none")
    with pytest.raises(ApiError, match=r"does not answer .* check its address") as refused:
        client.models()
    assert refused.value.status == 0


def test_clips_and_targets_that_cannot_be_used(server: Server, tmp_path: Path) -> None:
    with server.client() as client:
        with pytest.raises(ApiError, match="cannot be read"):
            client.send(tmp_path / "none.mp4")
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(b"nothing" * 50)
        with pytest.raises(ApiError, match=r"broken\.mp4"):
            client.wait(client.send(broken))
    with Client(server.address, "vf_wrong") as stranger:
        with pytest.raises(ApiError, match="valid token") as refused:
            stranger.send(CLIP)
        assert refused.value.status == 401


def test_several_send_the_same_clip_at_once(server: Server) -> None:
    found: list[str] = []

    def send() -> None:
        with server.client() as client:
            found.append(client.wait(client.send(CLIP, frames=7))["id"])

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(found) == 4
    assert len(set(found)) == 1
