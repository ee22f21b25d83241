"""Before there is a result: what the page is for, and an analysis on its way."""

from __future__ import annotations

import streamlit as st

from detector.figures.timeline import timeline
from detector.jobs.queue import Job
from detector.models.installed import get_model
from detector.wording import LIMITATIONS, clock
from pages.parts.text import plain, short


def introduce() -> None:
    """What happens next, and what the detector cannot know."""
    what, limits = st.columns(2, gap="large")
    with what.container(border=True, height="stretch"):
        st.subheader("What you will get")
        st.markdown(
            "- A **finding in words**, with its reasons and its limits\n"
            "- A **timeline**: the score of every face, moment by moment; click a point to see "
            "the frame\n"
            "- **Each face followed** through the clip, with its own scores\n"
            "- **Everything to check it again**: hashes, settings and all scores as JSON"
        )
    with limits.container(border=True, height="stretch"):
        st.subheader("What it cannot know")
        st.markdown("\n".join(f"- {limit}" for limit in LIMITATIONS))


def follow(job: Job) -> None:
    """Progress, the scores so far, and a way to stop; redraws itself until the job ends."""

    @st.fragment(run_every=0.5)
    def live() -> None:
        if job.finished:
            st.rerun()
        st.subheader(f"Analysing {plain(short(job.name))}")
        done, total = job.progress.done, job.progress.total
        if job.status == "waiting":
            ahead = job.ahead
            text = f"Waiting: {ahead} before yours" if ahead else "Waiting for a free place"
            st.progress(0.0, text)
        elif not total:
            st.progress(0.0, "Opening the clip and loading the networks…")
        else:
            left = job.seconds / max(done, 1) * (total - done)
            st.progress(done / total, f"Frame {done} of {total}, about {clock(left)} left")
        st.button("Stop", on_click=job.cancel, icon=":material/stop_circle:", key="stop")
        if any(frame.faces for frame in job.progress.scored):
            st.plotly_chart(
                timeline(job.progress.scored, get_model(job.settings.models).read().bands),
                key="live",
                config={"displayModeBar": False},
                alt="Scores of the faces found so far",
            )

    live()
