"""The clip itself, and a player that jumps to the chosen moment exactly."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import streamlit as st

from detector.media.clip import Clip

# What browsers play: everything else is still analysed and its frames are shown.
PLAYABLE = {"mp4": {"h264", "vp9", "av1"}, "webm": {"vp8", "vp9", "av1"}}

# st.video starts at whole seconds only; a frame lasts 40 ms.
_SEEK = st.components.v2.component(
    "veriframe.seek",
    js="""
export default function ({ data }) {
  const video = document.querySelector('.st-key-player video');
  if (!video || data.time === null || video.dataset.moment === String(data.time)) return;
  video.dataset.moment = String(data.time);
  const go = () => { video.pause(); video.currentTime = data.time; };
  if (video.readyState >= 1) go();
  else video.addEventListener('loadedmetadata', go, { once: true });
}
""",
)


def playable(clip: Clip) -> bool:
    """Return whether every current browser plays it."""
    return any(
        container in clip.container and clip.codec in codecs
        for container, codecs in PLAYABLE.items()
    )


def show(clip: Clip, media: Path | BytesIO | None) -> None:
    """Draw the player, or a sentence where a browser cannot play the clip."""
    if media is None or clip.still:
        return
    if clip.codec == "gif":
        if not isinstance(media, Path):
            media.seek(0)
        data = media.read_bytes() if isinstance(media, Path) else media.read()
        st.image(data, alt="The clip that was analysed")
    elif playable(clip):
        with st.container(key="player"):
            kind = "video/mp4" if "mp4" in clip.container else "video/webm"
            st.video(media, format=kind, alt="The clip that was analysed", muted=True)
    else:
        st.info(
            f"Browsers cannot play {clip.codec} video in this container. The analysed frames are "
            "shown below.",
            icon=":material/movie:",
        )


def seek(seconds: float | None) -> None:
    """Move the player to `seconds` and stop it there."""
    _SEEK(data={"time": seconds}, key="seek")
