"""Scan every clip of a folder and keep what is found; what is known already is not scanned again.

A clip is known by its SHA-256 together with the fingerprint of models and settings, so that a
scan that was interrupted goes on where it stopped, and renamed clips are not scanned twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detector.analysis.engine import Engine
from detector.analysis.scan import Progress
from detector.concurrency.task import CancelCallback, Task
from detector.errors import Cancelled, ClipError, DetectorError, LibraryError
from detector.files import sha256_of
from detector.jobs.scan_and_keep import scan_and_keep
from detector.library.store import Library
from detector.limits import Limits
from detector.media.clip import EXTENSIONS
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
        """Return how many clips ended so."""
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
    """Return a folder's clips by their suffix, in order, without hidden files and linked folders.

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


def start_scan(
    paths: Iterable[Path],
    library: Library | None,
    settings: Settings | None = None,
    engine: Engine | None = None,
    limits: Limits | None = None,
) -> Task[FolderProgress, FolderOutcome]:
    """Begin `scan_files` in the background, for a page that looks at it from time to time.

    Where it is stopped, its result is the outcome of the clips that were done by then.
    """
    waiting = tuple(paths)

    def work(report: Callable[[FolderProgress], None], cancelled: CancelCallback) -> FolderOutcome:
        return scan_files(
            waiting,
            library,
            settings,
            engine,
            limits=limits,
            on_progress=report,
            cancelled=cancelled,
        )

    return Task(
        work,
        FolderProgress(0, len(waiting), None, 0, 0, ()),
        name="folder",
        unexpected="The folder could not be scanned ({error}); try again.",
    )


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
    analysis, id = scan_and_keep(
        path,
        library,
        settings,
        engine,
        # File systems allow names that are no text.
        name=os.fsencode(path.name).decode("utf-8", "replace"),
        source=path.absolute(),
        limits=limits,
        on_progress=on_progress,
        cancelled=cancelled,
    )
    return FileOutcome(path, "analysed", id, analysis.finding.band)


def _sentence(path: Path, error: Exception) -> str:
    if isinstance(error, DetectorError):
        return str(error)
    reason = getattr(error, "strerror", None) or error
    return f"“{path.name}” cannot be opened ({reason}); check that it may be read."
