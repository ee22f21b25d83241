"""detector.faces.quality: what compression, enlarging and blur take."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from detector.faces.quality import MIN_DETAIL, fine_detail
from tests.helpers.crops import blended, crop_of, original


def enlarged(crop: np.ndarray, side: int) -> np.ndarray:
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (304, 304), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_less_is_left_the_smaller_the_face_was() -> None:
    crop = np.array(original())
    found = [fine_detail(enlarged(crop, side)) for side in (304, 200, 120, 80, 50)]
    assert found == sorted(found, reverse=True)
    assert found[0] > MIN_DETAIL > found[-1]


def test_blur_takes_detail_and_noise_adds_it() -> None:
    crop = np.array(crop_of("grid_bbaf2n"))
    noise = np.random.default_rng(0).normal(0, 10, crop.shape)
    noisy = np.clip(crop + noise, 0, 255).astype(np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 3), np.uint8)
    assert fine_detail(blurred) < fine_detail(crop) < fine_detail(noisy)


@pytest.mark.parametrize("gain", [0.4, 0.7, 1.0])
def test_brightness_hardly_matters(gain: float) -> None:
    crop = np.array(original())
    assert fine_detail((crop * gain).astype(np.uint8)) == pytest.approx(fine_detail(crop), abs=0.15)


def test_the_shipped_faces_hold_enough() -> None:
    for crop in (original(), blended(), crop_of("grid_bbaf2n"), crop_of("grid_swiz3n")):
        assert fine_detail(np.array(crop)) > MIN_DETAIL


def test_a_crop_without_structure_has_none() -> None:
    assert fine_detail(np.full((304, 304, 3), 90, np.uint8)) == pytest.approx(-9, abs=7)
    assert fine_detail(np.zeros((304, 304, 3), np.uint8)) == -9


def test_another_crop_size_is_looked_at_in_the_same_size() -> None:
    large = np.asarray(cv2.resize(np.array(original()), (608, 608)), np.uint8)
    assert fine_detail(large) == pytest.approx(fine_detail(np.array(original())), abs=0.2)
