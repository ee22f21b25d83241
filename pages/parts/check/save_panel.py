"""Where this tab's analysis is kept, and the way to change that."""

from __future__ import annotations

import streamlit as st

from detector.errors import LibraryError
from detector.jobs.saver import LibrarySaver
from detector.library.types import LibraryFilter
from pages.parts import library_access, session
from pages.parts.text import plain


def show() -> None:
    """Draw one line below the finding: kept, not kept, or why that failed."""
    saver = session.saver()
    if saver is None:
        return
    _look_again(saver)
    if saver.refused is not None:
        complete = " This result is complete, but it is not kept." if saver.id is None else ""
        st.warning(plain(saver.refused) + complete, icon=":material/inventory_2:")
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="keeping"):
        if saver.id is None:
            st.markdown(
                ":material/delete_forever: **Not kept.** It goes when you leave this tab.",
                width="stretch",
            )
            st.button("Keep it in the library", icon=":material/inventory_2:", on_click=_keep)
        else:
            st.markdown(
                f":material/inventory_2: **Kept in the library** as number {saver.id}, with small "
                "pictures; the clip itself is not.",
                width="stretch",
            )
            query = {"analysis": str(saver.id)}
            st.page_link("pages/frames.py", label="Browse its frames", query_params=query)
            st.page_link("pages/library.py", label="Show in the library", query_params=query)
            st.button("Take it out again", icon=":material/delete:", on_click=_remove)


def _look_again(saver: LibrarySaver) -> None:
    """Notice that it was deleted on another page, or in another tab."""
    try:
        if saver.id is not None and not library_access.open_library().ids(
            LibraryFilter(ids=[saver.id])
        ):
            saver.id = None
    except LibraryError as error:
        saver.refused = str(error)


def _keep() -> None:
    saver, job = session.saver(), session.job()
    if saver is None or job is None or job.analysis is None:
        return
    try:
        saver.keep(library_access.open_library(), job.analysis, job.pictures)
    except LibraryError as error:
        saver.refused = str(error)


def _remove() -> None:
    saver = session.saver()
    if saver is None:
        return
    try:
        saver.remove(library_access.open_library())
    except LibraryError as error:
        saver.refused = str(error)
