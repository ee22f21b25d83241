"""Where this tab's analysis is kept, and the way to change that."""

from __future__ import annotations

import streamlit as st

from detector.errors import LibraryError
from detector.jobs.keeper import LibrarySaver
from detector.library.types import LibraryFilter
from pages.parts import library_access, session
from pages.parts.text import plain


def show() -> None:
    """One line below the finding: kept, not kept, or why that failed."""
    keeper = session.keeper()
    if keeper is None:
        return
    _look_again(keeper)
    if keeper.refused is not None:
        complete = " This result is complete, but it is not kept." if keeper.id is None else ""
        st.warning(plain(keeper.refused) + complete, icon=":material/inventory_2:")
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="keeping"):
        if keeper.id is None:
            st.markdown(
                ":material/delete_forever: **Not kept.** It goes when you leave this tab.",
                width="stretch",
            )
            st.button("Keep it in the library", icon=":material/inventory_2:", on_click=_keep)
        else:
            st.markdown(
                f":material/inventory_2: **Kept in the library** as number {keeper.id}, with small "
                "pictures; the clip itself is not.",
                width="stretch",
            )
            query = {"analysis": str(keeper.id)}
            st.page_link("pages/frames.py", label="Browse its frames", query_params=query)
            st.page_link("pages/library.py", label="Show in the library", query_params=query)
            st.button("Take it out again", icon=":material/delete:", on_click=_remove)


def _look_again(keeper: LibrarySaver) -> None:
    """It may have been deleted on another page, or in another tab."""
    try:
        if keeper.id is not None and not library_access.store().ids(LibraryFilter(ids=[keeper.id])):
            keeper.id = None
    except LibraryError as error:
        keeper.refused = str(error)


def _keep() -> None:
    keeper, job = session.keeper(), session.job()
    if keeper is None or job is None or job.analysis is None:
        return
    try:
        keeper.keep(library_access.store(), job.analysis, job.evidence)
    except LibraryError as error:
        keeper.refused = str(error)


def _remove() -> None:
    keeper = session.keeper()
    if keeper is None:
        return
    try:
        keeper.remove(library_access.store())
    except LibraryError as error:
        keeper.refused = str(error)
