"""Landmark hulls for self-blending, from the 6 BlazeFace key points, kept in one file.

Four regions: whole face, inner face, lower face, mouth. Each is a superellipse in the face's own
frame (origin between the eyes, one axis to the left eye, one to the mouth), whose sides follow
the ears, so that a turned head gets a lopsided hull. Its proportions were fitted to hulls of
dense face landmarks of 500 faces. On 290 others the two hulls overlap by a median intersection
over union of 0.86, 0.86, 0.79 and 0.69 for the four regions. Blending scales hulls by 0.9 to 1.15
and bends them; a hull scaled by 1.12 overlaps itself by 0.80. So the 6 points are enough for it,
least so for the mouth.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import TrainingError
from detector.faces.blazeface import BlazeFace
from detector.faces.face import Face, FaceDetector
from detector.files import atomic_write

Hulls = dict[str, NDArray[np.float32]]
REGIONS = ("whole face", "inner face", "lower face", "mouth")
POINTS = 32
HULLS_NAME = "hulls.npz"

# For each region: y of the centre, half widths to the right and left eye's side, half heights
# up and down (in units of the eye distance and of the distance eyes to mouth), and the exponents
# of the upper and the lower half; 2 is an ellipse, more is squarer.
_SHAPES = (
    (0.32, 1.08, 1.11, 1.05, 1.25, 3.14, 2.16),
    (-0.25, 0.85, 0.88, 0.14, 1.41, 1.88, 1.75),
    (0.35, 1.05, 1.11, 0.11, 1.22, 3.09, 2.18),
    (0.97, 0.51, 0.53, 0.33, 0.34, 1.50, 1.50),
)
_FOLLOWS_EARS = (True, False, True, True)


def hulls_from_key_points(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return convex outlines of the four regions.

    Args:
        points: float [6, 2], in the order of `faces.KEY_POINTS`, any unit.

    Returns:
        float32 [4, 32, 2] in the same unit.
    """
    right, left, _, mouth, right_ear, left_ear = np.asarray(points, dtype=np.float64)
    origin = (right + left) / 2
    axes = np.stack([left - right, mouth - origin], axis=1)
    if abs(np.linalg.det(axes)) < 1e-9:  # eyes and mouth in one line, seen from the side
        axes = np.eye(2) * max(float(np.linalg.norm(left - right)), 1e-3)
    ears = np.linalg.solve(axes, np.stack([right_ear - origin, left_ear - origin], axis=1))
    angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)
    hulls = []
    for (y, to_right, to_left, up, down, upper, lower), follows in zip(
        _SHAPES, _FOLLOWS_EARS, strict=True
    ):
        power = 2 / np.where(sin < 0, upper, lower)
        widths = np.where(cos < 0, to_right, to_left)
        if follows:
            widths = widths * (0.5 + 0.5 * np.clip(np.abs(np.where(cos < 0, *ears[0])), 0.2, 1.5))
        heights = np.where(sin < 0, up, down)
        x = np.sign(cos) * np.abs(cos) ** power * widths
        ys = y + np.sign(sin) * np.abs(sin) ** power * heights
        hulls.append(np.stack([x, ys], axis=1) @ axes.T + origin)
    return np.stack(hulls).astype(np.float32)


def hulls_of_crop(image: NDArray[np.uint8], detector: FaceDetector) -> NDArray[np.float32] | None:
    """Return hulls float32 [4, 32, 2] in units of the crop's side; None where no face is found.

    Args:
        image: RGB uint8 [s, s, 3], a crop around one face.
        detector: finds its key points.
    """
    side = image.shape[0]
    # A face that fills its crop is found better with something around it.
    border = side // 4
    wide = np.asarray(
        cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101),
        dtype=np.uint8,
    )
    faces = detector.detect(wide)
    if not faces:
        return None
    middle = wide.shape[0] / 2

    def distance(face: Face) -> float:
        left, top, right, bottom = face.box
        return float(np.hypot((left + right) / 2 - middle, (top + bottom) / 2 - middle))

    face = min(faces, key=distance)
    points = (np.array(face.key_points) - border) / side
    return hulls_from_key_points(points)


def find_hulls(root: Path, names: Iterable[str], path: Path, jobs: int = 2) -> Hulls:
    """Return hulls of crops, from the file where it has them, else found now and added to it.

    Args:
        root: folder the names start from.
        names: crops; those without a face get no hulls.
        path: the `.npz` file with `names` and `hulls`; written whole.
        jobs: threads.
    """
    from detector.training.clips import read_crop

    known = read_hulls(path) if path.exists() else {}
    missing = [name for name in names if name not in known]
    if not missing:
        return known
    detector = BlazeFace()

    def find(name: str) -> NDArray[np.float32] | None:
        image = read_crop(root / name, 256)
        return None if image is None else hulls_of_crop(image, detector)

    with ThreadPoolExecutor(jobs) as pool:
        for name, hulls in zip(missing, pool.map(find, missing), strict=True):
            # An empty hull says "looked for, not there", so that it is not looked for again.
            known[name] = np.zeros((4, POINTS, 2), np.float32) if hulls is None else hulls
    write_hulls(path, known)
    return known


def read_hulls(path: Path) -> Hulls:
    """Read hulls float32 [4, 32, 2] by file name; raises TrainingError where it is damaged."""
    try:
        with np.load(path) as arrays:
            hulls = arrays["hulls"].astype(np.float32)
            return {str(name): hull for name, hull in zip(arrays["names"], hulls, strict=True)}
    except (OSError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{path} holds no hulls; delete it, and it will be made again."
        ) from error


def write_hulls(path: Path, hulls: Hulls) -> None:
    """Write `names` and `hulls` (float16); the file appears only when it is complete."""
    names = sorted(hulls)
    stacked = np.stack([hulls[name] for name in names]) if names else np.zeros((0, 4, POINTS, 2))
    with atomic_write(path) as draft:
        np.savez_compressed(draft, names=np.array(names), hulls=stacked.astype(np.float16))


def usable(hulls: Hulls) -> Hulls:
    """Return the hulls of crops in which a face was found."""
    return {name: hull for name, hull in hulls.items() if hull.any()}


def overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return intersection over union, [0, 1], of two outlines [points, 2] in a crop's sides."""
    masks = []
    for points in (first, second):
        canvas = np.zeros((512, 512), np.uint8)
        corners = ((np.asarray(points, dtype=np.float64) + 0.5) * 256).round().astype(np.int32)
        cv2.fillConvexPoly(canvas, cv2.convexHull(corners), 1)
        masks.append(canvas > 0)
    union = (masks[0] | masks[1]).sum()
    return float((masks[0] & masks[1]).sum() / union) if union else 0.0
