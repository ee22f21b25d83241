"""An analysis on its way: how far it is, the scores so far, and a way to stop it."""

from __future__ import annotations

import streamlit as st

from detector.figures.timeline import timeline
from detector.jobs.queue import Job
from detector.models.installed import get_model
from detector.wording import clock
from pages.parts.text import plain, short


def follow(job: Job) -> None:
    """Draw how far the job is, again and again until it ends."""

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
