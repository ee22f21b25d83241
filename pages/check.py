"""Check a clip: upload, watch the scores arrive, read the finding, look at every moment."""

import streamlit as st

from detector.media.clip import EXTENSIONS
from detector.samples import samples
from pages.parts import library_access, navigation, result, session
from pages.parts.check import introduction, progress, save_panel, settings_panel
from pages.parts.check.settings_panel import keep, settings
from pages.parts.text import plain


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
            settings_panel.show()
            if job is not None and job.finished:
                st.button(
                    "Analyse again with these settings",
                    on_click=start_again,
                    icon=":material/replay:",
                    width="stretch",
                )

    note = library_access.SAVED_NOTE if keep() else library_access.NOT_SAVED_NOTE
    st.caption(f":material/inventory_2: {note}")

if refused := st.session_state.get("refused"):
    st.error(plain(refused), icon=":material/error:")

if job is None:
    introduction.show()
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
        save_panel.show,
    )
elif job.status == "cancelled":
    st.info("Stopped. Nothing was kept.", icon=":material/cancel:")
else:
    st.error(plain(job.error or ""), icon=":material/error:")
