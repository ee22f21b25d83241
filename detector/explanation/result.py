"""An attribution map and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.explanation.blur import BLUR
from detector.explanation.heatmaps import OPACITY, Scale, npz_bytes, overlay, scale_for
from detector.explanation.methods.registry import METHODS
from detector.media.clip import Image

CLIPPED = 99.5  # percentile of |values| at the ends of the colour bar


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where in a face crop a network's logit comes from.

    Attributes:
        method: name in `detector.explanation.methods.registry.METHODS`.
        network: name of a network, or "ensemble".
        layers: addresses that were looked at; one for a network's layered method, each
            network's last convolution for the ensemble's, none for the other methods.
        map: float32 [s, s], signed: above 0 raises the manipulation logit. In units of the
            logit where the method is additive; else without a unit.
        logit: of the crop: the network's own, before calibration; the ensemble's, calibrated.
        baseline_logit: of what the crop is compared with (the blurred crop, for Integrated
            Gradients); None where the method compares with nothing.
        delta: Captum's convergence delta, sum of the map - (`logit` - `baseline_logit`); None
            without a baseline. Smaller is better; more steps make it smaller.
        settings: what the method was told, e.g. {"steps": 32}.
        seconds: that it took.
    """

    method: str
    network: str
    layers: tuple[str, ...]
    map: NDArray[np.float32]
    logit: float
    baseline_logit: float | None
    delta: float | None
    settings: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def relative_delta(self) -> float | None:
        """|delta| as a share of the difference that was to be explained; None without one."""
        if self.delta is None or self.baseline_logit is None:
            return None
        return abs(self.delta) / max(abs(self.logit - self.baseline_logit), 1e-6)

    @property
    def shown(self) -> NDArray[np.float32]:
        """The map as it is drawn, float32 [s, s]: a pixelwise method's is smoothed a little."""
        if not METHODS[self.method].pixelwise:
            return self.map
        smooth = cv2.GaussianBlur(self.map, (0, 0), self.map.shape[0] * BLUR)
        return np.asarray(smooth, dtype=np.float32)

    def scale(self) -> Scale:
        """Return the colour scale of the drawn map: 0 in the middle, rare extremes clipped."""
        return scale_for(self.shown, signed=True, percentile=CLIPPED)

    def overlay(self, crop: Image, opacity: float = OPACITY, fade: bool = True) -> Image:
        """Lay the map over the face, red for and blue against: RGB uint8 [s, s, 3], as `crop`."""
        return overlay(crop, self.shown, opacity, self.scale(), fade)

    def describe(self) -> dict[str, object]:
        """Return everything but the map, ready for JSON."""
        return {
            "method": self.method,
            "title": METHODS[self.method].title,
            "question": METHODS[self.method].question,
            "network": self.network,
            "layers": list(self.layers),
            "logit": self.logit,
            "baseline_logit": self.baseline_logit,
            "convergence_delta": self.delta,
            "settings": dict(self.settings),
            "seconds": self.seconds,
        }

    def npz(self, crop: Image) -> bytes:
        """Return the map and the crop it belongs to, as an NPZ file."""
        return npz_bytes(
            map=self.map,
            crop=crop,
            method=self.method,
            network=self.network,
            layers=",".join(self.layers),
            logit=self.logit,
        )
