"""Grad-CAM (Selvaraju et al. 2017) at one layer, signed: no ReLU at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.explanation.methods.base import (
    Attribution,
    Method,
    module_of,
    sum_of_channels,
)
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn


class GradCam(Method):
    """The sum over filters of activation x mean gradient, linear between positions."""

    name = "grad-cam"
    title = "Grad-CAM"
    question = (
        "Which regions does this layer's evidence come from, and does it speak for (red) or "
        "against (blue) manipulation?"
    )
    layered = True

    def attribute(
        self,
        network: nn.Module,
        crop: Tensor,
        layer: Layer | None,
        value: int = 0,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> Attribution:
        """Weigh the layer's maps by their gradients; see `Method.attribute`."""
        from captum.attr import LayerAttribution, LayerGradCam

        seen = _Remembering(network)
        cam = LayerGradCam(seen, module_of(network, layer)).attribute(crop)
        large = LayerAttribution.interpolate(cam.detach(), crop.shape[-2:], "bilinear")
        return Attribution(sum_of_channels(large), seen.logit)

    def passes(self, crop_size: int, value: int = 0) -> float:
        """Return the cost of one pass and one gradient."""
        return 1.3


class _Remembering:
    """A forward function that keeps the last logit it gave, so that no pass is made twice."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self.logit = float("nan")

    def __call__(self, crops: Tensor) -> Tensor:
        """Return the network's logits [n] of crops [n, 3, s, s]."""
        logits = self._network(crops)
        self.logit = float(logits.detach()[-1])
        return logits
