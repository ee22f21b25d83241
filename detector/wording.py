"""The words for what was found: the same on the page, in the terminal and in a report.

Never "fake" or "real" as a fact: a score is evidence, and every band says how often footage
of real people reaches it.
"""

from __future__ import annotations

from detector.result import AbstainReason, Analysis, Band

BAND_ORDER: tuple[Band, ...] = ("little", "inconclusive", "some", "strong")

BANDS: dict[Band, str] = {
    "little": "Little evidence of manipulation",
    "inconclusive": "Inconclusive",
    "some": "Some evidence of manipulation",
    "strong": "Strong evidence of manipulation",
}

BAND_SHORT: dict[Band, str] = {
    "little": "little evidence",
    "inconclusive": "inconclusive",
    "some": "some evidence",
    "strong": "strong evidence",
}

BAND_MEANING: dict[Band, str] = {
    "little": "The networks found few of the traces that face manipulation leaves. "
    "That does not prove that the clip is authentic.",
    "inconclusive": "The scores lie where unaltered and manipulated faces both occur. "
    "Do not decide on them.",
    "some": "The networks found traces that face manipulation often leaves. "
    "At most about 5 in 100 unaltered faces look like this too; more do once a clip was "
    "compressed strongly.",
    "strong": "The networks found clear traces of the kind that face manipulation leaves. "
    "At most about 1 in 100 unaltered faces looks like this too.",
}

STATES: dict[AbstainReason, str] = {
    "no_face": "No face found",
    "too_few_frames": "Too few usable frames",
    "faces_too_small": "Faces too small",
    "faces_too_dark": "Faces too dark or too bright",
    "heavily_recompressed": "Heavily recompressed",
}

STATE_MEANING: dict[AbstainReason, str] = {
    "no_face": "No face was found in the frames that were looked at, so there is nothing to "
    "score. Try more frames, or a clip in which a face is seen from the front.",
    "too_few_frames": "A face is seen in too few usable frames to judge it. Analyse more frames, "
    "or a longer part of the clip.",
    "faces_too_small": "The faces are smaller than 48 pixels, too small to judge. Find a version "
    "of the clip with a higher resolution.",
    "faces_too_dark": "The faces are too dark or too bright to judge. Find another recording of "
    "the scene.",
    "heavily_recompressed": "So little fine detail is left in the faces, or so few bits in the "
    "clip, that traces of manipulation and of compression, enlarging or blur cannot be told apart. "
    "Find an earlier or larger copy of it.",
}

LIMITATIONS: tuple[str, ...] = (
    "Only faces are judged. The voice, the words, the rest of the picture and whether the scene "
    "took place at all are not.",
    "Faces that are generated as a whole, puppeteered or lip-synced may score low: the networks "
    "learned from face swaps and blended faces.",
    "Strong compression, filters, make-up, glasses and unusual light can raise the score of an "
    "unaltered face.",
    "A band is a reason to look closer, never a verdict. Ask where the clip comes from.",
)

NOT_CALIBRATED = (
    "Not yet calibrated: the limits of the bands are provisional and were set frame by frame on "
    "one data set."
)


def headline(analysis: Analysis) -> str:
    """Say what the clip comes to, in a few words."""
    finding = analysis.finding
    if finding.band:
        return BANDS[finding.band]
    return STATES[finding.states[0]] if finding.states else BANDS["inconclusive"]


def meaning(analysis: Analysis) -> str:
    """Say what the headline means, in one or two sentences."""
    finding = analysis.finding
    if finding.band:
        return BAND_MEANING[finding.band]
    return STATE_MEANING[finding.states[0]] if finding.states else BAND_MEANING["inconclusive"]


def clock(seconds: float) -> str:
    """Write a time as people read it: 7.24 s, 1:07.2, 1:02:03."""
    if round(seconds, 2) < 60:
        return f"{seconds:.2f} s"
    minutes, tenths = divmod(round(seconds * 10), 600)
    if minutes < 60:
        return f"{minutes}:{tenths / 10:04.1f}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
