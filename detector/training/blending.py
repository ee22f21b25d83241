"""Self-blended images: a face blended into itself, so that only the trace of blending remains.

Shiohara and Yamasaki 2022, "Detecting deepfakes with self-blended images" (CVPR). One copy of
a face is altered in colour and frequency, one is moved and scaled a little, and a deformed hull
of landmarks decides where the source replaces the target. Everything is a batch of tensors and
runs alike on CPU and GPU; each image's random numbers come from its own seed
(`counter_random`), so the result does not depend on the rest of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from detector.training.degradations import blur, shift_colour
from detector.training.stateless_random import between, chance, normal, pick, uniform

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Blend:
    """Self-blended images and what they were made of.

    Attributes:
        images: float32 [n, 3, s, s] in [0, 1].
        masks: float32 [n, 1, s, s] in [0, 1]: the share of the source at each pixel.
    """

    images: Tensor
    masks: Tensor


def self_blend(images: Tensor, hulls: Tensor, seeds: Tensor, strength: float = 1.0) -> Blend:
    """Blend every image into itself.

    Args:
        images: float32 [n, 3, s, s] in [0, 1].
        hulls: float32 [n, regions, points, 2], convex outlines (x, y) in units of the side.
        seeds: int64 [n].
        strength: scale of the alterations of the source or target, >= 0; at 0 both copies are
            the image itself, and so is the result.

    Returns:
        A `Blend` on the images' device.
    """
    masks = blend_masks(hulls, images.shape[-1], seeds)
    masks = masks * pick(seeds, RATIOS, "blend/ratio").view(-1, 1, 1, 1)
    altered = alter(images, seeds, strength)
    # Either copy may be the altered one: the boundary looks the same from both sides.
    first = chance(seeds, 0.5, "blend/which").view(-1, 1, 1, 1)
    source = torch.where(first, altered, images)
    target = torch.where(first, images, altered)
    source, masks = move(source, masks, seeds, strength)
    blended = target + masks * (source - target)
    return Blend(blended.clamp(0, 1), masks)


def blend_masks(hulls: Tensor, side: int, seeds: Tensor) -> Tensor:
    """Make soft masks float32 [n, 1, side, side] in [0, 1] from hulls, deformed by each seed."""
    from kornia.image import draw_convex_polygon

    count = len(hulls)
    rows = torch.arange(count, device=hulls.device)
    region = (uniform(seeds, 1, "mask/region")[:, 0] * hulls.shape[1]).long()
    points = hulls[rows, region] * side - 0.5
    centre = points.mean(dim=1, keepdim=True)
    points = centre + (points - centre) * between(seeds, 0.9, 1.15, "mask/scale")[:, :, None]
    canvas = torch.zeros(count, 1, side, side, device=hulls.device)
    masks = draw_convex_polygon(canvas, points, torch.ones(count, 1, device=hulls.device))
    masks = _elastic(masks, seeds, side)
    # Erode or dilate by moving the threshold of a blurred mask, which stays a batch operation.
    sigma = side * between(seeds, 0.01, 0.03, "mask/grow-sigma")[:, 0]
    threshold = between(seeds, 0.3, 0.7, "mask/grow").view(-1, 1, 1, 1)
    masks = (blur(masks, sigma, 0.03 * side) > threshold).float()
    feather = side * between(seeds, 0.005, 0.05, "mask/feather")[:, 0]
    return blur(masks, feather, 0.05 * side).clamp(0, 1)


def alter(images: Tensor, seeds: Tensor, strength: float = 1.0) -> Tensor:
    """Change colour (RGB shift, hue, saturation, brightness, contrast) and frequency."""
    if strength == 0:
        return images
    altered = shift_colour(
        images,
        seeds,
        "alter",
        rgb=0.08 * strength,
        hue=0.05 * strength,
        saturation=0.3 * strength,
        brightness=0.1 * strength,
        contrast=0.1 * strength,
    )
    # One of: smaller and back, blurred, sharpened.
    kind = uniform(seeds, 1, "alter/frequency")[:, 0]
    side = images.shape[-1]
    softness = between(seeds, 0.3, 1.2, "alter/softness")[:, 0] * strength * side / 256
    soft = blur(altered, softness.clamp(min=0.05), 1.2 * strength * side / 256)
    amount = (between(seeds, 0.2, 1.0, "alter/sharpness")[:, 0] * strength).view(-1, 1, 1, 1)
    sharp = (altered + amount * (altered - soft)).clamp(0, 1)
    # Halving and doubling is the frequency change that resizing a face leaves.
    half = functional.interpolate(
        functional.interpolate(altered, scale_factor=0.5, mode="bilinear", antialias=True),
        size=(side, side),
        mode="bilinear",
    )
    mixed = altered + (half - altered) * min(strength, 1.0)
    kind = kind.view(-1, 1, 1, 1)
    return torch.where(kind < 0.33, mixed, torch.where(kind < 0.66, soft, sharp))


def move(
    source: Tensor, masks: Tensor, seeds: Tensor, strength: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Shift source and mask by up to 3 % x 1.5 % of the side and scale them by 0.95 to 1.05."""
    if strength == 0:
        return source, masks
    count = len(source)
    scale = 1 + between(seeds, -0.05, 0.05, "move/scale")[:, 0] * strength
    theta = torch.zeros(count, 2, 3, device=source.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    # affine_grid counts the side as 2.
    theta[:, 0, 2] = 2 * between(seeds, -0.03, 0.03, "move/x")[:, 0] * strength
    theta[:, 1, 2] = 2 * between(seeds, -0.015, 0.015, "move/y")[:, 0] * strength
    grid = functional.affine_grid(theta, list(source.shape), align_corners=False)
    moved = functional.grid_sample(source, grid, padding_mode="reflection", align_corners=False)
    masks = functional.grid_sample(masks, grid, padding_mode="zeros", align_corners=False)
    return moved.clamp(0, 1), masks.clamp(0, 1)


def _elastic(masks: Tensor, seeds: Tensor, side: int) -> Tensor:
    """Bend masks by a smooth random field of about 4 % of the side (Simard et al. 2003)."""
    coarse = normal(seeds, (2, 5, 5), "mask/elastic") * 0.04
    field = functional.interpolate(
        coarse, size=(side, side), mode="bicubic", align_corners=True
    ).permute(0, 2, 3, 1)
    identity = torch.eye(2, 3, device=masks.device).expand(len(masks), 2, 3)
    grid = functional.affine_grid(identity, list(masks.shape), align_corners=False)
    return functional.grid_sample(masks, grid + field, padding_mode="zeros", align_corners=False)
