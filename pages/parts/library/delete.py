"""Deleting from the library, after one more question."""

from __future__ import annotations

import streamlit as st

from detector.errors import LibraryError
from pages.parts import library_access
from pages.parts.text import plain


@st.dialog("Delete from the library?", icon=":material/delete:")
def confirm(ids: list[int]) -> None:
    """Ask, and delete on “Delete”; the page is drawn anew afterwards."""
    what = "this analysis" if len(ids) == 1 else f"these {len(ids):,} analyses"
    st.markdown(
        f"This deletes {what} with all scores, pictures, tags and notes. Clips elsewhere on this "
        "machine stay where they are. It cannot be undone."
    )
    if failed := st.session_state.pop("delete_failed", None):
        st.error(plain(failed), icon=":material/error:")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="delete-cancel"):
            st.rerun()
        sure = st.button(
            "Delete",
            type="primary",
            icon=":material/delete:",
            key="delete-sure",
            on_click=_delete,
            args=(ids,),
        )
    if sure and "delete_failed" not in st.session_state:
        st.rerun()


def _delete(ids: list[int]) -> None:
    state = st.session_state
    try:
        removed = library_access.delete(ids)
    except LibraryError as error:
        state.delete_failed = str(error)
        return
    state.deleted = f"Deleted {removed:,} " + ("analysis." if removed == 1 else "analyses.")
    if st.query_params.get("analysis", "") in map(str, ids):
        st.query_params.clear()
