"""The layers of the paper's networks by number, with what a class needs to read them.

Numbering (paper, figures 8 to 11). ResNet50: the stem is layer 0; the 48 convolutions of its
bottleneck blocks, in forward order and without the shortcut projections, are layers 1 to 48;
then dense 1 and dense 2. Xception: two convolutions and 34 separable convolutions, in forward
order, are layers 1 to 36; then one dense layer.

What a layer puts out, one rule for maps and Grad-CAM alike: the convolution, followed by the
batch norm and the ReLU that its block gives it, and no pooling. So ResNet50's layer 48 is what
goes on to the dense layers. In ResNet50 the block's shortcut is added before the ReLU of its
third convolution and is part of that layer's output; the last convolution of a block of
Xception has a batch norm but no ReLU, so its maps have negative values too.

Everything here is arithmetic on the architectures (He et al. 2016, timm's `resnet50`; Chollet
2017, timm's `legacy_xception`): no weights are read and torch is not imported.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from detector.errors import ExplanationError
from detector.explanation.captions import caption_of
from detector.explanation.layer import CONVOLUTION, DENSE, SEPARABLE, TITLES, Layer
from detector.models.spec import read_ensemble

"""The networks as people read their names."""
"""The layers that the paper shows (ResNet50), and their like in Xception."""


def layers(network: str, input_size: int | None = None) -> tuple[Layer, ...]:
    """All layers of `network` in forward order, dense layers last.

    Args:
        network: "resnet50" or "xception".
        input_size: side of the input in pixels; by default the installed weights' own.

    Raises:
        ExplanationError: there is no such network.
    """
    if network not in TITLES:
        raise ExplanationError(
            f"There is no network called {network!r}; choose resnet50 or xception."
        )
    return _layers(network, input_size or _input_sizes()[network])


def convolutions(network: str, input_size: int | None = None) -> tuple[Layer, ...]:
    """The layers of `network` that have feature maps: all but the dense ones."""
    return tuple(found for found in layers(network, input_size) if found.is_map)


def layer(address: str, input_size: int | None = None) -> Layer:
    """The layer at `address`, e.g. "resnet50:24", "resnet50:dense1", "xception:36".

    Args:
        address: network and number, or network and dense layer.
        input_size: as for `layers`.

    Raises:
        ExplanationError: no layer has that address; the message names those that exist.
    """
    network, _, number = address.strip().lower().partition(":")
    if network not in TITLES:
        raise ExplanationError(
            f"There is no layer {address!r}; write an address such as resnet50:24 or xception:36."
        )
    for found in layers(network, input_size):
        if found.address == f"{network}:{number}":
            return found
    numbered = convolutions(network)
    dense = " and ".join(found.address for found in layers(network) if not found.is_map)
    raise ExplanationError(
        f"There is no layer {address!r}; {TITLES[network]} has {numbered[0].address} to "
        f"{numbered[-1].address}, then {dense}."
    )


def last_convolution(network: str, input_size: int | None = None) -> Layer:
    """The layer whose maps go on to the dense layers: resnet50:48 or xception:36."""
    return convolutions(network, input_size)[-1]


def neighbours(found: Layer) -> tuple[Layer | None, Layer | None]:
    """The layers before and after `found` in its network, None at either end."""
    row = layers(found.network, found.input_size)
    at = row.index(found)
    return (row[at - 1] if at else None), (row[at + 1] if at + 1 < len(row) else None)


@functools.cache
def _input_sizes() -> dict[str, int]:
    return {network.name: network.input_size for network in read_ensemble().networks}


@functools.lru_cache(maxsize=16)
def _layers(network: str, input_size: int) -> tuple[Layer, ...]:
    walk = _resnet50(input_size) if network == "resnet50" else _xception(input_size)
    return tuple(replace(found, caption=caption_of(found)) for found in walk)


@dataclass
class _Signal:
    """The signal between two layers: its size, and how it reaches back to the input."""

    size: int
    channels: int = 3
    field: int = 1  # side of the square of input pixels that one position depends on
    step: int = 1  # input pixels between two neighbouring positions

    def through(self, kernel: int, stride: int, padding: int) -> None:
        """Apply a convolution or pooling (Dumoulin and Visin 2016, section 2.4)."""
        self.size = (self.size + 2 * padding - kernel) // stride + 1
        self.field += (kernel - 1) * self.step
        self.step *= stride


def _convolution(
    signal: _Signal,
    network: str,
    number: int,
    name: str,
    output: str,
    filters: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    kind: str = CONVOLUTION,
    signed: bool = False,
    input_size: int = 0,
) -> Layer:
    inputs = signal.channels
    signal.through(kernel, stride, padding)
    signal.channels = filters
    return Layer(
        address=f"{network}:{number}",
        network=network,
        number=number,
        title=f"Layer {number}" if number else "Stem (layer 0)",
        name=name,
        output=f"trunk.{output}",
        kind=kind,
        inputs=inputs,
        filters=filters,
        kernel=kernel,
        stride=stride,
        shape=(filters, signal.size, signal.size),
        input_size=input_size,
        receptive_field=signal.field,
        signed=signed,
        caption="",
    )


def _dense(
    network: str,
    title: str,
    name: str,
    output: str,
    inputs: int,
    filters: int,
    input_size: int,
    field: int,
    signed: bool,
) -> Layer:
    return Layer(
        address=f"{network}:{title.lower().replace(' ', '')}",
        network=network,
        number=None,
        title=title,
        name=name,
        output=output,
        kind=DENSE,
        inputs=inputs,
        filters=filters,
        kernel=1,
        stride=1,
        shape=(filters,),
        input_size=input_size,
        receptive_field=field,
        signed=signed,
        caption="",
    )


def _resnet50(input_size: int) -> Iterator[Layer]:
    signal = _Signal(input_size)
    add = functools.partial(_convolution, signal, "resnet50", input_size=input_size)
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
            yield add(number + 2, f"{at}.conv3", f"{at}.act3", 4 * width, kernel=1)
            number += 3
    whole = signal.field + (signal.size - 1) * signal.step  # averaged over all positions
    yield _dense("resnet50", "Dense 1", "head.0", "head.1", 2048, 512, input_size, whole, False)
    yield _dense("resnet50", "Dense 2", "head.3", "head.3", 512, 1, input_size, whole, True)


def _xception(input_size: int) -> Iterator[Layer]:
    signal = _Signal(input_size)
    add = functools.partial(_convolution, signal, "xception", input_size=input_size)
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
    whole = signal.field + (signal.size - 1) * signal.step
    yield _dense("xception", "Dense 1", "head.1", "head.1", 2048, 1, input_size, whole, True)
