"""Occlusion (Zeiler and Fergus 2014)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.explanation.methods.base import (
    CancelCallback,
    ProgressCallback,
    ProgressForward,
    blurred,
    logit_of,
)

if TYPE_CHECKING:
    from torch import Tensor


WINDOWS = 11  # windows of Occlusion along one side, each overlapping the next by half


OCCLUSION_BATCH = 4


def occlusion(
    network: Callable[[Tensor], Tensor],
    crop: Tensor,
    windows: int = WINDOWS,
    progress: ProgressCallback | None = None,
    cancelled: CancelCallback | None = None,
) -> tuple[NDArray[np.float32], float]:
    """Occlusion (Zeiler and Fergus 2014): the fall of the logit when a square is blurred away.

    Args:
        network: crops [n, 3, s, s] to logits [n].
        crop: float32 [1, 3, s, s] in [0, 1].
        windows: squares along one side; each overlaps the next by half.

    Returns:
        map float32 [s, s], for each pixel the mean over the squares that cover it; and the logit.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    import torch
    from captum.attr import Occlusion

    side, stride = occlusion_window(crop.shape[-1], windows)
    logit = logit_of(network, crop)
    watched = ProgressForward(
        network, occlusion_passes(crop.shape[-1], windows), progress, cancelled
    )
    with torch.no_grad():
        values = Occlusion(watched).attribute(
            crop,
            sliding_window_shapes=(3, side, side),
            strides=(3, stride, stride),
            baselines=blurred(crop),
            perturbations_per_eval=OCCLUSION_BATCH,
        )
    return values[0].mean(dim=0).cpu().numpy(), logit  # the three colours hold the same number


def occlusion_window(crop_size: int, windows: int) -> tuple[int, int]:
    """Side and stride of Occlusion's squares, pixels, for `windows` of them along a side."""
    stride = max(round(crop_size / (windows + 1)), 1)
    return 2 * stride, stride


def occlusion_passes(crop_size: int, windows: int) -> int:
    """Crops that Occlusion passes through the network: one for each square, and the crop."""
    side, stride = occlusion_window(crop_size, windows)
    return (-(-(crop_size - side) // stride) + 1) ** 2 + 1
