"""What a layer is, and arithmetic that follows a signal through the layers of a network."""

from __future__ import annotations

from dataclasses import dataclass

CONVOLUTION, SEPARABLE, DENSE = "convolution", "separable convolution", "dense"


@dataclass(frozen=True)
class Layer:
    """One numbered layer of one network.

    Attributes:
        address: "resnet50:24", "xception:36", "resnet50:dense1".
        network: name of its network.
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
        shortcut: the input of its block is added before the ReLU.
        caption: one or two sentences for a class; `detector.explanation.layers` fills it in.
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
    shortcut: bool = False
    caption: str = ""

    @property
    def is_map(self) -> bool:
        """True where the output has height and width; False for a dense layer."""
        return len(self.shape) == 3


@dataclass
class Signal:
    """The signal between two layers: its size, and how it reaches back to the input."""

    size: int
    channels: int = 3
    field: int = 1  # side of the square of input pixels that one position depends on
    step: int = 1  # input pixels between two neighbouring positions

    @property
    def whole(self) -> int:
        """Side in input pixels of what an average over all positions depends on."""
        return self.field + (self.size - 1) * self.step

    def through(self, kernel: int, stride: int, padding: int) -> None:
        """Apply a convolution or pooling (Dumoulin and Visin 2016, section 2.4)."""
        self.size = (self.size + 2 * padding - kernel) // stride + 1
        self.field += (kernel - 1) * self.step
        self.step *= stride


def convolution(
    signal: Signal,
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
    shortcut: bool = False,
    input_size: int = 0,
) -> Layer:
    """Send `signal` through a convolution and describe the layer.

    Args:
        network, number, name: as in `Layer`.
        output: module whose output is the layer's, inside the trunk.
        filters, kernel, stride, padding: of the convolution.
        kind, signed, shortcut, input_size: as in `Layer`.
    """
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
        shortcut=shortcut,
    )


def dense(
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
    """Describe a dense layer of the head; the arguments are as in `Layer`."""
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
    )
