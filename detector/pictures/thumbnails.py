"""Small pictures of an analysis, for lists, grids and reports: the most telling of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.pictures.protocols import Pictures
from detector.result import Analysis

FACE_SIDE = 128  # pixels
PREVIEW_SIDE = 640
MOST_FACES = 2000  # pictures of one analysis; longer ones keep the highest scores and a spread
MOST_PREVIEWS = 240


def pictures_of(analysis: Analysis, pictures: Pictures | None) -> dict[tuple[int, int], bytes]:
    """Return small JPEG pictures by (frame index, track), track 0 for whole frames.

    Args:
        analysis: of the clip.
        pictures: of its frames and faces; without any, nothing is returned.

    Returns:
        at most `MOST_PREVIEWS` frames of `PREVIEW_SIDE` pixels, and `MOST_FACES` faces of
        `FACE_SIDE`.
    """
    if pictures is None:
        return {}
    strength = {
        frame.index: max((face.logit for face in frame.faces), default=-math.inf)
        for frame in analysis.frames
    }
    result = {}
    for index in _telling(strength, MOST_PREVIEWS):
        whole = pictures.frame(index)
        image = None if whole is None else cv2.imdecode(np.frombuffer(whole, np.uint8), 1)
        if image is not None:
            result[index, 0] = _jpeg(image, PREVIEW_SIDE, 65)
    faces = {
        (frame.index, face.track): face.logit for frame in analysis.frames for face in frame.faces
    }
    for index, track in _telling(faces, MOST_FACES):
        crop = pictures.face(index, track)
        if crop is not None:
            result[index, track] = _jpeg(np.asarray(crop)[..., ::-1], FACE_SIDE, 82)
    return result


def _telling(strength: Mapping[Any, float], most: int) -> list[Any]:
    """Choose at most `most` keys: half of them the strongest, the rest spread evenly, in order."""
    keys = list(strength)
    if len(keys) <= most:
        return keys
    chosen = set(sorted(keys, key=strength.__getitem__, reverse=True)[: most // 2])
    rest = [key for key in keys if key not in chosen]
    places = np.linspace(0, len(rest) - 1, most - len(chosen)).round().astype(int)
    chosen |= {rest[place] for place in places}
    return [key for key in keys if key in chosen]


def _jpeg(image: NDArray[Any], side: int, quality: int) -> bytes:
    """Return a BGR image as JPEG, at most `side` pixels wide and high."""
    scale = side / max(image.shape[:2])
    if scale < 1:
        width, height = (max(round(length * scale), 1) for length in image.shape[1::-1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", np.ascontiguousarray(image), options)[1].tobytes()
