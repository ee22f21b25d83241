"""Feature maps: what the layers of the two networks make of a face."""

import streamlit as st

from pages.parts import navigation
from pages.parts.explain import compare_view, face_picker, layer_view, walk_view

VIEWS = {
    "One layer": layer_view.show,
    "Side by side": compare_view.show,
    "Walk to the score": walk_view.show,
}

navigation.require()
st.title("Feature maps")
st.caption(
    "A network looks at a face through layers of filters. Each filter answers where it finds what "
    "it has learned to look for; its answers are a feature map. The link in the address bar opens "
    "this very view."
)

asked = st.query_params.to_dict()  # before the widgets take what they accept out of the address
with st.container(border=True):
    face = face_picker.pick_face()
view = (
    st.segmented_control(
        "View",
        list(VIEWS),
        default="One layer",
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    or "One layer"
)
if face is not None:
    VIEWS[view](face, asked)
