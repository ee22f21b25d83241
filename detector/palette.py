"""Colours and line styles that stand for bands, faces and networks everywhere."""

from __future__ import annotations

from detector.result import Band

# Apart from each other and from the colours of the bands; legible on light and dark.
TRACK_COLOURS = ("#7a5cd6", "#12948a", "#c2569b", "#8a7a12", "#5577aa", "#a0522d")

# Colours that stay apart for colour-blind readers and on both themes; green would promise
# authenticity, which no score can.
BAND_COLOURS: dict[Band, str] = {
    "little": "#3b82c4",
    "inconclusive": "#8a8f98",
    "some": "#d98a00",
    "strong": "#c8372d",
}


def track_colour(track: int) -> str:
    """Return the colour of a track, by its id from 1; repeats after the palette's end."""
    return TRACK_COLOURS[(track - 1) % len(TRACK_COLOURS)]
