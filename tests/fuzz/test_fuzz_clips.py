"""Thousands of hostile files through probe and decode: each is a result or a named error.

The numbers of the files start at 0 in every run, so that a failure comes again; how far they go
depends on the time given. `make fuzz` takes longer, and starts at random.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.errors import ClipError, DetectorError
from detector.limits import Limits
from detector.media import sandboxed_provenance
from detector.media.sandboxed_clip import open_clip
from tests.helpers.clips import write
from tests.helpers.decode_many import read
from tests.helpers.mutations import ENDINGS, PORT, make, playlist, seeds
from tests.helpers.processes import ROOT

SECONDS = float(os.environ.get("VERIFRAME_FUZZ_SECONDS", "24"))
FIRST = int(os.environ.get("VERIFRAME_FUZZ_FIRST", "0"))
SLOWEST = 20.0  # seconds for one file
MOST_MEMORY = 2 << 30
# What a file did to the decoder that this cannot mend, only survive: it says so.
_SURVIVED = (
    "made the decoder fail",
    "made no progress",
    "more computing time",
    "answer nonsense",
    "unexpected error",
)

FOUND = sorted((Path(__file__).parent / "found").iterdir())  # files that once did harm


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    return seeds()


def sentence(text: str) -> bool:
    return text.endswith(".") and text.isprintable() and len(text) < 400 and ". " not in text


# ------------------------------------------------------- without a sandbox, by the thousand


def outcomes(folder: Path, first: int, seconds: float) -> Iterator[dict]:
    """What came of one file after the other, for so long; a crash or a hang is an outcome too."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        command = [
            sys.executable,
            "-m",
            "tests.helpers.decode_many",
            str(folder),
            str(first),
            "9" * 9,
        ]
        reader = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        assert reader.stdout is not None
        selector = selectors.DefaultSelector()
        selector.register(reader.stdout, selectors.EVENT_READ)
        rest, current = b"", None
        try:
            while time.monotonic() < until:
                if not selector.select(SLOWEST + (30 if current is None else 0)):
                    yield {"number": current, "outcome": "!it hangs", "seconds": 0, "memory": 0}
                    break
                piece = reader.stdout.read(1 << 16)
                if not piece:
                    status = reader.wait()
                    yield {
                        "number": current,
                        "outcome": f"!it ended with {status}",
                        "seconds": 0,
                        "memory": 0,
                    }
                    break
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    said = json.loads(line)
                    current = said["number"]
                    if "outcome" in said:
                        yield said
        finally:
            reader.kill()
            reader.wait()
            reader.stdout.close()
            selector.close()
        first = (current if current is not None else first) + 1


def test_every_outcome_is_a_result_or_a_named_error(tmp_path: Path) -> None:
    counted: collections.Counter[str] = collections.Counter()
    for said in outcomes(tmp_path, FIRST, SECONDS * 2 / 3):
        outcome = said["outcome"]
        assert not outcome.startswith("!"), f"file {said['number']}: {outcome[1:]}"
        assert outcome == "result" or sentence(outcome), f"file {said['number']}: {outcome}"
        assert said["seconds"] < SLOWEST, f"file {said['number']} took {said['seconds']:.1f} s"
        assert said["memory"] < MOST_MEMORY >> 10, f"file {said['number']}: {said['memory']} KiB"
        counted["result" if outcome == "result" else "refused"] += 1
    print(f"\nwithout a sandbox: {dict(counted)}")
    assert counted["result"] > 20
    assert counted["refused"] > 20
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) <= 1  # the file that was just being read


# ------------------------------------------------------- in the sandbox, as the app does it


def read_sandboxed(path: Path, number: int) -> str:
    try:
        with open_clip(path, limits=Limits(memory=MOST_MEMORY, stall=int(SLOWEST))) as clip:
            last = -1
            for frame in clip.sample(3):
                assert frame.index > last
                assert frame.image.shape == (clip.size[1], clip.size[0], 3)
                last = frame.index
            clip.describe()
        if number % 8 == 0:
            sandboxed_provenance.inspect(path)
    except DetectorError as error:
        said = str(error)
        harmless = sentence(said) and not any(words in said for words in _SURVIVED)
        if not harmless:
            pytest.fail(f"file {number}: {said}")
        return "refused"
    return "result"


def test_the_sandbox_survives_them_and_leaves_nothing(
    tmp_path: Path, whole: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    bait = write(tmp_path / "secret.mp4", 3)
    before = bait.read_bytes()
    counted: collections.Counter[str] = collections.Counter()
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    number, until = FIRST + 1_000_000, time.monotonic() + SECONDS / 3
    while time.monotonic() < until:
        name, content = make(number, whole)
        path = tmp_path / name
        path.write_bytes(content)
        counted[read_sandboxed(path, number)] += 1
        assert path.read_bytes() == content
        path.unlink()
        number += 1
    print(f"\nin the sandbox: {dict(counted)}")
    assert counted["result"] > 5
    assert counted["refused"] > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.mp4", "temporary"]
    assert list(temporary.iterdir()) == []
    assert bait.read_bytes() == before
    if files:
        assert (
            len(os.listdir("/proc/self/fd")) <= files + 4
        )  # the channel to the process that is copied
    assert threading.active_count() < 60


@pytest.mark.parametrize("path", FOUND, ids=[path.stem for path in FOUND])
def test_what_was_found_once(path: Path) -> None:
    assert read(path, 0) == "result" or sentence(read(path, 0))
    assert read_sandboxed(path, 0) in ("result", "refused")


# ---------------------------------------------------------------- lists of other files, addresses


@pytest.fixture
def listening() -> Iterator[list[object]]:
    """Whoever calls at the port that the lists name."""
    called: list[object] = []
    server = socket.create_server(("127.0.0.1", PORT), reuse_port=False)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", PORT))
    datagrams.setblocking(False)
    stop = threading.Event()

    def accept() -> None:
        server.settimeout(0.05)
        while not stop.is_set():
            try:
                connection, address = server.accept()
            except TimeoutError:
                continue
            called.append(address)
            connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    yield called
    stop.set()
    thread.join()
    server.close()
    with contextlib.suppress(BlockingIOError):
        called.append(datagrams.recv(9))
    datagrams.close()
    assert called == []


def test_no_list_is_followed(tmp_path: Path, listening: list[object]) -> None:
    write(tmp_path / "secret.mp4", 3)
    for number in range(120):
        rng = random.Random(number)
        path = tmp_path / f"list.{ENDINGS[number % len(ENDINGS)]}"
        path.write_bytes(playlist(rng, b""))
        with pytest.raises(ClipError):
            open_clip(path)
        path.unlink()
    assert listening == []
