"""What stands in the menu under “About”: the version, and how files from strangers are held."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import streamlit as st

import detector
from detector.errors import DetectorError
from detector.media.sandbox.sandbox import Defence, lines
from detector.media.sandboxed_clip import describe_sandbox
from pages.parts import login


@st.cache_resource(show_spinner=False)
def _sandbox() -> Future[tuple[Defence, ...]]:
    """Look the sandbox up once for the process, in the background: no page waits for it."""
    with_one = ThreadPoolExecutor(1, thread_name_prefix="describe-sandbox")
    found = with_one.submit(describe_sandbox)
    with_one.shutdown(wait=False)
    return found


def text() -> str:
    """Return the dialog's text, as Markdown."""
    return "\n\n".join(
        (
            f"**Veriframe {detector.__version__}**: evidence of face manipulation in video, frame "
            "by frame. A score is a reason to look closer, never a verdict.",
            *_lines(),
            *_tokens(),
        )
    )


def _tokens() -> tuple[str, ...]:
    """Return what the command line has to be told to make a token of this person's."""
    owner = login.known_owner()
    if not owner or "`" in owner or not owner.isprintable():
        return ()
    # As code, which nothing becomes a link or an icon in, and which is copied as it is.
    return (f"Tokens of the API for your analyses are made with --owner and: `{owner}`",)


def _lines() -> tuple[str, ...]:
    found = _sandbox()
    if not found.done():
        return ("How clips are held while they are decoded is being looked up; open this again.",)
    try:
        held = lines(found.result())
    except DetectorError as error:
        return (str(error),)
    return (
        "Clips are decoded by a process of their own, so that a file that was made to do harm "
        "harms nothing else. What holds around it on this system:",
        "\n".join(f"- {line[:1].upper()}{line[1:]}" for line in held),
    )
