"""One face in one frame, as a card; shared by the pages that show results."""

from __future__ import annotations

import streamlit as st

from detector.models.networks.registry import network_title
from detector.palette import track_colour
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis, ScoredFace, ScoredFrame
from detector.wording import BAND_SHORT


def show(
    analysis: Analysis, pictures: DisplayPictures, frame: ScoredFrame, face: ScoredFace
) -> None:
    """Draw the face as the networks saw it, its scores and its quality."""
    from detector.models.ensemble import calibrated, probability

    with st.container(border=True, key=f"face-{face.track}"):
        picture = pictures.face_picture(frame.index, face.track)
        row = st.container(horizontal=True, vertical_alignment="center", wrap=False)
        if picture is not None:
            row.image(picture, width=110, alt=f"Face {face.track} as the networks see it")
        with row.container(gap="xsmall"):
            band = analysis.bands.band_of(face.logit)
            with st.container(
                horizontal=True, vertical_alignment="center", gap="small", wrap=False
            ):
                st.image(swatch(track_colour(face.track)), width=14, alt="")
                st.markdown(f"**Face {face.track}**")
            st.markdown(f"Score **{face.score:.2f}**, {BAND_SHORT[band]} in this frame")
            each = ", ".join(
                f"{network_title(name)} {probability(logit):.2f}"
                for name, logit in calibrated(analysis.models, face.logits).items()
            )
            st.caption(each)
            quality = face.quality
            st.caption(
                f"{quality.size:.0f} px, sharpness {quality.sharpness:.0f}, "
                f"brightness {quality.brightness:.0f}"
                + ("" if quality.usable else " — **not counted**: too small, dark or bright")
            )


def swatch(colour: str) -> str:
    """Return a dot of that colour, as SVG."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="18" height="18">'
        f'<circle cx="9" cy="9" r="8" fill="{colour}"/></svg>'
    )
