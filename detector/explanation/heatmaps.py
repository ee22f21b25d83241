"""Numbers as pictures: feature maps and attributions in colour, over a face, as PNG or NPZ.

Colour maps are matplotlib's. Maps that cannot be negative run from 0 upwards in `SEQUENTIAL`;
signed ones run from -limit to +limit in `DIVERGING`, so that the middle colour always means 0:
red speaks for manipulation (or for a positive value), blue against it.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from detector.media.clip import Image

Map = NDArray[np.float32]

Number = TypeVar("Number", np.uint8, np.float32)

SEQUENTIAL = "inferno"
DIVERGING = "RdBu_r"
OPACITY = 0.55


@dataclass(frozen=True)
class Scale:
    """Which value gets which colour.

    Attributes:
        low, high: values at the two ends of the colour map.
        colours: name of a matplotlib colour map.
    """

    low: float
    high: float
    colours: str

    @property
    def signed(self) -> bool:
        """True where 0 lies in the middle and the map's two halves mean opposite things."""
        return self.low < 0


def scale_for(maps: Map, signed: bool | None = None, percentile: float = 100.0) -> Scale:
    """Return one scale that fits all of `maps`.

    Args:
        maps: float32, any shape; give several maps at once for a scale common to them.
        signed: whether 0 is the middle; by default, where any value is negative.
        percentile: the limit is this percentile of the absolute values; 100 clips nothing.
    """
    if signed is None:
        signed = bool((maps < 0).any())
    sizes = np.abs(maps)
    limit = float(np.percentile(sizes, percentile)) if maps.size else 0.0
    # Nearly all zeros: nothing is rare enough to clip. All zeros: drawn in the colour of zero.
    limit = limit or float(sizes.max(initial=0)) or 1.0
    return Scale(-limit if signed else 0.0, limit, DIVERGING if signed else SEQUENTIAL)


def colour(values: Map, scale: Scale | None = None) -> Image:
    """Draw a map in colour.

    Args:
        values: float32 [h, w].
        scale: by default, one that fits this map alone.

    Returns:
        RGB uint8 [h, w, 3].
    """
    scale = scale or scale_for(values)
    share = (values - scale.low) / (scale.high - scale.low)
    steps = np.clip(np.rint(share * 255), 0, 255).astype(np.uint8)
    return np.asarray(_table(scale.colours)[steps], dtype=np.uint8)


def enlarge(values: NDArray[Number], side: int, smooth: bool = True) -> NDArray[Number]:
    """Resize a map [h, w] or picture [h, w, 3] to [side, side].

    Args:
        values: uint8 or float32, which the result has too.
        side: pixels.
        smooth: linear between positions; otherwise each position stays a sharp square.
    """
    filter_ = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(values, (side, side), interpolation=filter_), values.dtype)


def overlay(
    crop: Image,
    values: Map,
    opacity: float = OPACITY,
    scale: Scale | None = None,
    fade: bool = False,
) -> Image:
    """Lay a map over the face.

    Args:
        crop: RGB uint8 [s, s, 3].
        values: float32 [h, w]; enlarged to [s, s], linear between positions.
        opacity: of the map, 0 (face only) to 1 (map only).
        scale: by default, one that fits this map alone.
        fade: let the map fade out towards 0, so that the face stays clear where nothing counts.

    Returns:
        RGB uint8 [s, s, 3].
    """
    scale = scale or scale_for(values)
    large = enlarge(values, crop.shape[0])
    alpha: float | NDArray[np.floating[Any]] = opacity
    if fade:
        alpha = opacity * np.clip(np.abs(large) / scale.high, 0, 1)[..., None] ** 0.5
    mixed = colour(large, scale) * alpha + crop * (1 - alpha)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def tiles(images: Sequence[Image], columns: int, side: int, gap: int = 4) -> Image:
    """Lay pictures of one size side by side on white.

    Args:
        images: RGB uint8 [h, w, 3] each; shown at [side, side], positions kept sharp.
        columns: pictures in a row.
        gap: white pixels between two pictures.

    Returns:
        RGB uint8 [rows * side + gaps, columns * side + gaps, 3].
    """
    rows = -(-len(images) // columns)
    step = side + gap
    sheet = np.full((max(rows * step - gap, 1), columns * step - gap, 3), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = (place // columns) * step, (place % columns) * step
        sheet[top : top + side, left : left + side] = enlarge(image, side, smooth=False)
    return sheet


def colour_bar(scale: Scale, width: int = 256, height: int = 16) -> Image:
    """Draw the colours of `scale` from low to high, left to right: RGB uint8 [height, width, 3]."""
    row = np.linspace(scale.low, scale.high, width, dtype=np.float32)
    return colour(np.repeat(row[None], height, axis=0), scale)


def png_bytes(image: Image) -> bytes:
    """Encode an RGB picture uint8 [h, w, 3] as a PNG file."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"no PNG can be made of an array of shape {image.shape}")
    return data.tobytes()


def npz_bytes(**arrays: NDArray[Any] | str | float | int) -> bytes:
    """Pack named arrays, numbers and text as a compressed NPZ file; opens with `numpy.load`."""
    stream = io.BytesIO()
    contents: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    np.savez_compressed(stream, **contents)
    return stream.getvalue()


@functools.lru_cache(maxsize=8)
def _table(name: str) -> Image:
    """Return the 256 colours of a matplotlib colour map, uint8 [256, 3]."""
    colours = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return np.asarray(np.rint(colours * 255), dtype=np.uint8)
