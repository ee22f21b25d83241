"""Feature maps: equal to hooks set by hand, in one pass, with statistics that can be recounted."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector.errors import ExplanationError
from detector.explanation.explainer import Explainer
from detector.explanation.feature_maps import FeatureMaps, differing_filters
from detector.explanation.layers import layer
from detector.models.face_network import load_network, normalise
from detector.models.spec import read_ensemble
from tests.helpers.crops import blended, original


def by_hand(name: str, steps: dict[str, Callable[[dict[str, Tensor]], Tensor]]) -> dict:
    """Outputs put together from the raw modules' outputs, without Captum and without activations.

    Every module's output is copied when it appears, since timm adds shortcuts in place.
    """
    spec = read_ensemble().network(name)
    network = load_network(spec)
    raw: dict[str, Tensor] = {}
    for key, module in network.trunk.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(
                lambda _m, _i, out, key=key: raw.__setitem__(key, out.clone())
            )
    with torch.no_grad():
        network(normalise(torch.from_numpy(blended()[None].copy()), spec))
    return {address: step(raw)[0].numpy() for address, step in steps.items()}


def test_resnet50_maps_equal_hooks_set_by_hand(explainer: Explainer) -> None:
    expected = by_hand(
        "resnet50",
        {
            "resnet50:1": lambda raw: raw["layer1.0.bn1"].relu(),
            # The first block of a stage: its shortcut is projected.
            "resnet50:24": lambda raw: (raw["layer3.0.bn3"] + raw["layer3.0.downsample.1"]).relu(),
            "resnet50:47": lambda raw: raw["layer4.2.bn2"].relu(),
        },
    )
    for maps in explainer.feature_maps(blended(), list(expected)):
        np.testing.assert_allclose(maps.maps, expected[maps.layer.address], rtol=1e-3, atol=1e-4)
        assert maps.maps.dtype == np.float32
        assert maps.maps.shape == maps.layer.shape


def test_xception_maps_equal_hooks_set_by_hand(explainer: Explainer) -> None:
    expected = by_hand(
        "xception",
        {
            "xception:2": lambda raw: raw["bn2"].relu(),
            # The end of a block without pooling: timm adds the shortcut to this very tensor.
            "xception:11": lambda raw: raw["block4.rep.8"],
            "xception:36": lambda raw: raw["bn4"].relu(),
        },
    )
    for maps in explainer.feature_maps(blended(), list(expected)):
        np.testing.assert_allclose(maps.maps, expected[maps.layer.address], rtol=1e-3, atol=1e-4)


def test_layer_48_is_what_the_dense_layers_receive(explainer: Explainer) -> None:
    spec = read_ensemble().network("resnet50")
    network = load_network(spec)
    (maps,) = explainer.feature_maps(blended(), ["resnet50:48"])
    with torch.no_grad():
        pooled = network.trunk(normalise(torch.from_numpy(blended()[None].copy()), spec))[0]
    np.testing.assert_allclose(maps.maps.mean(axis=(1, 2)), pooled.numpy(), rtol=1e-3, atol=1e-4)


def test_several_layers_take_one_pass_for_each_network(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.explanation.crop_network import CropNetwork

    passed = []
    forward = CropNetwork.forward

    def counted(self: CropNetwork, crops: Tensor) -> Tensor:
        passed.append(self.network.name)
        return forward(self, crops)

    monkeypatch.setattr(CropNetwork, "forward", counted)
    addresses = ["resnet50:1", "xception:1", "resnet50:48", "resnet50:24", "resnet50:1"]
    found = explainer.feature_maps(blended(), addresses)
    assert [maps.layer.address for maps in found] == addresses
    assert sorted(passed) == ["resnet50", "xception"]


def test_shapes_follow_the_ensembles_own_input_size() -> None:
    spec = read_ensemble()
    larger = replace(spec.network("resnet50"), input_size=160)
    explainer = Explainer(replace(spec, networks=(larger, spec.network("xception"))))
    for maps in explainer.feature_maps(blended(), ["resnet50:1", "resnet50:48"]):
        assert maps.maps.shape == maps.layer.shape
        assert maps.layer.input_size == 160
    assert [step.layer.input_size for step in explainer.walk(blended()).steps if step.layer] == (
        [160] * 5
    )


MAPS = np.array(
    [
        [[0.0, 0.0], [0.0, 0.0]],
        [[1.0, 0.0], [3.0, 0.0]],
        [[-8.0, 2.0], [2.0, 2.0]],
        [[1.0, 1.0], [1.0, 1.0]],
    ],
    np.float32,
)


@pytest.fixture
def maps() -> FeatureMaps:
    return FeatureMaps(layer("xception:4"), MAPS)  # a layer whose values may be negative


def test_statistics(maps: FeatureMaps) -> None:
    found = maps.statistics
    np.testing.assert_allclose(found.mean, [0, 1, -0.5, 1])
    np.testing.assert_allclose(found.maximum, [0, 3, 2, 1])
    np.testing.assert_allclose(found.active, [0, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.activity, [0, 1, 1.5, 1])
    assert found.active.dtype == np.float32


@pytest.mark.parametrize(
    ("count", "expected"), [(None, (2, 1, 3, 0)), (2, (2, 1)), (9, (2, 1, 3, 0))]
)
def test_most_active(maps: FeatureMaps, count: int | None, expected: tuple[int, ...]) -> None:
    assert maps.most_active(count) == expected


def test_images_share_a_scale_or_have_their_own(maps: FeatureMaps) -> None:
    shared = maps.images([1, 3])
    own = maps.images([1, 3], common=False)
    assert shared[0].shape == (2, 2, 3)
    assert (shared[0][1, 0] == own[0][1, 0]).all()  # the largest of both is the end of the scale
    assert (shared[1] != own[1]).any()
    assert maps.images([]) == []


def test_histogram_counts_every_position(maps: FeatureMaps) -> None:
    counts, edges = maps.histogram(2, bins=5)
    assert counts.tolist() == [1, 0, 0, 0, 3]
    assert (edges[0], edges[-1]) == (-8, 2)


def test_overlay_has_the_crops_size(maps: FeatureMaps) -> None:
    assert maps.overlay(original(), 1, 0.5).shape == original().shape


def test_npz_names_the_layer(maps: FeatureMaps) -> None:
    with np.load(io.BytesIO(maps.npz())) as back:
        np.testing.assert_array_equal(back["maps"], MAPS)
        assert str(back["address"]) == "xception:4"
        assert str(back["module"]) == "block1.rep.3"


@pytest.mark.parametrize("number", [-1, 4])
def test_a_filter_that_does_not_exist(maps: FeatureMaps, number: int) -> None:
    with pytest.raises(ExplanationError, match=f"no filter {number}; choose one from 0 to 3"):
        maps.map(number)


def test_differing_filters_are_those_whose_means_differ_most(maps: FeatureMaps) -> None:
    other = FeatureMaps(maps.layer, MAPS + np.array([0, 5, -7, 1], np.float32)[:, None, None])
    found = differing_filters(maps, other, count=3)
    assert [entry.filter for entry in found] == [2, 1, 3]
    assert found[0].difference == pytest.approx(-7)
    assert (found[1].first, found[1].second) == (1, 6)


def test_real_beside_manipulated(explainer: Explainer) -> None:
    """The last layer's filters that differ most push the logit up on the manipulated face."""
    first, second = (
        explainer.feature_maps(crop, ["xception:36"])[0] for crop in (original(), blended())
    )
    found = differing_filters(first, second, count=20)
    weight = load_network(read_ensemble().network("xception")).head[-1].weight.detach()[0].numpy()
    assert sum(weight[entry.filter] * entry.difference for entry in found) > 0


def test_maps_of_different_layers_are_not_compared(maps: FeatureMaps) -> None:
    with pytest.raises(ExplanationError, match="choose the same layer"):
        differing_filters(maps, FeatureMaps(layer("xception:5"), MAPS))


@pytest.mark.parametrize(
    ("crop", "addresses", "says"),
    [
        (original(), ["resnet50:77"], "resnet50:0 to resnet50:48"),
        (original(), ["resnet50:1", "resnet50:dense1"], "dense layer"),
        (original()[:100, :100], ["resnet50:1"], "cut it from its frame again"),
        (original().astype(np.float32), ["resnet50:1"], "cut it from its frame again"),
        (original()[..., 0], ["resnet50:1"], "cut it from its frame again"),
    ],
    ids=["no such layer", "dense", "small", "float", "grey"],
)
def test_bad_input(explainer: Explainer, crop: np.ndarray, addresses: list, says: str) -> None:
    with pytest.raises(ExplanationError, match=says):
        explainer.feature_maps(crop, addresses)


def test_nothing_asked_nothing_found(explainer: Explainer) -> None:
    assert explainer.feature_maps(original(), []) == ()
