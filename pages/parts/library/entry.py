"""One analysis of the library: its finding, its notes, and where to go from here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from detector.errors import DetectorError, LibraryError
from detector.library.store import Library
from detector.library.types import LibraryFilter, Summary
from detector.media.provenance.facts import Provenance
from detector.media.sandboxed_provenance import inspect
from pages.parts import library_access, result
from pages.parts.explain.face_picker import KEPT
from pages.parts.frames.analysis_picker import LIBRARY
from pages.parts.library import delete, links, scans
from pages.parts.library.summary_text import facts
from pages.parts.text import plain, short

PLAYED = 200 << 20  # bytes: a larger clip is not sent to the browser as a whole


@st.cache_data(max_entries=32, show_spinner="Reading what the file says of itself…")
def _provenance(path: Path, sha256: str) -> Provenance | None:
    try:
        return inspect(path)
    except DetectorError:
        return None


def show(library: Library, number: int) -> None:
    """Draw the analysis with that number; raises LibraryError where there is none."""
    summary = library.summary(number)
    _becomes_current(number)
    analysis = library_access.analysis(library, number)
    clip = library_access.clip(library, number)
    _head(library, summary)
    scans.show(library)
    _words(library, summary)
    _others(library, summary)
    result.show(
        analysis,
        library_access.pictures(library, number),
        clip if clip is not None and summary.bytes <= PLAYED else None,
        None if clip is None else _provenance(clip, summary.sha256),
        lambda: _place(clip),
    )


def _becomes_current(number: int) -> None:
    """Let the other pages show this analysis next."""
    state = st.session_state
    if state.get("opened") != number:
        state.opened, state.browsed, state.frames_of = number, [number], LIBRARY
        state.clip = f"{KEPT}{number}"


def _head(library: Library, summary: Summary) -> None:
    st.button(
        "All analyses", icon=":material/arrow_back:", on_click=st.query_params.clear, key="back"
    )
    st.subheader(plain(short(summary.name, 80)), anchor=False)
    st.caption(facts(summary))
    with st.container(horizontal=True, vertical_alignment="center", key="analysis-actions"):
        query = {"analysis": str(summary.id)}
        st.page_link("pages/frames.py", label="Browse its frames", query_params=query)
        st.page_link("pages/feature_maps.py", label="Feature maps", query_params=query)
        st.page_link("pages/attributions.py", label="Attributions", query_params=query)
        scans.offer_rescan(library, [summary.id])
        if st.button("Delete…", icon=":material/delete:", key="delete-one"):
            delete.confirm([summary.id])


def _words(library: Library, summary: Summary) -> None:
    """Draw tags and a note, saved as they are changed."""
    state = st.session_state
    tags, note = f"tags-{summary.id}", f"note-{summary.id}"
    with st.container(border=True):
        left, right = st.columns(2, gap="medium")
        state[tags] = list(summary.tags)
        left.multiselect(
            "Tags",
            sorted({*library.tags(), *summary.tags}),
            key=tags,
            accept_new_options=True,
            placeholder="Choose a tag, or write a new one",
            on_change=lambda: _save(lambda: library.set_tags([summary.id], state[tags])),
        )
        state[note] = summary.note
        right.text_area(
            "Note",
            key=note,
            height=68,
            max_chars=10_000,
            placeholder="What you know of this clip; it is searched too",
            on_change=lambda: _save(lambda: library.set_note(summary.id, state[note])),
        )
        if failed := state.pop("words_failed", None):
            st.error(plain(failed), icon=":material/error:")


def _save(act: Callable[[], object]) -> None:
    try:
        act()
    except LibraryError as error:
        st.session_state.words_failed = str(error)


def _others(library: Library, summary: Summary) -> None:
    """Draw links to other analyses of the same clip."""
    same = library.search(LibraryFilter(sha256=summary.sha256), page_size=6).items
    others = [other for other in same if other.id != summary.id][:5]
    if others:
        with st.expander(f"Other analyses of this clip ({len(others)})", icon=":material/history:"):
            for other in others:
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(facts(other), width="stretch")
                    links.link("Open", f"other-{other.id}", "analysis", str(other.id))
                    pair = f"{min(other.id, summary.id)},{max(other.id, summary.id)}"
                    links.link("Compare", f"pair-{other.id}", "compare", pair)


def _place(clip: Path | None) -> None:
    if clip is None:
        st.caption(
            ":material/inventory_2: The pictures are small copies from the library. The clip "
            "itself was not kept, so that it cannot be played, inspected or scanned again here; "
            "to do that, choose its file on “Check a clip”."
        )
    else:
        st.caption(
            f":material/inventory_2: The pictures are small copies from the library. The clip "
            f"lies unchanged at {plain(short(str(clip), 120))}."
        )
