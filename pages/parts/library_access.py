"""The library of this process, and what to say where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from detector.errors import LibraryError
from detector.library.database import database_url
from detector.library.store import Library
from detector.media.clip import Image
from detector.pictures.from_clip import ClipPictures
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis
from pages.parts import login
from pages.parts.text import plain

SAVED_NOTE = (
    "Finished analyses are kept in the library on this machine, with small pictures of their "
    "frames. The clip itself is never kept."
)
NOT_SAVED_NOTE = "This analysis will not be kept: it goes when you leave this tab."


@st.cache_resource(show_spinner="Opening the library…", max_entries=2)
def _open(address: str) -> Library:
    return Library.open()


def open_library() -> Library:
    """Return the library of the person at the screen, opened once; raises LibraryError."""
    library = _open(str(database_url()))  # an address without its password
    return library.owned_by(login.owner())


def _whose(library: Library) -> tuple[str, str]:
    """Return what tells one person's view of a library from all others in what is cached of it."""
    return library.place, library.owner


@st.cache_resource(max_entries=16, show_spinner="Opening the analysis…")
def _analysis(_library: Library, whose: tuple[str, str], number: int) -> Analysis:
    return _library.get(number)


def analysis(library: Library, number: int) -> Analysis:
    """Return a kept analysis, read once; raises LibraryError."""
    return _analysis(library, _whose(library), number)


@st.cache_data(ttl=60, max_entries=64, show_spinner="Looking for the clip…")
def _clip(_library: Library, whose: tuple[str, str], number: int) -> Path | None:
    return _library.clip(number)


def clip(library: Library, number: int) -> Path | None:
    """Return the file of a kept analysis's clip, where it is unchanged; raises LibraryError."""
    return _clip(library, _whose(library), number)


def pictures(library: Library, number: int) -> DisplayPictures:
    """Return its pictures, with exact faces where its clip is still there; raises LibraryError."""
    copies, file = library.pictures(number), clip(library, number)
    return copies if file is None else ClipPictures(copies, file, analysis(library, number))


@st.cache_data(max_entries=64, show_spinner="Cutting the face out of the clip…")
def _face(
    _pictures: DisplayPictures, whose: tuple[str, str], number: int, index: int, track: int
) -> Image | None:
    return _pictures.face(index, track)


def face(
    library: Library, number: int, pictures: DisplayPictures, index: int, track: int
) -> Image | None:
    """Return a track's face in a frame of a kept analysis, from its `pictures`, decoded once."""
    return _face(pictures, _whose(library), number, index, track)


def delete(ids: Iterable[int]) -> int:
    """Delete analyses from the library, and forget what was read of them; raises LibraryError."""
    removed = open_library().delete(ids)
    for cache in (_analysis, _clip, _face):
        cache.clear()
    return removed


def numbers(text: str) -> list[int]:
    """Return the numbers in a link such as `12,15`; what is none is left out."""
    words = (word.strip() for word in text.split(","))
    return list(dict.fromkeys(int(word) for word in words if word.isdecimal() and len(word) < 10))


def empty() -> None:
    """Say that nothing is kept yet, and show the way."""
    st.info(
        "The library is empty. Analyses come here by themselves when you check a clip.",
        icon=":material/inventory_2:",
    )
    st.page_link("pages/check.py", label="Check a clip", icon=":material/video_search:")


def refused(error: LibraryError) -> None:
    """Say in one sentence why the library cannot be used, and show the ways on."""
    st.error(plain(str(error)), icon=":material/inventory_2:")
    with st.container(horizontal=True):
        st.button("Try again", icon=":material/refresh:", on_click=_open.clear, key="reopen")
        st.page_link("pages/check.py", label="Check a clip without it")
