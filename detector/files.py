"""Where Veriframe keeps what belongs to the person: the library, and models of their own."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Where Veriframe keeps things: `VERIFRAME_DATA`, or the user's data folder."""
    chosen = os.environ.get("VERIFRAME_DATA")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("veriframe", appauthor=False)
