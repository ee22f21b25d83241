"""The page "Check a clip" and the library: kept, not kept, and a library that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from detector.library.store import Library
from detector.library.types import LibraryFilter
from tests.helpers.apptest import open_page, words


def checked(clip: Path, *, keep: bool = True) -> AppTest:
    """The page after a clip was uploaded and analysed, in few frames."""
    app = open_page("check")
    app.session_state["frame_count"] = 4
    app.session_state["do_not_keep"] = not keep
    app.run()
    app.file_uploader[0].upload("mine.mp4", clip.read_bytes())
    app.run()
    assert app.session_state["job"].wait(120)
    app.run()
    assert not app.exception
    assert "Little evidence of manipulation" in words(app)
    return app


def button(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


@pytest.fixture
def clip(sample_clip: Callable[[str], Path]) -> Path:
    return sample_clip("grid_brbk7n")


def test_kept_by_default_and_said_so_before_and_after(clip: Path) -> None:
    assert "Finished analyses are kept in the library" in words(open_page("check"))
    app = checked(clip)
    with Library.open() as library:
        (summary,) = library.search(LibraryFilter(text="mine.mp4")).items
        assert f"**Kept in the library** as number {summary.id}" in words(app)
        links = {link.label: link.proto.query_string for link in app.page_link}
        assert links["Browse its frames"] == f"analysis={summary.id}"
        assert links["Show in the library"] == f"analysis={summary.id}"
        button(app, "Take it out again")
        assert "**Not kept.**" in words(app)
        assert library.ids() == ()
        button(app, "Keep it in the library")
        assert len(library.ids()) == 1
        library.delete(library.ids())  # as from another tab
        app.run()
        assert "**Not kept.**" in words(app)


def test_do_not_keep_does_not_even_make_a_library(clip: Path, tmp_path: Path) -> None:
    app = checked(clip, keep=False)
    assert "This analysis will not be kept" in words(app)
    assert "**Not kept.**" in words(app)
    assert not (tmp_path / "data").exists()
    app.switch_page("pages/frames.py").run()
    assert not app.exception
    assert app.segmented_control(key="frames_of").value == "This tab's clip"
    assert len(app.dataframe[0].value) == 4
    links = {link.label: link.proto.query_string for link in app.page_link}
    assert links["Feature maps"].startswith("clip=Your+clip%3A+mine.mp4&frame=")
    assert "The whole analysis" not in links
    assert not (tmp_path / "data").exists()


def test_a_damaged_library_does_not_spoil_the_result(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "library.sqlite").write_bytes(b"no database" * 500)
    app = checked(clip)
    assert len(app.warning) == 1
    assert "is damaged or was never one" in app.warning[0].value
    assert "This result is complete, but it is not kept" in app.warning[0].value
    assert {found.label for found in app.get("download_button")} >= {"Report (PDF)"}


def test_provenance_is_read_while_the_file_is_there(clip: Path) -> None:
    app = checked(clip, keep=False)
    said = words(app)
    assert "The file carries no Content Credentials" in said
    assert "The file was last written by FFmpeg" in said
    assert any("Provenance" in expander.label for expander in app.expander)
