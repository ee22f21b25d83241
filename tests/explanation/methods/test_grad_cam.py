"""Grad-CAM equals what the paper writes, computed directly."""

from __future__ import annotations

import numpy as np
import pytest

from detector.explanation.explainer import Explainer
from detector.explanation.layers import layer
from detector.explanation.methods.grad_cam import GradCam
from tests.helpers.crops import blended
from tests.helpers.known_maps import cam_by_hand, enlarged


@pytest.mark.parametrize(
    "address", ["resnet50:48", "resnet50:24", "resnet50:0", "xception:36", "xception:11"]
)
def test_grad_cam_equals_a_direct_computation(explainer: Explainer, address: str) -> None:
    network = layer(address).network
    found = explainer.attribute(blended(), GradCam.name, network, address)
    cam, logit = cam_by_hand(explainer, address)
    expected = enlarged(cam)
    assert found.layers == (address,)
    assert found.map.dtype == np.float32
    assert found.map.shape == blended().shape[:2]
    np.testing.assert_allclose(found.map, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert found.logit == pytest.approx(logit, abs=1e-4)
