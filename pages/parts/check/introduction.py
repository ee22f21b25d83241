"""Before a clip is chosen: what will come of it."""

from __future__ import annotations

import streamlit as st

from detector.wording import LIMITATIONS


def show() -> None:
    """Draw what a person will get, and what the detector cannot know."""
    result, limitations = st.columns(2, gap="large")
    with result.container(border=True, height="stretch"):
        st.subheader("What you will get")
        st.markdown(
            "- A **finding in words**, with its reasons and its limits\n"
            "- A **timeline**: the score of every face, moment by moment; click a point to see "
            "the frame\n"
            "- **Each face followed** through the clip, with its own scores\n"
            "- **Everything to check it again**: hashes, settings and all scores as JSON"
        )
    with limitations.container(border=True, height="stretch"):
        st.subheader("What it cannot know")
        st.markdown("\n".join(f"- {limitation}" for limitation in LIMITATIONS))
