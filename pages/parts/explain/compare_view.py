"""Two faces side by side: the same layer, and the filters that differ most."""

from __future__ import annotations

import numpy as np
import streamlit as st

from detector.explanation.feature_maps import differing_filters
from detector.explanation.heatmaps import colour, enlarge, scale_for
from detector.wording import BAND_SHORT
from pages.parts.explain import face_picker, layer_picker
from pages.parts.explain.face_picker import PickedFace

SHOWN = 8


def show(face: PickedFace, asked: dict[str, str]) -> None:
    """Show two faces and the filters that differ most between them."""
    offered = list(face_picker.titles())
    manipulated = next((n for n, key in enumerate(offered) if "selfblend" in key), 0)
    with st.container(border=True):
        st.markdown("**Compare with**")
        other = face_picker.pick_face(suffix="2", default=manipulated)
    if other is None:
        return
    network = layer_picker.pick_network()
    found = layer_picker.pick_layer(network, asked)
    with st.container(border=True):
        layer_picker.describe_layer(found)
    left, right = st.columns(2, gap="medium")
    for column, one in ((left, face), (right, other)):
        column.image(one.crop, width=220, caption=one.caption, alt=one.caption)
        band = one.analysis.bands.band_of(one.face.logit)
        column.markdown(f"Score **{one.face.score:.2f}**, {BAND_SHORT[band]} in this frame")
    first = layer_picker.feature_maps(face, found)
    second = layer_picker.feature_maps(other, found)
    st.subheader("The filters that differ most", anchor=False)
    st.caption(
        "By their mean over all positions. One pair of faces shows how the filters answer, not "
        "what manipulation looks like in general: light, pose and expression move them too."
    )
    for difference in differing_filters(first, second, SHOWN):
        number = difference.filter
        both = np.concatenate([first.map(number).ravel(), second.map(number).ravel()])
        # One scale for the pair: brighter means a stronger answer, on both sides.
        shared = scale_for(both, found.signed)
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            for maps, side in ((first, "left"), (second, "right")):
                st.image(
                    enlarge(colour(maps.map(number), shared), 132, smooth=False),
                    width=132,
                    alt=f"Filter {number} on the {side} face",
                )
            with st.container(width=240, gap="xsmall"):
                st.markdown(f"**Filter {number}** · `{found.address}/{number}`")
                st.caption(
                    f"mean {difference.first:.3f} left, {difference.second:.3f} right "
                    f"({difference.difference:+.3f})"
                )
