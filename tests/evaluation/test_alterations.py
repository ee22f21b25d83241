"""Real codecs leave real traces, and each alteration does what it says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from detector.errors import ClipError
from detector.evaluation.alterations import (
    ALTERATIONS,
    MOST_FRAMES,
    STILL_FRAMES,
    Alteration,
    Encoding,
    Step,
    alter,
    rate_of,
    read_pictures,
    still,
)
from tests.helpers.clips import decode_all, write
from tests.helpers.crops import original

NAMED = {alteration.name: alteration for alteration in ALTERATIONS}
CODECS = {"h265": "hevc", "vp9": "vp9", "gif": "gif"}


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return np.asarray(original())[40:264, 40:264].copy()


@pytest.fixture(scope="module")
def altered(face: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("altered")
    return {
        name: alter(still(face), alteration, folder, Fraction(25), 3)
        for name, alteration in NAMED.items()
        if alteration.steps
    }


def last(path: Path) -> np.ndarray:
    return list(read_pictures(path))[-1].astype(float)


def test_names_are_unique_and_the_first_alters_nothing() -> None:
    assert len(NAMED) == len(ALTERATIONS)
    assert ALTERATIONS[0].name == "original"
    assert not ALTERATIONS[0].steps
    for alteration in ALTERATIONS:
        assert alteration.about.endswith(".")


@pytest.mark.parametrize("name", [name for name, entry in NAMED.items() if entry.steps])
def test_each_writes_a_clip_of_its_codec(altered: dict[str, Path], name: str) -> None:
    with av.open(str(altered[name])) as container:
        codec = container.streams.video[0].codec_context.codec.canonical_name
    assert codec == CODECS.get(name, "h264")
    assert len(list(read_pictures(altered[name]))) in (STILL_FRAMES, 1)  # a GIF joins equal frames


@pytest.mark.parametrize(
    ("name", "side"),
    [("h264-crf40", 224), ("360p", 112), ("messenger", 124), ("screen-recording", 280),
     ("crop", 180)],
)  # fmt: skip
def test_sizes(altered: dict[str, Path], name: str, side: int) -> None:
    assert last(altered[name]).shape == (side, side, 3)


def test_stronger_compression_loses_more(altered: dict[str, Path], face: np.ndarray) -> None:
    lost = [
        np.abs(last(altered[name]) - face).mean()
        for name in ("h264-crf23", "h264-crf35", "h264-crf40")
    ]
    assert lost == sorted(lost)
    sizes = [altered[name].stat().st_size for name in ("h264-crf23", "h264-crf35", "h264-crf40")]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("name", "ratio"), [("brighter", 1.25), ("darker", 0.45)])
def test_brightness(altered: dict[str, Path], face: np.ndarray, name: str, ratio: float) -> None:
    assert last(altered[name]).mean() / face.mean() == pytest.approx(ratio, rel=0.12)


def test_noise_is_new_in_every_frame(altered: dict[str, Path]) -> None:
    first, second, *_ = read_pictures(altered["noise"])
    assert np.abs(first.astype(float) - second).std() > 3


def test_a_clip_keeps_its_frames_and_rate(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip.mp4", 12, rate=10)
    path = alter(read_pictures(clip), NAMED["h264-crf23"], tmp_path, rate_of(clip))
    assert rate_of(path) == 10
    assert len(decode_all(path)) == 12
    assert MOST_FRAMES >= 250


@pytest.mark.parametrize(
    ("pictures", "alteration"),
    [
        ([], NAMED["h264-crf23"]),
        ([np.zeros((64, 64, 3), np.uint8)], Alteration("x", "X", "", (Step(Encoding("none")),))),
        ([np.zeros((64, 64, 3), np.uint8)], NAMED["original"]),
    ],
    ids=["no picture", "no such codec", "no step"],
)
def test_what_cannot_be_altered_is_said(
    tmp_path: Path, pictures: list[np.ndarray], alteration: Alteration
) -> None:
    with pytest.raises(ClipError):
        alter(pictures, alteration, tmp_path, Fraction(25))
