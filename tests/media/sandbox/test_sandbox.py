"""What a sandboxed process can no longer do, each tried from within."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from detector.limits import Limits
from detector.media.sandbox import sandbox, seccomp
from tests.helpers.processes import ROOT

# Runs in a process of its own: closes the sandbox, then tries; prints what came of each attempt.
PROLOGUE = """
import ctypes, errno, json, mmap, os, resource, signal, socket, sys, threading
from detector.media.sandbox import linux, sandbox
from detector.limits import Limits
folder, clip, secret = sys.argv[1:4]
out = os.dup(1)
network = linux.leave_network()
file = os.open(clip, os.O_RDONLY)
started = os.getpid()
defences = sandbox.close_in(file, Limits(memory=1 << 30), 60, network=network, parent=False,
                            callbacks=CALLBACKS)
os.close(file)
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    value = libc.syscall(number, *arguments)
    if value == -1:
        raise OSError(ctypes.get_errno(), "")
    return value
def outcome(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except BaseException as error:
        return type(error).__name__
    return "done"
"""
ATTEMPTS = {
    "read a secret": "open(secret).read()",
    "list a folder": "os.listdir(folder)",
    "write beside the clip": "open(folder + '/new', 'w')",
    "change the clip": "open(clip, 'r+b')",
    "remove the clip": "os.unlink(clip)",
    "rename the clip": "os.rename(clip, clip + '.old')",
    "make a folder": "os.mkdir(folder + '/made')",
    "link to the clip": "os.symlink(clip, folder + '/link')",
    "shorten the clip": "os.truncate(clip, 0)",
    "change its rights": "os.chmod(clip, 0o777)",
    "call out": "socket.socket().connect(('127.0.0.1', 9))",
    "send a datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "make a socket pair": "socket.socketpair()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "start a shell": "os.posix_spawn('/bin/sh', ['sh', '-c', 'true'], {})",
    "make a process": "os._exit(0) if os.fork() == 0 else None",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "signal everybody": "os.kill(-1, signal.SIGTERM)",
    "trace the parent": "call(101, 16, os.getppid(), 0, 0)",
    "read the parent's memory": "call(310, os.getppid(), 0, 0, 0, 0, 0)",
    "raise its time": "resource.setrlimit(resource.RLIMIT_CPU, (9999, -1))",
    "change the time of the parent": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "new namespaces": "call(272, 0x10000000)",
    "mount": "call(165, b'none', b'/tmp', b'tmpfs', 0, 0)",
    "load a kernel module": "call(313, 0, b'', 0)",
    "bpf": "call(321, 0, 0, 0)",
    "io_uring": "call(425, 1, 0)",
    "keys": "call(250, 0, 0, 0, 0, 0)",
    "memory from elsewhere": "call(319, b'x', 0)",
    "too much memory": "bytearray(2 << 30)",
    "become root": "os.setuid(0)",
    "leave the root folder": "os.chroot('/')",
}
if platform.machine() != "x86_64":  # the numbers are those of that machine
    ATTEMPTS = {name: act for name, act in ATTEMPTS.items() if not act.startswith("call(")}
ALLOWED = {
    "read the clip": "open(clip, 'rb').read()",
    "take memory": "bytearray(64 << 20)",
    "start a thread": "t = threading.Thread(target=len, args=('',)); t.start(); t.join()",
    "read the clock": "os.times()",
    "import a module late": "import detector.media.provenance.hints, detector.wording",
    "import a library late": "import xml.dom.minidom, platformdirs",
}
NEW_CODE = "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sandboxed")
    clip, secret = folder / "clip", folder / "secret"
    clip.write_bytes(b"the clip")
    secret.write_text("nobody's business")
    found = attempt(folder, clip, secret, ATTEMPTS | ALLOWED | {"make new code": NEW_CODE})
    assert sorted(path.name for path in folder.iterdir()) == ["clip", "secret"]
    assert clip.read_bytes() == b"the clip"
    return found


def attempt(
    folder: Path, clip: Path, secret: Path, acts: dict[str, str], callbacks: bool = False
) -> dict[str, str]:
    code = PROLOGUE.replace("CALLBACKS", str(callbacks)) + "found = {}\n"
    for name, act in acts.items():
        body = "\n".join(f"    {line.strip()}" for line in act.split(";"))
        code += f"def act():\n{body}\nfound[{name!r}] = outcome(act)\n"
    code += "assert os.getpid() == started\n"
    code += "os.write(out, json.dumps(found).encode())\n"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(clip), str(secret)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


DROP = "from detector.media.sandbox import linux; linux.drop_privileges()"


@pytest.fixture(scope="module")
def whole() -> bool:
    """Both Landlock and seccomp are here, as on every Linux of today that does not deny them."""
    code = """
from detector.media.sandbox import landlock, seccomp
from detector.limits import Limits
print(landlock.landlock_version() > 0, seccomp.filter_calls())
"""
    done = subprocess.run(
        [sys.executable, "-c", f"{DROP}\n{code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split() == ["True", "True"]


@pytest.mark.parametrize("act", ATTEMPTS)
def test_a_sandboxed_process_cannot(outcomes: dict[str, str], whole: bool, act: str) -> None:
    if not whole and act not in ("too much memory",):
        assert act in outcomes  # this system denies them: `close_in` says so
        return
    expected = {"MemoryError"} if act == "too much memory" else {"EPERM", "EACCES"}
    if act == "raise its time":
        expected |= {"ValueError", "PermissionError"}
    assert outcomes[act] in expected


@pytest.mark.parametrize("act", ALLOWED)
def test_a_sandboxed_process_can(outcomes: dict[str, str], act: str) -> None:
    assert outcomes[act] == "done"


def test_new_code_is_for_callbacks_alone(
    outcomes: dict[str, str], whole: bool, tmp_path: Path
) -> None:
    clip = tmp_path / "clip"
    clip.touch()
    with_callbacks = attempt(tmp_path, clip, clip, {"make": NEW_CODE}, callbacks=True)
    assert with_callbacks == {"make": "done"}
    assert outcomes["make new code"] == ("EPERM" if whole else "done")


def test_the_filter_is_a_program_that_the_kernel_takes() -> None:
    for machine in (0, 1):
        code = seccomp.filter_program(machine, 1234)
        assert len(code) % 8 == 0
        steps = [code[i : i + 8] for i in range(0, len(code), 8)]
        assert len(steps) < 4096
        # Every jump stays inside, and the last step returns.
        for place, step in enumerate(steps):
            if step[0] & 7 == 5:
                assert place + 1 + max(step[2], step[3]) < len(steps)
        assert steps[-1][0] == 6


def test_numbers_of_calls_are_no_others() -> None:
    for machine in (0, 1):
        numbers = [n[machine] for n in seccomp._CALLS.values() if n[machine] is not None]
        assert len(numbers) == len(set(numbers))
        special = ("CLONE", "CLONE3", "MMAP", "MPROTECT", "PRCTL", "PRLIMIT", "TGKILL", "IOCTL")
        looked_at = {getattr(seccomp, f"_{name}")[machine] for name in special}
        assert not looked_at & set(numbers)


def test_each_defence_says_what_it_does_or_why_not() -> None:
    held = sandbox._defences(Limits(), True, 7, True, True, True)
    assert tuple(defence.name for defence in held) == sandbox.DEFENCES
    bare = sandbox._defences(Limits(), False, 0, False, False, False)
    assert not any(defence.holds for defence in bare if defence.name not in ("memory", "time"))
    for defence in (*held, *bare):
        assert defence.about
        assert not defence.about.endswith(".")


def test_what_holds_and_what_does_not_are_lines() -> None:
    held = sandbox._defences(Limits(), True, 7, True, True, True)
    bare = sandbox._defences(Limits(), False, 0, False, False, False)
    assert "files: reads the clip and Python's libraries, writes nowhere (Landlock 7)" in (
        sandbox.lines(held)
    )
    (line,) = sandbox.lines([defence for defence in bare if defence.name == "system calls"])
    assert line.startswith("system calls: not held, no seccomp: ")


def test_a_process_whose_parent_is_gone_ends_at_once() -> None:
    code = (
        "from detector.media.sandbox import linux; linux.die_with_parent(1 << 30); print('lives')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
