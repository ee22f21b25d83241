"""Stateless random numbers: of a seed and a counter, never of the batch or the device.

Counter-based generators (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")
give every image of a batch its own stream: an image is altered in the same way whether it comes
alone or among 255 others, on the CPU or on a GPU, before or after a run was resumed.
The mixing function is Wellons' 32-bit "lowbias32".
"""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_STEP = 0x9E3779B9


def mix(values: Tensor) -> Tensor:
    """Mix int64 values well, into [0, 2**32); equal in gives equal out."""
    x = values & _MASK
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def seed_of(*parts: int) -> int:
    """Make one seed in [0, 2**32) of several integers, such as run, epoch, clip and frame."""
    seed = 0
    for part in parts:
        x = (seed * 31 + part + _STEP) & _MASK
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            x = ((x ^ (x >> shift)) * factor) & _MASK
        seed = x ^ (x >> 16)
    return seed


def uniform(seeds: Tensor, count: int, stream: str) -> Tensor:
    """Draw uniform numbers.

    Args:
        seeds: int64 [n], one an image.
        count: numbers an image.
        stream: name of what they decide; different names give independent numbers.

    Returns:
        float32 [n, count] in [0, 1), on the seeds' device.
    """
    start = mix(seeds ^ zlib.crc32(stream.encode()))
    counters = torch.arange(count, device=seeds.device) * _STEP
    return (mix(mix(start[:, None] + counters) + counters) >> 8).float() * 2.0**-24


def between(seeds: Tensor, low: float, high: float, stream: str, count: int = 1) -> Tensor:
    """Draw uniform numbers float32 [n, count] in [low, high)."""
    return low + (high - low) * uniform(seeds, count, stream)


def chance(seeds: Tensor, probability: float, stream: str) -> Tensor:
    """Draw bool [n], true with the given probability."""
    return uniform(seeds, 1, stream)[:, 0] < probability


def pick(seeds: Tensor, values: tuple[float, ...], stream: str) -> Tensor:
    """Draw one of `values` for each image, float32 [n], each equally likely."""
    table = torch.tensor(values, device=seeds.device)
    return table[(uniform(seeds, 1, stream)[:, 0] * len(values)).long()]


def normal(seeds: Tensor, shape: tuple[int, ...], stream: str) -> Tensor:
    """Draw standard normal numbers float32 [n, *shape] (Box and Muller 1958)."""
    count = math.prod(shape)
    radius = torch.sqrt(-2 * torch.log(1 - uniform(seeds, count, stream + "/radius")))
    angle = 2 * math.pi * uniform(seeds, count, stream + "/angle")
    return (radius * torch.cos(angle)).view(len(seeds), *shape)
