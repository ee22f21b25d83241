"""The same wear for both classes: colour, rescaling, blur, noise and JPEG.

Without it a network learns compression instead of manipulation: the manipulated clips of most
sets were compressed once more than the others. All functions take batches, float32
[n, 3, s, s] in [0, 1], with one seed an image, and run alike on CPU and GPU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from detector.training.stateless_random import between, chance, normal

SCALES = (0.35, 0.5, 0.65, 0.8, 0.9)


def degrade(images: Tensor, seeds: Tensor) -> Tensor:
    """Degrade images as a platform would have: each step with its own chance."""
    worn = shift_colour(
        images,
        seeds,
        "degrade",
        rgb=0.03,
        hue=0.02,
        saturation=0.15,
        brightness=0.1,
        contrast=0.15,
    )
    worn = rescale(worn, seeds)
    side = images.shape[-1]
    # A sigma far below a pixel leaves an image as it is, so unblurred ones share the batch.
    sigma = between(seeds, 0.3, 1.5, "degrade/blur")[:, 0] * side / 256
    sigma = torch.where(chance(seeds, 0.2, "degrade/blur?"), sigma, 0.01)
    worn = blur(worn, sigma, 1.5 * side / 256)
    level = between(seeds, 0.0, 0.03, "degrade/noise")[:, 0]
    level = level * chance(seeds, 0.3, "degrade/noise?")
    noise = normal(seeds, (1, side, side), "degrade/grain")
    worn = (worn + noise * level.view(-1, 1, 1, 1)).clamp(0, 1)
    worn = jpeg(worn, seeds, "first", 0.8)
    return jpeg(worn, seeds, "second", 0.3)


def rescale(images: Tensor, seeds: Tensor, probability: float = 0.4) -> Tensor:
    """Shrink to one of 0.35 to 0.9 of the side and enlarge again, for some of the images."""
    side = images.shape[-1]
    which = (between(seeds, 0, len(SCALES), "rescale/which")[:, 0]).long()
    which = torch.where(chance(seeds, probability, "rescale?"), which, -1)
    result = images
    for index, scale in enumerate(SCALES):
        chosen = (which == index).nonzero()[:, 0]
        if len(chosen):
            small = functional.interpolate(
                images[chosen], size=(round(side * scale),) * 2, mode="bilinear", antialias=True
            )
            large = functional.interpolate(small, size=(side, side), mode="bilinear")
            result = result.index_copy(0, chosen, large)
    return result


def jpeg(images: Tensor, seeds: Tensor, stream: str, probability: float) -> Tensor:
    """Compress some of the images as JPEG, quality 35 to 100 (kornia's codec, a batch at once)."""
    from kornia.enhance import jpeg_codec_differentiable

    chosen = chance(seeds, probability, f"jpeg/{stream}?").nonzero()[:, 0]
    if not len(chosen):
        return images
    quality = between(seeds[chosen], 35, 100, f"jpeg/{stream}")[:, 0]
    side = images.shape[-1]
    # The codec works on 16-pixel blocks: the border is continued, then cut off again.
    pad = -side % 16
    padded = functional.pad(images[chosen], (0, pad, 0, pad), mode="replicate")
    coded = jpeg_codec_differentiable(padded, quality)[..., :side, :side]
    return images.index_copy(0, chosen, coded.clamp(0, 1).to(images.dtype))


def shift_colour(
    images: Tensor,
    seeds: Tensor,
    stream: str,
    *,
    rgb: float,
    hue: float,
    saturation: float,
    brightness: float,
    contrast: float,
) -> Tensor:
    """Move colours by uniform random amounts of up to the given sizes.

    Args:
        rgb: shift of each channel, in units of the full range.
        hue: turn of the colour circle, in units of a full turn.
        saturation, brightness, contrast: change of the factor around 1.
    """

    def factor(size: float, name: str) -> Tensor:
        return between(seeds, -size, size, f"{stream}/{name}").view(-1, 1, 1, 1)

    shift = between(seeds, -rgb, rgb, f"{stream}/rgb", 3).view(-1, 3, 1, 1)
    shifted = (images + shift).clamp(0, 1)
    shifted = turn_hue(shifted, factor(hue, "hue"), 1 + factor(saturation, "saturation"))
    mean = shifted.mean(dim=(1, 2, 3), keepdim=True)
    shifted = mean + (shifted - mean) * (1 + factor(contrast, "contrast"))
    return (shifted * (1 + factor(brightness, "brightness"))).clamp(0, 1)


def turn_hue(images: Tensor, turn: Tensor, saturation: Tensor) -> Tensor:
    """Turn hue and scale saturation in YIQ, where both are one small matrix: no branches.

    Args:
        images: float32 [n, 3, s, s].
        turn: float32 [n, 1, 1, 1], in full turns.
        saturation: float32 [n, 1, 1, 1], 1 leaves it.
    """
    red, green, blue = images.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    i = 0.5959 * red - 0.2746 * green - 0.3213 * blue
    q = 0.2115 * red - 0.5227 * green + 0.3112 * blue
    angle = 2 * math.pi * turn[:, 0]
    cos, sin = torch.cos(angle) * saturation[:, 0], torch.sin(angle) * saturation[:, 0]
    i, q = i * cos - q * sin, i * sin + q * cos
    return torch.stack(
        [
            luma + 0.956 * i + 0.619 * q,
            luma - 0.272 * i - 0.647 * q,
            luma - 1.106 * i + 1.703 * q,
        ],
        dim=1,
    ).clamp(0, 1)


def blur(images: Tensor, sigma: Tensor, widest: float) -> Tensor:
    """Blur by a Gaussian with a sigma for each image.

    Args:
        images: float32 [n, channels, s, s].
        sigma: float32 [n], pixels.
        widest: largest sigma that may occur, pixels; it sets the kernel, so that an image's
            result does not depend on the others.
    """
    from kornia.filters import gaussian_blur2d

    side = images.shape[-1]
    radius = max(1, min(math.ceil(2.5 * widest), side // 2 - 1))
    size = 2 * radius + 1
    return gaussian_blur2d(images, (size, size), sigma[:, None].expand(-1, 2), "reflect")
