"""Two faces side by side: the same layer, and the filters that differ most."""

from __future__ import annotations

import streamlit as st

from detector.explanation.feature_maps import differing_filters
from detector.explanation.heatmaps import colour, enlarge, scale_for
from detector.wording import BAND_SHORT
from pages.parts.explain import face_picker, layer_picker
from pages.parts.explain.face_picker import Chosen

SHOWN = 8


def show(chosen: Chosen, asked: dict[str, str]) -> None:
    """The view that compares two faces."""

    offered = list(face_picker.titles())
    manipulated = next((n for n, key in enumerate(offered) if "selfblend" in key), 0)
    with st.container(border=True):
        st.markdown("**Compare with**")
        other = face_picker.choose(suffix="2", default=manipulated)
    if other is None:
        return
    network = layer_picker.network_choice()
    found = layer_picker.layer_choice(network, asked)
    with st.container(border=True):
        layer_picker.describe(found)
    left, right = st.columns(2, gap="medium")
    for column, face in ((left, chosen), (right, other)):
        column.image(face.crop, width=220, caption=sources_caption(face), alt=face.caption)
        band = face.analysis.bands.band_of(face.face.logit)
        column.markdown(f"Score **{face.face.score:.2f}**, {BAND_SHORT[band]} in this frame")
    first = layer_picker.maps(chosen, chosen.key, found.address)
    second = layer_picker.maps(other, other.key, found.address)
    st.subheader("The filters that differ most", anchor=False)
    st.caption(
        "By their mean over all positions. One pair of faces shows how the filters answer, not "
        "what manipulation looks like in general: light, pose and expression move them too."
    )
    for difference in differing_filters(first, second, SHOWN):
        number = difference.filter
        shared = scale_for(
            # One scale for the pair: brighter means a stronger answer, on both sides.
            _stack(first.map(number), second.map(number)), found.signed
        )  # fmt: skip
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            for maps, side in ((first, "left"), (second, "right")):
                st.image(
                    enlarge(colour(maps.map(number), shared), 132, smooth=False), width=132,
                    alt=f"Filter {number} on the {side} face",
                )  # fmt: skip
            with st.container(width=240, gap="xsmall"):
                st.markdown(f"**Filter {number}** · `{found.address}/{number}`")
                st.caption(
                    f"mean {difference.first:.3f} left, {difference.second:.3f} right "
                    f"({difference.difference:+.3f})"
                )


def sources_caption(face: Chosen) -> str:
    """Which face this is."""
    return face.caption


def _stack(first, second):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.concatenate([first.ravel(), second.ravel()])
