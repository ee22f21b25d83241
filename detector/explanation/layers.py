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
from detector.weights import read_ensemble

TITLES = {"resnet50": "ResNet50", "xception": "Xception"}
"""The networks as people read their names."""

PRESETS = {
    "resnet50": ("resnet50:1", "resnet50:24", "resnet50:48"),
    "xception": ("xception:1", "xception:18", "xception:36"),
}
"""The layers that the paper shows (ResNet50), and their like in Xception."""

CONVOLUTION, SEPARABLE, DENSE = "convolution", "separable convolution", "dense"


@dataclass(frozen=True)
class Layer:
    """One numbered layer of one network.

    Attributes:
        address: "resnet50:24", "xception:36", "resnet50:dense1".
        network: "resnet50" or "xception".
        number: place in the forward order; None for a dense layer.
        title: "Layer 24", "Stem (layer 0)", "Dense 1".
        name: module that holds the weights, inside the trunk ("layer3.0.conv3"), or inside the
            whole network for a dense layer ("head.0").
        output: module whose output is the layer's output, from the root of a `FaceNetwork`.
        kind: "convolution", "separable convolution" or "dense".
        inputs: channels (or values) that go in.
        filters: channels (or values) that come out; each is one feature map.
        kernel: side of the filters, positions; 1 for a dense layer.
        stride: positions skipped between two outputs; 1 for a dense layer.
        shape: of the output, (filters, height, width) for an input of `input_size` pixels;
            (filters,) for a dense layer.
        input_size: side of the network's input, pixels.
        receptive_field: side in input pixels of the square that one output value can depend
            on; larger than `input_size` where the square reaches past the crop.
        signed: False where a ReLU has removed what is negative.
        caption: one sentence for a class.
    """

    address: str
    network: str
    number: int | None
    title: str
    name: str
    output: str
    kind: str
    inputs: int
    filters: int
    kernel: int
    stride: int
    shape: tuple[int, ...]
    input_size: int
    receptive_field: int
    signed: bool
    caption: str

    @property
    def is_map(self) -> bool:
        """True where the output has height and width; False for a dense layer."""
        return len(self.shape) == 3


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
    return tuple(replace(found, caption=_caption(found)) for found in walk)


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


def _caption(found: Layer) -> str:
    if not found.is_map:
        return _dense_caption(found)
    return f"{_what_it_does(found)}; {_what_it_can_see(found)}{_where_it_goes(found)}."


def _dense_caption(found: Layer) -> str:
    if found.filters > 1:
        return (
            f"Each of {found.filters} units weighs all {found.inputs:,} maps of layer 48, averaged "
            "over the face, so that where something was seen is gone and only how strongly is left."
        )
    source = (
        f"the {found.inputs} units of dense 1"
        if found.network == "resnet50"
        else f"the {found.inputs:,} maps of layer 36, averaged over the face,"
    )
    return (
        f"One unit adds up {source} to the logit: above 0 speaks for manipulation, "
        "below 0 against it."
    )


def _what_it_does(found: Layer) -> str:
    halves = " and halves the resolution" if found.stride == 2 else ""
    if found.kind == SEPARABLE:
        return (
            f"A separable convolution looks at each of {found.inputs:,} channels by itself in "
            f"windows of 3 × 3, then mixes them into {found.filters:,} maps"
        )
    if found.inputs == 3:
        return (
            f"{found.filters} filters of {found.kernel} × {found.kernel} pixels look straight at "
            f"the picture{halves.replace('halves', 'halve')}"
        )
    if found.kernel == 1:
        verb = "widens" if found.filters > found.inputs else "condenses"
        if found.filters == found.inputs:
            verb = "recombines"
        shortcut = (
            ", to which the block's shortcut is added" if found.name.endswith("conv3") else ""
        )
        return (
            f"A 1 × 1 convolution {verb} {found.inputs:,} channels into {found.filters:,}, "
            f"position by position{shortcut}"
        )
    return (
        f"{found.filters} filters compare each position with its neighbours, in windows of "
        f"{found.kernel} × {found.kernel}{', ' + halves.strip() if halves else ''}"
    ).replace(", and halves", ", and halve")


def _what_it_can_see(found: Layer) -> str:
    field, share = found.receptive_field, found.receptive_field / found.input_size
    if share >= 2:
        return "every value can depend on the whole face crop"
    if share >= 1:
        return "a value in the middle can depend on the whole face crop"
    window = f"one value sees {field} × {field} pixels of {found.input_size}"
    if field <= 7:
        return f"{window}, enough for an edge, a colour or grain"
    if share <= 0.2:
        return f"{window}, enough for texture and short lines"
    if share <= 0.5:
        return f"{window}, about the room of one feature such as an eye or a mouth"
    return f"{window}, enough for several features and how they sit together"


def _where_it_goes(found: Layer) -> str:
    if found.number == (48 if found.network == "resnet50" else 36):
        return ", and the average of each map goes on to the dense layer" + (
            "s" if found.network == "resnet50" else ""
        )
    return ""
