"""The frames that match: a table or a grid of faces, page by page, and the chosen one large."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from detector.library.types import FrameFilter, FrameRow, Page
from detector.models.networks.registry import NETWORKS
from detector.report import export, tables
from detector.wording import clock
from pages.parts.frames import detail
from pages.parts.frames.source import Browsed

TABLE, GRID = "Table", "Grid"
PAGE_SIZE = {TABLE: 50, GRID: 40}
MOST_EXPORTED = 300_000  # face scores in one file that a browser takes
_EXPORTS = (("csv", "CSV", "text/csv"), ("parquet", "Parquet", "application/vnd.apache.parquet"))


def show(browsed: Browsed, filter: FrameFilter, order: str) -> None:
    """The list and the chosen frame; a change of page or frame redraws only them."""
    _start_anew(browsed, filter, order)
    _list(browsed, filter, order)


def _start_anew(browsed: Browsed, filter: FrameFilter, order: str) -> None:
    state = st.session_state
    asked = (browsed.library.place, filter, order)
    if state.get("frames_asked") != asked:
        state.frames_asked = asked
        state.frames_turn = state.get("frames_turn", 0) + 1
        state.frames_page = 1


@st.fragment
def _list(browsed: Browsed, filter: FrameFilter, order: str) -> None:
    state = st.session_state
    with st.container(horizontal=True, vertical_alignment="center", key="frames-bar"):
        view = st.segmented_control(
            "View", [TABLE, GRID], default=TABLE, key="frames_view", persist_state="session",
            label_visibility="collapsed", required=True,
        )  # fmt: skip
        found = browsed.library.frames(
            filter, sort=order, page=state.frames_page, page_size=PAGE_SIZE[view]
        )
        st.markdown(_count(found), width="stretch")
        _downloads(browsed, filter, order, found.total)
    if found.total == 0:
        st.info(
            "No frame matches; widen the score range or clear the filters.",
            icon=":material/search_off:",
        )
        return
    _step_to(found)
    listed, large = st.columns([6, 5], gap="medium")
    with listed:
        if view == TABLE:
            _table(browsed, found)
        else:
            _grid(browsed, found)
        if found.pages > 1:
            state.frames_page = found.number
            st.pagination(found.pages, key="frames_page")
    with large:
        detail.show(browsed, _chosen(found))
        _neighbours(found)


def _count(found: Page[FrameRow]) -> str:
    noun = "row" if found.total == 1 else "rows"
    where = f", page {found.number} of {found.pages:,}" if found.pages > 1 else ""
    return f"**{found.total:,}** {noun}{where}"


def _key(row: FrameRow) -> tuple[int, int, int]:
    return row.analysis, row.index, row.track or 0


def _chosen(found: Page[FrameRow]) -> FrameRow:
    chosen = st.session_state.get("frame_chosen")
    return next((row for row in found.items if _key(row) == chosen), found.items[0])


def _choose(key: tuple[int, int, int]) -> None:
    st.session_state.frame_chosen = key


def _step_to(found: Page[FrameRow]) -> None:
    """Arriving from the next page by “Previous” means its last row."""
    if st.session_state.get("frame_chosen") == "last":
        st.session_state.frame_chosen = _key(found.items[-1])


def _neighbours(found: Page[FrameRow]) -> None:
    state = st.session_state
    keys = [_key(row) for row in found.items]
    here = keys.index(_key(_chosen(found)))

    def move(by: int) -> None:
        place = here + by
        if 0 <= place < len(keys):
            state.frame_chosen = keys[place]
        else:
            state.frames_page = found.number + by
            state.frame_chosen = "last" if by < 0 else None

    with st.container(horizontal=True):
        st.button("Previous", icon=":material/arrow_back:", on_click=move, args=(-1,),
                  disabled=here == 0 and found.number == 1, key="frame-previous")  # fmt: skip
        st.button("Next", icon=":material/arrow_forward:", on_click=move, args=(1,),
                  disabled=here == len(keys) - 1 and found.number == found.pages,
                  key="frame-next")  # fmt: skip


def _table(browsed: Browsed, found: Page[FrameRow]) -> None:
    state = st.session_state
    pictures = browsed.library.thumbnails([_key(row) for row in found.items if row.track])
    table = pd.DataFrame([_cells(row, pictures) for row in found.items])
    if browsed.alone is not None:
        table = table.drop(columns="Clip")
    key = f"frames-table-{state.frames_turn}-{found.number}"
    chosen = [_key(row) for row in found.items].index(_key(_chosen(found)))

    def picked() -> None:
        selection = state[key].selection
        rows = [row for row, _ in selection.cells] or list(selection.rows)
        if rows:
            _choose(_key(found.items[rows[0]]))

    state[key] = {"selection": {"rows": [chosen], "columns": [], "cells": []}}
    st.dataframe(
        table,
        key=key,
        on_select=picked,
        selection_mode=["single-row-required", "single-cell"],
        hide_index=True,
        row_height=44,
        height=560,
        placeholder="–",
        alt="Scores of the faces in the frames that match",
        column_config=_columns(),
    )
    st.caption(
        "Click a row to see its frame. “Order” sorts all pages; a column's heading sorts this one."
    )


def _cells(row: FrameRow, pictures: Mapping[tuple[int, int, int], bytes]) -> dict[str, Any]:
    picture = pictures.get(_key(row))
    return {
        "": None if picture is None else _data_url(picture),
        "Clip": row.clip,
        "Time": clock(row.time),
        "Frame": row.index,
        "Face": row.track,
        "Score": row.score,
        **{f"{network.title} logit": (row.logits or {}).get(name)
           for name, network in NETWORKS.items()},
        "Disagree": row.disagree,
        "Size": row.size,
        "Sharpness": row.sharpness,
        "Brightness": row.brightness,
        "Counted": row.usable,
        "Certainty": row.detection_score,
    }  # fmt: skip


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    logit = "Logit of this network before calibration; above 0 means manipulated."
    return {
        "": st.column_config.ImageColumn(width=50, pinned=True),
        "Clip": st.column_config.TextColumn(width="medium"),
        "Score": st.column_config.ProgressColumn(
            format="%.2f", min_value=0, max_value=1, width=110,
            help="Ensemble, calibrated; 0 to 1.",
        ),
        "Face": number(format="%d"),
        **{f"{network.title} logit": number(format="%+.2f", help=logit)
           for network in NETWORKS.values()},
        "Disagree": st.column_config.CheckboxColumn(
            help="The networks are on different sides of 0 after calibration."
        ),
        "Size": number(format="%.0f px"),
        "Sharpness": number(format="%.0f"),
        "Brightness": number(format="%.0f"),
        "Counted": st.column_config.CheckboxColumn(
            help="Large and bright enough to count in the finding."
        ),
        "Certainty": number(format="%.2f", help="That this is a face at all; 0 to 1."),
    }  # fmt: skip


def _grid(browsed: Browsed, found: Page[FrameRow]) -> None:
    pictures = browsed.library.thumbnails([_key(row) for row in found.items])
    chosen = _key(_chosen(found))
    with st.grid("auto", min_column_width=96, gap="small"):
        for row in found.items:
            key = _key(row)
            with st.container(gap=None, key="thumb-{}-{}-{}".format(*key)):
                if key in pictures:
                    st.image(pictures[key], width=96, alt=_words(row))
                else:
                    st.caption("No picture kept")
                st.button(
                    f"{clock(row.time)} · " + ("no face" if row.score is None
                                               else f"{row.score:.2f}"),
                    key="show-{}-{}-{}".format(*key),
                    type="secondary" if key == chosen else "tertiary",
                    on_click=_choose,
                    args=(key,),
                    help=_words(row),
                )  # fmt: skip


def _words(row: FrameRow) -> str:
    face = "no face" if row.track is None else f"face {row.track}"
    return f"{face}, frame {row.index}, analysis {row.analysis}"


def _downloads(browsed: Browsed, filter: FrameFilter, order: str, total: int) -> None:
    makers = {"csv": tables.filtered_csv, "parquet": tables.filtered_parquet}
    too_many = total > MOST_EXPORTED
    for form, label, mime in _EXPORTS:
        st.download_button(
            label,
            lambda make=makers[form]: make(browsed.library, filter, order),  # type: ignore[misc]
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


def _file_name(browsed: Browsed, form: str) -> str:
    if browsed.alone is not None:
        named = export.file_name(browsed.analysis(browsed.alone.id), form)
        return named.replace("-veriframe.", "-frames-veriframe.")
    of = "library" if browsed.whole else f"{len(browsed.summaries)}-analyses"
    return f"frames-of-{of}-veriframe.{form}"


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
