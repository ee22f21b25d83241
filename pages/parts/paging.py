"""A long list, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from detector.library.types import Page


@dataclass(frozen=True)
class Paging:
    """The pages of one list.

    Attributes:
        page_key: session key of the page's number, from 1.
        asked_key: session key of what was listed last.
    """

    page_key: str
    asked_key: str

    def restart(self, asked: object) -> bool:
        """Go to page 1 where something else is listed than before; return whether it is."""
        if st.session_state.get(self.asked_key) == asked:
            return False
        st.session_state[self.asked_key] = asked
        self.turn_to(1)
        return True

    @property
    def number(self) -> int:
        """The number of the page to list, from 1."""
        number: int = st.session_state[self.page_key]
        return number

    def turn_to(self, number: int) -> None:
        """List that page next."""
        st.session_state[self.page_key] = number

    def show(self, found: Page[Any]) -> None:
        """Draw the numbers of the pages, where there are several."""
        if found.pages > 1:
            self.turn_to(found.number)  # a page past the end is the last one
            st.pagination(found.pages, key=self.page_key)


def count(found: Page[Any], one: str, several: str) -> str:
    """Return how many match, and on which page this is, as Markdown.

    Args:
        found: the page.
        one, several: what is counted, for one and for any other number.
    """
    noun = one if found.total == 1 else several
    where = f", page {found.number} of {found.pages:,}" if found.pages > 1 else ""
    return f"**{found.total:,}** {noun}{where}"
