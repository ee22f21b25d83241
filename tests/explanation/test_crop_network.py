"""Crops to logits with a gradient: the same numbers as scoring, and hooks that stay private."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from detector.explanation.crop_network import CropNetwork, EnsembleNetwork, factors, private_view
from detector.explanation.explainer import Explainer
from detector.models.face_network import FaceNetwork, normalise
from detector.models.scorer import combine
from detector.models.spec import EnsembleSpec, read_ensemble
from tests.helpers.crops import as_tensor, blended, original


@pytest.mark.parametrize("name", ["resnet50", "xception"])
def test_a_crop_network_equals_normalise_and_network(name: str) -> None:
    torch.manual_seed(1)
    spec = read_ensemble().network(name)
    network = FaceNetwork(name).eval()
    crops = np.stack([original(), blended()])
    with torch.no_grad():
        expected = network(normalise(torch.from_numpy(crops), spec))
        found = CropNetwork(network, spec)(torch.cat([as_tensor(crop) for crop in crops]))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def weighed(spec: EnsembleSpec, **weights: tuple[float, float]) -> EnsembleSpec:
    networks = tuple(
        replace(entry, weight=weights[entry.name][0], temperature=weights[entry.name][1])
        for entry in spec.networks
    )
    return replace(spec, networks=networks)


@pytest.mark.parametrize(
    "weights",
    [
        {"resnet50": (0.05, 1.0), "xception": (0.95, 1.0)},
        {"resnet50": (0.3, 2.0), "xception": (0.9, 0.5)},
        {"resnet50": (0.0, 1.0), "xception": (1.0, 1.5)},
    ],
    ids=["shipped", "calibrated, sum above 1", "one switched off"],
)
def test_the_ensemble_is_the_mean_that_scoring_takes(
    weights: dict[str, tuple[float, float]],
) -> None:
    spec = weighed(read_ensemble(), **weights)
    explainer = Explainer.load()
    crop = blended()[None]
    own = {name: explainer.logits(crop, name) for name in ("resnet50", "xception")}
    found = Explainer(spec)
    found._networks.update(
        {name: CropNetwork(explainer.network(name).network, spec.network(name)) for name in own}
    )
    np.testing.assert_allclose(found.logits(crop), combine(spec, own), rtol=1e-4, atol=1e-5)
    assert sum(factors(spec.networks)[n] * float(own[n][0]) for n in own) == pytest.approx(
        float(found.logits(crop)[0]), abs=1e-4
    )


def test_the_ensemble_has_a_gradient_for_every_pixel_it_uses() -> None:
    crop = as_tensor(blended()).requires_grad_()
    network = Explainer.load().network("ensemble")
    gradient = torch.autograd.grad(network(crop).sum(), crop)[0]
    assert gradient.shape == crop.shape
    assert (gradient != 0).float().mean() > 0.99
    assert isinstance(network, EnsembleNetwork)


def test_a_view_shares_weights_but_no_hooks() -> None:
    network = CropNetwork(FaceNetwork("resnet50").eval(), read_ensemble().network("resnet50"))
    view = private_view(network.eval())
    shared = dict(network.named_parameters()) | dict(network.named_buffers())
    for name, tensor in (*view.named_parameters(), *view.named_buffers()):
        assert tensor is shared[name]
    assert {id(m) for m in view.modules()}.isdisjoint(id(m) for m in network.modules())
    assert not view.training
    called = []
    view.network.trunk.conv1.register_forward_hook(lambda *_: called.append(1))
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
        assert called == []
        view(torch.zeros(1, 3, 64, 64))
    assert called == [1]
