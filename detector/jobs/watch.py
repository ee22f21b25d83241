"""Watch a folder: every clip that arrives is scanned once and kept in the library."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from detector.analysis.engine import Engine
from detector.errors import LibraryError
from detector.jobs.arrivals import Arrivals, Arrived, FileState, RemovedFile, gone, replaced
from detector.jobs.folder import FileOutcome, FileStatus, scan_files
from detector.library.store import Library
from detector.limits import Limits
from detector.settings import Settings


@dataclass(frozen=True)
class WatchCounts:
    """What became of the clips that arrived.

    Attributes:
        analysed, known, failed: how many; each state of a file counts once.
    """

    analysed: int = 0
    known: int = 0
    failed: int = 0

    def and_one(self, state: FileStatus) -> WatchCounts:
        """Return the same with one more."""
        return WatchCounts(
            self.analysed + (state == "analysed"),
            self.known + (state == "known"),
            self.failed + (state == "failed"),
        )


class Stop:
    """Ends a watch; may be used by a signal's handler and by other threads."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._wake: Callable[[], None] | None = None

    def ask(self) -> None:
        """Stop after the current frame; what is kept stays."""
        self._asked.set()
        if self._wake is not None:
            self._wake()

    def is_asked(self) -> bool:
        """Return True once somebody has asked."""
        return self._asked.is_set()


def watch(
    arrivals: Arrivals,
    library: Library,
    stop: Stop,
    settings: Settings | None = None,
    engine: Engine | None = None,
    *,
    limits: Limits | None = None,
    on_outcome: Callable[[FileOutcome, WatchCounts], None] | None = None,
    on_remark: Callable[[str], None] | None = None,
) -> WatchCounts:
    """Scan what arrives until `stop` is asked; what is known already is not scanned again.

    A clip that fails, or changes or goes while it is scanned, does not end the watch; one that
    failed is tried again when it changes.

    Args:
        arrivals: of the folder, entered.
        library: where analyses are kept with their pictures.
        stop: ends it.
        settings, engine, limits: as in `detector.analysis.scan.scan`.
        on_outcome: called in this thread for each clip, with all that came until then.
        on_remark: called in this thread with a sentence on a clip that was removed or replaced.

    Raises:
        ClipError: the folder is not there any more.
        LibraryError: nothing can be kept.
        ModelError: weights or backend are not there.
    """
    settings, engine = settings or Settings(), engine or Engine()
    engine.warm_up(settings)  # missing weights are said before the first clip comes
    seen = WatchCounts()
    stop._wake = arrivals.wake
    while not stop.is_asked():
        item = arrivals.take()
        if isinstance(item, RemovedFile):
            _tell(on_remark, item.why)
        elif isinstance(item, Arrived):
            outcome = _scanned(item, arrivals, library, stop, settings, engine, limits, on_remark)
            if outcome is not None:
                seen = seen.and_one(outcome.state)
                if on_outcome is not None:
                    on_outcome(outcome, seen)
    return seen


def _scanned(
    item: Arrived,
    arrivals: Arrivals,
    library: Library,
    stop: Stop,
    settings: Settings,
    engine: Engine,
    limits: Limits | None,
    on_remark: Callable[[str], None] | None,
) -> FileOutcome | None:
    """Scan one clip; None where it changed or went meanwhile, or the watch ends."""
    changed = False

    def cancelled() -> bool:
        # An analysis of half of one clip and half of another is kept by nobody.
        nonlocal changed
        changed = changed or FileState.of(item.path) != item.file_state
        return changed or stop.is_asked()

    found = scan_files([item.path], library, settings, engine, limits=limits, cancelled=cancelled)
    outcome = found.files[0] if found.files else None
    if found.stopped is not None and outcome is not None:
        raise LibraryError(found.stopped)
    if outcome is not None and outcome.state != "failed":
        return outcome  # of what was there when it was scanned; a change since arrives anew
    if stop.is_asked():
        return None
    now = FileState.of(item.path)
    if now == item.file_state and not changed:
        return outcome
    if arrivals.folder_is_there():
        _tell(on_remark, (gone if now is None else replaced)(item.path, "was scanned"))
        arrivals.look_again(item.path)
    return None


def _tell(on_remark: Callable[[str], None] | None, sentence: str) -> None:
    if on_remark is not None:
        on_remark(sentence)
