"""A file that is written is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from detector.errors import ReportError
from detector.files import atomic_write, write_whole


def test_the_draft_takes_the_place_of_the_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "hulls.npz"
    path.write_text("old")
    with atomic_write(path) as draft:
        draft.write_text("new")
        assert draft.suffix == ".npz"  # some libraries choose the format by it
        assert path.read_text() == "old"
        assert list(tmp_path.glob("*.npz")) == [path]
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_file_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as draft:
            draft.write_text("ne")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_written_whole_has_the_rights_of_any_other(tmp_path: Path) -> None:
    path, other = tmp_path / "report.json", tmp_path / "other.json"
    write_whole(path, b"{}")
    other.write_bytes(b"{}")
    assert path.stat().st_mode == other.stat().st_mode


def test_a_place_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"cannot be written .* choose another place\.$"):
        write_whole(tmp_path / "missing" / "report.json", b"{}")
    assert os.listdir(tmp_path) == []
