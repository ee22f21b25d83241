"""What a layer is: its number, its module, its shape."""

from __future__ import annotations

from dataclasses import dataclass

TITLES = {"resnet50": "ResNet50", "xception": "Xception"}


PRESETS = {
    "resnet50": ("resnet50:1", "resnet50:24", "resnet50:48"),
    "xception": ("xception:1", "xception:18", "xception:36"),
}


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
