"""Numbers as pictures: colours that mean what the docstrings say."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest

from detector.explanation.heatmaps import (
    DIVERGING,
    SEQUENTIAL,
    Scale,
    colour,
    colour_bar,
    enlarge,
    npz_bytes,
    overlay,
    png_bytes,
    scale_for,
    tiles,
)

RED, WHITE, BLUE = (103, 0, 31), (247, 246, 246), (5, 48, 97)  # ends and middle of RdBu


@pytest.mark.parametrize(
    ("values", "signed", "expected"),
    [
        ([0.0, 2.0], None, Scale(0.0, 2.0, SEQUENTIAL)),
        ([-1.0, 2.0], None, Scale(-2.0, 2.0, DIVERGING)),
        ([-3.0, 2.0], None, Scale(-3.0, 3.0, DIVERGING)),
        ([0.0, 2.0], True, Scale(-2.0, 2.0, DIVERGING)),
        ([0.0, 0.0], None, Scale(0.0, 1.0, SEQUENTIAL)),
    ],
    ids=["positive", "signed", "more negative", "signed on request", "all zero"],
)
def test_scale(values: list[float], signed: bool | None, expected: Scale) -> None:
    assert scale_for(np.array(values, np.float32), signed) == expected


def test_scale_can_clip_rare_extremes() -> None:
    values = np.concatenate([np.ones(999), [1000.0]]).astype(np.float32)
    assert scale_for(values, percentile=99).high == pytest.approx(1.0)


def test_a_single_value_among_zeros_is_not_clipped_away() -> None:
    values = np.zeros(1000, np.float32)
    values[7] = 3
    assert scale_for(values, percentile=99) == Scale(0.0, 3.0, SEQUENTIAL)


def test_signed_maps_are_red_above_and_blue_below_zero() -> None:
    picture = colour(np.array([[-1.0, 0.0, 1.0]], np.float32))
    assert picture.dtype == np.uint8
    assert [tuple(pixel) for pixel in picture[0].tolist()] == [
        pytest.approx(BLUE, abs=2),
        pytest.approx(WHITE, abs=2),
        pytest.approx(RED, abs=2),
    ]


def test_values_beyond_the_scale_take_its_end_colours() -> None:
    scale = Scale(0.0, 1.0, SEQUENTIAL)
    picture = colour(np.array([[-5.0, 0.0, 1.0, 5.0]], np.float32), scale)
    assert (picture[0, 0] == picture[0, 1]).all()
    assert (picture[0, 2] == picture[0, 3]).all()
    assert picture[0, 1].sum() < picture[0, 2].sum()


@pytest.mark.parametrize("opacity", [0.0, 0.5, 1.0])
def test_overlay_mixes_face_and_map(opacity: float) -> None:
    crop = np.full((8, 8, 3), 100, np.uint8)
    values = np.ones((2, 2), np.float32)
    scale = Scale(-1.0, 1.0, DIVERGING)
    found = overlay(crop, values, opacity, scale)
    expected = np.rint(np.array(RED) * opacity + 100 * (1 - opacity))
    assert found.shape == (8, 8, 3)
    np.testing.assert_allclose(found[4, 4], expected, atol=2)


def test_a_fading_overlay_leaves_the_face_clear_where_nothing_counts() -> None:
    crop = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    values = np.zeros((8, 8), np.float32)
    values[:, 4:] = 1
    found = overlay(crop, values, 0.8, Scale(-1.0, 1.0, DIVERGING), fade=True)
    np.testing.assert_array_equal(found[:, :4], crop[:, :4])
    assert (found[:, 4:] != crop[:, 4:]).any(axis=-1).all()


def test_enlarge_smooth_or_sharp() -> None:
    values = np.array([[0.0, 1.0]], np.float32).repeat(2, axis=0)
    assert set(np.unique(enlarge(values, 8, smooth=False))) == {0.0, 1.0}
    assert len(np.unique(enlarge(values, 8))) > 2


def test_tiles_lie_in_rows_on_white() -> None:
    images = [np.full((3, 3, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = tiles(images, columns=2, side=6, gap=2)
    assert sheet.shape == (14, 14, 3)
    assert [sheet[0, 0, 0], sheet[0, 8, 0], sheet[8, 0, 0], sheet[8, 8, 0]] == [10, 20, 30, 255]
    assert sheet[7, 3, 0] == 255


def test_colour_bar_runs_from_low_to_high() -> None:
    bar = colour_bar(Scale(-2.0, 2.0, DIVERGING), width=9, height=3)
    assert bar.shape == (3, 9, 3)
    assert bar[1, 0].tolist() == pytest.approx(BLUE, abs=2)
    assert bar[1, -1].tolist() == pytest.approx(RED, abs=2)


def test_png_keeps_every_pixel() -> None:
    image = np.random.default_rng(1).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    back = cv2.imdecode(np.frombuffer(png_bytes(image), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(back[..., ::-1], image)


def test_npz_keeps_arrays_numbers_and_text() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with np.load(io.BytesIO(npz_bytes(map=values, logit=1.5, method="occlusion"))) as back:
        np.testing.assert_array_equal(back["map"], values)
        assert float(back["logit"]) == 1.5
        assert str(back["method"]) == "occlusion"
