"""Two to four analyses beside each other."""

from __future__ import annotations

import streamlit as st

from detector.analysis.comparison import Comparison, compare
from detector.figures.comparison import Named, changes, histogram, timelines
from detector.library.store import Library
from detector.library.types import Summary
from detector.palette import TRACK_COLOURS
from detector.wording import clock
from pages.parts import library_access
from pages.parts.face_card import swatch
from pages.parts.library import links
from pages.parts.library.summary_text import faces, finding, models
from pages.parts.text import plain, short

MOST_COMPARED = 4
SECONDS, SHARE = "Seconds", "Share of the clip"


def show(library: Library, numbers: list[int]) -> None:
    """Draw the comparison; raises LibraryError where one of them is gone."""
    st.button(
        "All analyses", icon=":material/arrow_back:", on_click=st.query_params.clear, key="back"
    )
    if not 2 <= len(numbers) <= MOST_COMPARED:
        st.info(
            f"Select two to {MOST_COMPARED} analyses in the library to compare them.",
            icon=":material/compare:",
        )
        return
    summaries = [library.summary(number) for number in numbers]
    named = [
        Named(summary.id, short(summary.name, 36), library_access.analysis(library, summary.id))
        for summary in summaries
    ]
    st.subheader(f"{len(numbers)} analyses compared", anchor=False)
    _cards(library, summaries)
    _timelines(named)
    _histograms(named)
    for first in range(len(named)):
        for second in range(first + 1, len(named)):
            _same_clip(named[first], named[second])


def _cards(library: Library, summaries: list[Summary]) -> None:
    for number, (column, summary) in enumerate(
        zip(st.columns(len(summaries)), summaries, strict=True)
    ):
        with column.container(border=True, height="stretch", key=f"compared-{summary.id}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.image(swatch(TRACK_COLOURS[number]), width=14, alt="")
                links.link(
                    f"**{summary.id} · {plain(short(summary.name, 30))}**",
                    f"compared-open-{summary.id}",
                    "analysis",
                    str(summary.id),
                )
            picture = library.thumbnail(summary.id)
            if picture is not None:
                st.image(picture, width=96, alt="Its strongest face")
            st.markdown(finding(summary))
            st.caption(
                f"{summary.created:%Y-%m-%d %H:%M} UTC  \n{plain(clock(summary.duration))}, "
                f"{faces(summary)}, {summary.frames} frames  \n{models(summary)}  \n"
                f"SHA-256 {summary.sha256[:12]}…"
            )


def _timelines(named: list[Named]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("Scores over time", anchor=False, width="stretch")
        axis = st.segmented_control(
            "Time as",
            [SECONDS, SHARE],
            default=SECONDS,
            key="compare_axis",
            required=True,
            persist_state="session",
            label_visibility="collapsed",
        )
    st.plotly_chart(
        timelines(named, share=axis == SHARE),
        key="compared-timelines",
        config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]},
        alt="Score over time of the compared analyses, a line for each",
    )
    st.caption("Of each clip, the face that decides; where none does, the highest in each frame.")


def _histograms(named: list[Named]) -> None:
    st.subheader("How the scores are distributed", anchor=False)
    columns = st.columns(2)
    for number, one in enumerate(named):
        scores = [face.score for frame in one.analysis.frames for face in frame.faces]
        with columns[number % 2].container(border=True):
            st.markdown(f"**{plain(one.label)}** · {len(scores):,} faces")
            st.plotly_chart(
                histogram(scores, TRACK_COLOURS[number]),
                key=f"histogram-{number}",
                config={"displayModeBar": False},
                alt=f"Distribution of the frame scores of {one.label}",
            )


def _same_clip(first: Named, second: Named) -> None:
    """Draw what differs where both are of one clip."""
    if first.analysis.clip.sha256 != second.analysis.clip.sha256:
        return
    found = compare(first.analysis, second.analysis)
    with st.container(border=True):
        st.subheader(f"The same clip, numbers {first.number} and {second.number}", anchor=False)
        st.markdown(_models(first, second, found))
        if not found.pairs:
            st.info(
                "They looked at different frames, so that no face can be compared one by one."
                if not found.frames
                else "No face was found in the frames that both looked at.",
                icon=":material/difference:",
            )
            return
        _numbers(found)
        if found.largest is not None and found.largest.change == 0:
            st.markdown("Every score is the same.")
            return
        st.plotly_chart(
            changes(found),
            key=f"changes-{first.number}-{second.number}",
            config={"displayModeBar": False},
            alt="Change of the score of each face over time",
        )


def _models(first: Named, second: Named, found: Comparison) -> str:
    if found.same_models:
        return "Both were scored with the same weights."
    lines = []
    later = {model.name: model for model in second.analysis.models}
    for model in first.analysis.models:
        other = later.get(model.name)
        if other is not None and other.sha256 != model.sha256:
            lines.append(
                f"- {plain(model.name)}: {plain(model.version)} ({model.sha256[:12]}…), then "
                f"{plain(other.version)} ({other.sha256[:12]}…)"
            )
    return "Scored with different weights:\n" + "\n".join(lines)


def _numbers(found: Comparison) -> None:
    with st.container(horizontal=True):
        st.metric("Faces in both", f"{len(found.pairs):,}", width="content")
        st.metric("Frames in both", f"{found.frames:,}", width="content")
        if found.mean_change is not None:
            st.metric("Mean change of the score", f"{found.mean_change:+.3f}", width="content")
        if found.largest is not None:
            st.metric(
                "Largest change",
                f"{found.largest.change:+.3f}",
                width="content",
                help=f"At {clock(found.largest.time)}, face {found.largest.after.track}",
            )
        if found.only_before or found.only_after:
            st.metric(
                "Faces in one only", f"{found.only_before + found.only_after:,}", width="content"
            )
