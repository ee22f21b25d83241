"""detector.wording: a word for every case, and never a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from detector import palette, wording
from detector.palette import BAND_COLOURS
from detector.result import AbstainReason, Analysis, Band
from detector.wording import BAND_ORDER, clock, headline, meaning
from tests.helpers.examples import example


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)


def all_texts() -> list[str]:
    public = {name: value for name, value in vars(wording).items() if name.isupper()}
    found = list(texts(public))
    assert len(found) > 25
    return found


@pytest.mark.parametrize("verdict", ["fake", "fakes", "deepfake", "real", "genuine", "proven"])
def test_no_text_holds_a_verdict(verdict: str) -> None:
    for text in all_texts():
        assert not re.search(rf"\b{verdict}\b", text, re.IGNORECASE), text


def test_authentic_is_only_what_a_score_cannot_prove() -> None:
    said = [text for text in all_texts() if "authentic" in text.lower()]
    assert said
    assert all("does not prove that the clip is authentic" in text for text in said)


@pytest.mark.parametrize("table", ["BANDS", "BAND_SHORT", "BAND_MEANING"])
def test_every_band_has_its_words(table: str) -> None:
    assert set(getattr(wording, table)) == set(get_args(Band))
    assert set(BAND_ORDER) == set(get_args(Band))


def test_every_band_has_its_colour() -> None:
    assert set(BAND_COLOURS) == set(get_args(Band))


@pytest.mark.parametrize("table", ["STATES", "STATE_MEANING"])
def test_every_state_has_its_words(table: str) -> None:
    assert set(getattr(wording, table)) == set(get_args(AbstainReason))


def test_meanings_are_whole_sentences() -> None:
    for table in (wording.BAND_MEANING, wording.STATE_MEANING):
        for text in table.values():
            assert text[0].isupper()
            assert text.endswith(".")
    assert all(text.endswith(".") for text in wording.LIMITATIONS)


def test_colours_are_apart_and_none_is_green() -> None:
    colours = set(palette.BAND_COLOURS.values())
    assert len(colours) == 4
    for colour in colours:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert green <= max(red, blue)


def test_the_bands_say_how_often_unaltered_faces_reach_them() -> None:
    assert "5 in 100" in wording.BAND_MEANING["some"]
    assert "1 in 100" in wording.BAND_MEANING["strong"]


@pytest.mark.parametrize(("level", "band"), [(-4, "little"), (0.05, "inconclusive"), (5, "strong")])
def test_a_judged_clip_is_headed_by_its_band(level: float, band: Band) -> None:
    analysis = example(level=level, frames=40, faces=1)
    assert analysis.finding.band == band
    assert headline(analysis) == wording.BANDS[band]
    assert meaning(analysis) == wording.BAND_MEANING[band]


@pytest.mark.parametrize(("frames", "state"), [(3, "too_few_frames"), (1, "no_face")])
def test_a_clip_that_cannot_be_judged_is_headed_by_its_state(
    frames: int, state: AbstainReason
) -> None:
    analysis = example(frames=frames, faces=1 if state != "no_face" else 0)
    assert analysis.finding.states == (state,)
    assert headline(analysis) == wording.STATES[state]
    assert meaning(analysis) == wording.STATE_MEANING[state]


def test_headlines_of_the_samples(sample_analyses: dict[str, Analysis]) -> None:
    said = {name: headline(analysis) for name, analysis in sample_analyses.items()}
    assert said["noface_intel_cars"] == said["noface_nasa_webb_mirror"] == "No face found"
    assert set(said.values()) <= {*wording.BANDS.values(), *wording.STATES.values()}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (7.239, "7.24 s"),
        (59.994, "59.99 s"),
        (59.999, "1:00.0"),
        (60, "1:00.0"),
        (67.24, "1:07.2"),
        (119.97, "2:00.0"),
        (3599.99, "1:00:00"),
        (3723, "1:02:03"),
        (36000, "10:00:00"),
    ],
)
def test_times_as_people_read_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text
