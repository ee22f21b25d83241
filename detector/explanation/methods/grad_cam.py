"""Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from detector.explanation.methods.base import Attribution, Method, Options, sum_of_channels

if TYPE_CHECKING:
    from torch import Tensor, nn


class GradCam(Method):
    """Grad-CAM at one layer, signed: no ReLU at the end.

    The map is the sum over the layer's filters of activation x mean gradient, linear between
    positions; it has no unit.
    """

    name = "grad-cam"
    title = "Grad-CAM"
    question = (
        "Which regions does this layer's evidence come from, and does it speak for (red) or "
        "against (blue) manipulation?"
    )
    layered = True

    def attribute(self, network: nn.Module, crop: Tensor, options: Options) -> Attribution:
        """Explain the logit, as `Method.attribute` says."""
        from captum import attr

        remembering = RememberingForward(network)
        cam = attr.LayerGradCam(remembering, options.layer).attribute(crop)
        large = attr.LayerAttribution.interpolate(cam.detach(), crop.shape[-2:], "bilinear")
        return Attribution(sum_of_channels(large), remembering.logit)

    def passes(self, crop_size: int, settings: Mapping[str, int]) -> float:
        """Return 1.3: one pass forward, and back to the layer."""
        return 1.3


class RememberingForward:
    """A forward function that keeps the last logit it gave, so that no pass is made twice."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self.logit = float("nan")

    def __call__(self, crops: Tensor) -> Tensor:
        """Return the network's logits [n] of crops [n, 3, s, s]."""
        logits = self._network(crops)
        self.logit = float(logits.detach()[-1])
        return logits
