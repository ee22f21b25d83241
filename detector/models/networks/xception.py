"""Xception with one dense layer (Chollet 2017; paper, "Networks": 36 convolutions).

Two convolutions and 34 separable convolutions, in forward order, are layers 1 to 36; then one
dense layer. The last convolution of a block has a batch norm but no ReLU, so its maps have
negative values too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from detector.models.networks.definition import NetworkDefinition
from detector.models.networks.layer import SEPARABLE, Layer, Signal, convolution, dense

if TYPE_CHECKING:
    from torch import nn

NAME = "xception"


def _layers(input_size: int) -> Iterator[Layer]:
    """Yield layers 1 to 36 and the dense layer."""
    signal = Signal(input_size)
    add = functools.partial(convolution, signal, NAME, input_size=input_size)
    separable = functools.partial(add, kernel=3, padding=1, kind=SEPARABLE)
    yield add(1, "conv1", "act1", 32, kernel=3, stride=2)
    yield add(2, "conv2", "act2", 64, kernel=3)
    number = 3
    # Of each block: what its separable convolutions put out, and whether it ends in pooling.
    widths = {1: (128, 128), 2: (256, 256), 3: (728, 728), 12: (728, 1024)}
    for block in range(1, 13):
        filters = widths.get(block, (728, 728, 728))
        for place, width in enumerate(filters):
            # A block opens with a ReLU, save the first; then convolution, batch norm, ReLU.
            at = 3 * place + (block > 1)
            last = place == len(filters) - 1
            yield separable(
                number,
                f"block{block}.rep.{at}",
                f"block{block}.rep.{at + (1 if last else 2)}",
                width,
                signed=last,
            )
            number += 1
        if block in widths:
            signal.through(3, 2, 1)  # max pooling
    yield separable(35, "conv3", "act3", 1536)
    yield separable(36, "conv4", "act4", 2048)
    yield dense(NAME, "Dense 1", "head.1", "head.1", 2048, 1, input_size, signal.whole, True)


def _head(dropout: float) -> nn.Sequential:
    """Build dropout, dense 2048 -> 1."""
    from torch import nn

    return nn.Sequential(nn.Dropout(dropout), nn.Linear(2048, 1))


XCEPTION = NetworkDefinition(
    name=NAME,
    title="Xception",
    trunk="legacy_xception",
    head=_head,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    layers=_layers,
    presets=(1, 18, 36),
    stages=(
        ("conv1", "bn1", "conv2", "bn2"),
        ("block1", "block2", "block3"),
        ("block4", "block5", "block6", "block7"),
        ("block8", "block9", "block10", "block11"),
        ("block12", "conv3", "bn3", "conv4", "bn4"),
    ),
    kept_in_float=5,
    colour="#12948a",
    dash="dash",
)
