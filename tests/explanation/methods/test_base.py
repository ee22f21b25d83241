"""What holds for every method: the ensemble's map, progress, and stopping."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import Cancelled
from detector.explanation.explainer import Explainer
from detector.explanation.methods.grad_cam import GradCam
from detector.explanation.methods.guided_grad_cam import GuidedGradCam
from detector.explanation.methods.registry import METHODS
from detector.models.ensemble import factors
from detector.models.networks.registry import ENSEMBLE
from tests.helpers.crops import blended


@pytest.mark.parametrize("method", [GradCam.name, GuidedGradCam.name])
def test_the_ensembles_map_is_the_weighted_sum(explainer: Explainer, method: str) -> None:
    whole = explainer.attribute(blended(), method, ENSEMBLE)
    parts = {n: explainer.attribute(blended(), method, n) for n in ("resnet50", "xception")}
    share = factors(explainer.spec.networks)
    expected = sum(share[name] * part.map for name, part in parts.items())
    np.testing.assert_allclose(whole.map, expected, rtol=1e-3, atol=1e-6)
    assert whole.layers == ("resnet50:48", "xception:36")
    assert whole.logit == pytest.approx(float(explainer.logits(blended()[None])[0]), abs=1e-4)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("network", ["resnet50", ENSEMBLE])
def test_progress_rises_to_1(explainer: Explainer, method: str, network: str) -> None:
    if network == ENSEMBLE and METHODS[method].slow:
        network = "resnet50"
    seen: list[float] = []
    explainer.attribute(blended(), method, network, progress=seen.append, steps=5, windows=3)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert seen[0] > 0
    assert len(seen) >= (4 if METHODS[method].slow else 1)


@pytest.mark.parametrize("method", list(METHODS))
def test_cancelling_stops_soon(explainer: Explainer, method: str) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Cancelled, match="stopped"):
        explainer.attribute(
            blended(),
            method,
            ENSEMBLE if METHODS[method].layered else "resnet50",
            cancelled=cancelled,
            steps=20,
            windows=9,
        )
    assert len(asked) == 3
