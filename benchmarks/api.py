"""What the API adds to a scan, and how many status requests it answers while one runs.

    python -m benchmarks.api [--repeats 5]

Both sides send the same ten seconds of 1080p into a queue with warm models, which keeps the
result in a library on the same disk, and wait until it is there: once in this process, as the
pages do it, once over HTTP on a server of its own.
"""

from __future__ import annotations

import http.client
import io
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import clips
from benchmarks.record import Record, Row, arguments, finish
from detector.analysis.engine import Engine
from detector.client import Client
from detector.jobs.queue import Jobs
from detector.jobs.saver import LibrarySaver
from detector.library.store import Library
from detector.settings import Settings
from tests.service.test_running_server import Server

ASKING = 4  # clients at once


def ask(port: int, path: str, token: str, until: Any, count: Any) -> None:
    """Send small requests one after the other, as fast as they are answered."""
    connection = http.client.HTTPConnection("localhost", port, timeout=60)
    while not until.is_set():
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 429:  # after the scans, when more are answered than one token may ask
            time.sleep(0.2)
            continue
        assert answer.status == 200, answer.status
        with count.get_lock():
            count.value += 1


def main() -> None:
    """Run and print."""
    options = arguments(str(__doc__), 5)
    engine = Engine()
    engine.warm_up()
    jobs = Jobs(engine)
    here, there = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = clips.write(folder / "clip.mp4", 10)
        data = clip.read_bytes()
        library = Library.open(folder / "own" / "library.sqlite")
        server = Server(folder)
        server.start()
        try:
            with server.client() as client:

                def scan_here(frames: int) -> float:
                    started = time.perf_counter()
                    saver = LibrarySaver(library)
                    job = jobs.submit(io.BytesIO(data), "c.mp4", Settings(frames), on_done=saver)
                    job.wait()
                    seconds = time.perf_counter() - started
                    assert saver.id is not None, job.error
                    job.discard()
                    return seconds

                def scan_there(frames: int) -> float:
                    started = time.perf_counter()
                    done = client.wait(client.send(clip, frames=frames))
                    seconds = time.perf_counter() - started
                    client.delete(done)
                    return seconds

                scan_here(8)
                scan_there(8)
                for _ in range(options.repeats):  # in turn, so that a slow moment meets both
                    here.append(scan_here(32))
                    there.append(scan_there(32))
                rate, scans = status_rate(server, client, clip)
        finally:
            server.stop()
            library.close()
    ratio = statistics.median(there) / statistics.median(here)
    rows = [
        Row("a scan in this process", {"s": statistics.median(here)}),
        Row(
            "the same over the API",
            {"s": statistics.median(there), "ratio": ratio},
            "at most 1.05",
            ratio <= 1.05,
        ),
        Row(
            "status requests while scans run",
            {"a second": rate, "scans": float(scans)},
            "at least 200 a second",
            rate >= 200,
        ),
    ]
    notes = [f"{ASKING} clients ask at once, in processes of their own, on the same cores"]
    finish(
        Record("api", "The API: what it adds, and what it answers meanwhile", rows, notes),
        options.out,
    )


def status_rate(server: Server, client: Client, clip: Path) -> tuple[float, int]:
    """Requests a second while two analyses are at work, and how many of these ended."""
    spawn = multiprocessing.get_context("spawn")
    until, count = spawn.Event(), spawn.Value("i", 0)
    jobs = [client.send(clip, frames=frames) for frames in (200, 201)]
    path = f"/api/v1/analyses/{jobs[0]['id']}"
    asking = [
        spawn.Process(target=ask, args=(server.port, path, server.token, until, count))
        for _ in range(ASKING)
    ]
    for process in asking:
        process.start()
    time.sleep(3)  # they take a moment to begin
    with count.get_lock():
        count.value = 0
    started = time.perf_counter()
    for job in jobs:
        client.wait(job)
    seconds, answered = time.perf_counter() - started, count.value
    until.set()
    for process in asking:
        process.join()
    for job in jobs:
        client.delete(job)
    return answered / seconds, len(jobs)


if __name__ == "__main__":
    main()
