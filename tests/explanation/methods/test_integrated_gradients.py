"""Integrated Gradients are complete, exact where that is known, and add up over networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detector.explanation.blur import blurred
from detector.explanation.explainer import Explainer
from detector.explanation.methods.base import Options
from detector.explanation.methods.integrated_gradients import IntegratedGradients
from detector.models.ensemble import factors
from detector.models.networks.registry import ENSEMBLE
from tests.helpers.crops import as_tensor, blended, crop_of
from tests.helpers.known_maps import Linear


@pytest.mark.parametrize(
    ("network", "crop"),
    [("resnet50", crop_of("grid_bbaf2n", 1.0)), ("xception", blended())],
    ids=["resnet50", "xception"],
)
def test_integrated_gradients_are_complete(
    explainer: Explainer, network: str, crop: np.ndarray
) -> None:
    """The map's sum is the difference of the two logits, within 2 %, given enough steps."""
    pixels = as_tensor(crop)
    with torch.no_grad():
        ends = explainer.network(network)(torch.cat([pixels, blurred(pixels)])).numpy()
    difference = float(ends[0] - ends[1])
    for steps in (16, 32, 64, 128):
        found = explainer.attribute(crop, IntegratedGradients.name, network, steps=steps)
        missed = abs(float(found.map.sum()) - difference)
        assert found.logit == pytest.approx(ends[0], abs=1e-3)
        assert found.baseline_logit == pytest.approx(ends[1], abs=1e-3)
        assert found.delta == pytest.approx(float(found.map.sum()) - difference, abs=5e-3)
        assert found.relative_delta == pytest.approx(missed / abs(difference), abs=5e-3)
        assert found.settings == {"steps": steps}
        if missed <= 0.02 * abs(difference):
            break
    assert missed <= 0.02 * abs(difference)


def test_integrated_gradients_of_the_ensemble_are_the_weighted_sum(explainer: Explainer) -> None:
    maps = {
        name: explainer.attribute(blended(), IntegratedGradients.name, name, steps=2).map
        for name in explainer.names
    }
    share = factors(explainer.spec.networks)
    expected = sum(share[name] * maps[name] for name in share)
    np.testing.assert_allclose(maps[ENSEMBLE], expected, rtol=1e-2, atol=1e-5)


def test_integrated_gradients_of_a_linear_logit_are_exact() -> None:
    crop = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = Linear(32)
    found = IntegratedGradients().attribute(network, crop, Options(settings={"steps": 3}))
    expected = (network.weight * (crop - blurred(crop))[0]).sum(dim=0)
    np.testing.assert_allclose(found.map, expected.numpy(), atol=1e-5)
    assert found.logit - found.baseline_logit == pytest.approx(float(expected.sum()), abs=1e-3)
    assert found.delta == pytest.approx(0, abs=1e-3)
