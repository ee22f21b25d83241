"""Start the processes that decode clips, one for each, and learn how they ended.

Loading the decoder takes a second, copying a process that has loaded it milliseconds: a fork
server (`worker`, started once) makes a copy of itself for each clip. Where copies of a process
with such libraries are unsafe, each clip gets a process that is started afresh.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

from detector.errors import ClipError
from detector.files import ROOT
from detector.media.sandbox.channel import Channel, ChannelError

FORKS = sys.platform == "linux"  # elsewhere, copies of a process with such libraries are unsafe
_STARTS_WITHIN = 60.0  # seconds; loading libraries from a cold disk
# All that such a process is told of the app's surroundings: no passwords, no addresses.
_PASSED_ON = (
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "SYSTEMROOT",
    "TMPDIR",
)
# One thread while it loads: Landlock holds for the thread that asks for it and those it starts.
_SET = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "4",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class SandboxedProcess:
    """One process that serves one clip.

    Args:
        channel: to it.
        number: its process id.
        parent: what started it; None where it is a child of the app itself.
        own: the child of the app, where there is no `parent`.
    """

    def __init__(
        self,
        channel: Channel,
        number: int,
        parent: ForkServer | None = None,
        own: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.channel = channel
        self.number = number
        self._parent = parent
        self._own = own
        self._ended = False
        self._status: int | None = None

    def end(self, wait: bool = False) -> int | None:
        """End it, if it has not ended; more calls do nothing.

        Args:
            wait: it is about to end by itself; leave it a moment to do so.

        Returns:
            Its exit code, or minus the signal that ended it; None where that is not known.
        """
        if self._ended:
            return self._status
        self._ended = True
        self.channel.close()
        if self._parent is not None:
            if wait:
                self._status = self._parent.reap(self.number)
            if self._status is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(self.number, signal.SIGKILL)
                self._status = self._parent.reap(self.number)
        elif self._own is not None:
            if wait:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._own.wait(2)
            self._own.kill()
            self._status = self._own.wait()
        return self._status


class ForkServer:
    """The process that is copied for each clip: started on first use, and again if it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: Channel | None = None

    def warm(self) -> None:
        """Start it, so that the first clip does not wait for it."""
        with self._lock:
            self._start()

    def fork(self) -> SandboxedProcess:
        """Make a fresh process for one clip.

        Raises:
            ClipError: it cannot be started.
        """
        with self._lock:
            for _ in range(2):
                ours, theirs = Channel.pair()
                try:
                    control = self._start()
                    control.send({"do": "fork"}, files=[theirs.fileno()])
                    number = control.receive(_STARTS_WITHIN).header["process"]
                    return SandboxedProcess(Channel(ours), int(number), self)
                except (ChannelError, TimeoutError):
                    ours.close()
                    self._stop()
                finally:
                    theirs.close()
        raise cannot_start()

    def reap(self, number: int) -> int | None:
        """Return how a copy ended: exit code, or minus the signal; None where that is not known."""
        with self._lock:
            if self._control is None:
                return None
            try:
                self._control.send({"do": "reap", "process": number})
                status = self._control.receive(_STARTS_WITHIN).header["status"]
            except (ChannelError, TimeoutError):
                self._stop()
                return None
            return None if status is None else int(status)

    @property
    def number(self) -> int | None:
        """Its process id, while it runs."""
        return None if self._process is None else self._process.pid

    def _start(self) -> Channel:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._control is None:
            ours, self._process = _run()
            self._control = Channel(ours)
        return self._control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _run(*arguments: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = Channel.pair()
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "detector.media.sandbox.worker",
                str(theirs.fileno()),
                *arguments,
            ],
            cwd=ROOT,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _SET,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl+C in a terminal is the app's to answer
        )
    except OSError as error:
        ours.close()
        raise cannot_start() from error
    finally:
        theirs.close()
    return ours, process


def cannot_start() -> ClipError:
    """Return what is said where no process can be started."""
    return ClipError(
        "The process that decodes clips cannot be started; close other programs, or run "
        "“python -m detector doctor” to see what is missing."
    )


_fork_server = ForkServer()


def start() -> SandboxedProcess:
    """Start a process for one clip; raises ClipError where none can be started."""
    if FORKS:
        return _fork_server.fork()
    ours, process = _run("--once")
    return SandboxedProcess(Channel(ours), process.pid, own=process)


def warm() -> None:
    """Begin to load what decoding needs; returns at once."""
    if FORKS:
        with contextlib.suppress(ClipError):
            _fork_server.warm()


def _forget() -> None:
    """Forget the fork server: a copy of the app must not talk to the original's processes."""
    global _fork_server  # noqa: PLW0603
    _fork_server = ForkServer()


os.register_at_fork(after_in_child=_forget)
