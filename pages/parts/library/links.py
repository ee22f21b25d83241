"""Links from the page "Library" to itself, which the address bar follows."""

from __future__ import annotations

import streamlit as st


def link(label: str, key: str, parameter: str, value: str, icon: str | None = None) -> None:
    """Draw a link that opens this page with one parameter, for example `?analysis=12`."""
    # Not st.page_link: to the page that is shown already, it leaves the old address in the bar.
    st.button(label, key=key, type="tertiary", icon=icon, on_click=go, args=(parameter, value))


def go(parameter: str, value: str) -> None:
    """Open this page with that parameter alone."""
    st.query_params.from_dict({parameter: value})
