"""A panel of filters with an order; what is chosen stays for the session, until it is cleared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class FilterPanel:
    """The filters of one page, and the order of what they let through.

    Attributes:
        unfiltered: the value with which each filter lets everything through, by session key.
        orders: the column that the library sorts by, by the title of the order.
        order_key: session key of the order's title.
    """

    unfiltered: Mapping[str, object]
    orders: Mapping[str, str]
    order_key: str

    def order(self, width: int, offered: int | None = None, hint: str | None = None) -> str:
        """Draw the choice of an order; return the column to sort by.

        Args:
            width: of the field, pixels.
            offered: only so many orders, from the first; None offers all.
            hint: shown beside the field.
        """
        titles, state = list(self.orders)[:offered], st.session_state
        if state.get(self.order_key) not in titles:
            state[self.order_key] = titles[0]
        title = st.selectbox(
            "Order", titles, key=self.order_key, persist_state="session", width=width, help=hint
        )
        return self.orders[title]

    def clear_button(self, hint: str) -> None:
        """Draw a button that lets everything through again."""
        st.button(
            "Clear",
            icon=":material/filter_alt_off:",
            on_click=self.clear,
            disabled=not self.narrows(),
            help=hint,
        )

    def narrows(self) -> bool:
        """Return whether a filter is set."""
        values = ((st.session_state.get(key), free) for key, free in self.unfiltered.items())
        return any(value not in (None, "", [], (), free) for value, free in values)

    def clear(self) -> None:
        """Let everything through; the order stays."""
        for key, free in self.unfiltered.items():
            st.session_state[key] = free


@dataclass(frozen=True)
class NumberField(Generic[Number]):
    """A number that a person may leave out.

    Attributes:
        label: of the field.
        key: its session key.
        placeholder: shown while there is no number.
        lowest, highest: what may be entered; a `lowest` of 0.0 takes fractions, of 0 does not.
    """

    label: str
    key: str
    placeholder: str
    lowest: Number
    highest: Number | None = None


def row() -> DeltaGenerator:
    """Return a row for the filters that are always in sight."""
    return st.container(horizontal=True, vertical_alignment="bottom")


def more() -> DeltaGenerator:
    """Return the panel's drawer, for the filters that few people need."""
    return st.popover("More filters", icon=":material/filter_alt:")


def number_row(*fields: NumberField[Number]) -> tuple[Number | None, ...]:
    """Draw the fields beside each other; return their numbers, None where one is left out."""
    with st.container(horizontal=True):
        return tuple(
            st.number_input(
                field.label,
                field.lowest,
                field.highest,
                value=None,
                key=field.key,
                width=140,
                placeholder=field.placeholder,
                persist_state="session",
            )
            for field in fields
        )
