"""Scan every clip of a folder and keep what is found; what is known already is not scanned again.

A clip is known by its SHA-256 together with the fingerprint of models and settings, so that a
scan that was interrupted goes on where it stopped, and renamed clips are not scanned twice.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detector.analysis.engine import Engine
from detector.analysis.scan import Progress, scan
from detector.concurrency import threads
from detector.errors import Cancelled, ClipError, DetectorError, LibraryError
from detector.files import sha256_of
from detector.library.store import Library
from detector.limits import Limits
from detector.media.clip import EXTENSIONS
from detector.pictures.folder import PictureFolder
from detector.result import Band
from detector.settings import Settings

FileStatus = Literal["analysed", "known", "failed"]


@dataclass(frozen=True)
class FileOutcome:
    """What became of one clip.

    Attributes:
        path: of the clip.
        state: "analysed" now, "known" already, or "failed".
        id: number in the library; None where it failed or nothing is kept.
        band: of its finding; None without one.
        error: one sentence where it failed.
    """

    path: Path
    state: FileStatus
    id: int | None = None
    band: Band | None = None
    error: str | None = None


@dataclass(frozen=True)
class FolderProgress:
    """How far a folder's scan is.

    Attributes:
        done, total: clips.
        path: the clip that is being scanned; None at the end.
        frames_done, frames_total: of that clip; both 0 until known.
        files: what became of the clips that are done.
    """

    done: int
    total: int
    path: Path | None
    frames_done: int
    frames_total: int
    files: tuple[FileOutcome, ...]


@dataclass(frozen=True)
class FolderOutcome:
    """What became of a folder's clips.

    Attributes:
        files: in the order in which they were looked at.
        stopped: why not all of them were; None when they were.
    """

    files: tuple[FileOutcome, ...]
    stopped: str | None = None

    def count(self, state: FileStatus) -> int:
        """How many clips ended so."""
        return sum(file.state == state for file in self.files)

    @property
    def errors(self) -> tuple[FileOutcome, ...]:
        """The clips that failed."""
        return tuple(file for file in self.files if file.state == "failed")

    @property
    def exit_code(self) -> int:
        """0: all clips are done; 1: some failed; 2: all failed, or the scan was stopped."""
        if self.stopped is not None or (self.files and len(self.errors) == len(self.files)):
            return 2
        return 1 if self.errors else 0


def find_clips(folder: Path | str, recursive: bool = False) -> tuple[Path, ...]:
    """The clips in a folder by their suffix, in order; hidden files and links to folders are left.

    Raises:
        ClipError: the folder is none, cannot be read, or holds no clips.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ClipError(f"“{folder}” is not a folder; choose one that holds clips.")
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) * recursive
        found += [
            Path(place, name)
            for name in sorted(files)
            if not name.startswith(".") and name.rsplit(".", 1)[-1].lower() in EXTENSIONS
        ]
    if not found:
        hint = "" if recursive else ", or look into its folders too (--recursive)"
        raise ClipError(f"“{folder}” holds no clips; choose another folder{hint}.")
    return tuple(found)


def scan_files(
    paths: Iterable[Path],
    library: Library | None,
    settings: Settings | None = None,
    engine: Engine | None = None,
    *,
    limits: Limits | None = None,
    on_progress: Callable[[FolderProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FolderOutcome:
    """Scan clips one after another; one that fails does not keep the others from being scanned.

    Args:
        paths: the clips, see `find_clips`.
        library: where analyses are kept with their pictures; None keeps nothing.
        settings, engine, limits: as in `detector.analysis.scan.scan`.
        on_progress: called in this thread, often.
        cancelled: asked between frames; what is kept by then stays.

    Raises:
        ModelError: weights or backend are not there.
    """
    settings, engine = settings or Settings(), engine or Engine()
    engine.warm_up(settings)  # missing weights are one error, not one for each clip
    known_as = engine.models_for(settings).fingerprint
    waiting = tuple(paths)
    files: list[FileOutcome] = []

    def tell(path: Path | None, frames_done: int = 0, frames_total: int = 0) -> None:
        if on_progress is not None:
            on_progress(
                FolderProgress(
                    len(files), len(waiting), path, frames_done, frames_total, tuple(files)
                )
            )

    def frames_of(path: Path) -> Callable[[Progress], None]:
        return lambda progress: tell(path, progress.done, progress.total)

    for path in waiting:
        tell(path)
        try:
            if cancelled is not None and cancelled():
                raise Cancelled("The scan was stopped; what was kept stays in the library.")
            outcome = _known(path, library, known_as)
            if outcome is None:
                outcome = _scan(path, library, settings, engine, limits, cancelled, frames_of(path))
        except Cancelled:
            stopped = "The scan was stopped; what was kept stays in the library."
            return FolderOutcome(tuple(files), stopped)
        except LibraryError as error:  # the next clip would meet the same full disk
            files.append(FileOutcome(path, "failed", error=str(error)))
            return FolderOutcome(tuple(files), str(error))
        except (DetectorError, OSError) as error:
            outcome = FileOutcome(path, "failed", error=_sentence(path, error))
        files.append(outcome)
    tell(None)
    return FolderOutcome(tuple(files))


class FolderScan:
    """A folder's scan in a thread of its own, for a page that looks at it from time to time.

    Args:
        paths, library, settings, engine, limits: as in `scan_files`.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        library: Library | None,
        settings: Settings | None = None,
        engine: Engine | None = None,
        limits: Limits | None = None,
    ) -> None:
        waiting = tuple(paths)
        self._progress = FolderProgress(0, len(waiting), None, 0, 0, ())
        self._outcome: FolderOutcome | None = None
        self._error: str | None = None
        self._stop = threading.Event()
        self._thread = threads.start(
            lambda: self._run(waiting, library, settings, engine, limits), "folder", self._stop.set
        )

    @property
    def progress(self) -> FolderProgress:
        """How far it is."""
        return self._progress

    @property
    def finished(self) -> bool:
        """True once `outcome` or `error` is there."""
        return self._outcome is not None or self._error is not None

    @property
    def outcome(self) -> FolderOutcome | None:
        """What became of the clips; None while it runs, and where it could not start."""
        return self._outcome

    @property
    def error(self) -> str | None:
        """Why it could not start, in one sentence."""
        return self._error

    def cancel(self) -> None:
        """Stop after the current frame; what is kept stays."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; False if it is not there after `timeout` seconds."""
        self._thread.join(timeout)
        return self.finished

    def _run(
        self,
        paths: tuple[Path, ...],
        library: Library | None,
        settings: Settings | None,
        engine: Engine | None,
        limits: Limits | None,
    ) -> None:
        def note(progress: FolderProgress) -> None:
            self._progress = progress

        try:
            self._outcome = scan_files(
                paths, library, settings, engine, limits=limits, on_progress=note,
                cancelled=self._stop.is_set,
            )  # fmt: skip
        except DetectorError as error:
            self._error = str(error)
        except Exception as error:  # a page must never wait for a thread that is dead
            self._error = f"The folder could not be scanned ({error}); try again."
            raise


def _known(path: Path, library: Library | None, fingerprint: str) -> FileOutcome | None:
    if library is None:
        return None
    found = library.find(sha256_of(path), fingerprint)
    return None if found is None else FileOutcome(path, "known", found.id, found.band)


def _scan(
    path: Path,
    library: Library | None,
    settings: Settings,
    engine: Engine,
    limits: Limits | None,
    cancelled: Callable[[], bool] | None,
    on_progress: Callable[[Progress], None],
) -> FileOutcome:
    # File systems allow names that are no text.
    name = os.fsencode(path.name).decode("utf-8", "replace")
    with tempfile.TemporaryDirectory(prefix="veriframe-") as folder:
        pictures = None if library is None else PictureFolder(folder)
        analysis = scan(
            path, settings, engine, name=name, limits=limits, pictures=pictures,
            on_progress=on_progress, cancelled=cancelled,
        )  # fmt: skip
        id = None if library is None else library.add(analysis, pictures, source=path.absolute())
    return FileOutcome(path, "analysed", id, analysis.finding.band)


def _sentence(path: Path, error: Exception) -> str:
    if isinstance(error, DetectorError):
        return str(error)
    reason = getattr(error, "strerror", None) or error
    return f"“{path.name}” cannot be opened ({reason}); check that it may be read."
