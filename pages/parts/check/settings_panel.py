"""How a clip is analysed, and whether the result is kept: the controls behind “Settings”."""

from __future__ import annotations

import streamlit as st

from detector.models.backends import available
from detector.models.spec import read_ensemble
from detector.settings import DETECTORS, Settings
from pages.parts.check import model_picker

DETECTOR_NAMES = {
    "blazeface-full": "BlazeFace, full range (faces to about 5 m)",
    "blazeface-short": "BlazeFace, short range (faces to about 2 m)",
    "mediapipe-full": "MediaPipe, full range (contacts Google, see note)",
    "mediapipe-short": "MediaPipe, short range (contacts Google, see note)",
}
BACKEND_NAMES = {
    "auto": "The fastest that this machine has",
    "openvino-int8": "OpenVINO, int8",
    "openvino-f32": "OpenVINO, float32",
    "openvino-bf16": "OpenVINO, bfloat16",
    "torch-cpu": "PyTorch on the processor, float32",
    "torch-cuda": "PyTorch on CUDA, bfloat16",
}


def settings() -> Settings:
    """Return what the controls say."""
    state = st.session_state
    return Settings(
        frames=None if state.get("every_frame") else state.get("frame_count", 32),
        face_detector=state.get("face_detector", DETECTORS[0]),
        backend=state.get("backend", "auto"),
        models=state.get("models") or "",
    )


def keep() -> bool:
    """Return whether the finished analysis goes into the library."""
    return not st.session_state.get("do_not_keep")


def show() -> None:
    """Draw the controls."""
    st.toggle(
        "Every frame",
        key="every_frame",
        persist_state="session",
        help="Slower; for short clips or the last word on a moment.",
    )
    st.slider(
        "Frames to analyse, spread evenly over the clip",
        min_value=4,
        max_value=256,
        value=32,
        step=4,
        key="frame_count",
        persist_state="session",
        disabled=bool(st.session_state.get("every_frame")),
    )
    chosen = st.selectbox(
        "Face detector",
        DETECTORS,
        key="face_detector",
        persist_state="session",
        format_func=DETECTOR_NAMES.__getitem__,
    )
    if chosen.startswith("mediapipe"):
        from detector.faces.mediapipe import PRIVACY_NOTE

        st.warning(PRIVACY_NOTE, icon=":material/travel_explore:")
    st.selectbox(
        "Scores computed by",
        available(read_ensemble()),
        key="backend",
        persist_state="session",
        format_func=BACKEND_NAMES.__getitem__,
        help="The result names what computed it. int8 is the quickest on most processors and "
        "moves a logit by about 0.1.",
    )
    model_picker.show()
    st.toggle(
        "Do not keep",
        key="do_not_keep",
        persist_state="session",
        help="The finished analysis is not put into the library.",
    )
