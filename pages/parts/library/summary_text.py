"""A kept analysis in few words, as Markdown."""

from __future__ import annotations

from detector.library.types import Summary
from detector.models.networks.registry import NETWORKS
from detector.wording import BAND_SHORT, STATES, clock
from pages.parts.text import plain


def facts(summary: Summary) -> str:
    """Return when an analysis was made, and of what, in one line."""
    length = "still" if summary.duration == 0 else plain(clock(summary.duration))
    frames = "1 frame" if summary.frames == 1 else f"{summary.frames:,} frames"
    return (
        f"Number {summary.id} · {summary.created:%Y-%m-%d %H:%M} UTC · {length} · "
        f"{faces(summary)} · {frames} · {models(summary)}"
    )


def faces(summary: Summary) -> str:
    """Return how many faces were followed."""
    return "1 face" if summary.faces == 1 else f"{summary.faces} faces"


def models(summary: Summary) -> str:
    """Return the versions of the networks, whose names are written as people write them."""
    version = summary.model_version
    for name, network in NETWORKS.items():
        version = version.replace(name, network.title)
    return plain(version)


def finding(summary: Summary) -> str:
    """Return what an analysis came to."""
    if summary.band is not None and summary.score is not None:
        return f"{BAND_SHORT[summary.band].capitalize()} ({summary.score:.2f})"
    return STATES[summary.states[0]] if summary.states else "Not judged"
