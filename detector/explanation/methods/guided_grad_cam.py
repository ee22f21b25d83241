"""Guided Grad-CAM (Selvaraju et al. 2017, with Springenberg et al. 2015)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.explanation.methods.base import (
    Attribution,
    Method,
    logit_of,
    module_of,
    sum_of_channels,
)
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn


class GuidedGradCam(Method):
    """Guided backpropagation x what is positive in Grad-CAM, summed over colours."""

    name = "guided-grad-cam"
    title = "Guided Grad-CAM"
    question = (
        "Which fine details, inside the regions that Grad-CAM marks as speaking for "
        "manipulation, would change the logit?"
    )
    layered = True
    grainy = True

    def attribute(
        self,
        network: nn.Module,
        crop: Tensor,
        layer: Layer | None,
        value: int = 0,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> Attribution:
        """Multiply the two; all zero where Grad-CAM finds nothing that speaks for manipulation.

        As Captum has it, the gradient is rectified at the input of every ReLU.
        """
        from captum.attr import GuidedGradCam as Guided

        # Not warnings.catch_warnings, which is not safe while other threads explain.
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        method = Guided(network, module_of(network, layer))
        crop = crop.clone().requires_grad_()
        values = method.attribute(crop, interpolate_mode="bilinear")
        return Attribution(sum_of_channels(values.detach()), logit_of(network, crop))

    def passes(self, crop_size: int, value: int = 0) -> float:
        """Return the cost of Grad-CAM, guided backpropagation and the logit."""
        return 4.8
