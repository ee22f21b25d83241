"""Several kept analyses scanned again with the current models, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detector.analysis.engine import Engine
from detector.analysis.scan import Progress
from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import Cancelled, DetectorError, LibraryError
from detector.jobs.scan_and_keep import scan_and_keep
from detector.library.store import Library
from detector.library.types import LibraryFilter
from detector.settings import DETECTORS, Settings


@dataclass(frozen=True)
class Rescanned:
    """What became of one analysis.

    Attributes:
        old: its number in the library.
        name: of its clip.
        new: number of the analysis with the current models; None where it failed.
        known: that analysis was in the library before.
        error: one sentence where it failed.
    """

    old: int
    name: str
    new: int | None = None
    known: bool = False
    error: str | None = None


def rescan_all(
    library: Library,
    ids: Sequence[int],
    engine: Engine,
    on_progress: ProgressCallback | None = None,
    cancelled: CancelCallback | None = None,
) -> tuple[Rescanned, ...]:
    """Scan the clips again, each with the settings that it was scanned with.

    Args:
        library: the library; the earlier analyses stay in it.
        ids: numbers of the analyses.
        engine: the current models.
        on_progress: called with the share that is done, [0, 1].
        cancelled: asked between frames; what is kept by then stays.

    Returns:
        What became of each; shorter than `ids` where it was stopped.
    """
    results: list[Rescanned] = []

    def tell(progress: Progress) -> None:
        if on_progress is not None:
            on_progress((len(results) + progress.done / max(progress.total, 1)) / len(ids))

    for id in ids:
        name = f"number {id}"
        try:
            old = library.summary(id)
            name = old.name
            before = library.ids(LibraryFilter(sha256=old.sha256))
            new = rescan(
                library, id, _settings(library, id), engine, on_progress=tell, cancelled=cancelled
            )
            results.append(Rescanned(id, name, new, known=new in before))
        except Cancelled:
            break
        except DetectorError as error:
            results.append(Rescanned(id, name, error=str(error)))
        if on_progress is not None:
            on_progress(len(results) / len(ids))
    return tuple(results)


def _settings(library: Library, id: int) -> Settings:
    """Return the settings as before; a face detector that is gone is replaced by the default."""
    sampling = library.get(id).sampling
    if sampling.face_detector in DETECTORS:
        return Settings(frames=sampling.requested, face_detector=sampling.face_detector)
    return Settings(frames=sampling.requested)


def rescan(
    library: Library,
    id: int,
    settings: Settings | None = None,
    engine: Engine | None = None,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> int:
    """Scan a kept analysis's clip again with the current models; the old analysis stays.

    Returns:
        The number of the new analysis; the known one where models and settings are the same.

    Raises:
        LibraryError: the clip was not kept and does not lie where it was, or nothing can be kept.
        ClipError, ModelError, Cancelled: as from `detector.analysis.scan.scan`.
    """
    path = library.clip(id)
    if path is None:
        raise LibraryError(
            "The clip of this analysis was not kept and is not where it was; upload it again on "
            "“Check a clip”."
        )
    settings, engine = settings or Settings(), engine or Engine()
    old = library.summary(id)
    found = library.find(old.sha256, engine.models_for(settings).fingerprint)
    if found is not None:
        return found.id
    _, new = scan_and_keep(
        path,
        library,
        settings,
        engine,
        name=old.name,
        tags=old.tags,
        note=old.note,
        source=old.source,
        on_progress=on_progress,
        cancelled=cancelled,
    )
    assert new is not None
    return new
