"""The folder in which clips wait that were sent to the service, and who is at work in it.

Clips lie here and not among temporary files, so that they outlast a restart. Each process holds
a lock in the folder while it lives; that of a dead one is free, whatever killed it.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO

from detector.errors import ServiceError
from detector.files import data_folder

PARTIAL = ".part"


class PendingClips:
    """One process's part in the folder of waiting clips.

    Args:
        folder: default, "spool" in the data folder.

    Attributes:
        folder: where the clips are.
        home: names the folder, forever.
        worker: names this process's time in it.

    Raises:
        ServiceError: the folder cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or data_folder() / "spool"
        self.worker = uuid.uuid4().hex
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.home = _name_of(self.folder)
            self._lock = _held(self._lock_file(self.worker))
        except OSError as error:
            raise ServiceError(
                f"Clips that are sent cannot be stored in {self.folder} ({error.strerror}); allow "
                "this user to write there, or choose another folder with VERIFRAME_DATA."
            ) from error

    def clip(self, id: str) -> Path:
        """Return where the clip of a job waits."""
        return self.folder / f"{id}.clip"

    def arriving(self, id: str) -> Path:
        """Return where the clip of a job is written until all of it is there."""
        return self.folder / f"{id}-{self.worker}{PARTIAL}"

    def alive(self, worker: str) -> bool:
        """Return True while the process that has this name here lives."""
        path = self._lock_file(worker)
        try:
            with path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)  # it will not come back
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def sweep(self, unfinished: Callable[[], Collection[str]]) -> None:
        """Remove clips that no unfinished job needs, and what dead processes left.

        Args:
            unfinished: ids of jobs; asked after the folder was read, since a clip comes after
                its record.
        """
        clips = list(self.folder.glob("*.clip"))
        needed = unfinished() if clips else ()
        for path in clips:
            if path.stem not in needed:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(f"*{PARTIAL}"):
            if not self.alive(path.stem.rpartition("-")[2]):
                path.unlink(missing_ok=True)
        for path in self.folder.glob("*.lock"):
            self.alive(path.stem)

    def close(self) -> None:
        """Leave the folder to others."""
        self._lock_file(self.worker).unlink(missing_ok=True)
        self._lock.close()

    def _lock_file(self, worker: str) -> Path:
        return self.folder / f"{worker}.lock"


def _held(path: Path) -> IO[bytes]:
    while True:
        file = path.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()  # somebody who swept took it for that of a dead process


def _name_of(folder: Path) -> str:
    path = folder / "name"
    try:
        with path.open("x") as file:
            file.write(uuid.uuid4().hex)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        pass
    return path.read_text() or _named_again(path)


def _named_again(path: Path) -> str:
    """Name a folder again whose file a crash between making and writing left empty."""
    path.write_text(uuid.uuid4().hex)
    return path.read_text()
