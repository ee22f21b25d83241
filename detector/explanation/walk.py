"""The walk of one face through one network: from the first layer to the score, step by step.

The paper's figures 8 to 11 show a frame, then layers 1, 24 and 48 of ResNet50; the walk goes on
through the dense layers to the logit and the score, with the true numbers of this face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from detector.explanation.feature_maps import FeatureMaps, activations
from detector.explanation.heatmaps import colour, scale_for, tiles
from detector.explanation.layers import layer, layers
from detector.media.clip import Image
from detector.models.ensemble import probability
from detector.models.networks.layer import Layer
from detector.models.networks.registry import NETWORKS, network_title

if TYPE_CHECKING:
    from torch import Tensor, nn

    from detector.explanation.crop_network import CropNetwork

SHOWN = 16  # filters in a step's picture: 4 by 4


@dataclass(frozen=True, eq=False)
class WalkStep:
    """One step of a walk.

    Attributes:
        address: of a layer, or "logit", or "score".
        title: "Layer 24", "Dense 1", "Logit", "Score".
        text: two sentences for a class, with this face's own numbers.
        layer: the layer, None for "logit" and "score".
        maps: a convolution's maps, None elsewhere.
        values: float32 [n]; of dense 1 the units' activations, of the layer that gives the
            logit each input's contribution to it, of "logit" and "score" that one number.
    """

    address: str
    title: str
    text: str
    layer: Layer | None = None
    maps: FeatureMaps | None = None
    values: NDArray[np.float32] | None = None

    def picture(self, side: int = 480) -> Image | None:
        """Return the most active filters, or the units as squares; RGB uint8, about `side` wide.

        None for "logit" and "score", which are single numbers.
        """
        if self.maps is not None:
            filters = self.maps.most_active(SHOWN)
            return tiles(self.maps.images(filters), 4, side // 4 - 4)
        if self.values is None or len(self.values) == 1:
            return None
        columns = 1 << (len(self.values).bit_length() // 2)  # 32 for 512 units, 64 for 2,048
        grid = self.values.reshape(-1, columns)
        cell = max(side // columns, 1)
        picture = colour(grid, scale_for(grid, percentile=99.5))
        return picture.repeat(cell, axis=0).repeat(cell, axis=1)


@dataclass(frozen=True, eq=False)
class Walk:
    """What one network makes of one face, from pixels to score.

    Attributes:
        network: name of the network.
        steps: in order: three convolutions, the dense layers, logit, score.
        contributions: float32 [n], what each input of the last dense layer adds to the logit.
        bias: what the last dense layer adds by itself; logit = contributions.sum() + bias.
        logit: positive = manipulated, before calibration.
        temperature: the logit is divided by it.
        probability: sigmoid(logit / temperature), [0, 1].
    """

    network: str
    steps: tuple[WalkStep, ...]
    contributions: NDArray[np.float32]
    bias: float
    logit: float
    temperature: float
    probability: float

    @property
    def raised(self) -> float:
        """What all inputs of the last layer that speak for manipulation add up to."""
        return float(self.contributions[self.contributions > 0].sum())

    @property
    def lowered(self) -> float:
        """What all inputs of the last layer that speak against it add up to; at most 0."""
        return float(self.contributions[self.contributions < 0].sum())


def walk(network: CropNetwork, crop: Tensor) -> Walk:
    """Follow a face through `network` in one forward pass.

    Args:
        network: hooks are set on it; a private view where it is shared.
        crop: float32 [1, 3, s, s] in [0, 1].
    """
    name = network.network.name
    size = network.spec.input_size
    shown = [layer(address, size) for address in NETWORKS[name].preset_addresses]
    last = cast("nn.Linear", network.network.head[-1])
    dense = [found for found in layers(name, size) if not found.is_map]
    # What enters the last dense layer: the units of dense 1, or the pooled maps of layer 36.
    into_last = dense[-2].output if len(dense) > 1 else "trunk"
    *values, units, out = activations(
        network, crop, [found.output for found in shown] + [into_last, "head"]
    )
    logit = float(out[0])
    weight = last.weight.detach().cpu().numpy()[0]
    contributions = (weight * units).astype(np.float32)
    bias = float(last.bias.detach())

    steps = [
        _map_step(FeatureMaps(found, value)) for found, value in zip(shown, values, strict=True)
    ]
    if len(dense) > 1:
        steps.append(_units_step(dense[0], units))
    steps.append(_last_step(dense[-1], contributions, pooled=len(dense) == 1))
    temperature = network.spec.temperature
    score = probability(logit / temperature)
    done = Walk(name, tuple(steps), contributions, bias, logit, temperature, score)
    return replace(done, steps=(*steps, _logit_step(done), _score_step(done)))


def _map_step(maps: FeatureMaps) -> WalkStep:
    found, statistics = maps.layer, maps.statistics
    best = maps.most_active(1)[0]
    height, width = found.shape[1:]
    silent = int((statistics.active == 0).sum())
    quiet = f", and {silent:,} stay silent" if silent else ""
    return WalkStep(
        address=found.address,
        title=found.title,
        text=(
            f"{found.caption} On this face, filter {best} of {found.filters:,} is the most active: "
            f"it answers at {statistics.active[best]:.0%} of its {height} × {width} "
            f"positions{quiet}."
        ),
        layer=found,
        maps=maps,
    )


def _units_step(found: Layer, units: NDArray[np.float32]) -> WalkStep:
    awake = int((units > 0).sum())
    return WalkStep(
        address=found.address,
        title=found.title,
        text=(
            f"{found.caption} On this face {awake} of {len(units)} units are active, "
            f"unit {int(units.argmax())} most of all."
        ),
        layer=found,
        values=units,
    )


def _last_step(found: Layer, contributions: NDArray[np.float32], pooled: bool) -> WalkStep:
    up, down = int((contributions > 0).sum()), int((contributions < 0).sum())
    source = "averaged maps" if pooled else "units"
    return WalkStep(
        address=found.address,
        title=found.title,
        text=(
            f"{found.caption} On this face {up:,} {source} push it up and {down:,} push it down."
        ),
        layer=found,
        values=contributions,
    )


def _logit_step(done: Walk) -> WalkStep:
    return WalkStep(
        address="logit",
        title="Logit",
        text=(
            f"What pushes up adds {done.raised:+.2f}, what pushes down {done.lowered:+.2f}, and "
            f"the layer itself {done.bias:+.2f}. Together that is "
            f"{network_title(done.network)}'s logit for this face: {done.logit:+.2f}."
        ),
        values=np.array([done.logit], dtype=np.float32),
    )


def _score_step(done: Walk) -> WalkStep:
    calibrated = (
        f"Divided by the temperature {done.temperature:.2f} and bent"
        if done.temperature != 1
        else "Bent"
    )
    return WalkStep(
        address="score",
        title="Score",
        text=(
            f"{calibrated} into the range from 0 to 1, the logit becomes the score "
            f"{done.probability:.2f}. It says how strongly this one network sees evidence of "
            "manipulation in this one face, and is no verdict on the clip."
        ),
        values=np.array([done.probability], dtype=np.float32),
    )
