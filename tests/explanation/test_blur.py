"""The blurred crop that faces are compared with."""

from __future__ import annotations

from detector.explanation.blur import blurred
from tests.helpers.crops import as_tensor, original


def test_a_blurred_crop_keeps_its_light_and_loses_its_detail() -> None:
    crop = as_tensor(original())
    soft = blurred(crop)
    assert soft.shape == crop.shape
    assert soft.dtype == crop.dtype
    assert float((soft.mean() - crop.mean()).abs()) < 0.01
    assert float(soft.diff(dim=-1).abs().mean()) < 0.5 * float(crop.diff(dim=-1).abs().mean())
    assert float(soft.min()) >= 0
    assert float(soft.max()) <= 1
