"""Guided Grad-CAM (Selvaraju et al. 2017, with Springenberg et al. 2015)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from detector.explanation.methods.base import (
    Attribution,
    Method,
    Options,
    logit_of,
    sum_of_channels,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


class GuidedGradCam(Method):
    """Guided backpropagation x what is positive in Grad-CAM, summed over colours.

    All zero where Grad-CAM finds nothing that speaks for manipulation. As Captum has it: the
    gradient is rectified at the input of every ReLU. Such products are not linear in the
    gradient, so that the ensemble's map, the weighted sum of its networks' maps, is a convention
    of ours.
    """

    name = "guided-grad-cam"
    title = "Guided Grad-CAM"
    question = (
        "Which fine details, inside the regions that Grad-CAM marks as speaking for "
        "manipulation, would change the logit?"
    )
    layered = True
    pixelwise = True

    def attribute(self, network: nn.Module, crop: Tensor, options: Options) -> Attribution:
        """Explain the logit, as `Method.attribute` says."""
        from captum import attr

        # Not warnings.catch_warnings, which is not safe while other threads explain.
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        crop = crop.clone().requires_grad_()
        values = attr.GuidedGradCam(network, options.layer).attribute(
            crop, interpolate_mode="bilinear"
        )
        return Attribution(sum_of_channels(values.detach()), logit_of(network, crop))

    def passes(self, crop_size: int, settings: Mapping[str, int]) -> float:
        """Return 4.8: Grad-CAM, a pass forward and back to the pixels, and one for the logit."""
        return 4.8
