"""What a clip's file says of itself, in an expander."""

from __future__ import annotations

import streamlit as st

from detector.media.provenance.facts import NOTE, Credentials, Provenance
from pages.parts.text import plain, short

_ICONS = {
    "none": ":material/do_not_disturb_on:",
    "valid": ":material/verified:",
    "invalid": ":material/gpp_bad:",
    "elsewhere": ":material/cloud_off:",
}


def show(found: Provenance) -> None:
    """Draw hash, hints, Content Credentials and metadata."""
    with st.expander("Provenance", icon=":material/history:"):
        st.caption(NOTE)
        if found.hints:
            st.markdown("\n".join(f"- {plain(hint)}" for hint in found.hints))
        _credentials(found.credentials)
        st.markdown("**What the file says of itself**")
        rows = {
            "SHA-256": found.sha256,
            "Size": f"{found.bytes:,} bytes",
            "Container": plain(found.container),
            "Camera or phone": plain(found.device or "not named"),
            "Written by": plain(found.encoder or "not stated"),
            "Picture encoded by": plain(found.video_encoder or "no signature found"),
            "Created": plain(found.creation_time or "not stated"),
        }
        if found.rotation:
            rows["Turned by"] = f"{found.rotation}°"
        if found.hidden_frames:
            rows["Frames not shown"] = f"{found.hidden_frames:,}"
        for number, stream in enumerate(found.streams):
            words = ", ".join(filter(None, (stream.codec, stream.description)))
            rows[f"Stream {number}, {stream.kind}"] = plain(words or "unknown")
        st.table(rows, border="horizontal", alt="Facts about the file")
        tags = {
            f"{place}{key}": value
            for place, pairs in [
                ("", found.tags),
                *((f"stream {n}: ", stream.tags) for n, stream in enumerate(found.streams)),
            ]
            for key, value in pairs
        }
        if tags:
            st.markdown("**All tags**")
            st.table(
                {plain(short(key, 60)): plain(short(value, 200)) for key, value in tags.items()},
                border="horizontal",
                alt="All tags in the file",
            )


def _credentials(found: Credentials) -> None:
    st.markdown(f"**{_ICONS[found.state]} Content Credentials (C2PA)**")
    st.markdown(plain(found.sentence))
    lines = [
        f"{title}: {plain(text)}"
        for title, text in (
            ("Title", found.title),
            ("Made with", found.generator),
            ("Certificate issued by", found.issuer),
            ("Signed at", found.signed_at),
        )
        if text
    ]
    lines += [f"Claim: {plain(claim)}" for claim in found.claims]
    lines += [f"Step {number}: {plain(edit)}" for number, edit in enumerate(found.edits, 1)]
    lines += [f"Made from: {plain(name)}" for name in found.ingredients]
    lines += [f"Problem: {plain(problem)}" for problem in found.problems]
    if lines:
        st.markdown("\n".join(f"- {line}" for line in lines))
