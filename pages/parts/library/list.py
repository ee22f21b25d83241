"""The library as a list: search, filters, order, pages, and what can be done with a selection."""

from __future__ import annotations

import datetime
from typing import Any

import streamlit as st

from detector.library.store import Library
from detector.library.types import NO_BAND, LibraryFilter, Page, Summary
from detector.models.networks.registry import NETWORKS
from detector.palette import BAND_COLOURS
from detector.report import archive
from detector.wording import BAND_ORDER, BAND_SHORT, STATES, clock
from pages.parts import library_access, links
from pages.parts.face_card import swatch
from pages.parts.library import delete, drift, scans
from pages.parts.text import plain, short

ORDERS = {
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
}
PAGE_SIZE = 20
MOST_SELECTED = 20_000
MOST_BROWSED = 50  # analyses whose frames are listed together, short of the whole library
MOST_COMPARED = 4

_NO_FACE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="56" height="56">'
    '<rect width="56" height="56" rx="6" fill="#8a8f98" fill-opacity="0.18"/>'
    '<path d="M20 28h16" stroke="#8a8f98" stroke-width="3"/></svg>'
)

_DEFAULTS: dict[str, Any] = {
    "library_text": "",
    "library_bands": [],
    "library_dates": (),
    "library_shortest": None,
    "library_longest": None,
    "library_fewest": None,
    "library_most": None,
    "library_models": [],
    "library_tags": [],
}


def show(library: Library) -> None:
    """The filters, the selection's bar and one page of analyses."""
    scans.show(library)
    scans.offer_scan(library)
    if library.search(page_size=1).total == 0:
        library_access.empty()
        return
    drift.offer(library)
    with st.container(border=True):
        filter, order = _filters(library)
    state = st.session_state
    if state.get("library_asked") != (filter, order):
        state.library_asked = (filter, order)
        state.library_page = 1
    found = library.search(filter, sort=order, page=state.library_page, page_size=PAGE_SIZE)
    if found.total == 0:
        st.info(
            "No analysis matches; try fewer words, or clear the filters.",
            icon=":material/search_off:",
        )
        st.button("Show everything", icon=":material/filter_alt_off:", on_click=_clear)
        return
    selected = _selected(library)
    _bar(library, filter, found, selected)
    for summary in found.items:
        _row(library, summary, selected)
    if found.pages > 1:
        state.library_page = found.number
        st.pagination(found.pages, key="library_page")


def _filters(library: Library) -> tuple[LibraryFilter, str]:
    state = st.session_state
    keep: dict[str, Any] = {"persist_state": "session"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Search", key="library_text", placeholder="Name, hash, tag or note", width=320,
            icon=":material/search:", help="All words must occur.", **keep,
        )  # fmt: skip
        order = st.selectbox("Order", list(ORDERS), key="library_order", width=220, **keep)
        with st.popover("More filters", icon=":material/filter_alt:"):
            _more(library, keep)
        st.button(
            "Clear", icon=":material/filter_alt_off:", on_click=_clear, disabled=_untouched(),
            help="Show everything again",
        )  # fmt: skip
    st.pills(
        "Finding", [*reversed(BAND_ORDER), NO_BAND], key="library_bands", selection_mode="multi",
        format_func=lambda band: "not judged" if band == NO_BAND else BAND_SHORT[band], **keep,
    )  # fmt: skip
    days: tuple[datetime.date, ...] = state.get("library_dates") or ()
    return (
        LibraryFilter(
            text=state.library_text or "",
            bands=tuple(state.library_bands or ()),
            dates=(days[0] if days else None, days[1] if len(days) > 1 else None),
            length=(state.get("library_shortest"), state.get("library_longest")),
            faces=(state.get("library_fewest"), state.get("library_most")),
            model_versions=tuple(state.get("library_models") or ()),
            tags=tuple(state.get("library_tags") or ()),
        ),
        ORDERS.get(order, "-created"),
    )


def _more(library: Library, keep: dict[str, Any]) -> None:
    """The filters of the popover."""
    st.date_input("Analysed between (UTC days)", value=[], key="library_dates", **keep)
    with st.container(horizontal=True):
        st.number_input("At least (s)", 0.0, value=None, key="library_shortest", width=140,
                        placeholder="any length", **keep)  # fmt: skip
        st.number_input("At most (s)", 0.0, value=None, key="library_longest", width=140,
                        placeholder="any length", **keep)  # fmt: skip
    with st.container(horizontal=True):
        st.number_input("Faces, at least", 0, value=None, key="library_fewest", width=140,
                        placeholder="any", **keep)  # fmt: skip
        st.number_input("Faces, at most", 0, value=None, key="library_most", width=140,
                        placeholder="any", **keep)  # fmt: skip
    _from_library("Models", "library_models", library.model_versions(), keep)
    _from_library("Tags, all of", "library_tags", tuple(library.tags()), keep)


def _from_library(label: str, key: str, offered: tuple[str, ...], keep: dict[str, Any]) -> None:
    """A choice among what the library holds; what has gone from it is no longer chosen."""
    state = st.session_state
    state[key] = [value for value in state.get(key) or [] if value in offered]
    st.multiselect(label, offered, key=key, placeholder="any", **keep)


def _untouched() -> bool:
    state = st.session_state
    return all((state.get(key) or default) == default for key, default in _DEFAULTS.items())


def _clear() -> None:
    for key, default in _DEFAULTS.items():
        st.session_state[key] = default


def _selected(library: Library) -> list[int]:
    """What is selected and still there, in the order of choosing."""
    chosen: list[int] = st.session_state.setdefault("library_selected", [])
    if chosen:
        there = set(library.ids(LibraryFilter(ids=chosen)))
        chosen = st.session_state.library_selected = [id for id in chosen if id in there]
    return chosen


def _select(ids: list[int], on: bool) -> None:
    state = st.session_state
    rest = [id for id in state.library_selected if id not in ids]
    state.library_selected = rest + ids if on else rest


def _toggle(id: int) -> None:
    _select([id], st.session_state[f"pick-{id}"])


def _bar(
    library: Library, filter: LibraryFilter, found: Page[Summary], selected: list[int]
) -> None:
    here = [summary.id for summary in found.items]
    with st.container(horizontal=True, vertical_alignment="center", key="library-bar"):
        noun = "analysis" if found.total == 1 else "analyses"
        where = f", page {found.number} of {found.pages:,}" if found.pages > 1 else ""
        chosen = f" · **{len(selected):,}** selected" if selected else ""
        st.markdown(f"**{found.total:,}** {noun}{where}{chosen}", width="stretch")
        all_here = set(here) <= set(selected)
        st.button(
            "Select none of this page" if all_here else "Select this page",
            on_click=_select, args=(here, not all_here), type="tertiary",
        )  # fmt: skip
        if found.pages > 1:
            st.button(
                f"Select all {min(found.total, MOST_SELECTED):,}", type="tertiary",
                on_click=lambda: _select(list(library.ids(filter))[-MOST_SELECTED:], True),
            )  # fmt: skip
        if selected:
            st.button("Clear selection", type="tertiary", on_click=_select, args=(selected, False))
    actions = st.container()  # always there, so that no row moves when the first is selected
    if selected:
        with actions.container(
            horizontal=True, border=True, vertical_alignment="center", key="library-actions"
        ):
            _actions(library, selected)


def _actions(library: Library, selected: list[int]) -> None:
    numbers = ",".join(map(str, selected))
    several = 2 <= len(selected) <= MOST_COMPARED
    st.button(
        "Compare", icon=":material/compare:", disabled=not several, on_click=links.go,
        args=("compare", numbers), help=f"Select two to {MOST_COMPARED} analyses.",
    )  # fmt: skip
    few = len(selected) <= MOST_BROWSED
    st.page_link(
        "pages/frames.py", label="Browse frames", disabled=not few,
        query_params={"analysis": numbers} if few else None,
        help="Their frames, together in one list." if few
        else f"At most {MOST_BROWSED} at once; the page “Frames” also shows the whole library.",
    )  # fmt: skip
    with st.popover("Tags", icon=":material/sell:"):
        st.text_input("Tag", key="bulk_tag", max_chars=80, placeholder="for example: election")
        with st.container(horizontal=True):
            st.button("Add to all", on_click=_tag, args=(library, selected, True))
            st.button("Take off all", on_click=_tag, args=(library, selected, False))
    with st.popover("Export", icon=":material/download:"):
        _export(library, selected)
    scans.offer_rescan(library, selected)
    if st.button("Delete…", icon=":material/delete:", key="delete-selected"):
        delete.confirm(selected)


def _tag(library: Library, ids: list[int], on: bool) -> None:
    name = st.session_state.bulk_tag.strip()
    if name:
        (library.tag if on else library.untag)(ids, name)
        st.session_state.bulk_tag = ""


def _export(library: Library, selected: list[int]) -> None:
    forms = st.pills(
        "Scores as", archive.FORMS, key="export_forms", default=list(archive.FORMS),
        selection_mode="multi", format_func={"csv": "CSV", "parquet": "Parquet",
                                             "json": "JSON"}.__getitem__,
    )  # fmt: skip
    too_many = len(selected) > archive.MOST
    st.download_button(
        f"Download {len(selected):,} as ZIP",
        lambda: archive.archive(library, selected, forms),
        file_name=f"{len(selected)}-analyses-veriframe.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        on_click="ignore",
        disabled=too_many,
        key="export",
        help=f"At most {archive.MOST:,} analyses in one file." if too_many else
        "A list of the analyses, and the scores of every face in every frame.",
    )  # fmt: skip


def _row(library: Library, summary: Summary, selected: list[int]) -> None:
    state = st.session_state
    with st.container(
        horizontal=True, border=True, vertical_alignment="center", gap="small",
        key=f"analysis-{summary.id}",
    ):  # fmt: skip
        state[f"pick-{summary.id}"] = summary.id in selected
        st.checkbox(
            f"Select {summary.id}", key=f"pick-{summary.id}", on_change=_toggle,
            args=(summary.id,), label_visibility="collapsed", width=24,
        )  # fmt: skip
        picture = library.thumbnail(summary.id)
        st.image(picture or _NO_FACE, width=56, alt="Its strongest face" if picture else "No face")
        with st.container(width="stretch", gap=None):
            st.button(
                f"**{plain(short(summary.name, 70))}**", type="tertiary", on_click=links.go,
                args=("analysis", str(summary.id)), key=f"open-{summary.id}", help="Open",
            )  # fmt: skip
            st.caption(facts(summary))
            if summary.tags or summary.note:
                tags = " ".join(f":blue-badge[{plain(short(tag, 30))}]" for tag in summary.tags)
                st.caption(f"{tags} {plain(short(summary.note, 100))}")
        with st.container(
            horizontal=True, width=190, vertical_alignment="center", gap="small", wrap=False
        ):
            st.image(swatch(BAND_COLOURS[summary.band] if summary.band else "#8a8f98"), width=14,
                     alt="")  # fmt: skip
            st.markdown(finding(summary))


def facts(summary: Summary) -> str:
    """When an analysis was made, and of what, in one line."""
    faces = "1 face" if summary.faces == 1 else f"{summary.faces} faces"
    frames = "1 frame" if summary.frames == 1 else f"{summary.frames:,} frames"
    length = "still" if summary.duration == 0 else plain(clock(summary.duration))
    return (
        f"Number {summary.id} · {summary.created:%Y-%m-%d %H:%M} UTC · {length} · {faces} · "
        f"{frames} · {models(summary.model_version)}"
    )


def models(version: str) -> str:
    """`Summary.model_version` with the networks' names as people write them."""
    for name, network in NETWORKS.items():
        version = version.replace(name, network.title)
    return plain(version)


def finding(summary: Summary) -> str:
    """What an analysis came to, in few words."""
    if summary.band is not None and summary.score is not None:
        return f"{BAND_SHORT[summary.band].capitalize()} ({summary.score:.2f})"
    return STATES[summary.states[0]] if summary.states else "Not judged"
