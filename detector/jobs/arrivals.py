"""Clips that arrive in a folder, each handed on when all of it is there.

The operating system tells of every change (watchdog), and the folder is looked through now and
then as well, since events get lost where thousands come at once and on network file systems.
"""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from detector.errors import ClipError
from detector.media.clip import EXTENSIONS, shortened

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

SETTLE = 2.0  # seconds
LOOK_EVERY = 30.0  # seconds between two looks through the whole folder
_AT_MOST = 1.0  # seconds without a look at whether the folder is still there


@dataclass(frozen=True)
class FileState:
    """What changes when a file does.

    Attributes:
        device, inode: which file it is.
        bytes: its size.
        modified: when it was last written, nanoseconds since 1970.
        rights: mode, owner and group: a file that could not be read may be readable now.
    """

    device: int
    inode: int
    bytes: int
    modified: int
    rights: tuple[int, int, int]

    @classmethod
    def of(cls, path: Path) -> FileState | None:
        """Return the state of a file as it is now; None where there is none."""
        try:
            found = path.stat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait forever
            return None
        return cls(
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            (found.st_mode, found.st_uid, found.st_gid),
        )

    def same_file(self, other: FileState) -> bool:
        """Return True unless another file has taken its place."""
        return (self.device, self.inode) == (other.device, other.inode)


@dataclass(frozen=True)
class Arrived:
    """A clip that is there as a whole."""

    path: Path
    file_state: FileState


@dataclass(frozen=True)
class RemovedFile:
    """A clip that waited and will not come as it was; `why` is a sentence for people."""

    path: Path
    why: str


@dataclass
class _Waiting:
    file_state: FileState
    since: float  # monotonic seconds at which it last changed


class Arrivals:
    """The clips of a folder as they finish arriving. Use it as a context manager, in one thread.

    A clip has arrived when whoever wrote it has closed it (where the system says so: Linux), and
    size and time have not changed for a while. Hidden names, and endings that are no clip's (such
    as `.part` and `.crdownload`), wait for their rename. What lies there at the start comes too.

    Args:
        folder: to watch.
        recursive: its folders too.
        settle: seconds without a change after which a clip has arrived.

    Attributes:
        remark: a sentence where the system cannot tell of changes here; else None.

    Raises:
        ClipError: it is no folder, or cannot be read.
    """

    def __init__(self, folder: Path | str, recursive: bool = False, settle: float = SETTLE) -> None:
        # What a link leads to: the system tells of changes behind it, not of those to it.
        self.folder = Path(folder).resolve()
        self.recursive = recursive
        self.settle = settle
        self.remark: str | None = None
        self._given = Path(folder).absolute()
        self._events: queue.SimpleQueue[FileSystemEvent | None] = queue.SimpleQueue()
        self._waiting: dict[Path, _Waiting] = {}
        self._ready: deque[Arrived] = deque()
        self._taken: dict[Path, FileState] = {}
        self._removed: deque[RemovedFile] = deque()
        self._opened: set[Path] = set()  # since the last time somebody closed it
        self._written: set[Path] = set()
        self._look_at = 0.0  # monotonic seconds of the next look through the folder
        self._look_every = LOOK_EVERY
        self._observer: Any = None
        try:
            with os.scandir(self.folder):
                pass
        except OSError as error:
            raise ClipError(
                f"“{folder}” is not a folder that can be read ({error.strerror}); choose the one "
                "that clips arrive in."
            ) from error
        self._home = self._folder_now()

    def __enter__(self) -> Self:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        events = self._events

        class Passing(FileSystemEventHandler):
            last: FileSystemEvent | None = None

            def on_any_event(self, event: FileSystemEvent) -> None:
                # A clip that is written meanwhile must not fill the memory with its events.
                if event != self.last or events.empty():
                    self.last = event
                    events.put(event)

        observer: Any = None
        try:
            observer = Observer()
            # Before the first look, so that nothing arrives between the two.
            observer.schedule(Passing(), str(self.folder), recursive=self.recursive)
            observer.start()
        except OSError as error:
            # The system allows a number of watches for each user.
            if observer is not None:
                observer.stop()
            self._look_every = max(self.settle, 1.0)
            self.remark = (
                f"The system does not tell of changes in “{self._given}” ({error.strerror}); the "
                f"folder is looked through every {self._look_every:g} seconds instead."
            )
        else:
            self._observer = observer
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def wake(self) -> None:
        """Let `take` return at once; may be called by a signal's handler and by other threads."""
        self._events.put(None)

    def take(self, timeout: float = _AT_MOST) -> Arrived | RemovedFile | None:
        """Return the next clip that has arrived, or one that was removed while it waited.

        Args:
            timeout: seconds to wait for one, at most.

        Returns:
            None where nothing came within `timeout`, or `wake` was called.

        Raises:
            ClipError: the folder is not there any more.
        """
        deadline = time.monotonic() + timeout
        while True:
            woken = self._hear(0)
            self._check_folder()
            self._look()
            self._judge()
            if self._removed:
                return self._removed.popleft()
            found = self._next_ready()
            if found is not None:
                return found
            remaining = deadline - time.monotonic()
            if woken or remaining <= 0 or self._hear(min(remaining, self._patience())):
                return None

    def look_again(self, path: Path) -> None:
        """Let a clip arrive anew that was taken and has changed meanwhile."""
        self._taken.pop(path, None)
        self._consider(path)

    def folder_is_there(self) -> bool:
        """Return False once the folder was removed, moved away, or another one took its place."""
        return self._home is not None and self._folder_now() == self._home

    # --- what the system tells ---------------------------------------------------------------

    def _hear(self, timeout: float) -> bool:
        """Take in what was told, waiting `timeout` seconds for the first; True if woken."""
        woken = False
        with contextlib.suppress(queue.Empty):
            event = self._events.get(timeout > 0, timeout or None)
            while True:
                if event is None:
                    woken = True
                else:
                    self._note(event)
                event = self._events.get_nowait()
        return woken

    def _note(self, event: FileSystemEvent) -> None:
        kind = event.event_type
        path = Path(os.fsdecode(event.src_path))
        if event.is_directory:
            if kind in ("created", "moved", "deleted"):
                self._look_at = 0.0
            return
        if kind == "opened":
            self._opened.add(path)
        elif kind in ("created", "modified"):
            self._written.add(path)
        elif kind != "attrib":  # closed, moved or deleted: nobody writes it by this name
            self._opened.discard(path)
            self._written.discard(path)
        if kind == "moved":
            to = Path(os.fsdecode(event.dest_path))
            if self._is_clip(to):
                self._waiting.pop(path, None)  # it waits on under its new name
                self._consider(to)
        elif kind not in ("opened", "closed_no_write", "deleted") and self._is_clip(path):
            self._consider(path)

    def _is_clip(self, path: Path) -> bool:
        try:
            parts = path.relative_to(self.folder).parts
        except ValueError:
            return False
        return (
            bool(parts)
            and (self.recursive or len(parts) == 1)
            and not any(part.startswith(".") for part in parts)
            and "." in parts[-1]
            and parts[-1].rsplit(".", 1)[-1].lower() in EXTENSIONS
        )

    # --- what is seen ------------------------------------------------------------------------

    def _folder_now(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            found = self._given.stat()
            return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
        return None

    def _check_folder(self) -> None:
        if not self.folder_is_there():
            raise ClipError(
                f"“{self._given}” is not there any more; bring the folder back, then start again."
            )

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + self._look_every
        there = set(self._clips())
        for path in sorted(there):
            self._consider(path)
        for path in self._taken.keys() - there:
            del self._taken[path]

    def _clips(self) -> Iterator[Path]:
        for place, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")] * self.recursive
            yield from (path for name in files if self._is_clip(path := Path(place, name)))

    def _consider(self, path: Path) -> None:
        """Let a clip wait, unless this very state of it was taken already."""
        found = FileState.of(path)
        if found is None or path in self._waiting or self._taken.get(path) == found:
            return
        self._waiting[path] = _Waiting(found, time.monotonic())

    def _judge(self) -> None:
        now = time.monotonic()
        for path, waiting in list(self._waiting.items()):
            found = FileState.of(path)
            if found is None:
                del self._waiting[path]
                self._removed.append(RemovedFile(path, gone(path, "waited")))
            elif found != waiting.file_state:
                if not found.same_file(waiting.file_state):
                    self._removed.append(RemovedFile(path, replaced(path, "waited")))
                waiting.file_state, waiting.since = found, now
            elif now - waiting.since >= self.settle and not self._is_held(path):
                del self._waiting[path]
                self._taken[path] = found
                self._ready.append(Arrived(path, found))

    def _is_held(self, path: Path) -> bool:
        """Return True while somebody who has written it has it open."""
        return path in self._opened and path in self._written

    def _next_ready(self) -> Arrived | None:
        while self._ready:
            arrived = self._ready.popleft()
            if FileState.of(arrived.path) == arrived.file_state:
                return arrived
            # It changed after it had arrived, while others were being scanned.
            self._taken.pop(arrived.path, None)
            self._waiting.setdefault(arrived.path, _Waiting(arrived.file_state, time.monotonic()))
        return None

    def _patience(self) -> float:
        """Return the seconds until something may change without being told."""
        now = time.monotonic()
        settled = [
            waiting.since + self.settle
            for path, waiting in self._waiting.items()
            if not self._is_held(path)
        ]
        return min(max(min([self._look_at, *settled]) - now, 0.01), _AT_MOST)


def gone(path: Path, while_it: str) -> str:
    """Return what is said of a clip that was removed while it "waited" or "was scanned"."""
    return f"“{shortened(path.name)}” was removed while it {while_it}; nothing of it was kept."


def replaced(path: Path, while_it: str) -> str:
    """Return what is said of a clip that was changed while it "waited" or "was scanned"."""
    return (
        f"“{shortened(path.name)}” was replaced while it {while_it}; it is scanned when all of "
        "it is there."
    )
