"""Several kept analyses scanned again with the current models, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.analysis import DETECTORS, Engine, Progress, Settings
from detector.errors import Cancelled, DetectorError
from detector.folder_scan import rescan
from detector.library import LibraryFilter
from detector.store import Store
from detector.tasks import CancelCallback, ProgressCallback


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
    store: Store,
    ids: Sequence[int],
    engine: Engine,
    on_progress: ProgressCallback | None = None,
    cancelled: CancelCallback | None = None,
) -> tuple[Rescanned, ...]:
    """Scan the clips again, each with the settings that it was scanned with.

    Args:
        store: the library; the earlier analyses stay in it.
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
            old = store.summary(id)
            name = old.name
            before = store.ids(LibraryFilter(sha256=old.sha256))
            new = rescan(
                store, id, _settings(store, id), engine, on_progress=tell, cancelled=cancelled
            )
            results.append(Rescanned(id, name, new, known=new in before))
        except Cancelled:
            break
        except DetectorError as error:
            results.append(Rescanned(id, name, error=str(error)))
        if on_progress is not None:
            on_progress(len(results) / len(ids))
    return tuple(results)


def _settings(store: Store, id: int) -> Settings:
    """As before; a face detector that is gone is replaced by the present one."""
    sampling = store.get(id).sampling
    if sampling.face_detector in DETECTORS:
        return Settings(frames=sampling.requested, face_detector=sampling.face_detector)
    return Settings(frames=sampling.requested)
