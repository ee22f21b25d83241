"""The walk from layer 1 to the score, with the true numbers of one face."""

from __future__ import annotations

import re

import numpy as np
import pytest

from detector.errors import ExplanationError
from detector.explanation.explainer import Explainer
from detector.models.ensemble import probability
from tests.helpers.crops import blended, original


@pytest.mark.parametrize(
    ("network", "addresses"),
    [
        (
            "resnet50",
            [
                "resnet50:1",
                "resnet50:24",
                "resnet50:48",
                "resnet50:dense1",
                "resnet50:dense2",
                "logit",
                "score",
            ],
        ),
        (
            "xception",
            ["xception:1", "xception:18", "xception:36", "xception:dense1", "logit", "score"],
        ),
    ],
)
def test_the_steps_lead_to_the_score(
    explainer: Explainer, network: str, addresses: list[str]
) -> None:
    found = explainer.walk(blended(), network)
    assert [step.address for step in found.steps] == addresses
    assert found.logit == pytest.approx(
        float(explainer.logits(blended()[None], network)[0]), abs=1e-4
    )
    assert found.contributions.sum() + found.bias == pytest.approx(found.logit, abs=1e-3)
    assert found.raised + found.lowered + found.bias == pytest.approx(found.logit, abs=1e-3)
    assert found.raised >= 0 >= found.lowered
    assert found.probability == pytest.approx(probability(found.logit / found.temperature))
    for step in found.steps:
        assert len(re.findall(r"[.](?: |$)", step.text)) == 2, step.text
        assert "fake" not in step.text.lower()


def test_maps_and_units_are_those_of_the_layers(explainer: Explainer) -> None:
    steps = explainer.walk(blended(), "resnet50").steps
    first, middle, last = explainer.feature_maps(
        blended(), ["resnet50:1", "resnet50:24", "resnet50:48"]
    )
    for step, maps in zip(steps, (first, middle, last), strict=False):
        assert step.maps is not None
        np.testing.assert_array_equal(step.maps.maps, maps.maps)
    head = explainer.network("resnet50").network.head
    pooled = last.maps.mean(axis=(1, 2))
    units = np.maximum(head[0].weight.numpy() @ pooled + head[0].bias.numpy(), 0)
    assert steps[3].values is not None
    np.testing.assert_allclose(steps[3].values, units, rtol=1e-3, atol=1e-4)
    assert steps[4].values is not None
    np.testing.assert_allclose(
        steps[4].values, units * head[3].weight.numpy()[0], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("network", ["resnet50", "xception"])
def test_every_step_but_single_numbers_has_a_picture(explainer: Explainer, network: str) -> None:
    for step in explainer.walk(original(), network).steps:
        picture = step.picture(400)
        if step.address in ("logit", "score"):
            assert picture is None
        else:
            assert picture is not None
            assert picture.dtype == np.uint8
            assert 300 <= picture.shape[1] <= 400
            assert picture.std() > 1


@pytest.mark.parametrize("network", ["ensemble", "vgg"])
def test_a_walk_follows_one_network(explainer: Explainer, network: str) -> None:
    with pytest.raises(ExplanationError, match="choose resnet50 or xception"):
        explainer.walk(original(), network)
