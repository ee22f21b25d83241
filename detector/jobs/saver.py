"""What becomes of an analysis while its clip's file is still there: its origin, and the library."""

from __future__ import annotations

from pathlib import Path

from detector.errors import ClipError, LibraryError
from detector.library.store import Library
from detector.media.provenance.facts import Provenance
from detector.media.sandboxed_provenance import inspect
from detector.pictures.protocols import Pictures
from detector.result import Analysis


class LibrarySaver:
    """Called with a finished analysis; what it finds out is in its attributes afterwards.

    Args:
        library: the library to keep analyses in; None to keep nothing.
        source: where the clip lies, if it stays there, so that it can be scanned again.

    Attributes:
        id: number of the analysis in the library; None where it is not kept.
        refused: one sentence why it could not be kept; None if nothing went wrong.
        provenance: what the clip's file says of itself; None where it cannot be read.
    """

    def __init__(self, library: Library | None, source: Path | None = None) -> None:
        self._library = library
        self._source = source
        self.id: int | None = None
        self.refused: str | None = None
        self.provenance: Provenance | None = None

    def __call__(self, analysis: Analysis, pictures: Pictures, clip: Path) -> None:
        """Look at the file, then keep the analysis; never raises DetectorError."""
        try:
            self.provenance = inspect(clip, name=analysis.clip.name)
        except ClipError:
            self.provenance = None
        if self._library is not None:
            self.keep(self._library, analysis, pictures)

    def keep(self, library: Library, analysis: Analysis, pictures: Pictures) -> None:
        """Put the analysis into the library, or say in `refused` why that failed."""
        self.refused = None
        try:
            self.id = library.add(analysis, pictures, source=self._source)
        except LibraryError as error:
            self.refused = str(error)

    def remove(self, library: Library) -> None:
        """Take the analysis out of the library again; raises LibraryError."""
        if self.id is not None:
            library.delete([self.id])
            self.id = None
