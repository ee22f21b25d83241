"""Files: where Veriframe's own and the person's lie, writing one whole, and its hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from detector.errors import ReportError

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
ASSETS = ROOT / "assets"
MODELS = ASSETS / "models"


def data_folder() -> Path:
    """Return where Veriframe keeps things: `VERIFRAME_DATA`, or the user's data folder."""
    chosen = os.environ.get("VERIFRAME_DATA")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("veriframe", appauthor=False)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a draft to write to, which takes the place of `path` when the block ends.

    A reader sees the old file or the whole new one. The draft has the suffix of `path` and lies
    in a hidden folder beside it, which is removed in any case; where the block fails, `path`
    stays as it was.

    Raises:
        OSError: the draft cannot be made or moved; the caller knows what to say of it.
    """
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=".draft-", ignore_cleanup_errors=True
    ) as folder:
        draft = Path(folder) / f"draft{path.suffix}"
        yield draft
        draft.replace(path)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all; raises ReportError."""
    try:
        with atomic_write(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ReportError:
    return ReportError(
        f"“{path}” cannot be written ({error.strerror or error}); choose another place."
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex; it is read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
