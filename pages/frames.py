"""Frames: every frame of one clip, of several, or of the whole library, to sort and filter."""

import streamlit as st

from detector.errors import StoreError
from pages.parts import browsing, frame, frame_filter, frame_list, kept

frame.require()
st.title("Frames")
st.caption(
    "Every face in every frame that was looked at, with its scores. Sort and filter them, and see "
    "each one in its frame."
)

try:
    with st.container(border=True):
        browsed = browsing.choose()
        filter, order = (None, "") if browsed is None else frame_filter.show(browsed)
    if browsed is None or filter is None:
        kept.empty()
    else:
        frame_list.show(browsed, filter, order)
except StoreError as error:
    kept.refused(error)
