"""Analyses that are selected in the list, and what can be done with all of them at once."""

from __future__ import annotations

import streamlit as st

from detector.library.store import Library
from detector.library.types import LibraryFilter, Page, Summary
from detector.report import archive
from pages.parts.library import delete, links, scans
from pages.parts.library.compare import MOST_COMPARED
from pages.parts.paging import count

MOST_SELECTED = 20_000
MOST_BROWSED = 50  # analyses whose frames are listed together, short of the whole library
_FORMS = {"csv": "CSV", "parquet": "Parquet", "json": "JSON"}


def current(library: Library) -> list[int]:
    """Return the numbers that are selected and still in the library, in the order of choosing."""
    chosen: list[int] = st.session_state.setdefault("library_selected", [])
    if chosen:
        there = set(library.ids(LibraryFilter(ids=chosen)))
        chosen = [number for number in chosen if number in there]
        st.session_state.library_selected = chosen
    return chosen


def show(
    library: Library, wanted: LibraryFilter, found: Page[Summary], selected: list[int]
) -> None:
    """Draw the bar above the list: how many match, what to select, and the actions.

    Args:
        library: what is listed.
        wanted: the filter of the list.
        found: the page in sight.
        selected: as from `current`.
    """
    here = [summary.id for summary in found.items]
    with st.container(horizontal=True, vertical_alignment="center", key="library-bar"):
        chosen = f" · **{len(selected):,}** selected" if selected else ""
        st.markdown(count(found, "analysis", "analyses") + chosen, width="stretch")
        all_here = set(here) <= set(selected)
        st.button(
            "Select none of this page" if all_here else "Select this page",
            on_click=_select,
            args=(here, not all_here),
            type="tertiary",
        )
        if found.pages > 1:
            st.button(
                f"Select all {min(found.total, MOST_SELECTED):,}",
                type="tertiary",
                on_click=lambda: _select(list(library.ids(wanted))[-MOST_SELECTED:], True),
            )
        if selected:
            st.button("Clear selection", type="tertiary", on_click=_select, args=(selected, False))
    actions = st.container()  # always there, so that no row moves when the first is selected
    if selected:
        with actions.container(
            horizontal=True, border=True, vertical_alignment="center", key="library-actions"
        ):
            _actions(library, selected)


def checkbox(number: int, selected: list[int]) -> None:
    """Draw the box that selects one analysis."""
    key = f"pick-{number}"
    st.session_state[key] = number in selected
    st.checkbox(
        f"Select {number}",
        key=key,
        on_change=lambda: _select([number], st.session_state[key]),
        label_visibility="collapsed",
        width=24,
    )


def _select(numbers: list[int], on: bool) -> None:
    state = st.session_state
    rest = [number for number in state.library_selected if number not in numbers]
    state.library_selected = rest + numbers if on else rest


def _actions(library: Library, selected: list[int]) -> None:
    numbers = ",".join(map(str, selected))
    st.button(
        "Compare",
        icon=":material/compare:",
        disabled=not 2 <= len(selected) <= MOST_COMPARED,
        on_click=links.go,
        args=("compare", numbers),
        help=f"Select two to {MOST_COMPARED} analyses.",
    )
    few = len(selected) <= MOST_BROWSED
    st.page_link(
        "pages/frames.py",
        label="Browse frames",
        disabled=not few,
        query_params={"analysis": numbers} if few else None,
        help="Their frames, together in one list."
        if few
        else f"At most {MOST_BROWSED} at once; the page “Frames” also shows the whole library.",
    )
    with st.popover("Tags", icon=":material/sell:"):
        st.text_input("Tag", key="bulk_tag", max_chars=80, placeholder="for example: election")
        with st.container(horizontal=True):
            st.button("Add to all", on_click=_tag, args=(library, selected, True))
            st.button("Take off all", on_click=_tag, args=(library, selected, False))
    with st.popover("Export", icon=":material/download:"):
        _export(library, selected)
    scans.offer_rescan(library, selected)
    if st.button("Delete…", icon=":material/delete:", key="delete-selected"):
        delete.confirm(selected)


def _tag(library: Library, numbers: list[int], on: bool) -> None:
    name = st.session_state.bulk_tag.strip()
    if name:
        (library.tag if on else library.untag)(numbers, name)
        st.session_state.bulk_tag = ""


def _export(library: Library, selected: list[int]) -> None:
    forms = st.pills(
        "Scores as",
        archive.FORMS,
        key="export_forms",
        default=list(archive.FORMS),
        selection_mode="multi",
        format_func=_FORMS.__getitem__,
    )
    too_many = len(selected) > archive.MOST
    st.download_button(
        f"Download {len(selected):,} as ZIP",
        lambda: archive.archive(library, selected, forms),
        file_name=f"{len(selected)}-analyses-veriframe.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        on_click="ignore",
        disabled=too_many,
        key="export",
        help=f"At most {archive.MOST:,} analyses in one file."
        if too_many
        else "A list of the analyses, and the scores of every face in every frame.",
    )
