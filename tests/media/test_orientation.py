"""Pictures are shown upright, as they were seen, and in true proportion."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from detector.media.reader import frame_at, probe, sample
from tests.helpers.bad_clips import STILLS, still
from tests.helpers.clips import HEIGHT, WIDTH, decode_all, number_of, write


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_in_the_container_is_applied(tmp_path: Path, turn: int) -> None:
    """A phone held upright writes a lying picture and how to turn it."""
    plain = write(tmp_path / "plain.mp4", 3)
    turned = write(tmp_path / "turned.mp4", 3, prepare=lambda s: s.set_display_rotation(turn))
    for lying, frame in zip(decode_all(plain), sample(turned, None), strict=True):
        np.testing.assert_array_equal(frame.image, np.rot90(lying, turn // 90))
    described = probe(turned)
    assert described.rotation == 360 - turn  # clockwise, as people say it
    assert (described.width, described.height) == (
        (HEIGHT, WIDTH) if turn % 180 else (WIDTH, HEIGHT)
    )


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda image: np.rot90(image, 2).transpose(1, 0, 2)),
    ],
    ids=["left-right", "top-bottom", "transposed", "transversed"],
)
def test_mirrored_video_is_shown_as_it_was_seen(
    tmp_path: Path, matrix: tuple[int, ...], upright: Callable[[np.ndarray], np.ndarray]
) -> None:
    a, b, c, d = (value << 16 for value in matrix)
    stored = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    plain = write(tmp_path / "plain.mp4", 1)
    mirrored = write(tmp_path / "mirrored.mp4", 1, prepare=lambda s: s.set_display_matrix(stored))
    np.testing.assert_array_equal(frame_at(mirrored, 0).image, upright(decode_all(plain)[0]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", STILLS)
def test_exif_orientation_is_applied(tmp_path: Path, ending: str, orientation: int) -> None:
    path = still(tmp_path / f"photo.{ending}", orientation=orientation)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    image = frame_at(path, 0).image
    assert image.shape == expected.shape
    # FFmpeg and Pillow decode JPEG's colours a little differently.
    assert np.abs(image.astype(int) - expected).mean() < (2 if ending == "jpg" else 1e-9)
    assert (probe(path).width, probe(path).height) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize(
    ("ratio", "size"), [((2, 1), (256, 96)), ((1, 2), (128, 192)), ((16, 15), (137, 96))]
)
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, ratio: tuple[int, int], size: tuple[int, int]
) -> None:
    def anamorphic(stream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(*ratio)

    plain = write(tmp_path / "plain.mp4", 2)
    wide = write(tmp_path / "wide.mp4", 2, prepare=anamorphic)
    for flat, frame in zip(decode_all(plain), sample(wide, None), strict=True):
        np.testing.assert_array_equal(frame.image, cv2.resize(flat, size))
    assert (probe(wide).width, probe(wide).height) == size


def test_rotated_anamorphic_clip_is_stretched_before_it_is_turned(tmp_path: Path) -> None:
    def prepare(stream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        stream.set_display_rotation(90)

    path = write(tmp_path / "both.mp4", 1, prepare=prepare)
    frame = frame_at(path, 0)
    assert frame.image.shape == (256, 96, 3)
    assert number_of(np.rot90(frame.image, -1)) == 0
