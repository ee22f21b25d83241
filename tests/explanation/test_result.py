"""An explanation is drawn, described and saved as what it is."""

from __future__ import annotations

import io

import numpy as np
import pytest

from detector.explanation.methods.grad_cam import GradCam
from detector.explanation.methods.integrated_gradients import IntegratedGradients
from detector.explanation.result import Explanation
from tests.helpers.crops import original


@pytest.fixture
def explanation() -> Explanation:
    values = np.zeros((304, 304), np.float32)
    values[100:140, 100:140] = 2
    values[200:210, 200:210] = -1
    return Explanation(GradCam.name, "resnet50", ("resnet50:48",), values, 1.5, None, None)


def test_overlay_is_red_for_and_blue_against(explanation: Explanation) -> None:
    grey = np.full((304, 304, 3), 128, np.uint8)
    picture = explanation.overlay(grey, opacity=0.8).astype(int)
    assert picture[120, 120, 0] > picture[120, 120, 2] + 50
    assert picture[205, 205, 2] > picture[205, 205, 0] + 50
    np.testing.assert_array_equal(picture[10, 10], [128] * 3)
    assert explanation.scale().low == -explanation.scale().high


def test_pixel_maps_are_drawn_smoothly_and_kept_raw(explanation: Explanation) -> None:
    np.testing.assert_array_equal(explanation.shown, explanation.map)
    fine = Explanation(IntegratedGradients.name, "resnet50", (), explanation.map, 1.5, 0.5, 0.01)
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
