"""Crops of a stored crop, the views of training: how tight, flipped, turned; and the centre crop
of validation."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from detector.training.stateless_random import chance, uniform

MARGIN = 1.25  # stored crops are read at this multiple of the input, so that views stay sharp
TURN = 10.0  # degrees


def random_crops(images: Tensor, factors: Tensor, seeds: Tensor, size: int) -> Tensor:
    """Crop each image at random: tightness, mirror, rotation to 10 degrees, small shift.

    Args:
        images: float32 [n, 3, s, s] in [0, 1].
        factors: float32 [n, 3]: crop factor of the stored image, smallest and largest factor
            that a view of it may have.
        seeds: int64 [n].
        size: side of the views, pixels.

    Returns:
        float32 [n, 3, size, size] in [0, 1].
    """
    numbers = uniform(seeds, 4, "view")
    stored, low, high = factors.unbind(1)
    scale = (low + (high - low) * numbers[:, 0]) / stored
    angle = (numbers[:, 1] * 2 - 1) * math.radians(TURN)
    mirror = torch.where(chance(seeds, 0.5, "view/mirror"), -1.0, 1.0)
    shift = (numbers[:, 2:] * 2 - 1) * 0.04
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [
            torch.stack([cos * mirror, -sin, shift[:, 0]], dim=1),
            torch.stack([sin * mirror, cos, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    return _sample(images, theta, size)


def centre_crops(images: Tensor, factors: Tensor, crop_factor: float, size: int) -> Tensor:
    """Crop the centre at `crop_factor`, or as near to it as the stored crop allows."""
    stored, low, high = factors.unbind(1)
    scale = torch.clamp(torch.full_like(stored, crop_factor), low, high) / stored
    zero = torch.zeros_like(scale)
    theta = torch.stack(
        [torch.stack([scale, zero, zero], dim=1), torch.stack([zero, scale, zero], dim=1)], dim=1
    )
    return _sample(images, theta, size)


def _sample(images: Tensor, theta: Tensor, size: int) -> Tensor:
    grid = functional.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    ).clamp(0, 1)
