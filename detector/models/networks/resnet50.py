"""ResNet50 with two dense layers (He et al. 2016; paper, "Networks": 48 convolutions, 2 dense).

Numbering (paper, figures 8 to 11): the stem is layer 0; the 48 convolutions of the bottleneck
blocks, in forward order and without the shortcut projections, are layers 1 to 48; then dense 1
and dense 2. The block's shortcut is added before the ReLU of its third convolution and is part
of that layer's output.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from detector.models.networks.definition import IMAGENET_MEAN, IMAGENET_STD, NetworkDefinition
from detector.models.networks.layer import Layer, Signal, convolution, dense

if TYPE_CHECKING:
    from torch import nn

NAME = "resnet50"


def _layers(input_size: int) -> Iterator[Layer]:
    """Yield the stem (layer 0), layers 1 to 48, dense 1 and dense 2."""
    signal = Signal(input_size)
    add = functools.partial(convolution, signal, NAME, input_size=input_size)
    yield add(0, "conv1", "act1", 64, kernel=7, stride=2, padding=3)
    signal.through(3, 2, 1)  # max pooling
    number = 1
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            yield add(number, f"{at}.conv1", f"{at}.act1", width, kernel=1)
            yield add(
                number + 1, f"{at}.conv2", f"{at}.act2", width, kernel=3, stride=stride, padding=1
            )
            yield add(number + 2, f"{at}.conv3", f"{at}.act3", 4 * width, kernel=1, shortcut=True)
            number += 3
    yield dense(NAME, "Dense 1", "head.0", "head.1", 2048, 512, input_size, signal.whole, False)
    yield dense(NAME, "Dense 2", "head.3", "head.3", 512, 1, input_size, signal.whole, True)


def _head(dropout: float) -> nn.Sequential:
    """Build dense 2048 -> 512, ReLU, dropout, dense 512 -> 1."""
    from torch import nn

    return nn.Sequential(nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(dropout), nn.Linear(512, 1))


RESNET50 = NetworkDefinition(
    name=NAME,
    title="ResNet50",
    trunk="resnet50",
    head=_head,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    layers=_layers,
    presets=(1, 24, 48),
    presets_from="A layer that the paper shows",
    stages=(("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",)),
    quick_freeze=3,
    kept_in_float=2,
    colour="#7a5cd6",
    dash="dot",
)
