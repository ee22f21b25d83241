"""Guided Grad-CAM equals guided backpropagation times Grad-CAM, computed directly."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from detector.explanation.explainer import Explainer
from detector.explanation.methods.guided_grad_cam import GuidedGradCam
from tests.helpers.crops import as_tensor, blended
from tests.helpers.known_maps import cam_by_hand, enlarged


def test_guided_grad_cam_equals_a_direct_computation(explainer: Explainer) -> None:
    network = explainer.network("resnet50")
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_full_backward_hook(lambda _m, gradient, _o: (gradient[0].relu(),))
    pixels = as_tensor(blended()).requires_grad_()
    guided = torch.autograd.grad(network(pixels).sum(), pixels)[0][0]
    cam, _ = cam_by_hand(explainer, "resnet50:24")
    expected = (guided.numpy() * enlarged(cam.relu())).sum(axis=0)
    found = explainer.attribute(blended(), GuidedGradCam.name, "resnet50", "resnet50:24")
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found.map, expected, atol=1e-3 * np.abs(expected).max())
