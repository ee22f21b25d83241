"""Which analyses the frame browser shows: this tab's clip, some of the library, or all of it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from detector.library.store import Library
from detector.library.types import LibraryFilter, Summary
from detector.pictures.protocols import DisplayPictures
from detector.result import Analysis
from pages.parts import library_access, session
from pages.parts.text import plain, short

OFFERED = 50  # the newest analyses, to choose from
OWN, LIBRARY = "This tab's clip", "The library"


@dataclass(frozen=True)
class BrowsedAnalyses:
    """The analyses whose frames are browsed.

    Attributes:
        library: the library that holds it.
        summaries: of the chosen analyses; none for the whole library.
        whole: all of the library.
        own: this tab's analysis, which is in no library that others see.
    """

    library: Library
    summaries: tuple[Summary, ...]
    whole: bool = False
    own: bool = False

    @property
    def ids(self) -> tuple[int, ...] | None:
        """Numbers of the analyses; None for the whole library."""
        return None if self.whole else tuple(summary.id for summary in self.summaries)

    @property
    def single(self) -> Summary | None:
        """The analysis, where it is only one."""
        return self.summaries[0] if len(self.summaries) == 1 else None

    def analysis(self, number: int) -> Analysis:
        """Return one of them, whole; raises LibraryError."""
        return library_access.analysis(self.library, number)

    def pictures(self, number: int) -> DisplayPictures:
        """Return its pictures: those of this tab while they are there, else the kept copies."""
        job, saver = session.job(), session.saver()
        mine = self.own or (saver is not None and saver.id == number)
        return job.pictures if mine and job is not None else self.library.pictures(number)


def choose() -> BrowsedAnalyses | None:
    """Draw the choice of analyses, deep-linked by `?analysis=12,15`; None for an empty library.

    Raises:
        LibraryError: the library cannot be used.
    """
    asked = st.query_params.get("analysis")
    job, saver = session.job(), session.saver()
    if job is not None and job.analysis is not None and (saver is None or saver.id is None):
        if asked is not None and asked != st.session_state.get("browsed_asked"):
            st.session_state.frames_of = LIBRARY
        which = st.segmented_control(
            "Frames of",
            [OWN, LIBRARY],
            default=OWN,
            key="frames_of",
            persist_state="session",
            required=True,
        )
        if which == OWN:
            own = session.own_library()
            return (
                None
                if own is None
                else BrowsedAnalyses(own[0], (own[0].summary(own[1]),), own=True)
            )
    return _from_library(asked)


def _from_library(asked: str | None) -> BrowsedAnalyses | None:
    library, state = library_access.open_library(), st.session_state
    newest = library.search(page_size=OFFERED)
    if newest.total == 0:
        if asked:
            _gone(asked)
        return None
    if "browsed" not in state:
        saver = session.saver()
        state.browsed = [saver.id] if saver is not None and saver.id is not None else []
    if asked is not None and asked != state.get("browsed_asked"):
        state.browsed = library_access.numbers(asked)[:OFFERED]
    chosen = {
        summary.id: summary
        for summary in library.search(LibraryFilter(ids=state.browsed), page_size=OFFERED).items
    }
    gone = [number for number in state.browsed if number not in chosen]
    if gone or (asked and not state.browsed):
        _gone(", ".join(map(str, gone)) or asked or "")
        state.browsed = [number for number in state.browsed if number in chosen]
    offered = {summary.id: summary for summary in newest.items} | chosen
    st.multiselect(
        "Analyses",
        list(offered),
        key="browsed",
        persist_state="session",
        format_func=lambda number: _label(offered[number]),
        placeholder=f"The whole library: {newest.total:,} analyses",
        help="The newest are offered; choose any others on the page “Library”. With none "
        "chosen, the frames of the whole library are shown.",
    )
    numbers = state.browsed
    if numbers:
        st.query_params["analysis"] = ",".join(map(str, numbers))
    else:
        st.query_params.pop("analysis", None)
    state.browsed_asked = st.query_params.get("analysis")
    return BrowsedAnalyses(library, tuple(offered[number] for number in numbers), whole=not numbers)


def _gone(numbers: str) -> None:
    st.warning(
        f"There is no analysis {plain(short(numbers))} in the library; it may have been deleted.",
        icon=":material/link_off:",
    )


def _label(summary: Summary) -> str:
    return f"{summary.id} · {short(summary.name, 40)} · {summary.created:%Y-%m-%d %H:%M}"
