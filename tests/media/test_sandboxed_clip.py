"""The same frames and facts as in the open, and every failure is one sentence."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.analysis import scan
from detector.errors import ClipError
from detector.jobs.queue import Jobs
from detector.limits import Limits
from detector.media import sandboxed_clip, sandboxed_provenance
from detector.media.provenance import container
from detector.media.reader import ClipReader
from detector.media.sandbox import fork_server
from detector.media.sandbox.channel import Channel
from detector.media.sandboxed_clip import (
    SandboxedClip,
    describe_sandbox,
    frame_at,
    open_clip,
    probe,
)
from detector.settings import Settings
from tests.helpers.bad_clips import BAD, NAMES, one_sentence, still
from tests.helpers.clips import KINDS, Kind, number_of, write
from tests.helpers.processes import ROOT, python
from tests.helpers.stand_ins import StandInEngine, one_face

FRAMES = 40


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("sandboxed")

    def make(kind: str) -> Path:
        path = folder / f"made.{kind}"
        return path if path.exists() else write(path, FRAMES, kind)

    return make


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where processes cannot be copied: a fresh one for each clip."""
    monkeypatch.setattr(fork_server, "FORKS", False)


# ---------------------------------------------------------------- the same as in the open


@pytest.mark.parametrize("kind", KINDS)
def test_frames_times_and_facts_are_the_readers(clip: Callable[[str], Path], kind: str) -> None:
    path = clip(kind)
    with ClipReader(path) as plain, open_clip(path) as sandboxed:
        for name in ("label", "frames", "size"):
            assert getattr(sandboxed, name) == getattr(plain, name)
        np.testing.assert_array_equal(sandboxed.times, plain.times)
        for count in (None, 7):
            assert sandboxed.choose(count) == plain.choose(count)
            ours, theirs = list(sandboxed.sample(count)), list(plain.sample(count))
            assert [(f.index, f.time) for f in ours] == [(f.index, f.time) for f in theirs]
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(one.image, other.image)
        for seconds in (-1.0, 0.5, 99.0, float("inf"), float("nan")):
            assert (
                sandboxed.frame_at(seconds).index
                == plain.frame_at(0 if seconds != seconds else min(seconds, 1e9)).index
            )
        assert sandboxed.describe() == plain.describe()
    assert probe(path) == sandboxed_clip.probe(path)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_pictures_are_the_readers(tmp_path: Path, kind: str) -> None:
    path = still(tmp_path / f"picture.{kind}", orientation=5)
    with ClipReader(path) as plain, open_clip(path) as sandboxed:
        np.testing.assert_array_equal(sandboxed.frame_at(0).image, plain.frame_at(0).image)
        assert sandboxed.describe() == plain.describe()
        assert sandboxed.describe().still


@pytest.mark.parametrize(("name", "make", "says"), BAD, ids=[bad[0][:24] for bad in BAD])
def test_a_bad_file_is_refused_with_the_readers_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / name
    make(path)
    sentences = []
    for opened in (ClipReader, open_clip):
        with pytest.raises(ClipError) as caught:
            opened(path)
        sentences.append(one_sentence(str(caught.value)))
    assert sentences[0] == sentences[1]
    assert says in sentences[1]
    with pytest.raises(ClipError):
        sandboxed_provenance.inspect(path)


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_the_name_is_the_persons(clip: Callable[[str], Path], name: str) -> None:
    with open_clip(clip("mp4"), name) as sandboxed:
        assert sandboxed.describe().name == name
        assert sandboxed.label.isprintable()


def test_a_file_whose_name_is_no_text(tmp_path: Path, clip: Callable[[str], Path]) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    path.write_bytes(clip("mp4").read_bytes())
    assert number_of(frame_at(path, 0.2).image) == 5


def test_a_link_to_a_clip_is_followed(tmp_path: Path, clip: Callable[[str], Path]) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(clip("mp4"))
    assert number_of(frame_at(link, 0.2).image) == 5


def test_what_a_file_says_of_itself_is_read_in_the_sandbox(clip: Callable[[str], Path]) -> None:
    for kind in ("mp4", "webm", "gif"):
        assert sandboxed_provenance.inspect(clip(kind)) == container.inspect_here(clip(kind))


def test_without_copies_of_a_process(clip: Callable[[str], Path], spawned: None) -> None:
    with open_clip(clip("mp4")) as sandboxed:
        assert [number_of(frame.image) for frame in sandboxed.sample(None)] == list(range(FRAMES))
        process = sandboxed.process
        os.kill(process, signal.SIGKILL)
        with pytest.raises(ClipError, match="made the decoder fail"):
            sandboxed.describe()
    assert not alive(process)


# ---------------------------------------------------------------- samples that overlap


def test_a_sample_that_is_left_midway_does_not_disturb_the_next(
    clip: Callable[[str], Path],
) -> None:
    with open_clip(clip("mp4")) as sandboxed:
        for taken in range(8):
            frames = sandboxed.sample(None)
            for expected in range(taken):
                assert number_of(next(frames).image) == expected
            assert number_of(sandboxed.frame_at(0.8).image) == 20
            assert sandboxed.describe().frames == FRAMES
            if taken:
                with pytest.raises(ValueError, match="another sample"):
                    next(frames)
        assert len(list(sandboxed.sample(3))) == 3


def test_frames_stay_as_they_were(clip: Callable[[str], Path]) -> None:
    """The memory that they came in is used again for the next."""
    with open_clip(clip("mp4")) as sandboxed:
        kept = list(sandboxed.sample(None))
        assert [number_of(frame.image) for frame in kept] == list(range(FRAMES))
        assert all(frame.image.flags.writeable and frame.image.flags.owndata for frame in kept)
    assert [number_of(frame.image) for frame in kept] == list(range(FRAMES))


def test_frames_are_decoded_ahead(clip: Callable[[str], Path]) -> None:
    """While the app works on a frame, others arrive in the memory it shares."""
    with open_clip(clip("mp4")) as sandboxed:
        frames = sandboxed.sample(None)
        next(frames)
        arrived = []
        until = time.monotonic() + 20
        while len(arrived) < 2 and time.monotonic() < until:
            slots = sandboxed._slots
            assert slots is not None
            arrived = [number for number in map(number_of, slots) if number in (1, 2, 3, 4)]
            time.sleep(0.01)
        assert len(arrived) >= 2


def test_many_clips_at_once(clip: Callable[[str], Path]) -> None:
    kinds = list(KINDS) * 2
    found: dict[int, list[int]] = {}

    def read(place: int) -> None:
        with open_clip(clip(kinds[place])) as sandboxed:
            found[place] = [number_of(frame.image) for frame in sandboxed.sample(None)]

    for kind in KINDS:
        clip(kind)
    threads = [threading.Thread(target=read, args=(place,)) for place in range(len(kinds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {place: list(range(FRAMES)) for place in range(len(kinds))}


# ---------------------------------------------------------------- crashes, hangs, limits


def says(caught: pytest.ExceptionInfo[ClipError]) -> str:
    return one_sentence(str(caught.value))


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("sent", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGSYS])
@pytest.mark.parametrize("when", ["before", "midway"])
def test_a_crash_ends_one_clip_with_one_sentence(
    clip: Callable[[str], Path], sent: signal.Signals, when: str
) -> None:
    with open_clip(clip("mp4")) as sandboxed, open_clip(clip("mkv")) as other:
        frames = sandboxed.sample(None)
        if when == "midway":
            next(frames)
        os.kill(sandboxed.process, sent)
        with pytest.raises(ClipError) as caught:
            list(frames)
        assert "made the decoder fail" in says(caught)
        assert len(list(other.sample(None))) == FRAMES
        assert not alive(sandboxed.process)
    with open_clip(clip("mp4")) as again:
        assert len(list(again.sample(None))) == FRAMES


def test_the_app_goes_on_after_a_crash(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[SandboxedClip] = []

    def noted(*arguments: Any) -> SandboxedClip:
        opened.append(open_clip(*arguments))
        return opened[-1]

    monkeypatch.setattr(scan, "open_clip", noted)
    gate = threading.Semaphore(0)
    jobs = Jobs(StandInEngine(one_face, gate), at_once=1)
    evil, waiting = (
        jobs.submit(clip("mp4"), name, Settings(None)) for name in ("evil.mp4", "next.mp4")
    )
    until = time.monotonic() + 60
    while not opened and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(opened[0].process, signal.SIGSEGV)
    gate.release(1000)
    assert evil.wait(60)
    assert evil.status == "failed"
    assert one_sentence(evil.error or "").startswith("“evil.mp4” made the decoder fail")
    assert not evil.pictures.folder.exists()
    assert waiting.wait(60)
    assert waiting.status == "done"


def test_a_hang_is_noticed(clip: Callable[[str], Path]) -> None:
    with open_clip(clip("mp4"), limits=Limits(stall=1)) as sandboxed:
        frames = sandboxed.sample(None)
        next(frames)
        os.kill(sandboxed.process, signal.SIGSTOP)
        with pytest.raises(ClipError) as caught:
            list(frames)
        assert "made no progress for 1 s" in says(caught)
        assert not alive(sandboxed.process)


def test_computing_time_is_limited(tmp_path: Path) -> None:
    path = write(tmp_path / "long.mp4", 60)
    with open_clip(path, limits=Limits(cpu=1)) as sandboxed:

        def for_long() -> None:
            for _ in range(2000):
                list(sandboxed.sample(None))

        with pytest.raises(ClipError) as caught:
            for_long()
    assert "more computing time than is allowed" in says(caught)


def test_memory_is_limited(tmp_path: Path) -> None:
    fast = Kind("mp4", "mp4", "mpeg4", {"qscale": "31"})
    path = write(tmp_path / "large.mp4", [np.zeros((4320, 7680, 3), np.uint8)], fast)
    with pytest.raises(ClipError) as caught:
        open_clip(path, limits=Limits(memory=300 << 20))
    assert "needs more memory" in says(caught)
    assert open_clip(path).frame_at(0).image.shape == (4320, 7680, 3)


def test_the_processes_of_an_app_that_was_killed_end(clip: Callable[[str], Path]) -> None:
    code = f"""
import sys, time
from detector.media.sandbox import fork_server
from detector.media.sandboxed_clip import open_clip
sandboxed = open_clip({str(clip("mp4"))!r})
frames = sandboxed.sample(None)
next(frames)
print(sandboxed.process, fork_server._fork_server.number, flush=True)
time.sleep(600)
"""
    app = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert app.stdout is not None
    processes = [int(number) for number in app.stdout.readline().split()]
    assert len(processes) == 2
    assert all(map(alive, processes))
    app.kill()
    app.wait()
    app.stdout.close()
    until = time.monotonic() + 20
    while any(map(running, processes)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(running, processes))


def running(process: int) -> bool:
    """Alive, and no zombie that waits for whoever adopted it."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_nothing_is_left_behind(clip: Callable[[str], Path], tmp_path: Path) -> None:
    path = clip("mp4")
    probe(path)
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        with open_clip(path) as sandboxed:
            next(sandboxed.sample(None))
        abandoned = open_clip(path)
        process = abandoned.process
        next(abandoned.sample(None))
        del abandoned
        gc.collect()
        assert not alive(process)
        bad = tmp_path / "bad.mp4"
        bad.write_bytes(b"no clip" * 99)
        with pytest.raises(ClipError):
            open_clip(bad)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_fork_server_that_was_killed_is_started_again(clip: Callable[[str], Path]) -> None:
    probe(clip("mp4"))
    number = fork_server._fork_server.number
    assert number is not None
    os.kill(number, signal.SIGKILL)
    assert probe(clip("mp4")).frames == FRAMES
    assert fork_server._fork_server.number != number


def test_where_no_process_can_be_started(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "_fork_server", fork_server.ForkServer())
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    for forks in (True, False):
        monkeypatch.setattr(fork_server, "FORKS", forks)
        with pytest.raises(ClipError) as caught:
            open_clip(clip("mp4"))
        assert "cannot be started" in says(caught)


def test_secrets_of_the_app_are_not_passed_on(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/base")
    monkeypatch.setattr(fork_server, "_fork_server", server := fork_server.ForkServer())
    with open_clip(clip("mp4")) as sandboxed:
        surroundings = Path(f"/proc/{server.number}/environ").read_bytes()
        files = os.listdir(f"/proc/{server.number}/fd")
        assert b"secret" not in surroundings
        assert b"DATABASE_URL" not in surroundings
        assert len(files) <= 5  # three that lead nowhere, and the channel
        assert sandboxed.frames == FRAMES
    server._stop()


# ---------------------------------------------------------------- a worker that was taken over


class Impostor:
    """Answers in place of the sandboxed process, whatever it likes."""

    def __init__(self, answers: list[tuple[dict[str, object], bytes]]) -> None:
        ours, theirs = Channel.pair()
        self.number = os.getpid()
        self.channel = Channel(ours)
        self._theirs = Channel(theirs)
        for header, payload in answers:
            self._theirs.send(header, payload)

    def end(self, wait: bool = False) -> int | None:
        self.channel.close()
        self._theirs.close()
        return None


OPENED = {"is": "open", "frames": 2, "size": [4, 3], "defences": []}
TIMES = np.array([0.0, 0.04]).tobytes()
LIES: dict[str, list[tuple[dict[str, object], bytes]]] = {
    "no answer": [],
    "nothing known": [({"is": "what"}, b"")],
    "no frames": [(OPENED | {"frames": 0}, b"")],
    "half a frame": [(OPENED | {"frames": 1.5}, TIMES)],
    "frames beyond the limit": [(OPENED | {"frames": 10**9}, TIMES)],
    "fewer times": [(OPENED, TIMES[:8])],
    "broken times": [(OPENED, TIMES[:9])],
    "times that are none": [(OPENED, np.array([0.0, np.nan]).tobytes())],
    "a huge picture": [(OPENED | {"size": [10**6, 10**6]}, TIMES)],
    "a picture of no size": [(OPENED | {"size": [0, 3]}, TIMES)],
    "a size that is none": [(OPENED | {"size": "4x3"}, TIMES)],
    "a slot outside": [(OPENED, TIMES), ({"is": "frame", "index": 0, "slot": 99}, b"")],
    "a slot below": [(OPENED, TIMES), ({"is": "frame", "index": 0, "slot": -1}, b"")],
    "a frame outside": [(OPENED, TIMES), ({"is": "frame", "index": 2, "slot": 0}, b"")],
    "a frame twice": [(OPENED, TIMES), ({"is": "frame", "index": 1, "slot": 0}, b""),
                      ({"is": "frame", "index": 1, "slot": 1}, b"")],
    "a frame that is text": [(OPENED, TIMES), ({"is": "frame", "index": "0", "slot": 0}, b"")],
    "facts that are none": [(OPENED, TIMES), ({"is": "end"}, b""), ({"is": "clip"}, b"")],
    "facts of wrong types": [(OPENED, TIMES), ({"is": "end"}, b""),
                             ({"is": "clip", "clip": {"name": 1}}, b"")],
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_ends_the_clip(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    path = clip("mp4")
    monkeypatch.setattr(fork_server, "start", lambda: Impostor(LIES[lie]))
    monkeypatch.setattr(sandboxed_clip, "give_time", lambda process, seconds, limits: None)

    def use() -> None:
        with open_clip(path, limits=Limits(stall=1)) as sandboxed:
            list(sandboxed.sample(None))
            sandboxed.describe()

    with pytest.raises(ClipError) as caught:
        use()
    one_sentence(str(caught.value))


def test_a_refusal_cannot_steer_a_terminal(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b[2J\r\nred\x07 " + "x" * 9000
    monkeypatch.setattr(
        fork_server, "start", lambda: Impostor([({"is": "refused", "says": evil}, b"")])
    )
    with pytest.raises(ClipError) as caught:
        open_clip(clip("mp4"))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 1000


# ---------------------------------------------------------------- where the system denies it

DENYING = """
import ctypes, json, struct, sys
from detector.media.sandbox import linux, seccomp
linux.drop_privileges()
allow, deny = (6, 0, 0, 0x7FFF0000), (6, 0, 0, 0x00050001)
steps = [(0x20, 0, 0, 0)]
for number in {numbers}:
    steps += [(0x15, 0, 1, number), deny]
code = b"".join(struct.pack("=HBBI", *step) for step in [*steps, allow])
program = seccomp._Program(len(code) // 8, code)
machine = seccomp.MACHINES[__import__("platform").machine()]
assert ctypes.CDLL(None).syscall(seccomp._SECCOMP[machine], 1, 0, ctypes.byref(program)) == 0
from detector.media.sandboxed_clip import describe_sandbox, open_clip
print(json.dumps({{defence.name: defence.holds for defence in describe_sandbox()}}))
with open_clip({path!r}) as sandboxed:
    print(len(list(sandboxed.sample(None))))
"""


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ("(444,)", {"files"}),
        ("(seccomp._SECCOMP[machine_],)", {"system calls"}),
        ("(444, seccomp._SECCOMP[machine_], 272, 97)", {"files", "system calls", "network"}),
    ],
    ids=["no Landlock", "no seccomp", "none of them"],
)
def test_where_a_container_denies_defences_the_others_hold(
    clip: Callable[[str], Path], numbers: str, missing: set[str]
) -> None:
    code = DENYING.format(numbers=numbers, path=str(clip("mp4"))).replace(
        "linux.drop_privileges()",
        "linux.drop_privileges()\nmachine_ = seccomp.MACHINES[__import__('platform').machine()]",
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    defences, frames = done.stdout.splitlines()
    held = json.loads(defences)
    usual = {defence.name for defence in describe_sandbox() if defence.holds}
    assert {name for name, holds in held.items() if holds} >= usual - missing - {"network"}
    assert not any(held[name] for name in missing)
    assert int(frames) == FRAMES


def test_where_memory_files_and_proc_are_denied(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", denied)
    monkeypatch.delattr(os, "O_PATH")
    with open_clip(clip("mp4")) as sandboxed, ClipReader(clip("mp4")) as plain:
        assert [number_of(frame.image) for frame in sandboxed.sample(None)] == list(range(FRAMES))
        assert sandboxed.describe() == plain.describe()


def test_importing_the_sandbox_is_cheap() -> None:
    for module, heavy in (
        ("media.sandboxed_clip", ("torch", "streamlit", "openvino", "c2pa")),
        ("media.sandbox.worker", ("torch", "streamlit", "openvino")),
    ):
        loaded = f"[name for name in {heavy} if name in sys.modules]"
        assert python(f"import sys, detector.{module}; print({loaded})") == "[]"
