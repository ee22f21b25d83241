"""Frames: every frame of one clip, of several, or of the whole library, to sort and filter."""

import streamlit as st

from detector.errors import LibraryError
from pages.parts import library_access, navigation
from pages.parts.frames import filter as frame_filter
from pages.parts.frames import list as frame_list
from pages.parts.frames import source

navigation.require()
st.title("Frames")
st.caption(
    "Every face in every frame that was looked at, with its scores. Sort and filter them, and see "
    "each one in its frame."
)

try:
    with st.container(border=True):
        browsed = source.choose()
        filter, order = (None, "") if browsed is None else frame_filter.show(browsed)
    if browsed is None or filter is None:
        library_access.empty()
    else:
        frame_list.show(browsed, filter, order)
except LibraryError as error:
    library_access.refused(error)
