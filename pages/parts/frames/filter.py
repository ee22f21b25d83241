"""What narrows and orders the frame browser."""

from __future__ import annotations

from typing import Any

import streamlit as st

from detector.library.types import FrameFilter
from detector.models.networks.registry import NETWORKS
from pages.parts.frames.source import Browsed

ORDERS = {
    "In order": "order",
    "Highest score first": "-score",
    "Lowest score first": "score",
    "Networks furthest apart first": "-spread",
    **{f"{network.title} highest first": f"-{name}" for name, network in NETWORKS.items()},
    "Largest face first": "-size",
    "Smallest face first": "size",
    "Sharpest first": "-sharpness",
    "Most blurred first": "sharpness",
    "Darkest first": "brightness",
    "Least certain to be a face first": "detection_score",
}
IN_WHOLE_LIBRARY = 3  # of these: the others would read a million scores for each page
COUNTED, NOT_COUNTED = "Counted", "Not counted"
WITH, WITHOUT = "With a face", "Without a face"
MOST_TRACKS = 100

_DEFAULTS: dict[str, Any] = {
    "only_tracks": [],
    "only_score": (0.0, 1.0),
    "only_disagree": False,
    "only_from": None,
    "only_to": None,
    "only_quality": None,
    "only_faces": None,
    "only_size": None,
    "only_sharpness": None,
    "only_darker": None,
    "only_brighter": None,
}


def show(browsed: Browsed) -> tuple[FrameFilter, str]:
    """The widgets; returns the filter and the order for `Store.frames`."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        tracks = _tracks(browsed)
        st.slider("Score", 0.0, 1.0, (0.0, 1.0), 0.01, key="only_score", persist_state="session",
                  width=230)  # fmt: skip
        order = _order(browsed)
        with st.popover("More filters", icon=":material/filter_alt:"):
            _more()
        st.button("Clear", icon=":material/filter_alt_off:", on_click=_clear,
                  disabled=_untouched(), help="Show all frames again")  # fmt: skip
    st.toggle(
        "Only frames where the two networks disagree",
        key="only_disagree",
        persist_state="session",
        help="One network sees evidence of manipulation where the other sees none.",
    )
    state = st.session_state
    low, high = state.only_score
    quality, faces = state.get("only_quality"), state.get("only_faces")
    return (
        FrameFilter(
            analyses=browsed.ids,
            tracks=tracks,
            score=(low if low > 0 else None, high if high < 1 else None),
            time=(state.get("only_from"), state.get("only_to")),
            size=(state.get("only_size"), None),
            sharpness=(state.get("only_sharpness"), None),
            brightness=(state.get("only_brighter"), state.get("only_darker")),
            usable=None if quality is None else quality == COUNTED,
            disagree=bool(state.only_disagree),
            faces=None if faces is None else faces == WITH,
        ),
        order,
    )


def _order(browsed: Browsed) -> str:
    state = st.session_state
    offered = list(ORDERS)[: IN_WHOLE_LIBRARY if browsed.whole else None]
    if state.get("frame_order") not in offered:
        state.frame_order = offered[0]
    chosen = st.selectbox(
        "Order", offered, key="frame_order", persist_state="session", width=250,
        help="Choose analyses above for more orders." if browsed.whole else None,
    )  # fmt: skip
    return ORDERS[chosen]


def _tracks(browsed: Browsed) -> list[int]:
    most = max((summary.faces for summary in browsed.summaries), default=MOST_TRACKS)
    if most < 2:
        return []
    state = st.session_state
    numbers = list(range(1, min(most, MOST_TRACKS) + 1))
    state.only_tracks = [track for track in state.get("only_tracks", []) if track in numbers]
    st.multiselect("Faces", numbers, key="only_tracks", persist_state="session", width=230,
                   placeholder="All faces", format_func=lambda track: f"Face {track}")  # fmt: skip
    return list(state.only_tracks)


def _more() -> None:
    """The filters of the popover."""
    keep: dict[str, Any] = {"persist_state": "session"}
    with st.container(horizontal=True):
        st.number_input("From second", 0.0, value=None, key="only_from", width=140,
                        placeholder="start", **keep)  # fmt: skip
        st.number_input("To second", 0.0, value=None, key="only_to", width=140,
                        placeholder="end", **keep)  # fmt: skip
    st.pills("Frames", [WITH, WITHOUT], key="only_faces", **keep)
    st.pills("Faces that count in the finding", [COUNTED, NOT_COUNTED], key="only_quality",
             help="Faces that are too small, too dark, too bright or without fine detail do not "
             "count.",
             **keep)  # fmt: skip
    with st.container(horizontal=True):
        st.number_input("Face at least (px)", 0, value=None, key="only_size", width=140,
                        placeholder="any size", **keep)  # fmt: skip
        st.number_input("Sharpness at least", 0, value=None, key="only_sharpness", width=140,
                        placeholder="any", **keep)  # fmt: skip
    with st.container(horizontal=True):
        st.number_input("Brightness from", 0, 255, value=None, key="only_brighter", width=140,
                        placeholder="0", **keep)  # fmt: skip
        st.number_input("Brightness to", 0, 255, value=None, key="only_darker", width=140,
                        placeholder="255", **keep)  # fmt: skip


def _untouched() -> bool:
    state = st.session_state
    return all(state.get(key, default) == default for key, default in _DEFAULTS.items())


def _clear() -> None:
    for key, default in _DEFAULTS.items():
        st.session_state[key] = default
