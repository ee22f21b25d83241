"""Occlusion (Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from detector.errors import ExplanationError
from detector.explanation.blur import blurred
from detector.explanation.methods.base import Attribution, Method, Options, Setting, logit_of
from detector.explanation.progress import ProgressForward

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 4  # crops in one pass
LEAST_STRIDE = 4  # pixels from one square to the next, about


class Occlusion(Method):
    """The fall of the logit when a square of the crop is blurred away.

    For each pixel the mean over the squares that cover it, in units of the logit. `windows` is
    the number of squares along one side; each overlaps the next by half.
    """

    name = "occlusion"
    title = "Occlusion"
    question = (
        "How much does the logit fall (red) or rise (blue) when a square of the face is "
        "blurred away?"
    )
    additive = True
    slow = True
    settings = (Setting("windows", 11, "of Occlusion, along one side"),)

    def attribute(self, network: nn.Module, crop: Tensor, options: Options) -> Attribution:
        """Explain the logit, as `Method.attribute` says."""
        import torch
        from captum import attr

        size, windows = crop.shape[-1], options.settings["windows"]
        most = size // LEAST_STRIDE
        if not 1 <= windows <= most:
            raise ExplanationError(f"Occlusion takes 1 to {most} windows along a side.")
        side, stride = window(size, windows)
        logit = logit_of(network, crop)
        total = crops_of(size, windows)
        forward = ProgressForward(network, total, options.progress, options.cancelled)
        with torch.no_grad():
            values = attr.Occlusion(forward).attribute(
                crop,
                sliding_window_shapes=(3, side, side),
                strides=(3, stride, stride),
                baselines=blurred(crop),
                perturbations_per_eval=BATCH,
            )
        # The three colours hold the same number.
        return Attribution(values[0].mean(dim=0).cpu().numpy(), logit)

    def passes(self, crop_size: int, settings: Mapping[str, int]) -> float:
        """Return 1.1 for each square and for the crop."""
        return 1.1 * crops_of(crop_size, settings["windows"])


def window(crop_size: int, windows: int) -> tuple[int, int]:
    """Return the side and the stride of the squares, pixels, for `windows` of them along a side."""
    stride = max(round(crop_size / (windows + 1)), 1)
    return 2 * stride, stride


def crops_of(crop_size: int, windows: int) -> int:
    """Return how many crops pass through the network: one for each square, and the crop."""
    side, stride = window(crop_size, windows)
    return (-(-(crop_size - side) // stride) + 1) ** 2 + 1
