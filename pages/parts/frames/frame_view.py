"""One frame large, with the boxes and key points of its faces."""

from __future__ import annotations

import streamlit as st

from detector.library.types import FrameRow
from detector.pictures.drawing import decode, draw_faces
from detector.wording import clock
from pages.parts import face_card
from pages.parts.explain import face_picker
from pages.parts.frames.analysis_picker import BrowsedAnalyses
from pages.parts.text import plain, short


def show(browsed: BrowsedAnalyses, row: FrameRow) -> None:
    """Draw the frame that `row` names, its faces, and where else to look at them."""
    analysis, pictures = browsed.analysis(row.analysis), browsed.pictures(row.analysis)
    frame = next(frame for frame in analysis.frames if frame.index == row.index)
    with st.container(horizontal=True, gap="medium", key="frame-layers"):
        boxes = st.toggle("Boxes", value=True, key="show_boxes", persist_state="session")
        points = st.toggle("Key points", value=True, key="show_points", persist_state="session")
    jpeg = pictures.frame(frame.index)
    if jpeg is None:
        st.info(
            "This frame's picture was not kept: of long scans only some are.",
            icon=":material/hide_image:",
        )
    else:
        image = decode(jpeg)
        if boxes or points:
            image = draw_faces(
                image, frame.faces, analysis.clip.width, row.track, key_points=points, boxes=boxes
            )
        st.image(
            image,
            width="stretch",
            caption=f"{plain(short(row.clip, 60))}: frame {frame.index} at {clock(frame.time)}",
            alt=f"Frame at {clock(frame.time)}",
        )
    if not frame.faces:
        st.info("No face was found in this frame.", icon=":material/face_retouching_off:")
    if row.track is not None:
        _elsewhere(browsed, row)
    for face in sorted(frame.faces, key=lambda face: face.track != row.track):
        face_card.show(analysis, pictures, frame, face)


def _elsewhere(browsed: BrowsedAnalyses, row: FrameRow) -> None:
    """Draw links to this very face on the other pages."""
    moment = {"frame": clock(row.time), "face": str(row.track)}
    analysis = {"analysis": str(row.analysis)}
    if browsed.own:
        analysis = {"clip": face_picker.titles().get(face_picker.MINE, "")}
    with st.container(horizontal=True, key="frame-elsewhere"):
        st.page_link("pages/feature_maps.py", label="Feature maps", query_params=analysis | moment)
        st.page_link("pages/attributions.py", label="Attributions", query_params=analysis | moment)
        if not browsed.own:
            st.page_link("pages/library.py", label="The whole analysis", query_params=analysis)
