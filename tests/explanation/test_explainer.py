"""The explainer: parallel calls, progress, stopping, estimates, and what does not exist."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from detector.errors import ExplanationError
from detector.explanation.explainer import Explainer
from detector.explanation.methods.grad_cam import GradCam
from detector.explanation.methods.guided_grad_cam import GuidedGradCam
from detector.explanation.methods.integrated_gradients import IntegratedGradients
from detector.explanation.methods.occlusion import Occlusion
from tests.helpers.crops import blended, crop_of, original


def test_parallel_explanations_equal_serial_ones(explainer: Explainer) -> None:
    """Hooks on one shared model would mix activations and gradients of different crops."""
    crops = [original(), blended(), crop_of("grid_bbaf2n", 1.0)]
    methods = [
        (GradCam.name, "resnet50:48"),
        (GradCam.name, "resnet50:7"),
        (GuidedGradCam.name, None),
        (IntegratedGradients.name, None),
    ]
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


def test_estimates_follow_the_cost_of_a_method(explainer: Explainer) -> None:
    def estimate(method: str, **settings: int) -> float:
        return explainer.estimate_seconds(method, "resnet50", **settings)

    assert (
        0
        < estimate(GradCam.name)
        < estimate(GuidedGradCam.name)
        < estimate(IntegratedGradients.name)
    )
    assert estimate(IntegratedGradients.name, steps=64) > 1.8 * estimate(IntegratedGradients.name)
    assert estimate(Occlusion.name, windows=20) > 2 * estimate(Occlusion.name, windows=11)
    assert Occlusion().passes(304, {"windows": 11}) > 11 * 11


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
        explainer.attribute(original()[:64, :64], GradCam.name, "resnet50")


def test_a_setting_that_no_method_has_is_a_programming_error(explainer: Explainer) -> None:
    with pytest.raises(TypeError, match="'step'; there are: steps, windows"):
        explainer.attribute(original(), "integrated-gradients", step=3)
    with pytest.raises(TypeError, match="no method has a setting"):
        explainer.estimate_seconds("occlusion", "resnet50", window=3)
