"""Boxes: how they overlap, how several become one, and the square crop around one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.faces.face import Image

MIN_OVERLAP = 0.3  # boxes that overlap more are one face; MediaPipe's own value


def crop_face(
    image: Image, box: tuple[float, float, float, float], factor: float, size: int
) -> Image:
    """Cut out the square around a face, as the networks see it.

    Args:
        image: RGB uint8 [h, w, 3].
        box: left, top, right, bottom in pixels.
        factor: side of the square / larger side of the box (1.15 for the shipped networks).
        size: side of the crop that is returned, pixels.

    Returns:
        RGB uint8 [size, size, 3]; the image is reflected at its border, and area-filtered
        where the crop shrinks it.
    """
    left, top, right, bottom = box
    side = max(round(max(right - left, bottom - top) * factor), 2)
    x = round((left + right - side) / 2)
    y = round((top + bottom - side) / 2)
    height, width = image.shape[:2]
    inside = image[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    if inside.shape[:2] != (side, side):
        # One index vector an axis reflects any distance, also beyond one image width.
        rows = _reflect(np.arange(y, y + side), height)
        columns = _reflect(np.arange(x, x + side), width)
        inside = image[rows[:, None], columns[None, :]]
    filter_ = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    crop = cv2.resize(np.ascontiguousarray(inside), (size, size), interpolation=filter_)
    return np.asarray(crop, dtype=np.uint8)


def _reflect(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return indices folded back into [0, length), as cv2.BORDER_REFLECT_101 does."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    folded = np.abs(index) % period
    return np.where(folded >= length, period - folded, folded)


def weighted_nms(
    found: NDArray[np.float64], scores: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], float]]:
    """Average overlapping detections by score, as BlazeFace's authors do to stop jitter.

    Args:
        found: [n, m], each row a box (left, top, right, bottom) and then further coordinates.
        scores: of the rows, [n].

    Returns:
        of each group of boxes that overlap: the mean row [m], and its highest score; highest
        scores first.
    """
    order = np.argsort(-scores, kind="stable")
    merged = []
    while len(order):
        best = order[0]
        overlap = iou(found[best, :4], found[order, :4])
        together = overlap > MIN_OVERLAP
        together[0] = True  # a box without area overlaps nothing, not even itself
        group = order[together]
        weights = scores[group][:, None]
        merged.append(((found[group] * weights).sum(axis=0) / weights.sum(), scores[best]))
        order = order[~together]
    return merged


def iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union [n] of one box [4] with boxes [n, 4].

    A box is left, top, right, bottom.
    """
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = area + areas - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0)
