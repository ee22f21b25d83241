"""Occlusion (Zeiler and Fergus 2014): the fall of the logit when a square is blurred away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import ExplanationError
from detector.explanation.methods.base import (
    Attribution,
    Method,
    ProgressForward,
    Setting,
    blurred,
    logit_of,
)
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

WINDOWS = 11  # squares along one side, each overlapping the next by half
OCCLUSION_BATCH = 4


class Occlusion(Method):
    """For each pixel, the mean fall of the logit over the squares that cover it."""

    name = "occlusion"
    title = "Occlusion"
    question = (
        "How much does the logit fall (red) or rise (blue) when a square of the face is "
        "blurred away?"
    )
    additive = True
    slow = True
    setting = Setting("windows", WINDOWS, "of Occlusion, along one side")

    def attribute(
        self,
        network: nn.Module,
        crop: Tensor,
        layer: Layer | None = None,
        value: int = WINDOWS,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> Attribution:
        """Blur away `value` x `value` squares, one after the other."""
        import torch
        from captum.attr import Occlusion as Occluded

        side, stride = occlusion_window(crop.shape[-1], value)
        logit = logit_of(network, crop)
        total = occlusion_passes(crop.shape[-1], value)
        watched = ProgressForward(network, total, progress, cancelled)
        with torch.no_grad():
            values = Occluded(watched).attribute(
                crop,
                sliding_window_shapes=(3, side, side),
                strides=(3, stride, stride),
                baselines=blurred(crop),
                perturbations_per_eval=OCCLUSION_BATCH,
            )
        # The three colours hold the same number.
        return Attribution(values[0].mean(dim=0).cpu().numpy(), logit)

    def passes(self, crop_size: int, value: int = WINDOWS) -> float:
        """Return the cost of a pass for each square, and of the whole crop's."""
        return 1.1 * occlusion_passes(crop_size, value)

    def check(self, value: int, crop_size: int) -> None:
        """Raise ExplanationError where the squares would be too few or too small."""
        if not 1 <= value <= crop_size // 4:
            raise ExplanationError(f"Occlusion takes 1 to {crop_size // 4} windows along a side.")


def occlusion_window(crop_size: int, windows: int) -> tuple[int, int]:
    """Return side and stride of Occlusion's squares, pixels, for `windows` of them along a side."""
    stride = max(round(crop_size / (windows + 1)), 1)
    return 2 * stride, stride


def occlusion_passes(crop_size: int, windows: int) -> int:
    """Count the crops that pass through the network: one for each square, and the whole."""
    side, stride = occlusion_window(crop_size, windows)
    return (-(-(crop_size - side) // stride) + 1) ** 2 + 1
