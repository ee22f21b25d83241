"""A result moment by moment: scores over time, the chosen frame, each face that was followed."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from detector.figures.timeline import timeline
from detector.palette import track_colour
from detector.pictures.drawing import decode, draw_faces
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis, ScoredFrame, Track
from detector.wording import BAND_SHORT, STATES, clock
from pages.parts import face_card, player
from pages.parts.face_card import swatch

STRIP = 8  # faces in the strip of a track
MOST_TRACKS = 12


@st.fragment
def show(analysis: Analysis, pictures: DisplayPictures) -> None:
    """Draw the timeline, the chosen frame with its faces, and each face through the clip."""
    state = st.session_state
    frames = [frame for frame in analysis.frames if frame.faces] or list(analysis.frames)
    by_index = {frame.index: frame for frame in analysis.frames}
    if state.get("moment") not in by_index:
        state.moment = _strongest(analysis)

    def clicked() -> None:
        points = state.timeline.selection.points
        if points:
            state.moment, state.track = points[0]["customdata"][:2]

    if not analysis.clip.still:
        _timeline(analysis, frames, clicked)
    if len(analysis.frames) > 1:
        st.select_slider(
            "Moment",
            [frame.index for frame in analysis.frames],
            key="moment",
            persist_state="session",
            format_func=lambda index: clock(by_index[index].time),
            help="Click a point of the chart, or move this slider with the arrow keys.",
        )
    frame = by_index[state.moment]
    player.seek(None if analysis.clip.still else frame.time + 0.001)
    _moment(analysis, pictures, frame)
    _strip(analysis, pictures)


def _timeline(analysis: Analysis, frames: list[ScoredFrame], clicked: Callable[[], None]) -> None:
    head, choice = st.columns([3, 2], vertical_alignment="bottom")
    head.subheader("Score over time", anchor=False)
    with choice.container(horizontal=True, horizontal_alignment="right"):
        apart = st.toggle("Show both networks", key="networks_apart", persist_state="session")
    st.plotly_chart(
        timeline(
            frames,
            analysis.bands,
            networks=apart,
            span=(0.0, analysis.clip.duration),
            models=analysis.models,
        ),
        key="timeline",
        on_select=clicked,
        selection_mode="points",
        config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]},
        alt="Line chart of the score of each face over time, on the colours of the bands",
    )


def _moment(analysis: Analysis, pictures: DisplayPictures, frame: ScoredFrame) -> None:
    state = st.session_state
    if state.get("track") not in {face.track for face in frame.faces}:
        state.track = max(frame.faces, key=lambda face: face.logit).track if frame.faces else None
    picture, cards = st.columns([3, 2], gap="medium")
    with picture:
        jpeg = pictures.frame(frame.index)
        if jpeg is None:
            st.info("This frame's picture was not kept: only some are in long scans.")
        else:
            st.image(
                draw_faces(decode(jpeg), frame.faces, analysis.clip.width, state.track),
                caption=f"Frame {frame.index} at {clock(frame.time)}",
                width="stretch",
                alt=f"Frame at {clock(frame.time)} with a box around each face",
            )
    with cards:
        if not frame.faces:
            st.info("No face was found in this frame.", icon=":material/face_retouching_off:")
        for face in sorted(frame.faces, key=lambda face: face.track):
            face_card.show(analysis, pictures, frame, face)


def _strip(analysis: Analysis, pictures: DisplayPictures) -> None:
    st.subheader("Faces", anchor=False)
    for track in analysis.tracks[:MOST_TRACKS]:
        with st.container(border=True, key=f"strip-{track.id}"):
            with st.container(
                horizontal=True, vertical_alignment="center", gap="small", wrap=False
            ):
                st.image(swatch(track_colour(track.id)), width=14, alt="")
                st.markdown(f"**Face {track.id}** · {_track_words(track)}")
            seen = [
                (frame, face)
                for frame in analysis.frames
                for face in frame.faces
                if face.track == track.id and pictures.has_face(frame.index, track.id)
            ]
            step = max(-(-len(seen) // STRIP), 1)
            with st.container(horizontal=True, gap="small", wrap=False):
                for frame, face in seen[::step]:
                    picture = pictures.face_picture(frame.index, track.id)
                    with st.container(width=84, gap=None):
                        if picture is not None:
                            st.image(
                                picture, width=84, alt=f"Face {track.id} at {clock(frame.time)}"
                            )
                        st.button(
                            f"{clock(frame.time)} · {face.score:.2f}",
                            key=f"jump-{track.id}-{frame.index}",
                            type="tertiary",
                            on_click=_jump,
                            args=(frame.index, track.id),
                            help="Show this moment",
                        )
    if len(analysis.tracks) > MOST_TRACKS:
        st.caption(f"{len(analysis.tracks) - MOST_TRACKS} more faces are in the downloaded result.")


def _jump(index: int, track: int) -> None:
    st.session_state.moment, st.session_state.track = index, track


def _track_words(track: Track) -> str:
    seen = f"{clock(track.first)} to {clock(track.last)}, {track.usable_frames} usable frames"
    if track.band is None:
        return f"not judged: {', '.join(STATES[state].lower() for state in track.states)} · {seen}"
    return f"{BAND_SHORT[track.band]} (score {track.score:.2f}) · {seen}"


def _strongest(analysis: Analysis) -> int:
    """Return the index of the frame to show first: where the deciding face scores highest."""
    decides = analysis.finding.track
    best = max(
        (
            (face.track == decides, face.logit, frame.index)
            for frame in analysis.frames
            for face in frame.faces
        ),
        default=(False, 0.0, analysis.frames[0].index),
    )
    return best[2]
