"""Maps that are known without Captum: Grad-CAM by hand, and a logit that is linear."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from detector.explanation.explainer import Explainer
from detector.explanation.layers import layer
from tests.helpers.crops import as_tensor, blended


def cam_by_hand(explainer: Explainer, address: str) -> tuple[Tensor, float]:
    """Grad-CAM [1, 1, h, w] as the paper writes it, with plain autograd; and the logit."""
    network, found = explainer.network(layer(address).network), layer(address)
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, out: Tensor) -> Tensor:
        kept.append(out)
        return out.clone()  # timm adds shortcuts in place

    network.network.get_submodule(found.output).register_forward_hook(keep)
    logit = network(as_tensor(blended()).requires_grad_())
    gradient = torch.autograd.grad(logit.sum(), kept[0])[0]
    cam = (kept[0] * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True)
    return cam.detach(), float(logit.detach())


def enlarged(cam: Tensor) -> np.ndarray:
    """A map [1, 1, h, w] at the crop's size, linear between positions."""
    size = blended().shape[:2]
    return nn.functional.interpolate(cam, size=size, mode="bilinear")[0, 0].numpy()


class Linear:
    """A known logit: the sum of weight x pixel."""

    def __init__(self, side: int) -> None:
        self.weight = torch.zeros(3, side, side)
        self.weight[:, : side // 2, : side // 2] = 1.0
        self.weight[1, side // 2 :, side // 2 :] = -2.0

    def __call__(self, crops: Tensor) -> Tensor:
        return (crops * self.weight).sum(dim=(1, 2, 3))
