"""The frames that match: a table or a grid of faces, page by page, and the chosen one large."""

from __future__ import annotations

import streamlit as st

from detector.library.types import FrameFilter, FrameRow, Page
from detector.report import export, tables
from pages.parts.frames import frame_grid, frame_table, frame_view
from pages.parts.frames.analysis_picker import BrowsedAnalyses
from pages.parts.frames.frame_table import RowKey, row_key
from pages.parts.paging import Paging, count

TABLE, GRID = "Table", "Grid"
PAGE_SIZE = {TABLE: 50, GRID: 40}
MOST_EXPORTED = 300_000  # face scores in one file that a browser takes
PAGING = Paging("frames_page", "frames_asked")
_EXPORTS = (("csv", "CSV", "text/csv"), ("parquet", "Parquet", "application/vnd.apache.parquet"))


def show(browsed: BrowsedAnalyses, wanted: FrameFilter, order: str) -> None:
    """Draw the list and the chosen frame; a change of page or frame redraws only them.

    Args:
        browsed: whose frames.
        wanted: which of them.
        order: the column to sort by.
    """
    state = st.session_state
    if PAGING.restart((browsed.library.place, wanted, order)):
        state.frames_turn = state.get("frames_turn", 0) + 1
    _list(browsed, wanted, order)


@st.fragment
def _list(browsed: BrowsedAnalyses, wanted: FrameFilter, order: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="frames-bar"):
        view = st.segmented_control(
            "View",
            [TABLE, GRID],
            default=TABLE,
            key="frames_view",
            persist_state="session",
            label_visibility="collapsed",
            required=True,
        )
        found = browsed.library.frames(
            wanted, sort=order, page=PAGING.number, page_size=PAGE_SIZE[view]
        )
        st.markdown(count(found, "row", "rows"), width="stretch")
        _downloads(browsed, wanted, order, found.total)
    if found.total == 0:
        st.info(
            "No frame matches; widen the score range or clear the filters.",
            icon=":material/search_off:",
        )
        return
    chosen = _chosen(found)
    listed, large = st.columns([6, 5], gap="medium")
    with listed:
        if view == TABLE:
            frame_table.show(browsed, found, chosen, _choose)
        else:
            frame_grid.show(browsed, found, chosen, _choose)
        PAGING.show(found)
    with large:
        frame_view.show(browsed, chosen)
        _neighbours(found, chosen)


def _chosen(found: Page[FrameRow]) -> FrameRow:
    state = st.session_state
    if state.get("frame_chosen") == "last":  # by “Previous”, from the page that follows
        state.frame_chosen = row_key(found.items[-1])
    chosen = state.get("frame_chosen")
    return next((row for row in found.items if row_key(row) == chosen), found.items[0])


def _choose(key: RowKey) -> None:
    st.session_state.frame_chosen = key


def _neighbours(found: Page[FrameRow], chosen: FrameRow) -> None:
    state = st.session_state
    keys = [row_key(row) for row in found.items]
    here = keys.index(row_key(chosen))

    def move(by: int) -> None:
        place = here + by
        if 0 <= place < len(keys):
            _choose(keys[place])
        else:
            PAGING.turn_to(found.number + by)
            state.frame_chosen = "last" if by < 0 else None

    with st.container(horizontal=True):
        st.button(
            "Previous",
            icon=":material/arrow_back:",
            on_click=move,
            args=(-1,),
            disabled=here == 0 and found.number == 1,
            key="frame-previous",
        )
        st.button(
            "Next",
            icon=":material/arrow_forward:",
            on_click=move,
            args=(1,),
            disabled=here == len(keys) - 1 and found.number == found.pages,
            key="frame-next",
        )


def _downloads(browsed: BrowsedAnalyses, wanted: FrameFilter, order: str, total: int) -> None:
    makers = {"csv": tables.filtered_csv, "parquet": tables.filtered_parquet}
    too_many = total > MOST_EXPORTED
    for form, label, mime in _EXPORTS:
        st.download_button(
            label,
            lambda make=makers[form]: make(browsed.library, wanted, order),  # type: ignore[misc]
            file_name=_file_name(browsed, form),
            mime=mime,
            icon=":material/download:",
            on_click="ignore",
            key=f"frames-{form}",
            disabled=too_many or total == 0,
            help=f"More than {MOST_EXPORTED:,} rows; narrow the filters first."
            if too_many
            else "All rows that match, on all pages, in this order.",
        )


def _file_name(browsed: BrowsedAnalyses, form: str) -> str:
    if browsed.single is not None:
        named = export.file_name(browsed.analysis(browsed.single.id), form)
        return named.replace("-veriframe.", "-frames-veriframe.")
    of = "library" if browsed.whole else f"{len(browsed.summaries)}-analyses"
    return f"frames-of-{of}-veriframe.{form}"
