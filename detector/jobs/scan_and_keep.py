"""One scan whose analysis goes into the library, with the small pictures that belong to it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from detector.analysis.engine import Engine
from detector.analysis.scan import Progress, scan
from detector.library.store import Library
from detector.limits import Limits
from detector.pictures.folder import PictureFolder
from detector.result import Analysis
from detector.settings import Settings


def scan_and_keep(
    path: Path,
    library: Library | None,
    settings: Settings | None = None,
    engine: Engine | None = None,
    *,
    name: str | None = None,
    tags: Iterable[str] = (),
    note: str = "",
    source: Path | str | None = None,
    limits: Limits | None = None,
    on_scanned: Callable[[Analysis, PictureFolder], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Analysis, int | None]:
    """Scan a clip and keep what is found.

    Args:
        path: video or image file.
        library: where the analysis is kept; None keeps nothing.
        tags, note, source: as in `Library.add`.
        on_scanned: called in this thread with the analysis and its pictures, which are removed
            afterwards, before anything is kept.
        settings, engine, name, limits, on_progress, cancelled: as in `detector.analysis.scan.scan`.

    Returns:
        The analysis, and its number in the library; None where nothing is kept.

    Raises:
        LibraryError: it cannot be kept.
        ClipError, ModelError, Cancelled: as from `detector.analysis.scan.scan`.
    """
    with tempfile.TemporaryDirectory(prefix="veriframe-") as folder:
        wanted = library is not None or on_scanned is not None
        pictures = PictureFolder(folder)
        analysis = scan(
            path,
            settings,
            engine,
            name=name,
            limits=limits,
            pictures=pictures if wanted else None,
            on_progress=on_progress,
            cancelled=cancelled,
        )
        if on_scanned is not None:
            on_scanned(analysis, pictures)
        if library is None:
            return analysis, None
        return analysis, library.add(analysis, pictures, tags=tags, note=note, source=source)
