"""What may make a face hard to judge: it is small, dark or glaring, or without fine detail.

How much fine detail a crop still holds is an estimate of what compression left of it.
Compression, enlarging and blur all take the highest spatial frequencies first, and with them the
traces that the networks look for; what then remains looks much like a blended face. So a crop is
measured by the share of its spectral energy that lies in the upper two thirds of frequencies.
Bits for a pixel cannot replace this: they count the background, and stills have none.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.faces.face import Face
from detector.media.clip import Image
from detector.result import AbstainReason, Quality

MIN_SIZE = 48.0  # pixels: smaller faces hold less detail than the networks were trained on
BRIGHTNESS = (30.0, 235.0)  # mean luma of a face that shows enough
# Log10 share of fine detail: of the validation crops as they are, 99 in 100 hold more.
MIN_DETAIL = -2.9

SIDE = 304  # crops are looked at in this size, that of Xception's input
WINDOW = 228  # the middle three quarters: the face itself
LOWEST, FINE, HIGHEST = 3, 40, 114  # cycles across the window: left out below, fine from, Nyquist


def measure(face: Face, crop: Image) -> Quality:
    """Measure what may make a face hard to judge, from its box and its crop uint8 [s, s, 3]."""
    small = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    inner = grey[16:112, 16:112]  # the face itself, without most of its surroundings
    brightness = float(inner.mean())
    return Quality(
        size=face.size,
        sharpness=float(cv2.Laplacian(inner, cv2.CV_64F).var()),
        brightness=brightness,
        usable=face.size >= MIN_SIZE
        and BRIGHTNESS[0] <= brightness <= BRIGHTNESS[1]
        and fine_detail(crop) >= MIN_DETAIL,
    )


def why_unusable(qualities: Sequence[Quality]) -> AbstainReason:
    """Return what most faces of a track lack, of which too few are usable."""
    small = sum(quality.size < MIN_SIZE for quality in qualities)
    unlit = sum(
        quality.size >= MIN_SIZE and not BRIGHTNESS[0] <= quality.brightness <= BRIGHTNESS[1]
        for quality in qualities
    )
    usable = sum(quality.usable for quality in qualities)
    smeared = len(qualities) - usable - small - unlit  # nothing else makes a face unusable
    if small > len(qualities) / 2:
        return "faces_too_small"
    if unlit > len(qualities) / 2:
        return "faces_too_dark"
    return "heavily_recompressed" if smeared > len(qualities) / 2 else "too_few_frames"


def fine_detail(crop: Image) -> float:
    """Return log10 of the share of spectral energy in fine detail.

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
    """Return a Hann window, and the distance of each coefficient from the constant one."""
    edge = np.hanning(WINDOW)
    across = np.fft.rfftfreq(WINDOW, 1 / WINDOW)
    down = np.fft.fftfreq(WINDOW, 1 / WINDOW)
    return np.outer(edge, edge), np.hypot(down[:, None], across[None, :])
