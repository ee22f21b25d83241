"""A cache file that is used only whole: its SHA-256 lies beside it and is checked at each read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path


class SealedFile:
    """One file of a cache, and its seal.

    Args:
        path: of the file; the seal has `.sha256` behind its name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seal = path.with_name(path.name + ".sha256")

    def read(self) -> bytes | None:
        """What was written; None where nothing was, or where a single bit is not as it was."""
        with contextlib.suppress(OSError, ValueError):
            content = self.path.read_bytes()
            if hashlib.sha256(content).hexdigest() == self.seal.read_text(encoding="ascii"):
                return content
        return None

    def write(self, content: bytes) -> None:
        """Keep `content`; a folder that is full or cannot be written to is no error."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.path.parent) as temporary:
                draft, seal = Path(temporary) / "content", Path(temporary) / "seal"
                draft.write_bytes(content)
                seal.write_text(hashlib.sha256(content).hexdigest(), encoding="ascii")
                os.replace(draft, self.path)
                os.replace(seal, self.seal)  # last: what it does not fit is never used
