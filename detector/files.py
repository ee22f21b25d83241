"""Files: where Veriframe's own and the person's lie, writing one whole, and its hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
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


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all; raises ReportError."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    except OSError as error:
        raise _unwritable(path, error) from error
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)  # as any other new file
        partial.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> ReportError:
    return ReportError(
        f"“{path}” cannot be written ({error.strerror or error}); choose another place."
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex; it is read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
