"""Faces in frames as a grid of small pictures."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from detector.library.types import FrameRow, Page
from detector.wording import clock
from pages.parts.frames.analysis_picker import BrowsedAnalyses
from pages.parts.frames.frame_table import RowKey, row_key


def show(
    browsed: BrowsedAnalyses,
    found: Page[FrameRow],
    chosen: FrameRow,
    choose: Callable[[RowKey], None],
) -> None:
    """Draw one page of faces; the arguments are those of `frame_table.show`."""
    pictures = browsed.library.thumbnails([row_key(row) for row in found.items])
    with st.grid("auto", min_column_width=96, gap="small"):
        for row in found.items:
            key = row_key(row)
            with st.container(gap=None, key="thumb-{}-{}-{}".format(*key)):
                if key in pictures:
                    st.image(pictures[key], width=96, alt=_words(row))
                else:
                    st.caption("No picture kept")
                score = "no face" if row.score is None else f"{row.score:.2f}"
                st.button(
                    f"{clock(row.time)} · {score}",
                    key="show-{}-{}-{}".format(*key),
                    type="secondary" if key == row_key(chosen) else "tertiary",
                    on_click=choose,
                    args=(key,),
                    help=_words(row),
                )


def _words(row: FrameRow) -> str:
    face = "no face" if row.track is None else f"face {row.track}"
    return f"{face}, frame {row.index}, analysis {row.analysis}"
