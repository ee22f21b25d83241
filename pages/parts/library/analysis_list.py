"""The library as a list: search, filters, order and pages."""

from __future__ import annotations

import streamlit as st

from detector.library.store import Library
from detector.library.types import Summary
from detector.palette import BAND_COLOURS
from pages.parts import library_access
from pages.parts.face_card import swatch
from pages.parts.library import drift, library_filters, links, scans, selection
from pages.parts.library.summary_text import facts, finding
from pages.parts.paging import Paging
from pages.parts.text import plain, short

PAGE_SIZE = 20
PAGING = Paging("library_page", "library_asked")

_NO_FACE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="56" height="56">'
    '<rect width="56" height="56" rx="6" fill="#8a8f98" fill-opacity="0.18"/>'
    '<path d="M20 28h16" stroke="#8a8f98" stroke-width="3"/></svg>'
)


def show(library: Library) -> None:
    """Draw the filters, the selection's bar and one page of analyses."""
    scans.show(library)
    scans.offer_scan(library)
    if library.search(page_size=1).total == 0:
        library_access.empty()
        return
    drift.offer(library)
    with st.container(border=True):
        wanted, order = library_filters.show(library)
    PAGING.restart((wanted, order))
    found = library.search(wanted, sort=order, page=PAGING.number, page_size=PAGE_SIZE)
    if found.total == 0:
        st.info(
            "No analysis matches; try fewer words, or clear the filters.",
            icon=":material/search_off:",
        )
        st.button(
            "Show everything",
            icon=":material/filter_alt_off:",
            on_click=library_filters.PANEL.clear,
        )
        return
    selected = selection.current(library)
    selection.show(library, wanted, found, selected)
    for summary in found.items:
        _row(library, summary, selected)
    PAGING.show(found)


def _row(library: Library, summary: Summary, selected: list[int]) -> None:
    with st.container(
        horizontal=True,
        border=True,
        vertical_alignment="center",
        gap="small",
        key=f"analysis-{summary.id}",
    ):
        selection.checkbox(summary.id, selected)
        picture = library.thumbnail(summary.id)
        st.image(picture or _NO_FACE, width=56, alt="Its strongest face" if picture else "No face")
        with st.container(width="stretch", gap=None):
            st.button(
                f"**{plain(short(summary.name, 70))}**",
                type="tertiary",
                on_click=links.go,
                args=("analysis", str(summary.id)),
                key=f"open-{summary.id}",
                help="Open",
            )
            st.caption(facts(summary))
            if summary.tags or summary.note:
                tags = " ".join(f":blue-badge[{plain(short(tag, 30))}]" for tag in summary.tags)
                st.caption(f"{tags} {plain(short(summary.note, 100))}")
        with st.container(
            horizontal=True, width=190, vertical_alignment="center", gap="small", wrap=False
        ):
            colour = BAND_COLOURS[summary.band] if summary.band else "#8a8f98"
            st.image(swatch(colour), width=14, alt="")
            st.markdown(finding(summary))
