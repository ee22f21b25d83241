"""Scans that run for the whole process: a folder, or kept analyses with the current models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from detector.concurrency.task import Task
from detector.errors import DetectorError
from detector.jobs.folder import FolderOutcome, FolderProgress, find_clips, start_scan
from detector.jobs.rescan import Rescanned, rescan_all
from detector.library.store import Library
from detector.settings import DEFAULT_FRAMES, Settings
from pages.parts import login, session
from pages.parts.library import links
from pages.parts.text import plain, short

MOST_LISTED = 100  # clips that failed, on the page


@dataclass
class _Board:
    """What runs for one person: one of each; it goes on when the tab is closed."""

    folder: str = ""
    scan: Task[FolderProgress, FolderOutcome] | None = None
    rescan: Task[float, tuple[Rescanned, ...]] | None = None


@st.cache_resource(show_spinner=False)
def _board_of(owner: str) -> _Board:
    return _Board()


def _board() -> _Board:
    return _board_of(login.owner())


def show(library: Library) -> None:
    """Draw what runs in the background and what came of it; nothing where nothing does."""
    board = _board()
    running = any(task is not None and not task.finished for task in (board.scan, board.rescan))

    @st.fragment(run_every=1.0 if running else None)
    def live() -> None:
        still = any(task is not None and not task.finished for task in (board.scan, board.rescan))
        if running and not still:
            st.rerun()
        if board.scan is not None:
            _folder(board, board.scan)
        if board.rescan is not None:
            _rescan(board, board.rescan)

    live()


def _folder(board: _Board, scan: Task[FolderProgress, FolderOutcome]) -> None:
    with st.container(border=True, key="folder-scan"):
        st.markdown(f":material/folder: **Scan of {plain(short(board.folder, 80))}**")
        if scan.finished:
            _folder_outcome(board, scan)
            return
        progress = scan.progress
        clip = "" if progress.path is None else f": {plain(short(progress.path.name, 60))}"
        frames = (
            f", frame {progress.frames_done} of {progress.frames_total}"
            if progress.frames_total
            else ""
        )
        share = progress.frames_done / progress.frames_total if progress.frames_total else 0.0
        st.progress(
            min((progress.done + share) / max(progress.total, 1), 1.0),
            f"Clip {min(progress.done + 1, progress.total)} of {progress.total}{clip}{frames}",
        )
        failed = sum(file.state == "failed" for file in progress.files)
        st.caption(
            "It goes on when you close this tab."
            + (f" {failed} could not be scanned so far." if failed else "")
        )
        st.button("Stop", icon=":material/stop_circle:", on_click=scan.cancel, key="stop-scan")


def _folder_outcome(board: _Board, scan: Task[FolderProgress, FolderOutcome]) -> None:
    outcome = scan.result
    if scan.error is not None:
        st.error(plain(scan.error), icon=":material/error:")
    if outcome is not None:
        st.markdown(_folder_words(outcome))
        if outcome.stopped is not None:
            st.warning(plain(outcome.stopped), icon=":material/stop_circle:")
        if outcome.errors:
            with st.expander(f"{len(outcome.errors)} could not be scanned", expanded=True):
                st.markdown(
                    "\n".join(
                        f"- {plain(short(str(file.path), 120))}: {plain(file.error or '')}"
                        for file in outcome.errors[:MOST_LISTED]
                    )
                )
                if len(outcome.errors) > MOST_LISTED:
                    st.caption(f"and {len(outcome.errors) - MOST_LISTED} more")
    st.button("Dismiss", icon=":material/close:", on_click=_dismiss, args=("scan",),
              key="dismiss-scan")  # fmt: skip


def _folder_words(outcome: FolderOutcome) -> str:
    words = [
        f"{outcome.count('analysed')} analysed",
        f"{outcome.count('known')} known already",
        f"{outcome.count('failed')} failed",
    ]
    return f"{len(outcome.files)} clips: {', '.join(words)}."


def _rescan(board: _Board, task: Task[float, tuple[Rescanned, ...]]) -> None:
    with st.container(border=True, key="rescan"):
        st.markdown(":material/replay: **Scan again with the current models**")
        if not task.finished:
            st.progress(task.progress, f"{task.progress:.0%}")
            st.button(
                "Stop", icon=":material/stop_circle:", on_click=task.cancel, key="stop-rescan"
            )
            return
        if task.error is not None:
            st.error(plain(task.error), icon=":material/error:")
        for one in (task.result or ())[:MOST_LISTED]:
            _rescanned(one)
        st.button("Dismiss", icon=":material/close:", on_click=_dismiss, args=("rescan",),
                  key="dismiss-rescan")  # fmt: skip


def _rescanned(one: Rescanned) -> None:
    name = plain(short(one.name, 60))
    if one.error is not None:
        st.markdown(f"- {name}: {plain(one.error)}")
    elif one.new == one.old:
        st.markdown(f"- {name}: number {one.old} is of the current models already")
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            how = "was scanned with them before, as" if one.known else "is now also"
            st.markdown(f"- {name}: number {one.old} {how} number {one.new}")
            links.link("Compare", f"rescanned-{one.old}", "compare", f"{one.old},{one.new}")


def _dismiss(which: str) -> None:
    setattr(_board(), which, None)


def offer_scan(library: Library) -> None:
    """Draw the fields to scan a folder with; not where people log in from elsewhere."""
    if login.is_required():
        return
    with st.expander("Scan a folder", icon=":material/create_new_folder:", key="scan-folder"):
        st.markdown(
            "Every clip in a folder on this machine, one after another, kept in the library. Clips "
            "that are in it already, with the same models and settings, are not scanned again."
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("Folder", key="scan_path", placeholder="/home/me/clips", width=420)
            st.number_input("Frames of each clip", 4, 256, DEFAULT_FRAMES, 4, key="scan_frames",
                            width=170)  # fmt: skip
            st.toggle("Folders inside it too", key="scan_recursive")
            board = _board()
            busy = board.scan is not None and not board.scan.finished
            st.button("Scan", type="primary", icon=":material/play_arrow:", disabled=busy,
                      on_click=_start_scan, args=(library,), key="start-scan",
                      help="A folder is being scanned already." if busy else None)  # fmt: skip
        if refused := st.session_state.get("scan_refused"):
            st.error(plain(refused), icon=":material/error:")


def _start_scan(library: Library) -> None:
    state, board = st.session_state, _board()
    state.pop("scan_refused", None)
    if board.scan is not None and not board.scan.finished:
        return
    path = state.scan_path.strip().strip("\"'")
    if not path:
        state.scan_refused = "Write the path of a folder on this machine first."
        return
    try:
        clips = find_clips(Path(path).expanduser(), state.scan_recursive)
    except DetectorError as error:
        state.scan_refused = str(error).replace(" (--recursive)", "")  # a switch, here
        return
    board.folder = path
    board.scan = start_scan(
        clips, library, Settings(frames=int(state.scan_frames)), session.models().engine
    )


def offer_rescan(library: Library, ids: list[int], **button: Any) -> None:
    """Draw a button that scans kept analyses again."""
    board = _board()
    busy = board.rescan is not None and not board.rescan.finished
    st.button(
        "Scan again", icon=":material/replay:", disabled=busy, on_click=_start_rescan,
        args=(library, ids), key="start-rescan",
        help="Other analyses are being scanned again." if busy
        else "With the current models, where the clip's file is still in its place: that holds "
        "for samples and scanned folders, not for uploads, since the clip itself is not kept.",
        **button,
    )  # fmt: skip


def _start_rescan(library: Library, ids: list[int]) -> None:
    board, engine, chosen = _board(), session.models().engine, list(ids)
    if board.rescan is None or board.rescan.finished:
        board.rescan = Task(
            lambda report, cancelled: rescan_all(library, chosen, engine, report, cancelled),
            0.0,
            name="rescan",
        )
