"""The pictures of labelled items as the networks see them: crops that were cut before, or faces.

A data set's crops were cut at a factor of their own. Wider ones are cut to the factor that the
networks want; tighter ones are taken whole, since there is nothing to widen them with.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from detector.errors import ClipError
from detector.faces.face import Face
from detector.faces.geometry import crop_face
from detector.media.clip import Image
from detector.models.spec import EnsembleSpec


def read_picture(path: Path) -> Image:
    """Read an image file, RGB uint8 [height, width, 3].

    Raises:
        ClipError: it cannot be decoded.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError:
        data = np.zeros(0, dtype=np.uint8)
    # A JPEG that was cut off decodes, with grey in place of the rest.
    cut_off = data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data[-4096:].tobytes()
    image = None if cut_off or not len(data) else cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ClipError(f"“{path.name}” cannot be decoded; get the original file.")
    return np.asarray(image, dtype=np.uint8)


def face_of_crop(picture: Image, crop_factor: float) -> Face:
    """Return the face that a crop was cut around: a box in its centre, without key points.

    Args:
        picture: RGB uint8 [h, w, 3].
        crop_factor: side of the crop / larger side of the face box.
    """
    height, width = picture.shape[:2]
    half = min(height, width) / crop_factor / 2
    x, y = width / 2, height / 2
    return Face((x - half, y - half, x + half, y + half), ((x, y),) * 6, 1.0)


def crop_for_ensemble(picture: Image, crop_factor: float, ensemble: EnsembleSpec) -> Image:
    """Cut a stored crop as the networks see it: RGB uint8 [s, s, 3], s = `ensemble.crop_size`.

    Args:
        picture: the crop as it was stored, RGB uint8 [h, w, 3].
        crop_factor: side of that crop / larger side of the face box.
        ensemble: what the networks want.
    """
    face = face_of_crop(picture, crop_factor)
    factor = min(ensemble.crop_factor, crop_factor)
    return crop_face(picture, face.box, factor, ensemble.crop_size)
