"""A finished analysis: finding, moments, warnings, what it was made from and how, downloads."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import streamlit as st

from detector.media.provenance.facts import Provenance
from detector.models.networks.registry import network_title
from detector.palette import BAND_COLOURS
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis
from detector.samples import samples
from detector.wording import (
    LIMITATIONS,
    NOT_CALIBRATED,
    STATE_MEANING,
    clock,
    headline,
    meaning,
)
from pages.parts import downloads, moments, player, provenance_view
from pages.parts.face_card import swatch
from pages.parts.text import plain, short


def show(
    analysis: Analysis,
    pictures: DisplayPictures,
    media: Path | BytesIO | None = None,
    provenance: Provenance | None = None,
    place: Callable[[], None] | None = None,
) -> None:
    """Draw the whole result of one analysis.

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
        provenance_view.show(provenance)
    if any(frame.faces for frame in analysis.frames):
        moments.show(analysis, pictures)
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
