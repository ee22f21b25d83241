"""Occlusion is the fall of the logit, over squares that cover the crop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from detector.explanation.blur import blurred
from detector.explanation.methods.base import Options
from detector.explanation.methods.occlusion import Occlusion, crops_of, window
from tests.helpers.known_maps import Linear


def test_occlusion_is_the_fall_of_the_logit_in_each_square() -> None:
    crop = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = Linear(32)
    found = Occlusion().attribute(network, crop, Options(settings={"windows": 3}))
    side, stride = window(32, 3)
    falls = (network.weight * (crop - blurred(crop))[0]).sum(dim=0).numpy()
    total, counts = np.zeros((32, 32)), np.zeros((32, 32))
    for top in range(0, 32 - side + 1, stride):
        for left in range(0, 32 - side + 1, stride):
            square = np.s_[top : top + side, left : left + side]
            total[square] += falls[square].sum()
            counts[square] += 1
    np.testing.assert_allclose(found.map, total / counts, atol=1e-3)
    assert found.logit == pytest.approx(float(network(crop)), rel=1e-5)


@pytest.mark.parametrize(("size", "windows"), [(304, 11), (304, 15), (256, 4), (300, 7), (304, 1)])
def test_occlusion_covers_every_pixel_in_the_passes_it_says(size: int, windows: int) -> None:
    seen = []

    def network(crops: Tensor) -> Tensor:
        seen.append(len(crops))
        return crops.mean(dim=(1, 2, 3))

    crop = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    found = Occlusion().attribute(network, crop, Options(settings={"windows": windows}))
    assert np.isfinite(found.map).all()
    assert sum(seen) == crops_of(size, windows) + 1  # and the crop's own logit
