"""Equal to direct computations with plain autograd, also for the ensemble."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector.explanation.explainer import Explainer
from detector.explanation.layers import layer
from detector.explanation.methods.guided_grad_cam import GuidedGradCam
from detector.explanation.methods.registry import GRAD_CAM
from detector.models.ensemble import factors
from detector.models.networks.registry import ENSEMBLE
from tests.helpers.crops import as_tensor, blended


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer.load()


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


@pytest.mark.parametrize(
    "address", ["resnet50:48", "resnet50:24", "resnet50:0", "xception:36", "xception:11"]
)
def test_grad_cam_equals_a_direct_computation(explainer: Explainer, address: str) -> None:
    network = layer(address).network
    found = explainer.attribute(blended(), GRAD_CAM, network, address)
    cam, logit = cam_by_hand(explainer, address)
    expected = enlarged(cam)
    assert found.layers == (address,)
    assert found.map.dtype == np.float32
    assert found.map.shape == blended().shape[:2]
    np.testing.assert_allclose(found.map, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert found.logit == pytest.approx(logit, abs=1e-4)


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


@pytest.mark.parametrize("method", [GRAD_CAM, GuidedGradCam.name])
def test_the_ensembles_map_is_the_weighted_sum(explainer: Explainer, method: str) -> None:
    whole = explainer.attribute(blended(), method, ENSEMBLE)
    parts = {n: explainer.attribute(blended(), method, n) for n in ("resnet50", "xception")}
    share = factors(explainer.spec.networks)
    expected = sum(share[name] * part.map for name, part in parts.items())
    np.testing.assert_allclose(whole.map, expected, rtol=1e-3, atol=1e-6)
    assert whole.layers == ("resnet50:48", "xception:36")
    assert whole.logit == pytest.approx(float(explainer.logits(blended()[None])[0]), abs=1e-4)
