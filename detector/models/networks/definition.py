"""What the program knows of a kind of network, whatever its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import nn

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class NetworkDefinition:
    """A kind of network: how it is built, numbered, trained and drawn.

    Attributes:
        name: as files, links and the command line write it; an identifier in small letters.
        title: as people read it.
        trunk: timm's name of the model that turns a crop into features.
        head: builds the layers that turn features into one logit, given the probability of
            dropping a feature in training; a `Sequential` whose last module is a `Linear` to 1.
        mean, std: RGB normalisation, for inputs in [0, 1], that a new run trains with; a
            checkpoint's own travel in its metadata.
        layers: yields its numbered layers in forward order, dense layers last, for an input of
            so many pixels.
        presets: numbers of the layers that are offered first, three from shallow to deep.
        presets_from: why these, where there is a reason to tell; "" otherwise.
        stages: names of the trunk's modules, in the groups that `TrainConfig.freeze` counts.
        quick_freeze: stages that keep their initial weights in a quick run.
        kept_in_float: last convolutions and dense layers that are not quantized.
        colour: of its curves, hex.
        dash: of its lines, as Plotly names it.
    """

    name: str
    title: str
    trunk: str
    head: Callable[[float], nn.Sequential]
    mean: Triple
    std: Triple
    layers: Callable[[int], Iterable[Layer]]
    presets: tuple[int, ...]
    stages: tuple[tuple[str, ...], ...]
    presets_from: str = ""
    quick_freeze: int = 0
    kept_in_float: int = 0
    colour: str = "#8a8f98"
    dash: str = "dashdot"

    @property
    def preset_addresses(self) -> tuple[str, ...]:
        """Addresses of the layers that are offered first, such as "resnet50:24"."""
        return tuple(f"{self.name}:{number}" for number in self.presets)
