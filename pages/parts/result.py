"""A finished analysis: finding, timeline, the chosen moment, faces, warnings, downloads."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import streamlit as st

from detector.figures.timeline import timeline
from detector.media.provenance.facts import Provenance
from detector.models.networks.registry import network_title
from detector.palette import BAND_COLOURS, track_colour
from detector.pictures.drawing import decode, draw_faces
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis, ScoredFrame, Track
from detector.samples import samples
from detector.wording import (
    BAND_SHORT,
    LIMITATIONS,
    NOT_CALIBRATED,
    STATE_MEANING,
    STATES,
    clock,
    headline,
    meaning,
)
from pages.parts import downloads, face_card, player
from pages.parts import provenance as origin
from pages.parts.face_card import swatch
from pages.parts.text import plain, short

STRIP = 8  # faces in the strip of a track


def show(
    analysis: Analysis,
    pictures: DisplayPictures,
    media: Path | BytesIO | None = None,
    provenance: Provenance | None = None,
    place: Callable[[], None] | None = None,
) -> None:
    """The whole result of one analysis.

    Args:
        analysis: what is shown.
        pictures: of its frames and faces.
        media: the clip for the player, where it is there.
        provenance: what its file says of itself, where that was looked up.
        place: draws where the analysis is kept, below the finding.
    """
    _finding(analysis, pictures, media, provenance)
    if place is not None:
        place()
    if provenance is not None:
        origin.show(provenance)
    if any(frame.faces for frame in analysis.frames):
        _moments(analysis, pictures)
    else:
        _pictures_without_faces(analysis, pictures)
    _warnings(analysis)


def _finding(
    analysis: Analysis,
    pictures: DisplayPictures,
    media: Path | BytesIO | None,
    provenance: Provenance | None,
) -> None:
    finding = analysis.finding
    words, clip = st.columns([3, 2], gap="medium")
    with words.container(border=True, height="stretch", key="finding"):
        st.caption(plain(short(analysis.clip.name, 80)))
        colour = BAND_COLOURS[finding.band] if finding.band else "#8a8f98"
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.image(swatch(colour), width=18, alt="")
            st.subheader(headline(analysis), anchor=False)
        st.markdown(meaning(analysis))
        extra = [reason for reason in finding.reasons if reason != meaning(analysis)]
        calibration = [reason for reason in extra if reason == NOT_CALIBRATED]
        reasons = [reason for reason in extra if reason != NOT_CALIBRATED]
        if reasons:
            st.markdown("\n".join(f"- {plain(reason)}" for reason in reasons))
        if calibration and finding.band:
            st.caption(f":material/info: {NOT_CALIBRATED} {plain(analysis.bands.note)}")
        elif finding.band and analysis.bands.note:
            st.caption(f":material/info: {plain(analysis.bands.note)}")
        with st.expander("What this cannot tell", icon=":material/visibility_off:"):
            st.markdown("\n".join(f"- {limit}" for limit in LIMITATIONS))
        downloads.show(analysis, pictures, provenance)
    with clip:
        player.show(analysis.clip, media)
        for sample in samples():
            if isinstance(media, Path) and media == sample.path:
                st.caption(f"{plain(sample.about)} {plain(sample.credit)}")
        _details(analysis)


@st.fragment
def _moments(analysis: Analysis, pictures: DisplayPictures) -> None:
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
            face_card.card(analysis, pictures, frame, face)


def _strip(analysis: Analysis, pictures: DisplayPictures) -> None:
    st.subheader("Faces", anchor=False)
    for track in analysis.tracks[:12]:
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
    if len(analysis.tracks) > 12:
        st.caption(f"{len(analysis.tracks) - 12} more faces are in the downloaded result.")


def _jump(index: int, track: int) -> None:
    st.session_state.moment, st.session_state.track = index, track


def _track_words(track: Track) -> str:
    seen = f"{clock(track.first)} to {clock(track.last)}, {track.usable_frames} usable frames"
    if track.band is None:
        return f"not judged: {', '.join(STATES[state].lower() for state in track.states)} · {seen}"
    return f"{BAND_SHORT[track.band]} (score {track.score:.2f}) · {seen}"


def _strongest(analysis: Analysis) -> int:
    """The frame to show first: the highest score of the deciding track, or the first face."""
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


def _pictures_without_faces(analysis: Analysis, pictures: DisplayPictures) -> None:
    st.subheader("Frames that were searched", anchor=False)
    step = max(len(analysis.frames) // 8, 1)
    with st.container(horizontal=True):
        for frame in analysis.frames[::step][:8]:
            jpeg = pictures.frame(frame.index)
            if jpeg is not None:
                st.image(jpeg, width=200, caption=clock(frame.time), alt="A frame without a face")


def _warnings(analysis: Analysis) -> None:
    lines = []
    for track in analysis.tracks:
        left_out = track.frames - track.usable_frames
        if left_out:
            lines.append(
                f"Face {track.id}: {left_out} of {track.frames} frames do not count, since the "
                "face is too small, too dark, too bright or without fine detail in them."
            )
    for state in ("heavily_recompressed",):
        if state in {state for track in analysis.tracks for state in track.states}:
            lines.append(STATE_MEANING[state])
    found = [face for frame in analysis.frames for face in frame.faces]
    blurred = sum(face.quality.sharpness < 20 for face in found)
    if blurred > len(found) / 2:
        lines.append("Most faces are blurred, which hides traces of manipulation.")
    if analysis.clip.damaged:
        lines.append("Parts of the file are damaged; only what could be decoded was analysed.")
    if lines:
        st.warning(
            "\n".join(f"- {line}" for line in lines), title="Quality", icon=":material/warning:"
        )


def _details(analysis: Analysis) -> None:
    clip = analysis.clip
    with st.expander("About this clip", icon=":material/description:"):
        st.table(
            {
                "File": plain(short(clip.name, 120)),
                "SHA-256": clip.sha256,
                "Size": f"{clip.bytes:,} bytes",
                "Format": f"{clip.codec} in {clip.container}",
                "Picture": f"{clip.width}×{clip.height}"
                + (f", rotated {clip.rotation}°" if clip.rotation else ""),
                "Length": f"{clock(clip.duration)}, {clip.frames} frames, "
                f"{clip.frame_rate:.2f} per second"
                + (" (variable)" if clip.variable_frame_rate else ""),
                "Written by": plain(clip.encoder or "not stated"),
                "Created": plain(clip.creation_time or "not stated"),
            },
            border="horizontal",
        )
    with st.expander("How it was scored", icon=":material/neurology:"):
        timings = analysis.timings
        rows = {
            network_title(model.name): f"{model.version}, {model.input_size} px, "
            f"weight {model.weight:g}, {model.backend} {model.precision}, "
            f"SHA-256 {model.sha256}"
            for model in analysis.models
        }
        rows |= {
            "Frames": f"{analysis.sampling.analysed} of {clip.frames}",
            "Faces found by": analysis.sampling.face_detector,
            "Time": f"{timings.total:.1f} s: decoding {timings.decode:.1f}, finding faces "
            f"{timings.detect:.1f}, scoring {timings.score:.1f}",
            "Veriframe": f"{analysis.software}, {analysis.created}",
        }
        st.table(rows, border="horizontal")
