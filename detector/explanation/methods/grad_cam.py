"""Grad-CAM and Guided Grad-CAM (Selvaraju et al. 2017)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.explanation.methods.base import logit_of, module, sum_of_channels
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor

    from detector.explanation.crop_network import CropNetwork


def grad_cam(network: CropNetwork, crop: Tensor, found: Layer) -> tuple[NDArray[np.float32], float]:
    """Grad-CAM (Selvaraju et al. 2017) at one layer, signed: no ReLU at the end.

    Args:
        network: hooks are set on it; a private view where it is shared.
        crop: float32 [1, 3, s, s] in [0, 1].
        found: a layer of this network that has maps.

    Returns:
        float32 [s, s]: sum over filters of activation x mean gradient, linear between positions;
        and the logit.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    seen = Remembering(network)
    cam = LayerGradCam(seen, module(network, found)).attribute(crop)
    large = LayerAttribution.interpolate(cam.detach(), crop.shape[-2:], "bilinear")
    return sum_of_channels(large), seen.logit


def guided_grad_cam(
    network: CropNetwork, crop: Tensor, found: Layer
) -> tuple[NDArray[np.float32], float]:
    """Guided Grad-CAM: guided backpropagation x what is positive in Grad-CAM, summed over colours.

    Arguments and results as `grad_cam`. All zero where Grad-CAM finds nothing that speaks for
    manipulation. As Captum has it: the gradient is rectified at the input of every ReLU.
    """
    from captum.attr import GuidedGradCam

    # Not warnings.catch_warnings, which is not safe while other threads explain.
    warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
    method = GuidedGradCam(network, module(network, found))
    crop = crop.clone().requires_grad_()
    values = method.attribute(crop, interpolate_mode="bilinear")
    return sum_of_channels(values.detach()), logit_of(network, crop)


class Remembering:
    """A forward function that keeps the last logit it gave, so that no pass is made twice."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self.logit = float("nan")

    def __call__(self, crops: Tensor) -> Tensor:
        logits = self._network(crops)
        self.logit = float(logits.detach()[-1])
        return logits


def weighted_sum(
    parts: Mapping[str, tuple[NDArray[np.float32], float]], factors: Mapping[str, float]
) -> tuple[NDArray[np.float32], float]:
    """The ensemble's map and logit from its networks' own.

    The ensemble's logit is a weighted sum of the networks' logits, so its gradient at a layer of
    one network is that network's own, times its factor; and its Grad-CAM over the networks' last
    convolutions is the weighted sum of their Grad-CAMs. For Guided Grad-CAM, whose products are
    not linear, the weighted sum is a convention of ours.
    """
    total = np.sum([factors[name] * values for name, (values, _) in parts.items()], axis=0)
    logit = sum(factors[name] * own for name, (_, own) in parts.items())
    return total.astype(np.float32), float(logit)
