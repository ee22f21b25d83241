"""Attributions: equal to direct computations, complete, stoppable, and the same in parallel."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector.errors import Cancelled, ExplanationError
from detector.explanation.crop_network import factors
from detector.explanation.explainer import Explainer, passes
from detector.explanation.layers import layer
from detector.explanation.methods.base import blurred
from detector.explanation.methods.integrated_gradients import integrated_gradients
from detector.explanation.methods.occlusion import occlusion, occlusion_passes, occlusion_window
from detector.explanation.methods.registry import (
    GRAD_CAM,
    GUIDED_GRAD_CAM,
    INTEGRATED_GRADIENTS,
    METHODS,
    OCCLUSION,
)
from detector.explanation.result import Explanation
from detector.models.networks.registry import ENSEMBLE
from tests.helpers.crops import as_tensor, blended, crop_of, original


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
    found = explainer.attribute(blended(), GUIDED_GRAD_CAM, "resnet50", "resnet50:24")
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found.map, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("method", [GRAD_CAM, GUIDED_GRAD_CAM])
def test_the_ensembles_map_is_the_weighted_sum(explainer: Explainer, method: str) -> None:
    whole = explainer.attribute(blended(), method, ENSEMBLE)
    parts = {n: explainer.attribute(blended(), method, n) for n in ("resnet50", "xception")}
    share = factors(explainer.spec)
    expected = sum(share[name] * part.map for name, part in parts.items())
    np.testing.assert_allclose(whole.map, expected, rtol=1e-3, atol=1e-6)
    assert whole.layers == ("resnet50:48", "xception:36")
    assert whole.logit == pytest.approx(float(explainer.logits(blended()[None])[0]), abs=1e-4)


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
        found = explainer.attribute(crop, INTEGRATED_GRADIENTS, network, steps=steps)
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
        name: explainer.attribute(blended(), INTEGRATED_GRADIENTS, name, steps=2).map
        for name in explainer.names
    }
    share = factors(explainer.spec)
    expected = sum(share[name] * maps[name] for name in share)
    np.testing.assert_allclose(maps[ENSEMBLE], expected, rtol=1e-2, atol=1e-5)


class Linear:
    """A known logit: the sum of weight x pixel."""

    def __init__(self, side: int) -> None:
        self.weight = torch.zeros(3, side, side)
        self.weight[:, : side // 2, : side // 2] = 1.0
        self.weight[1, side // 2 :, side // 2 :] = -2.0

    def __call__(self, crops: Tensor) -> Tensor:
        return (crops * self.weight).sum(dim=(1, 2, 3))


def test_integrated_gradients_of_a_linear_logit_are_exact() -> None:
    crop = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = Linear(32)
    found, logit, baseline, delta = integrated_gradients(network, crop, steps=3)
    expected = (network.weight * (crop - blurred(crop))[0]).sum(dim=0)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert logit - baseline == pytest.approx(float(expected.sum()), abs=1e-3)
    assert delta == pytest.approx(0, abs=1e-3)


def test_occlusion_is_the_fall_of_the_logit_in_each_square() -> None:
    crop = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = Linear(32)
    found, logit = occlusion(network, crop, windows=3)
    side, stride = occlusion_window(32, 3)
    falls = (network.weight * (crop - blurred(crop))[0]).sum(dim=0).numpy()
    total, counts = np.zeros((32, 32)), np.zeros((32, 32))
    for top in range(0, 32 - side + 1, stride):
        for left in range(0, 32 - side + 1, stride):
            square = np.s_[top : top + side, left : left + side]
            total[square] += falls[square].sum()
            counts[square] += 1
    np.testing.assert_allclose(found, total / counts, atol=1e-3)
    assert logit == pytest.approx(float(network(crop)), rel=1e-5)


@pytest.mark.parametrize(("size", "windows"), [(304, 11), (304, 15), (256, 4), (300, 7), (304, 1)])
def test_occlusion_covers_every_pixel_in_the_passes_it_says(size: int, windows: int) -> None:
    seen = []

    def network(crops: Tensor) -> Tensor:
        seen.append(len(crops))
        return crops.mean(dim=(1, 2, 3))

    crop = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    found, _ = occlusion(network, crop, windows=windows)
    assert np.isfinite(found).all()
    assert sum(seen) == occlusion_passes(size, windows) + 1  # and the crop's own logit


def test_a_blurred_crop_keeps_its_light_and_loses_its_detail() -> None:
    crop = as_tensor(original())
    soft = blurred(crop)
    assert soft.shape == crop.shape
    assert soft.dtype == crop.dtype
    assert float((soft.mean() - crop.mean()).abs()) < 0.01
    assert float(soft.diff(dim=-1).abs().mean()) < 0.5 * float(crop.diff(dim=-1).abs().mean())
    assert float(soft.min()) >= 0
    assert float(soft.max()) <= 1


def test_parallel_explanations_equal_serial_ones(explainer: Explainer) -> None:
    """Hooks on one shared model would mix activations and gradients of different crops."""
    crops = [original(), blended(), crop_of("grid_bbaf2n", 1.0)]
    methods = [(GRAD_CAM, "resnet50:48"), (GRAD_CAM, "resnet50:7"), (GUIDED_GRAD_CAM, None),
               (INTEGRATED_GRADIENTS, None)]  # fmt: skip
    jobs: list[Callable[[], np.ndarray]] = []
    for crop in crops:
        for method, address in methods:
            jobs.append(
                lambda crop=crop, method=method, address=address: (
                    explainer.attribute(crop, method, "resnet50", address, steps=2).map
                )
            )
        jobs.append(lambda crop=crop: explainer.feature_maps(crop, ["resnet50:24"])[0].maps)
        jobs.append(lambda crop=crop: np.array([explainer.walk(crop).logit]))
    serial = [job() for job in jobs]
    start = threading.Barrier(4)

    def together(numbers: range) -> list[tuple[int, np.ndarray]]:
        start.wait()
        return [(number, jobs[number]()) for number in numbers]

    with ThreadPoolExecutor(4) as pool:
        shares = [range(first, len(jobs), 4) for first in range(4)]
        # And once more the other way about, so that other pairs meet.
        for batch in (shares, [range(s.stop - 1 - s.start, -1, -4) for s in shares]):
            for done in pool.map(together, batch):
                for number, values in done:
                    expected = serial[number]
                    np.testing.assert_allclose(
                        values, expected, rtol=1e-3, atol=1e-4 * max(np.abs(expected).max(), 1e-6)
                    )
    assert not any(
        module._forward_hooks or module._forward_pre_hooks
        for module in explainer._network("resnet50").modules()
    )


def test_the_same_process_shares_one_explainer() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: Explainer.load(), range(8)))
    assert len({id(entry) for entry in found}) == 1


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("network", ["resnet50", ENSEMBLE])
def test_progress_rises_to_1(explainer: Explainer, method: str, network: str) -> None:
    if network == ENSEMBLE and METHODS[method].slow:
        network = "resnet50"
    seen: list[float] = []
    explainer.attribute(
        blended(), method, network, progress=seen.append, steps=5, windows=3
    )  # fmt: skip
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
            blended(), method, ENSEMBLE if METHODS[method].layered else "resnet50",
            cancelled=cancelled, steps=20, windows=9,
        )  # fmt: skip
    assert len(asked) == 3


def test_estimates_follow_the_cost_of_a_method(explainer: Explainer) -> None:
    def estimate(method: str, **settings: int) -> float:
        return explainer.estimate_seconds(method, "resnet50", **settings)

    assert 0 < estimate(GRAD_CAM) < estimate(GUIDED_GRAD_CAM) < estimate(INTEGRATED_GRADIENTS)
    assert estimate(INTEGRATED_GRADIENTS, steps=64) > 1.8 * estimate(INTEGRATED_GRADIENTS)
    assert estimate(OCCLUSION, windows=20) > 2 * estimate(OCCLUSION, windows=11)
    assert passes(OCCLUSION, 304, windows=11) > 11 * 11


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"method": "saliency"}, "choose one of: grad-cam, guided-grad-cam"),
        ({"network": "vgg"}, "choose one of: resnet50, xception, ensemble"),
        ({"layer": "resnet50:99", "network": "resnet50"}, "resnet50:0 to resnet50:48"),
        ({"layer": "resnet50:48", "network": "xception"}, "belong together"),
        ({"layer": "resnet50:48", "network": "ensemble"}, "belong together"),
        ({"layer": "resnet50:dense1", "network": "resnet50"}, "choose resnet50:48"),
        ({"layer": "xception:1", "method": "occlusion"}, "leave the layer out"),
        ({"method": "integrated-gradients", "steps": 0}, "at least 1 step"),
        ({"method": "occlusion", "windows": 0}, "1 to 76 windows"),
        ({"method": "occlusion", "windows": 999}, "1 to 76 windows"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_does_not_exist_says_what_does(explainer: Explainer, asked: dict, says: str) -> None:
    with pytest.raises(ExplanationError, match=says):
        explainer.attribute(original(), **asked)


def test_a_crop_of_another_size_is_refused(explainer: Explainer) -> None:
    with pytest.raises(ExplanationError, match="cut it from its frame again"):
        explainer.attribute(original()[:64, :64], GRAD_CAM, "resnet50")


@pytest.fixture
def explanation() -> Explanation:
    values = np.zeros((304, 304), np.float32)
    values[100:140, 100:140] = 2
    values[200:210, 200:210] = -1
    return Explanation(GRAD_CAM, "resnet50", ("resnet50:48",), values, 1.5, None, None)


def test_overlay_is_red_for_and_blue_against(explanation: Explanation) -> None:
    grey = np.full((304, 304, 3), 128, np.uint8)
    picture = explanation.overlay(grey, opacity=0.8).astype(int)
    assert picture[120, 120, 0] > picture[120, 120, 2] + 50
    assert picture[205, 205, 2] > picture[205, 205, 0] + 50
    np.testing.assert_array_equal(picture[10, 10], [128] * 3)
    assert explanation.scale().low == -explanation.scale().high


def test_pixel_maps_are_drawn_smoothly_and_kept_raw(explanation: Explanation) -> None:
    np.testing.assert_array_equal(explanation.shown, explanation.map)
    fine = Explanation(INTEGRATED_GRADIENTS, "resnet50", (), explanation.map, 1.5, 0.5, 0.01)
    assert fine.shown.max() <= explanation.map.max()
    assert (fine.shown != fine.map).any()
    assert fine.shown.sum() == pytest.approx(fine.map.sum(), rel=1e-3)
    assert fine.relative_delta == pytest.approx(0.01)


def test_npz_and_description(explanation: Explanation) -> None:
    with np.load(io.BytesIO(explanation.npz(original()))) as back:
        np.testing.assert_array_equal(back["map"], explanation.map)
        np.testing.assert_array_equal(back["crop"], original())
        assert str(back["layers"]) == "resnet50:48"
    described = explanation.describe()
    assert described["method"] == "grad-cam"
    assert described["layers"] == ["resnet50:48"]
    assert described["logit"] == 1.5
