"""Feature maps: what each filter of a layer makes of a face, and which filters matter.

Read through Captum's `LayerActivation`, any number of layers in one forward pass. What a layer's
output is, is said in `detector.explanation.layers`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.errors import ExplanationError
from detector.explanation.heatmaps import (
    OPACITY,
    Map,
    Scale,
    colour,
    npz_bytes,
    overlay,
    scale_for,
)
from detector.media.clip import Image
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from detector.explanation.crop_network import CropNetwork


CLIPPED = 99.5  # percentile of |values| at the end of a colour scale


@dataclass(frozen=True, eq=False)
class FilterStatistics:
    """How strongly each filter of a layer answers to a face; all arrays float32 [filters].

    Attributes:
        mean: over all positions.
        maximum: over all positions.
        active: share of positions with a value above 0, [0, 1].
        activity: mean of what is above 0, with 0 for the rest; orders filters by how active
            they are, and equals `mean` wherever a ReLU has removed what is negative.
    """

    mean: NDArray[np.float32]
    maximum: NDArray[np.float32]
    active: NDArray[np.float32]
    activity: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """All maps of one layer for one face.

    Attributes:
        layer: where they come from.
        maps: float32 [filters, height, width].
    """

    layer: Layer
    maps: NDArray[np.float32]

    @functools.cached_property
    def statistics(self) -> FilterStatistics:
        """Mean, maximum and share of active positions of each filter."""
        above = np.maximum(self.maps, 0)
        return FilterStatistics(
            mean=self.maps.mean(axis=(1, 2)),
            maximum=self.maps.max(axis=(1, 2)),
            active=(self.maps > 0).mean(axis=(1, 2), dtype=np.float32),
            activity=above.mean(axis=(1, 2)),
        )

    def most_active(self, count: int | None = None) -> tuple[int, ...]:
        """Return filters by falling activity, at most `count` of them; equal ones by number."""
        order = np.argsort(-self.statistics.activity, kind="stable")
        return tuple(int(number) for number in order[:count])

    def map(self, number: int) -> Map:
        """Return the map of filter `number`, float32 [height, width].

        Raises:
            ExplanationError: the layer has no such filter.
        """
        if not 0 <= number < len(self.maps):
            raise ExplanationError(
                f"{self.layer.title} has no filter {number}; choose one from 0 to "
                f"{len(self.maps) - 1}."
            )
        found: Map = self.maps[number]
        return found

    def scale(self, filters: Sequence[int] | None = None) -> Scale:
        """Return one colour scale common to `filters`, by default to all of the layer's.

        Values beyond the `CLIPPED` percentile share the end of the scale, since single
        positions would otherwise leave all others pale.
        """
        chosen = self.maps if filters is None else np.stack([self.map(n) for n in filters])
        return scale_for(chosen, self.layer.signed, CLIPPED)

    def images(self, filters: Sequence[int], common: bool = True) -> list[Image]:
        """Draw the maps of `filters` in colour, RGB uint8 [height, width, 3] each.

        Args:
            filters: numbers of filters, in the order wanted.
            common: one colour scale for all, so that weak filters look weak; or for each map
                its own, so that every pattern can be seen.
        """
        shared = self.scale(filters) if common and filters else None
        return [colour(self.map(n), shared or self.scale([n])) for n in filters]

    def overlay(
        self, crop: Image, number: int, opacity: float = OPACITY, scale: Scale | None = None
    ) -> Image:
        """Lay the map of one filter over the face: RGB uint8 [s, s, 3], as `crop`."""
        return overlay(crop, self.map(number), opacity, scale or self.scale([number]))

    def histogram(
        self, number: int, bins: int = 40
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Count one filter's values: counts [bins] and edges [bins + 1]."""
        counts, edges = np.histogram(self.map(number), bins=bins)
        return counts, edges.astype(np.float32)

    def npz(self) -> bytes:
        """Return all maps with their address as an NPZ file."""
        return npz_bytes(
            maps=self.maps,
            address=self.layer.address,
            module=self.layer.name,
            input_size=self.layer.input_size,
            receptive_field=self.layer.receptive_field,
        )


@dataclass(frozen=True)
class FilterDifference:
    """One filter's mean activation on two faces.

    Attributes:
        filter: its number.
        first, second: mean over all positions on either face.
    """

    filter: int
    first: float
    second: float

    @property
    def difference(self) -> float:
        """`second` - `first`."""
        return self.second - self.first


def differing_filters(
    first: FeatureMaps, second: FeatureMaps, count: int = 12
) -> tuple[FilterDifference, ...]:
    """Find the filters whose mean activation differs most between two faces, largest first.

    Means and not positions are compared, since two faces are never aligned to the pixel.

    Raises:
        ExplanationError: the maps are of different layers.
    """
    if first.layer.address != second.layer.address:
        raise ExplanationError(
            f"{first.layer.address} and {second.layer.address} cannot be compared; "
            "choose the same layer for both faces."
        )
    left, right = first.statistics.mean, second.statistics.mean
    order = np.argsort(-np.abs(right - left), kind="stable")[:count]
    return tuple(FilterDifference(int(n), float(left[n]), float(right[n])) for n in order)


def feature_maps(
    network: CropNetwork, crop: Tensor, wanted: Sequence[Layer]
) -> tuple[FeatureMaps, ...]:
    """Read the maps of several layers of one network, in one forward pass.

    Args:
        network: hooks are set on it; a private view where it is shared (`private_view`).
        crop: float32 [1, 3, s, s] in [0, 1].
        wanted: layers of this network that have maps.

    Returns:
        in the order of `wanted`, on the CPU.

    Raises:
        ExplanationError: a layer is dense and so has no maps.
    """
    for found in wanted:
        if not found.is_map:
            raise ExplanationError(
                f"{found.title} has no maps, since it is a dense layer; choose a numbered layer, "
                "or open the walk to see its units."
            )
    if not wanted:
        return ()
    values = activations(network, crop, [found.output for found in wanted])
    return tuple(FeatureMaps(found, value) for found, value in zip(wanted, values, strict=True))


def activations(
    network: CropNetwork, crop: Tensor, modules: Sequence[str]
) -> list[NDArray[np.float32]]:
    """Return the outputs of modules for one crop, in one forward pass: float32, no batch axis.

    Args:
        network: hooks are set on it; a private view where it is shared.
        crop: float32 [1, 3, s, s] in [0, 1].
        modules: names from the root of the `FaceNetwork`, e.g. "trunk.layer3.0.act3".
    """
    from captum.attr import LayerActivation

    found: list[nn.Module] = [network.network.get_submodule(name) for name in modules]
    values = LayerActivation(network, found).attribute(crop)
    return [value[0].contiguous().cpu().numpy() for value in values]
