"""Frames: every frame of one clip, of several, or of the whole library, to sort and filter."""

import streamlit as st

from detector.errors import LibraryError
from pages.parts import library_access, navigation
from pages.parts.frames import analysis_picker, frame_filters, frame_list

navigation.require()
st.title("Frames")
st.caption(
    "Every face in every frame that was looked at, with its scores. Sort and filter them, and see "
    "each one in its frame."
)

try:
    controls = st.container(border=True)
    with controls:
        browsed = analysis_picker.choose()
    if browsed is None:
        library_access.empty()
    else:
        with controls:
            wanted, order = frame_filters.show(browsed)
        frame_list.show(browsed, wanted, order)
except LibraryError as error:
    library_access.refused(error)
