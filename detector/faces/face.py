"""What a face in a frame is, and what finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

KEY_POINTS = ("right eye", "left eye", "nose tip", "mouth centre", "right ear", "left ear")
MIN_SCORE = 0.5  # a find that is less certain is no face


@dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
        box: left, top, right, bottom in pixels of the frame; may reach beyond its border.
        key_points: six (x, y) in pixels, in the order of `KEY_POINTS`.
        score: certainty that this is a face, [0, 1].
    """

    box: tuple[float, float, float, float]
    key_points: tuple[tuple[float, float], ...]
    score: float

    @property
    def size(self) -> float:
        """Larger side of the box, pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


class FaceDetector(Protocol):
    """Anything that finds faces in a frame."""

    name: str

    def detect(self, image: Image) -> tuple[Face, ...]:
        """Return the faces in an RGB image uint8 [h, w, 3], most certain first."""
        ...
