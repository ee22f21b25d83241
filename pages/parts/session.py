"""What belongs to the process (models, queue) and what to one browser tab (its clip)."""

from __future__ import annotations

import uuid
from io import BytesIO
from pathlib import Path

import streamlit as st

from detector.errors import DetectorError, LibraryError
from detector.jobs import process_queue
from detector.jobs.queue import Job, Jobs
from detector.jobs.saver import LibrarySaver
from detector.library.store import Library
from detector.settings import Settings
from pages.parts import library_access

# What this tab forgets with its clip; "opened" and "browsed" would hide the next one.
_OF_THIS_CLIP = (
    "job",
    "media",
    "keeper",
    "own_library",
    "refused",
    "moment",
    "track",
    "opened",
    "browsed",
    "frames_of",
    "frame_chosen",
    "clip",
)


def models() -> Jobs:
    """Return the queue of this process; its models begin to load in the background at once."""
    return process_queue.jobs()


def job() -> Job | None:
    """Return the analysis that this tab looks at, in whatever state."""
    found: Job | None = st.session_state.get("job")
    return found


def media() -> Path | BytesIO | None:
    """Return what the player shows: the sample's file or the upload."""
    shown: Path | BytesIO | None = st.session_state.get("media")
    return shown


def saver() -> LibrarySaver | None:
    """Return what became of this tab's analysis: its origin, and its place in the library."""
    found: LibrarySaver | None = st.session_state.get("keeper")
    return found


def start(clip: Path | BytesIO, name: str, settings: Settings, keep: bool = True) -> None:
    """Analyse a clip for this tab; what it looked at before is discarded.

    Args:
        clip: a file that stays in place, or an upload.
        name: as the person gave it.
        settings: how to look at it.
        keep: put the finished analysis into the library.
    """
    discard()
    keeping = _saver(clip, keep)
    try:
        visitor = st.session_state.setdefault("visitor", uuid.uuid4().hex)
        st.session_state.job = models().submit(clip, name, settings, on_done=keeping, owner=visitor)
        st.session_state.media, st.session_state.keeper = clip, keeping
    except DetectorError as error:
        st.session_state.refused = str(error)


def _saver(clip: Path | BytesIO, keep: bool) -> LibrarySaver:
    source = clip if isinstance(clip, Path) else None
    if not keep:
        return LibrarySaver(None, source)
    try:
        return LibrarySaver(library_access.open_library(), source)
    except LibraryError as error:  # the clip is analysed all the same
        without = LibrarySaver(None, source)
        without.refused = str(error)
        return without


def own_library() -> tuple[Library, int] | None:
    """Return a library of this tab's analysis alone, which goes with it, and the number in it.

    Raises:
        LibraryError: the disk is full.
    """
    looked_at = job()
    if looked_at is None or looked_at.analysis is None:
        return None
    if "own_library" not in st.session_state:
        library = Library.open(looked_at.pictures.folder.with_name("frames.sqlite"))
        st.session_state.own_library = library, library.add(looked_at.analysis, looked_at.pictures)
    found: tuple[Library, int] = st.session_state.own_library
    return found


def discard() -> None:
    """Forget this tab's clip and remove its files."""
    if "own_library" in st.session_state:
        st.session_state.own_library[0].close()
    old = job()
    if old is not None:
        old.discard()
    for key in _OF_THIS_CLIP:
        st.session_state.pop(key, None)
