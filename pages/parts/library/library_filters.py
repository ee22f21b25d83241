"""What narrows and orders the list of analyses."""

from __future__ import annotations

import datetime

import streamlit as st

from detector.library.store import Library
from detector.library.types import NO_BAND, LibraryFilter
from detector.wording import BAND_ORDER, BAND_SHORT
from pages.parts import filter_panel
from pages.parts.filter_panel import FilterPanel, NumberField

PANEL = FilterPanel(
    unfiltered={
        "library_text": "",
        "library_bands": [],
        "library_dates": (),
        "library_shortest": None,
        "library_longest": None,
        "library_fewest": None,
        "library_most": None,
        "library_models": [],
        "library_tags": [],
    },
    orders={
        "Newest first": "-created",
        "Oldest first": "created",
        "Highest score first": "-score",
        "Lowest score first": "score",
        "Strongest band first": "-band",
        "Name, A to Z": "name",
        "Longest first": "-duration",
        "Shortest first": "duration",
        "Most faces first": "-faces",
        "Most frames first": "-frames",
        "Largest file first": "-bytes",
    },
    order_key="library_order",
)


def show(library: Library) -> tuple[LibraryFilter, str]:
    """Draw the widgets; return the filter and the order for `Library.search`."""
    with filter_panel.row():
        text = st.text_input(
            "Search",
            key="library_text",
            placeholder="Name, hash, tag or note",
            width=320,
            icon=":material/search:",
            help="All words must occur.",
            persist_state="session",
        )
        order = PANEL.order(width=220)
        with filter_panel.more():
            days: tuple[datetime.date, ...] = st.date_input(
                "Analysed between (UTC days)",
                value=[],
                key="library_dates",
                persist_state="session",
            )
            shortest, longest = filter_panel.number_row(
                NumberField("At least (s)", "library_shortest", "any length", 0.0),
                NumberField("At most (s)", "library_longest", "any length", 0.0),
            )
            fewest, most = filter_panel.number_row(
                NumberField("Faces, at least", "library_fewest", "any", 0),
                NumberField("Faces, at most", "library_most", "any", 0),
            )
            models = _present("Models", "library_models", library.model_versions())
            tags = _present("Tags, all of", "library_tags", tuple(library.tags()))
        PANEL.clear_button("Show everything again")
    bands = st.pills(
        "Finding",
        [*reversed(BAND_ORDER), NO_BAND],
        key="library_bands",
        selection_mode="multi",
        format_func=lambda band: "not judged" if band == NO_BAND else BAND_SHORT[band],
        persist_state="session",
    )
    return (
        LibraryFilter(
            text=text,
            bands=tuple(bands),
            dates=(days[0] if days else None, days[1] if len(days) > 1 else None),
            length=(shortest, longest),
            faces=(fewest, most),
            model_versions=tuple(models),
            tags=tuple(tags),
        ),
        order,
    )


def _present(label: str, key: str, offered: tuple[str, ...]) -> list[str]:
    """Draw a choice among what the library holds; what has gone from it is no longer chosen."""
    state = st.session_state
    state[key] = [value for value in state.get(key) or [] if value in offered]
    return st.multiselect(label, offered, key=key, placeholder="any", persist_state="session")
