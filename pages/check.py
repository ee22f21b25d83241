"""Check a clip: upload, watch the scores arrive, read the finding, look at every moment."""

import streamlit as st

from detector.media.clip import EXTENSIONS
from detector.models.backends import available
from detector.models.spec import read_ensemble
from detector.samples import samples
from detector.settings import DETECTORS, Settings
from pages.parts import library_access, model_picker, navigation, result, session
from pages.parts.check import keep as keeping
from pages.parts.check import progress
from pages.parts.text import plain

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
    """What the controls say."""
    state = st.session_state
    return Settings(
        frames=None if state.get("every_frame") else state.get("frame_count", 32),
        face_detector=state.get("face_detector", DETECTORS[0]),
        backend=state.get("backend", "auto"),
        models=state.get("models") or "",
    )


def keep() -> bool:
    return not st.session_state.get("do_not_keep")


def start_upload() -> None:
    upload = st.session_state.get("upload")
    if upload is not None:
        session.start(upload, upload.name, settings(), keep())


def start_sample() -> None:
    sample = st.session_state.get("sample")
    if sample is not None:
        session.start(sample.path, sample.path.name, settings(), keep())


def start_again() -> None:
    job, media = session.job(), session.media()
    if job is not None and media is not None:
        session.start(media, job.name, settings(), keep())


navigation.require()
st.title("Check a clip")
st.caption(
    "Upload a clip and see, frame by frame, how much evidence of face manipulation two networks "
    "find in it. A score is a reason to look closer, never a verdict."
)

job = session.job()
with st.container(border=True):
    upload_column, sample_column = st.columns([3, 2], gap="large")
    with upload_column:
        st.file_uploader(
            "Your clip",
            key="upload",
            on_change=start_upload,
            help="Video or image: " + ", ".join(EXTENSIONS) + ". It is copied to a temporary file "
            "on this machine, which is deleted when the analysis ends.",
        )
    with sample_column:
        st.selectbox(
            "Or a sample",
            samples(),
            index=None,
            key="sample",
            format_func=lambda sample: sample.title,
            placeholder="Choose a clip that ships with Veriframe",
            on_change=start_sample,
        )
        with st.popover("Settings", icon=":material/tune:", width="stretch"):
            st.toggle("Every frame", key="every_frame", persist_state="session",
                      help="Slower; for short clips or the last word on a moment.")  # fmt: skip
            st.slider(
                "Frames to analyse, spread evenly over the clip",
                4, 256, 32, 4,
                key="frame_count",
                persist_state="session",
                disabled=bool(st.session_state.get("every_frame")),
            )  # fmt: skip
            chosen = st.selectbox("Face detector", DETECTORS, key="face_detector",
                                  persist_state="session",
                                  format_func=DETECTOR_NAMES.__getitem__)  # fmt: skip
            if chosen.startswith("mediapipe"):
                from detector.faces.mediapipe import PRIVACY_NOTE

                st.warning(PRIVACY_NOTE, icon=":material/travel_explore:")
            st.selectbox("Scores computed by", available(read_ensemble()), key="backend",
                         persist_state="session", format_func=BACKEND_NAMES.__getitem__,
                         help="The result names what computed it. int8 is the quickest on most "
                         "processors and moves a logit by about 0.1.")  # fmt: skip
            model_picker.show()
            st.toggle("Do not keep", key="do_not_keep", persist_state="session",
                      help="The finished analysis is not put into the library.")  # fmt: skip
            if job is not None and job.finished:
                st.button("Analyse again with these settings", on_click=start_again,
                          icon=":material/replay:", width="stretch")  # fmt: skip

    st.caption(
        f":material/inventory_2: {library_access.KEPT if keep() else library_access.NOT_KEPT}"
    )

if refused := st.session_state.get("refused"):
    st.error(plain(refused), icon=":material/error:")

if job is None:
    progress.introduce()
    session.models()  # load in the background while the person still chooses a clip
elif not job.finished:
    progress.follow(job)
elif job.analysis is not None:
    saver = session.saver()
    result.show(
        job.analysis,
        job.pictures,
        session.media(),
        saver.provenance if saver else None,
        keeping.show,
    )
elif job.status == "cancelled":
    st.info("Stopped. Nothing was kept.", icon=":material/cancel:")
else:
    st.error(plain(job.error or ""), icon=":material/error:")
