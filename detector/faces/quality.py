"""How much fine detail a face crop still holds, as an estimate of what compression left of it.

Compression, enlarging and blur all take the highest spatial frequencies first, and with them the
traces that the networks look for; what then remains looks much like a blended face. So a crop is
measured by the share of its spectral energy that lies in the upper two thirds of frequencies.
Bits for a pixel cannot replace this: they count the background, and stills have none.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.clip import Image

SIDE = 304  # crops are looked at in this size, that of Xception's input
WINDOW = 228  # the middle three quarters: the face itself
LOWEST, FINE, HIGHEST = 3, 40, 114  # cycles across the window: left out below, fine from, Nyquist


def fine_detail(crop: Image) -> float:
    """Log10 of the share of spectral energy in fine detail.

    Args:
        crop: RGB uint8 [s, s, 3].

    Returns:
        about -1.5 for a sharp portrait, -2.7 for a small face of a good clip, below -2.9 where
        compression or enlarging has smeared it; -9 for a crop without any structure.
    """
    if crop.shape[0] != SIDE:
        way = cv2.INTER_AREA if crop.shape[0] > SIDE else cv2.INTER_LINEAR
        crop = np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=way), dtype=np.uint8)
    start = (SIDE - WINDOW) // 2
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[start : start + WINDOW, start : start + WINDOW]
    window, radius = _window()
    energy = np.abs(np.fft.rfft2(grey * window)) ** 2
    fine = energy[(radius >= FINE) & (radius < HIGHEST)].sum()
    total = energy[(radius >= LOWEST) & (radius < HIGHEST)].sum()
    return float(np.log10(max(fine / total, 1e-9))) if total > 0 else -9.0


@functools.cache
def _window() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Hann window, and the distance of each coefficient from the constant one."""
    edge = np.hanning(WINDOW)
    across = np.fft.rfftfreq(WINDOW, 1 / WINDOW)
    down = np.fft.fftfreq(WINDOW, 1 / WINDOW)
    return np.outer(edge, edge), np.hypot(down[:, None], across[None, :])
