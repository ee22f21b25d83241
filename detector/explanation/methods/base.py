"""Attributions: which pixels of a face speak for manipulation, and which against, by Captum.

The target is always the manipulation logit, and maps keep their sign: above 0 raises the logit,
below 0 lowers it. Every map has the crop's own size, since resizing and normalising are part of
what is explained (`detector.explanation.crop_network`).

Integrated Gradients, Occlusion and the deletion curve all take detail away in one way: by a mild
Gaussian blur (`blurred`). It removes the fine traces that manipulation leaves and keeps the face.
A strong blur would not be neutral: at a standard deviation of 10 px of 304 the shipped Xception
gives a real face a logit of +4. At 3 px a real and a self-blended face come out alike (+0.3 and
+0.9, from -0.8 and +2.6). A black baseline is a picture like no face at all, gives dark pixels no
attribution whatever they show (Sturmfels et al. 2020), and Integrated Gradients with 32 steps
misses a third of the difference to it; the blur's it meets within some per cent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import Cancelled
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from detector.explanation.crop_network import CropNetwork

ProgressCallback = Callable[[float], None]
CancelCallback = Callable[[], bool]


BLUR = 1 / 100  # standard deviation of the blur / side of the crop


class ProgressForward:
    """A forward function that reports how far it is, and stops when asked to.

    Args:
        network: what is called.
        total: crops that will be passed through it.
        progress: told the share that is done, (0, 1], after each call.
        cancelled: asked before each call; True raises `Cancelled`.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        total: int,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> None:
        self._network = network
        self._total = total
        self._progress = progress
        self._cancelled = cancelled
        self._done = 0

    def __call__(self, crops: Tensor) -> Tensor:
        stop_if(self._cancelled)
        logits = self._network(crops)
        self._done += len(crops)
        if self._progress:
            self._progress(min(self._done / self._total, 1.0))
        return logits


def stop_if(cancelled: CancelCallback | None) -> None:
    """Raise `Cancelled` where `cancelled` says so."""
    if cancelled and cancelled():
        raise Cancelled("The explanation was stopped; nothing of it was kept.")


def blurred(crop: Tensor) -> Tensor:
    """The crop without its detail: Gaussian blur, standard deviation `BLUR` of the side.

    Colour and light stay, edges, texture and blending boundaries go. Shape and range as `crop`,
    float32 [1, 3, s, s] in [0, 1].
    """
    import torch

    picture = np.ascontiguousarray(crop[0].permute(1, 2, 0).cpu().numpy())
    soft = cv2.GaussianBlur(picture, (0, 0), crop.shape[-1] * BLUR, borderType=cv2.BORDER_REFLECT)
    return torch.from_numpy(soft).permute(2, 0, 1)[None].contiguous().to(crop.device)


def module(network: CropNetwork, found: Layer) -> nn.Module:
    return network.network.get_submodule(found.output)


def logit_of(network: Callable[[Tensor], Tensor], crop: Tensor) -> float:
    import torch

    with torch.no_grad():
        return float(network(crop)[0])


def sum_of_channels(values: Tensor) -> NDArray[np.float32]:
    """[1, c, s, s] to float32 [s, s]."""
    return values[0].sum(dim=0).cpu().numpy()
