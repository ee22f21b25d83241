from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detector.faces.blazeface import BlazeFace
from detector.files import ASSETS
from detector.training.blending import alter, blend_masks, self_blend
from detector.training.contact_sheet import make_sheet
from detector.training.crop_augmentation import centre_crops, random_crops
from detector.training.degradations import blur, degrade, jpeg, turn_hue
from detector.training.hulls import hulls_from_key_points, hulls_of_crop

SIDE = 64
KEY_POINTS = np.array(
    [[0.36, 0.4], [0.64, 0.4], [0.5, 0.55], [0.5, 0.7], [0.22, 0.45], [0.78, 0.45]]
)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    portrait = cv2.imread(
        str(ASSETS / "samples/portraits/grace_hopper_usnavy.jpg"), cv2.IMREAD_COLOR_RGB
    )
    small = cv2.resize(portrait, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(small).permute(2, 0, 1).float() / 255
    return torch.stack([image, image.flip(2), image * 0.7, image.flip(1), image**2, image])


@pytest.fixture(scope="module")
def hulls() -> torch.Tensor:
    return torch.from_numpy(hulls_from_key_points(KEY_POINTS)).expand(6, -1, -1, -1)


SEEDS = torch.tensor([5, 6, 7, 8, 9, 2**31 + 3])


def test_blend_is_decided_by_the_seed(images: torch.Tensor, hulls: torch.Tensor) -> None:
    first = self_blend(images, hulls, SEEDS)
    again = self_blend(images, hulls, SEEDS)
    other = self_blend(images, hulls, SEEDS + 1)
    assert torch.equal(first.images, again.images)
    assert (first.images - other.images).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_blend_of_one_is_that_of_the_batch(images: torch.Tensor, hulls: torch.Tensor) -> None:
    together = self_blend(images, hulls, SEEDS)
    for place in range(len(images)):
        part = slice(place, place + 1)
        alone = self_blend(images[part], hulls[part], SEEDS[part])
        torch.testing.assert_close(alone.images, together.images[part], atol=1e-5, rtol=0)


def test_nothing_changes_where_no_copy_was_altered(
    images: torch.Tensor, hulls: torch.Tensor
) -> None:
    blend = self_blend(images, hulls, SEEDS, strength=0)
    torch.testing.assert_close(blend.images, images, atol=1e-6, rtol=0)
    assert blend.masks.amax() > 0.2


def test_masks_are_bounded_soft_and_within_reach_of_the_hull(hulls: torch.Tensor) -> None:
    masks = blend_masks(hulls, SIDE, SEEDS)
    assert masks.shape == (6, 1, SIDE, SIDE)
    assert masks.min() >= 0
    assert masks.max() <= 1
    share = masks.mean(dim=(1, 2, 3))
    assert (share > 0.005).all()
    assert (share < 0.75).all()
    soft = ((masks > 0.05) & (masks < 0.95)).float().mean(dim=(1, 2, 3))
    assert (soft > 0.005).all()
    assert masks[:, :, :2, :2].max() < 0.05


def test_only_the_mask_changes_when_the_source_was_altered(
    images: torch.Tensor, hulls: torch.Tensor
) -> None:
    blend = self_blend(images, hulls, SEEDS)
    outside = blend.masks < 1e-4
    change = (blend.images - images).abs().amax(dim=1, keepdim=True)
    largest = torch.stack([change[i][outside[i]].max() for i in range(len(images))])
    # Some images keep the target, and change inside only; the others alter the target.
    assert (largest < 1e-3).any()
    assert (largest > 1e-2).any()


@pytest.mark.parametrize("alteration", [alter, degrade], ids=["alter", "degrade"])
def test_alterations_stay_in_range_and_do_something(
    alteration: object, images: torch.Tensor
) -> None:
    changed = alteration(images, SEEDS)  # type: ignore[operator]
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed - images).abs().mean() > 0.005
    alone = torch.cat(
        [alteration(images[i : i + 1], SEEDS[i : i + 1]) for i in range(6)]  # type: ignore[operator]
    )
    torch.testing.assert_close(alone, changed, atol=2e-3, rtol=0)


def test_jpeg_leaves_blocks_and_keeps_other_sizes(images: torch.Tensor) -> None:
    odd = images[:, :, :50, :50]
    coded = jpeg(odd, SEEDS, "test", 1.0)
    assert coded.shape == odd.shape
    assert 0.001 < float((coded - odd).abs().mean()) < 0.1


def test_hue_turns_all_the_way_round(images: torch.Tensor) -> None:
    one = torch.ones(len(images), 1, 1, 1)
    inside = 0.3 + 0.3 * images
    torch.testing.assert_close(turn_hue(inside, one, one), inside, atol=2e-3, rtol=0)
    grey = turn_hue(inside, 0 * one, 0 * one)
    assert (grey.amax(dim=1) - grey.amin(dim=1)).max() < 1e-3


def test_blur_has_its_own_width_for_each_image() -> None:
    spike = torch.zeros(2, 1, 21, 21)
    spike[:, :, 10, 10] = 1
    blurred = blur(spike, torch.tensor([0.01, 2.0]), 2.0)
    assert float(blurred[0, 0, 10, 10]) > 0.99
    assert float(blurred[1, 0, 10, 10]) < 0.1


def test_views_are_tight_as_asked(images: torch.Tensor) -> None:
    factors = torch.tensor([[1.2, 1.0, 1.2]]).expand(6, -1)
    views = random_crops(images, factors, SEEDS, 48)
    assert views.shape == (6, 3, 48, 48)
    assert not torch.equal(views, random_crops(images, factors, SEEDS + 1, 48))
    whole = centre_crops(images, factors, 1.2, SIDE)
    torch.testing.assert_close(whole, images, atol=1e-5, rtol=0)


def test_hulls_of_a_portrait_lie_around_its_face() -> None:
    detector = BlazeFace()
    portrait = cv2.imread(
        str(ASSETS / "samples/portraits/abraham_lincoln_1863.jpg"), cv2.IMREAD_COLOR_RGB
    )
    face = max(detector.detect(portrait), key=lambda found: found.size)
    left, top, right, bottom = face.box
    hulls = hulls_from_key_points(np.array(face.key_points))
    whole, inner, lower, mouth = hulls
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    assert np.abs(whole.mean(axis=0) - middle).max() < 0.3 * face.size
    assert cv2.pointPolygonTest(mouth, face.key_points[3], False) > 0
    for smaller in (inner, lower, mouth):
        assert cv2.contourArea(smaller) < cv2.contourArea(whole)
    blank = np.full((64, 64, 3), 128, dtype=np.uint8)
    assert hulls_of_crop(blank, detector) is None


def test_the_contact_sheet_is_the_same_each_time(tmp_path: Path) -> None:
    made = cv2.imread(str(make_sheet(tmp_path / "sheet.jpg")))
    kept = cv2.imread(str(ASSETS / "training/self_blending_contact_sheet.jpg"))
    assert made.shape == kept.shape
    assert np.abs(made.astype(int) - kept).mean() < 2
