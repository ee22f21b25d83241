"""A face without its detail: what methods and tests of them compare a face with.

Integrated Gradients, Occlusion and the deletion curve all take detail away in one way: by a mild
Gaussian blur. It removes the fine traces that manipulation leaves and keeps the face. A strong
blur would not be neutral: at a standard deviation of 10 px of 304 the shipped Xception gives a
real face a logit of +4. At 3 px a real and a self-blended face come out alike (+0.3 and +0.9, from
-0.8 and +2.6). A black baseline is a picture like no face at all, gives dark pixels no attribution
whatever they show (Sturmfels et al. 2020), and Integrated Gradients with 32 steps misses a third
of the difference to it; the difference to the blurred face it meets within a few per cent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

BLUR = 1 / 100
"""Standard deviation of the blur / side of the crop."""


def blurred(crop: Tensor) -> Tensor:
    """Return the crop without its detail: Gaussian blur, standard deviation `BLUR` of the side.

    Colour and light stay; edges, texture and blending boundaries go. Shape and range as `crop`,
    float32 [1, 3, s, s] in [0, 1].
    """
    import torch

    picture = np.ascontiguousarray(crop[0].permute(1, 2, 0).cpu().numpy())
    soft = cv2.GaussianBlur(picture, (0, 0), crop.shape[-1] * BLUR, borderType=cv2.BORDER_REFLECT)
    return torch.from_numpy(soft).permute(2, 0, 1)[None].contiguous().to(crop.device)
