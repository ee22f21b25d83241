"""The light types of a clip, and which files are refused before they are opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.errors import ClipError
from detector.limits import Limits
from detector.media.clip import check_file, lasting, shortened
from tests.helpers.processes import python

HEAVY = ("av", "cv2", "openvino", "pydantic", "sqlalchemy", "streamlit", "torch")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("detector.media.clip", ("numpy", "PIL", *HEAVY)),
        ("detector.result", ("numpy", "PIL", *HEAVY)),
        ("detector.client", ("numpy", "PIL", *HEAVY)),
        ("detector.library.types", HEAVY),
    ],
)
def test_results_are_read_without_decoders(module: str, heavy: tuple[str, ...]) -> None:
    loaded = f"[name for name in {heavy} if name in sys.modules]"
    assert python(f"import sys, {module}; print({loaded})") == "[]"


def test_a_file_is_checked_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with pytest.raises(ClipError, match="cannot be opened; check that it exists"):
        check_file(path, "clip", Limits())
    path.touch()
    with pytest.raises(ClipError, match="is empty"):
        check_file(path, "clip", Limits())
    with pytest.raises(ClipError, match="is not a file"):
        check_file(tmp_path, "clip", Limits())
    path.write_bytes(bytes(10))
    check_file(path, "clip", Limits(bytes=10))
    with pytest.raises(ClipError, match="allowed here; cut the part you need"):
        check_file(path, "clip", Limits(bytes=9))


@pytest.mark.parametrize(
    ("seconds", "words"), [(1.44, "1.4 s"), (119.9, "119.9 s"), (150, "2.5 minutes")]
)
def test_a_duration_fits_into_a_sentence(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_a_name_fits_into_a_sentence() -> None:
    assert shortened("clip.mp4") == "clip.mp4"
    assert shortened("a\nb\x1b[2J.mp4") == "a b [2J.mp4"
    long = shortened("x" * 400 + ".mp4")
    assert len(long) == 60
    assert long.endswith(".mp4")
