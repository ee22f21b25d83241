"""What narrows and orders the frame browser."""

from __future__ import annotations

import streamlit as st

from detector.library.types import FrameFilter
from detector.models.networks.registry import NETWORKS
from pages.parts import filter_panel
from pages.parts.filter_panel import FilterPanel, NumberField
from pages.parts.frames.analysis_picker import BrowsedAnalyses

IN_WHOLE_LIBRARY = 3  # orders: the others would read a million scores for each page
COUNTED, NOT_COUNTED = "Counted", "Not counted"
WITH, WITHOUT = "With a face", "Without a face"
MOST_TRACKS = 100

PANEL = FilterPanel(
    unfiltered={
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
    },
    orders={
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
    },
    order_key="frame_order",
)


def show(browsed: BrowsedAnalyses) -> tuple[FrameFilter, str]:
    """Draw the widgets; return the filter and the order for `Library.frames`."""
    with filter_panel.row():
        tracks = _tracks(browsed)
        low, high = st.slider(
            "Score",
            0.0,
            1.0,
            (0.0, 1.0),
            0.01,
            key="only_score",
            persist_state="session",
            width=230,
        )
        order = PANEL.order(
            width=250,
            offered=IN_WHOLE_LIBRARY if browsed.whole else None,
            hint="Choose analyses above for more orders." if browsed.whole else None,
        )
        with filter_panel.more():
            start, end = filter_panel.number_row(
                NumberField("From second", "only_from", "start", 0.0),
                NumberField("To second", "only_to", "end", 0.0),
            )
            faces = st.pills("Frames", [WITH, WITHOUT], key="only_faces", persist_state="session")
            quality = st.pills(
                "Faces that count in the finding",
                [COUNTED, NOT_COUNTED],
                key="only_quality",
                persist_state="session",
                help="Faces that are too small, too dark, too bright or without fine detail do not "
                "count.",
            )
            size, sharpness = filter_panel.number_row(
                NumberField("Face at least (px)", "only_size", "any size", 0),
                NumberField("Sharpness at least", "only_sharpness", "any", 0),
            )
            darkest, brightest = filter_panel.number_row(
                NumberField("Brightness from", "only_brighter", "0", 0, 255),
                NumberField("Brightness to", "only_darker", "255", 0, 255),
            )
        PANEL.clear_button("Show all frames again")
    disagree = st.toggle(
        "Only frames where the two networks disagree",
        key="only_disagree",
        persist_state="session",
        help="One network sees evidence of manipulation where the other sees none.",
    )
    return (
        FrameFilter(
            analyses=browsed.ids,
            tracks=tracks,
            score=(low if low > 0 else None, high if high < 1 else None),
            time=(start, end),
            size=(size, None),
            sharpness=(sharpness, None),
            brightness=(darkest, brightest),
            usable=None if quality is None else quality == COUNTED,
            disagree=disagree,
            faces=None if faces is None else faces == WITH,
        ),
        order,
    )


def _tracks(browsed: BrowsedAnalyses) -> list[int]:
    most = max((summary.faces for summary in browsed.summaries), default=MOST_TRACKS)
    if most < 2:
        return []
    state = st.session_state
    numbers = list(range(1, min(most, MOST_TRACKS) + 1))
    state.only_tracks = [track for track in state.get("only_tracks", []) if track in numbers]
    return st.multiselect(
        "Faces",
        numbers,
        key="only_tracks",
        persist_state="session",
        width=230,
        placeholder="All faces",
        format_func=lambda track: f"Face {track}",
    )
